// A trained model in one safetensors file that needs nothing beside it: the weights under their Hugging Face names, and in the
// metadata the model's shape, its tokenizer, where in the run it was saved, and a checksum, since the format itself has none.
// Read after: engine/safetensors.ts, atomic.ts. Read next: model.ts, which finds checkpoints.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { FormatError } from '../../engine/errors.ts';
import type { HostTensor } from '../../engine/parameters.ts';
import { readSafetensors, writeSafetensors, type TensorToWrite } from '../../engine/safetensors.ts';
import type { TransformerConfig } from '../../nn/config.ts';
import type { Transformer } from '../../nn/transformer.ts';
import { schema } from '../config/schema.ts';
import { tokenizerFromJSON, type Tokenizer } from '../data/tokenizer.ts';
import { writeAtomically } from './atomic.ts';

/** Where in a run a checkpoint was saved. */
export interface Place {
  readonly phase: string;
  /** Steps of that phase that are done. */
  readonly step: number;
  /** SHA-256 of the run's config.json. */
  readonly configHash: string;
}

export interface Checkpoint {
  readonly config: TransformerConfig;
  readonly tensors: Map<string, HostTensor>;
  readonly tokenizer: Tokenizer;
  readonly place: Place;
}

const CHECKSUM = 'sha256';

/** Writes the file whole or not at all. The same model, tokenizer and place give the same bytes. */
export async function writeCheckpoint(path: string, model: Transformer, tokenizer: Tokenizer, place: Place): Promise<void> {
  const values = await model.parameters.toHost();
  const tensors = [...values].map(([name, { shape, data }]) => [name, { dtype: 'F32', shape, data }] as const);
  const metadata = new Map([
    ['format', 'pt'], // other programs insist on it
    ['model', JSON.stringify(model.config)],
    ['tokenizer', JSON.stringify(tokenizer)],
    ['phase', place.phase],
    ['step', String(place.step)],
    ['config', place.configHash],
  ]);
  metadata.set(CHECKSUM, sha256(writeSafetensors(tensors, metadata)));
  writeAtomically(path, writeSafetensors(tensors, metadata));
}

/** Throws FormatError when the file is damaged, or not one of ours. */
export function readCheckpoint(path: string): Checkpoint {
  const { tensors, metadata } = readSafetensors(readFileSync(path), path);
  const note = (key: string): string => {
    const value = metadata.get(key);
    if (value === undefined) throw new FormatError(`checkpoint: ${path}: has no "${key}" in its metadata: not a checkpoint of remit-mini`);
    return value;
  };
  const checksum = note(CHECKSUM);
  metadata.delete(CHECKSUM);
  const entries = [...tensors].map(([name, tensor]) => [name, tensor as TensorToWrite] as const);
  if (entries.some(([, { dtype }]) => dtype !== 'F32') || sha256(writeSafetensors(entries, metadata)) !== checksum) {
    throw new FormatError(`checkpoint: ${path}: its checksum does not fit: the file was changed or damaged after it was written`);
  }
  return {
    config: modelConfig(note('model'), path),
    tensors: tensors as Map<string, HostTensor>,
    tokenizer: tokenizerFromJSON(JSON.parse(note('tokenizer'))),
    place: { phase: note('phase'), step: Number(note('step')), configHash: note('config') },
  };
}

function modelConfig(json: string, path: string): TransformerConfig {
  const { vocabulary, ...rest } = JSON.parse(json) as TransformerConfig;
  const checked = schema.shape.model.safeParse(rest);
  if (!checked.success || !Number.isInteger(vocabulary)) throw new FormatError(`checkpoint: ${path}: describes no model that this version knows`);
  return { ...(checked.data as Omit<TransformerConfig, 'vocabulary'>), vocabulary };
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
