// Opens a world made of files for a command: told what is odd about it, and which held-out questions were shown. Used by:
// train.ts, train-files.ts, evaluate.ts, verify.ts. Read next: remit/worlds/files/read.ts.

import { ConfigError } from '../../../engine/errors.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import { readWorld, type ReadWorld } from '../../worlds/files/read.ts';
import { leaksOf, type FileWorld } from '../../worlds/files/world.ts';
import { say } from './terminal.ts';

const SHOWN = 3;

/** Throws ConfigError or FormatError for the first thing that is wrong with the folder. */
export function openWorld(folder: string): Promise<ReadWorld> {
  return readWorld(folder, say);
}

/** How many held-out questions are in the training data; the first of them are told. */
export function tellLeaks(world: FileWorld): number {
  const leaks = leaksOf(world);
  if (leaks.length > 0) {
    const shown = leaks.slice(0, SHOWN).map((leak) => `${leak.question.where} in ${leak.in}`).join('; ');
    const rest = leaks.length > SHOWN ? `; and ${leaks.length - SHOWN} more` : '';
    say(`world: ${leaks.length} of ${world.eval!.length} held-out questions are in the training data: ${shown}${rest}`);
  }
  return leaks.length;
}

/** Throws ConfigError, beginning with `where`, unless the model speaks the world's tokens and holds its rows. */
export function checkFits(
  where: string,
  model: Transformer,
  tokenizer: unknown,
  { name, tokenizer: own, context }: FileWorld,
): void {
  if (JSON.stringify(tokenizer) !== JSON.stringify(own)) {
    throw new ConfigError(`${where}: its tokenizer is another than that of ${name}: train on one world's files`);
  }
  if (model.config.context < context) {
    throw new ConfigError(
      `${where}: its context is ${model.config.context} tokens: rows of ${name} have up to ${context}`,
    );
  }
}
