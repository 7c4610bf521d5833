// The tokenizer of somebody's own text: bytes, byte pairs learned from it, or a file. Used by: train-text.ts,
// tokenize.ts. Read next: remit/text/tokenizer.ts.

import { existsSync } from 'node:fs';
import { ConfigError } from '../../../engine/errors.ts';
import { didYouMean } from '../../../engine/nearest.ts';
import type { Config } from '../../settings/resolve.ts';
import { readJsonFile } from '../../text/read.ts';
import { byteTokenizer, tokenizerFromJSON, trainTokenizer, type Tokenizer } from '../../text/tokenizer.ts';

const VOCABULARY = 1024;
const NAMES = ['bytes', 'bpe'];

/**
 * What data.tokenizer says. Byte pairs are learned from the part that is trained on: what is held out is not looked at.
 * `init`: a model that training goes on from; it brings its own. Throws ConfigError.
 */
export function textTokenizer(
  text: string,
  { tokenizer = 'bytes', vocabulary = VOCABULARY, validation }: Config['data'],
  init?: string,
): Tokenizer {
  if (init !== undefined && tokenizer !== 'bytes') {
    throw new ConfigError(`train: --tokenizer ${tokenizer}: the model of --init has its own: leave it out`);
  }
  if (tokenizer === 'bpe') return trainTokenizer(wholeCharacters(text, Math.floor(text.length * (1 - validation))), vocabulary);
  return namedTokenizer('train', tokenizer);
}

/** bytes, or the path of a tokenizer.json. Throws ConfigError, or FormatError for a file that is another kind. */
export function namedTokenizer(command: string, name: string): Tokenizer {
  if (name === 'bytes') return byteTokenizer;
  if (existsSync(name)) return tokenizerFromJSON(readJsonFile(command, name));
  const known = command === 'train' ? NAMES : ['bytes'];
  throw new ConfigError(
    `${command}: --tokenizer ${name}: must be ${known.join(', ')} or the path of a tokenizer.json` +
    didYouMean(name, known),
  );
}

/** The first `length` code units, and one more where that would cut a character in two. */
function wholeCharacters(text: string, length: number): string {
  const cut = text.slice(0, length);
  return /[\ud800-\udbff]$/.test(cut) ? text.slice(0, length + 1) : cut;
}
