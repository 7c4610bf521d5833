// A trained model from wherever it lies: a run folder, its checkpoints, one checkpoint, or a Hugging Face folder.
// Read after: checkpoint.ts, remit/interop/folder.ts.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../engine/errors.ts';
import type { HostTensor } from '../../engine/parameters.ts';
import type { TransformerConfig } from '../../nn/config.ts';
import { Transformer } from '../../nn/transformer.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { isModelFolder, readModelFolder } from '../interop/folder.ts';
import { readCheckpoint } from './checkpoint.ts';
import { States } from './states.ts';

export interface OpenModel {
  readonly model: Transformer;
  /** Absent when a Hugging Face folder has none, or one that this project cannot run; then `tokenizerFault` may say why. */
  readonly tokenizer: Tokenizer | undefined;
  readonly tokenizerFault: string | undefined;
  /** The file or folder that the weights came from. */
  readonly source: string;
}

/**
 * Opens `path` on the current device.
 *
 * Throws ConfigError when there is no model there, FormatError when there is one and it is damaged.
 */
export function openModel(path: string): OpenModel {
  const checkpoint = isModelFolder(path) ? undefined : findCheckpoint(path);
  if (checkpoint === undefined && !isModelFolder(path)) throw new ConfigError(missing(path));
  const source = checkpoint ?? path;
  const stored = checkpoint === undefined ? readModelFolder(path) : { ...readCheckpoint(checkpoint), tokenizerFault: undefined };
  const { tokenizer, tokenizerFault } = stored;
  return { model: build(stored.config, stored.tensors, source), tokenizer, tokenizerFault, source };
}

function build(config: TransformerConfig, tensors: Map<string, HostTensor>, source: string): Transformer {
  const model = new Transformer(config);
  model.parameters.load(tensors, source);
  return model;
}

/** The checkpoint that `path` means, if it is one, or a folder of them, or a run folder: then the newest. */
function findCheckpoint(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  if (statSync(path).isFile()) return path;
  for (const folder of [join(path, 'checkpoints'), path]) {
    const newest = existsSync(folder) ? new States(folder).newest() : undefined;
    if (newest !== undefined) return newest;
  }
  return undefined;
}

function missing(path: string): string {
  if (!existsSync(path)) return `model: ${path}: no such file or folder`;
  const there = readdirSync(path).slice(0, 4).join(', ');
  return `model: ${path}: is no run folder and no Hugging Face folder: it holds ${there === '' ? 'nothing' : there}`;
}
