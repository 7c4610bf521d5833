// A trained model from wherever it lies: a run folder, its checkpoints, one checkpoint, or a Hugging Face folder.
// Read after: checkpoint.ts, remit/app/interop/folder.ts.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, FormatError } from '../../../engine/errors.ts';
import { callable, checkArguments, optional, text } from '../../../engine/options.ts';
import type { HostTensor } from '../../../engine/parameters.ts';
import type { TransformerConfig } from '../../../nn/config.ts';
import { Transformer } from '../../../nn/transformer.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { isModelFolder, readModelFolder } from '../interop/folder.ts';
import { readCheckpoint, type Checkpoint } from './checkpoint.ts';
import { States } from './states.ts';

/** A model from disk, with the tokenizer that lies beside it. */
export interface OpenModel {
  readonly model: Transformer;
  /**
   * Absent when a Hugging Face folder has none, or one that this project cannot run; then `tokenizerFault` may say why.
   */
  readonly tokenizer: Tokenizer | undefined;
  readonly tokenizerFault: string | undefined;
  /** The file or folder that the weights came from. */
  readonly source: string;
}

/**
 * Opens `path` on the current device. `notice` is told of states of an unfinished phase that are damaged; on stderr
 * unless given.
 *
 * Throws ConfigError when there is no model there, FormatError when there is one and it is damaged.
 */
export function openModel(
  path: string,
  notice: (text: string) => void = (text) => void process.stderr.write(`${text}\n`),
): OpenModel {
  checkArguments('openModel', arguments, { path: text, notice: optional(callable()) });
  if (isModelFolder(path)) {
    const { config, tensors, tokenizer, tokenizerFault } = readModelFolder(path);
    return { model: build(config, tensors, path), tokenizer, tokenizerFault, source: path };
  }
  const candidates = findCheckpoints(path);
  if (candidates.length === 0) throw new ConfigError(missing(path));
  const { config, tensors, tokenizer, source } = readFirst(candidates, notice);
  return { model: build(config, tensors, source), tokenizer, tokenizerFault: undefined, source };
}

/**
 * The first of these checkpoints that is whole; those before it are told. Throws FormatError of the first when none is.
 */
function readFirst(paths: readonly string[], notice: (text: string) => void): Checkpoint & { readonly source: string } {
  const faults: FormatError[] = [];
  for (const source of paths) {
    try {
      const found = readCheckpoint(source);
      for (const { message } of faults) notice(`${message}: left out`);
      return { ...found, source };
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      faults.push(error);
    }
  }
  throw faults[0]!;
}

function build(config: TransformerConfig, tensors: Map<string, HostTensor>, source: string): Transformer {
  const model = new Transformer(config);
  model.parameters.load(tensors, source);
  return model;
}

/**
 * The checkpoint that `path` means, if it is one, or a folder of them, or a run folder: then the newest, and what may
 * stand in for it.
 */
function findCheckpoints(path: string): string[] {
  const entry = statSync(path, { throwIfNoEntry: false });
  if (entry === undefined) return [];
  if (!entry.isDirectory()) return entry.isFile() ? [path] : [];
  for (const folder of [join(path, 'checkpoints'), path]) {
    const newest = existsSync(folder) ? new States(folder).newest() : [];
    if (newest.length > 0) return newest;
  }
  return [];
}

function missing(path: string): string {
  if (!existsSync(path)) return `model: ${path}: no such file or folder`;
  if (!statSync(path).isDirectory()) return `model: ${path}: is neither a file nor a folder`;
  const there = readdirSync(path).slice(0, 4).join(', ');
  return `model: ${path}: is no run folder and no Hugging Face folder: it holds ${there === '' ? 'nothing' : there}`;
}
