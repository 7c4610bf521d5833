// A checkpoint as a file, written whole or not at all. Read after: ../../phases/checkpoint.ts (what is in it), atomic.ts.
// Read next: states.ts, model.ts, which find checkpoints.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { checkArguments, text } from '../../../engine/options.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import {
  bytesOf, contentsOf, damaged, openCheckpoint, packArguments, type Checkpoint, type Place,
} from '../../phases/checkpoint.ts';
import type { PhaseState } from '../../phases/run.ts';
import { attempt } from '../../text/read.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { writeAtomically } from './atomic.ts';

export type { Checkpoint, Place } from '../../phases/checkpoint.ts';

const writeArguments = { path: text, ...packArguments };

/**
 * Writes the file whole or not at all. The same model, tokenizer and place give the same bytes. `state`: the phase is
 * not finished. Throws DivergedError when a weight is no number: a checkpoint is always a good one.
 */
export async function writeCheckpoint(
  path: string,
  model: Transformer,
  tokenizer: Tokenizer,
  place: Place,
  state?: PhaseState,
): Promise<void> {
  checkArguments('writeCheckpoint', arguments, writeArguments);
  const contents = await contentsOf(model, tokenizer, place, state);
  writeAtomically(path, bytesOf(contents, sha256(bytesOf(contents))));
}

/** Throws FormatError when the file is damaged, or not one of ours. */
export function readCheckpoint(path: string): Checkpoint {
  checkArguments('readCheckpoint', arguments, { path: text });
  return parseCheckpoint(attempt('checkpoint', path, () => readFileSync(path)), path);
}

/** The same of a file's bytes; `path` names it in messages. */
export function parseCheckpoint(bytes: Uint8Array, path: string): Checkpoint {
  const { checksum, unsealed, checkpoint } = openCheckpoint(bytes, path);
  if (sha256(unsealed) !== checksum) throw damaged(path);
  return checkpoint();
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
