// Text to token ids and back. There are three kinds: one token per character of a fixed alphabet (the tiny world), one
// token per byte of UTF-8 (any text at all), or byte-level BPE: tokens of several bytes, learned from a text (bpe.ts).
// As JSON they are Hugging Face tokenizer.json files, which tokenizer-json.ts writes and reads. Read next: bpe.ts.

import { describe } from '../../engine/describe.ts';
import { ConfigError } from '../../engine/errors.ts';
import { anything, callable, checkArguments, checkValue, having, list, string, whole } from '../../engine/options.ts';
import { bytePairsJSON } from './bpe-json.ts';
import { bytePairCoder } from './bpe.ts';
import { learnBytePairs, SMALLEST_VOCABULARY } from './bpe-train.ts';
import { byteTokenizerJSON, characterTokenizerJSON, readTokenizerJSON } from './tokenizer-json.ts';

/** Text to token ids and back. */
export interface Tokenizer {
  readonly name: 'character' | 'byte' | 'bpe';
  /** Number of tokens: ids are 0 to vocabulary - 1. */
  readonly vocabulary: number;
  /** Text -> ids [n] i32. Throws ConfigError for a character without a token. */
  encode(text: string): Int32Array;
  /** Ids -> text; for bytes, what is not UTF-8 becomes U+FFFD. Throws ConfigError for an id out of range. */
  decode(tokens: ArrayLike<number>): string;
  /**
   * How many bytes of UTF-8 these tokens stand for, so that losses of different tokenizers can be compared. Throws
   * ConfigError for an id out of range.
   */
  byteLength(tokens: ArrayLike<number>): number;
  /** A Hugging Face tokenizer.json: JSON.stringify(tokenizer) is the file. */
  toJSON(): unknown;
}

/** An argument that is a tokenizer. */
export const aTokenizer = having<Tokenizer>('a tokenizer, as characterTokenizer() makes it', {
  name: string, vocabulary: whole({ min: 1 }), encode: callable(), decode: callable(), byteLength: callable(),
  toJSON: callable(),
});

/**
 * One token per character (Unicode code point) of `alphabet`; the id is its place there. Throws ConfigError when the
 * alphabet is empty, or has a character twice or half of one: then no tokenizer.json could say the same.
 */
export function characterTokenizer(alphabet: string): Tokenizer {
  checkArguments('characterTokenizer', arguments, { alphabet: anything });
  if (typeof alphabet !== 'string' || alphabet === '') {
    throw new ConfigError(`tokenizer: alphabet ${describe(alphabet)}: must be a text of one or more characters`);
  }
  const characters = Array.from(alphabet);
  const twice = characters.find((character, id) => characters.indexOf(character) !== id);
  if (twice !== undefined) {
    throw new ConfigError(
      `tokenizer: alphabet ${describe(alphabet)}: has ${JSON.stringify(twice)} twice: give [...new Set(text)].join('')`,
    );
  }
  checkWhole('alphabet', alphabet);
  const ids = new Map(characters.map((character, id) => [character, id]));
  return {
    name: 'character',
    vocabulary: characters.length,
    encode(text) {
      checkText(text);
      return Int32Array.from(Array.from(text), (character, position) => {
        const id = ids.get(character);
        if (id !== undefined) return id;
        throw new ConfigError(
          `tokenizer: character ${JSON.stringify(character)} at position ${position}: not in the alphabet ${alphabet}`,
        );
      });
    },
    decode(tokens) {
      checkRange(tokens, characters.length);
      return Array.from(tokens, (id) => characters[id]).join('');
    },
    byteLength(tokens) {
      return new TextEncoder().encode(this.decode(tokens)).length;
    },
    toJSON: () => characterTokenizerJSON(characters),
  };
}

/** The 256 bytes; a text is encoded as UTF-8. */
export const byteTokenizer: Tokenizer = {
  name: 'byte',
  vocabulary: 256,
  encode(text) {
    checkText(text);
    checkWhole('text', text);
    return Int32Array.from(new TextEncoder().encode(text));
  },
  decode(tokens) {
    checkRange(tokens, 256);
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(tokens));
  },
  byteLength(tokens) {
    checkRange(tokens, 256);
    return tokens.length;
  },
  toJSON: byteTokenizerJSON,
};

const trainArguments = { text: string, vocabulary: whole({ min: SMALLEST_VOCABULARY, max: 2 ** 20 }) };

/**
 * A byte-level BPE that is learned from `text`: its merges are those of the trainer of huggingface/tokenizers, its last
 * id is that of `<|endoftext|>`. Throws ConfigError when the text has too few different pairs for `vocabulary` tokens.
 */
export function trainTokenizer(text: string, vocabulary: number): Tokenizer {
  checkArguments('trainTokenizer', arguments, trainArguments);
  checkWhole('text', text);
  return tokenizerFromJSON(bytePairsJSON(learnBytePairs(text, vocabulary)));
}

/** The tokenizer of a parsed tokenizer.json. Throws FormatError for any that is not one of the three kinds here. */
export function tokenizerFromJSON(json: unknown): Tokenizer {
  const found = readTokenizerJSON(json);
  if (found.kind === 'byte') return byteTokenizer;
  if (found.kind === 'character') return characterTokenizer(found.alphabet);
  const coder = bytePairCoder(found.pairs);
  const { bytes } = coder;
  return {
    name: 'bpe',
    vocabulary: bytes.length,
    encode(text) {
      checkText(text);
      checkWhole('text', text);
      return coder.encode(text);
    },
    decode(tokens) {
      checkRange(tokens, bytes.length);
      const all = new Uint8Array(lengthOf(tokens, bytes));
      let at = 0;
      for (let i = 0; i < tokens.length; i++) {
        all.set(bytes[tokens[i]!]!, at);
        at += bytes[tokens[i]!]!.length;
      }
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(all);
    },
    byteLength(tokens) {
      checkRange(tokens, bytes.length);
      return lengthOf(tokens, bytes);
    },
    toJSON: () => json,
  };
}

/** Bytes of these tokens together. */
function lengthOf(tokens: ArrayLike<number>, bytes: readonly Uint8Array[]): number {
  let length = 0;
  for (let i = 0; i < tokens.length; i++) length += bytes[tokens[i]!]!.length;
  return length;
}

function checkText(text: unknown): void {
  if (typeof text !== 'string') throw new ConfigError(`tokenizer: encode(${describe(text)}): must be a string`);
}

/** Half of a surrogate pair has no UTF-8: it would become another character in silence. */
function checkWhole(what: string, text: string): void {
  const position = text.search(/\p{Surrogate}/u);
  if (position >= 0) {
    throw new ConfigError(
      `tokenizer: ${what}: ${JSON.stringify(text[position])} at position ${position}: is half of a character`,
    );
  }
}

const idList = list('a list of token ids', anything); // which are looked at below

function checkRange(tokens: ArrayLike<number>, vocabulary: number): void {
  checkValue('tokenizer: tokens', tokens, idList);
  for (let i = 0; i < tokens.length; i++) {
    const id = tokens[i]!;
    if (Number.isInteger(id) && id >= 0 && id < vocabulary) continue;
    throw new ConfigError(`tokenizer: token ${id} at position ${i}: must be from 0 to ${vocabulary - 1}`);
  }
}
