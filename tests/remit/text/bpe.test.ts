// Byte pairs against three other tokenizers: stored merges of the trainer of huggingface/tokenizers 0.23.2 (native) and
// the ids that it gives by the file written here; and
// @huggingface/tokenizers and @lenml/tokenizers as they read the file that is written here. The text in bpe.json has four
// scripts, emoji, code, digits, runs of spaces and both kinds of line ends.

import { readFileSync } from 'node:fs';
import { Tokenizer as HuggingFace } from '@huggingface/tokenizers';
import { TokenizerLoader } from '@lenml/tokenizers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError, FormatError } from '../../../engine/errors.ts';
import { learnBytePairs } from '../../../remit/text/bpe-train.ts';
import { splitByPattern } from '../../../remit/text/split.ts';
import { tokenizerFromJSON, trainTokenizer, type Tokenizer } from '../../../remit/text/tokenizer.ts';

const answers = JSON.parse(readFileSync(new URL('bpe.json', import.meta.url), 'utf8')) as {
  text: string;
  merges: string[];
  encodings: { text: string; ids: number[] }[];
};
const { text } = answers;
const full = 256 + answers.merges.length + 1;
const ours = trainTokenizer(text, full);
const file = (tokenizer: Tokenizer): any => JSON.parse(JSON.stringify(tokenizer));

test('the same merges in the same order as the native trainer', () => {
  expect(learnBytePairs(text, full).merges.map((pair) => pair.join(' '))).toEqual(answers.merges);
});

test('the same ids as the native library', () => {
  expect(answers.encodings.map((one) => ({ ...one, ids: [...ours.encode(one.text)] }))).toEqual(answers.encodings);
});

test('Sennrich, Haddow and Birch, algorithm 1: low, lower, newest, widest', () => {
  const words = [['low', 5], ['lower', 2], ['newest', 6], ['widest', 3]] as const;
  const sample = words.map(([word, times]) => ` ${word}`.repeat(times)).join('\n');
  const { merges } = learnBytePairs(sample, 256 + 2 + 1);
  expect(merges.map((pair) => pair.join(' '))).toEqual(['e s', 'es t']);
});

test('the last id stands between documents, and is found in a text', () => {
  expect(ours.vocabulary).toBe(full);
  expect([...ours.encode('<|endoftext|>')]).toEqual([full - 1]);
  expect(ours.decode([full - 1])).toBe('<|endoftext|>');
});

test('any text comes back, with as many bytes as it has', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (some) => {
    const ids = ours.encode(some);
    expect(ours.decode(ids)).toBe(some);
    expect(ours.byteLength(ids)).toBe(new TextEncoder().encode(some).length);
  }));
});

describe.each([
  ['@huggingface/tokenizers', (): ((some: string) => number[]) => {
    const read = new HuggingFace(file(ours), {});
    return (some) => read.encode(some).ids;
  }],
  ['@lenml/tokenizers', (): ((some: string) => number[]) => {
    const read = TokenizerLoader.fromPreTrained({ tokenizerJSON: file(ours), tokenizerConfig: {} as never });
    return (some) => read.encode(some);
  }],
] as const)('our file in %s', (_, open) => {
  const encode = open();

  test('gives the same ids', () => {
    for (const { text: some, ids } of answers.encodings) expect([some, encode(some)]).toEqual([some, ids]);
  });
});

// as Llama 3 has it
const LLAMA = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" +
  '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

test('a file of the kind of Llama 3: another pattern, digits in threes, whole words', () => {
  expect(splitByPattern(LLAMA)("I'LL take 12345 of it's  kind\r\n")).toEqual([
    'I', "'LL", ' take', ' ', '123', '45', ' of', ' it', "'s", ' ', ' kind', '\r\n',
  ]);
  const json = file(ours);
  json.pre_tokenizer = {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: LLAMA }, behavior: 'Isolated', invert: false },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  };
  json.model.ignore_merges = true;
  const mine = tokenizerFromJSON(json);
  const theirs = new HuggingFace(json, {});
  for (const { text: some } of answers.encodings) expect([...mine.encode(some)]).toEqual(theirs.encode(some).ids);
});

test('a vocabulary that the text does not support, or that is too small for bytes', () => {
  expect(() => trainTokenizer('ab', 300)).toThrow(
    new ConfigError(
      'tokenizer: vocabulary 300: the text has pairs for 258 tokens: ask for at most that, or give more text',
    ),
  );
  expect(() => trainTokenizer('ab', 256)).toThrow('trainTokenizer: vocabulary = 256: must be');
});

const changed = (change: (json: any) => void) => (): unknown => {
  const json = file(ours);
  change(json);
  return tokenizerFromJSON(json);
};

test.each<[string, (json: any) => void]>([
  ['must be two tokens', (json) => (json.model.merges[3] = ['a'])],
  ['is not in model.vocab', (json) => (json.model.merges[3] = ['Q', 'Q'])],
  ['must be ByteLevel', (json) => (json.decoder = { type: 'Fuse' })],
  ['add_prefix_space', (json) => (json.pre_tokenizer.add_prefix_space = true)],
  ['must be null or NFC', (json) => (json.normalizer = { type: 'Lowercase' })],
  ['must be "BPE"', (json) => (json.model.type = 'Unigram')],
  ['lstrip must be false', (json) => (json.added_tokens[0].lstrip = true)],
  ['byte_fallback', (json) => (json.model.byte_fallback = true)],
])('a file that would make other tokens: %s', (message, change) => {
  expect(changed(change)).toThrow(FormatError);
  expect(changed(change)).toThrow(message);
});
