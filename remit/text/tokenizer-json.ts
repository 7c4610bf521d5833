// Tokenizers as Hugging Face tokenizer.json files, so that transformers and vLLM split text as we do.
// Both kinds are written as byte-pair encoding without a single merge. Character level: the characters are the
// vocabulary and nothing is split beforehand. Byte level: `ByteLevel` turns each byte into a printable character first,
// as GPT-2 does. Reading takes back exactly those two. Any other file would split text differently from us, so it is
// refused, never approximated. Source: the file format of huggingface/tokenizers; the byte alphabet of GPT-2,
// openai/gpt-2, encoder.py.

import { FormatError } from '../../engine/errors.ts';

/** What a file of ours says around its vocabulary. */
interface Parts {
  readonly vocabulary: readonly string[];
  readonly unknown: string | null;
  readonly splitter: unknown;
  readonly decoder: unknown;
}

function tokenizerJSON({ vocabulary, unknown, splitter, decoder }: Parts): unknown {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: splitter,
    post_processor: null,
    decoder,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: unknown,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges: [],
    },
  };
}

/**
 * The format knows no "refuse": a character from outside becomes the first token there, where our own encode throws.
 */
export function characterTokenizerJSON(characters: readonly string[]): unknown {
  return tokenizerJSON({
    vocabulary: characters,
    unknown: characters[0] ?? null,
    splitter: null,
    decoder: { type: 'Fuse' },
  });
}

export function byteTokenizerJSON(): unknown {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  return tokenizerJSON({ vocabulary: byteCharacters(), unknown: null, splitter: byteLevel, decoder: byteLevel });
}

/**
 * GPT-2's character for each byte: itself where it is printable Latin-1, else the next unused code point from U+0100.
 */
function byteCharacters(): string[] {
  let spare = 0x100;
  const printable = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : spare++));
}

/**
 * What a parsed tokenizer.json describes: bytes, or the characters of an alphabet in the order of their ids. Special
 * tokens that libraries add on saving are fine as long as they name vocabulary entries.
 * Throws FormatError for a file that would split any text differently from the two kinds here.
 */
export function readTokenizerJSON(
  json: unknown,
): { readonly bytes: true } | { readonly bytes: false; readonly alphabet: string } {
  const file = record(json, 'the file');
  const model = record(file['model'], 'model');
  if (model['type'] !== 'BPE') refuse('model.type', model['type'], 'must be "BPE"');
  if (!Array.isArray(model['merges']) || model['merges'].length > 0) {
    refuse('model.merges', model['merges'], 'must be []: tokens here are single characters or bytes');
  }
  for (const name of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[name]) refuse(`model.${name}`, model[name], 'must be absent or null');
  }
  for (const name of ['normalizer', 'post_processor']) {
    if (file[name]) refuse(name, file[name], 'must be absent or null');
  }
  if (file['truncation']) refuse('truncation', file['truncation'], 'must be absent or null: texts are never cut');
  const padding = file['padding'];
  if (padding && !(isRecord(padding) && padding['strategy'] === 'BatchLongest')) {
    // which fills up batches alone
    refuse('padding', padding, 'must be absent or null: texts are never filled up');
  }
  const vocabulary = inOrder(record(model['vocab'], 'model.vocab'));
  checkAddedTokens(file['added_tokens'] ?? [], vocabulary);
  if (!isByteLevel(file['pre_tokenizer'])) {
    checkCharacters(file, vocabulary);
    return { bytes: false, alphabet: vocabulary.join('') };
  }
  checkBytes(file, vocabulary);
  return { bytes: true };
}

function checkBytes(file: Record<string, unknown>, vocabulary: readonly string[]): void {
  if (!isByteLevel(file['decoder'])) refuse('decoder', file['decoder'], 'must be ByteLevel, as pre_tokenizer is');
  const expected = byteCharacters();
  const differs = vocabulary.length !== 256 || vocabulary.some((token, id) => token !== expected[id]);
  if (differs) {
    refuse('model.vocab', `${vocabulary.length} tokens`, 'must be the 256 byte characters, each with its byte as id');
  }
}

function checkCharacters(file: Record<string, unknown>, vocabulary: readonly string[]): void {
  if (file['pre_tokenizer']) {
    refuse('pre_tokenizer', file['pre_tokenizer'], 'must be null or ByteLevel without prefix space and regex');
  }
  const decoder = file['decoder'];
  if (!isRecord(decoder) || decoder['type'] !== 'Fuse') refuse('decoder', decoder, 'must be {"type":"Fuse"}');
  const long = vocabulary.find((token) => Array.from(token).length !== 1);
  if (long !== undefined) refuse('model.vocab', long, 'is not a single character');
  const half = vocabulary.find((token) => /\p{Surrogate}/u.test(token));
  if (half !== undefined) refuse('model.vocab', half, 'is half of a character');
}

function isByteLevel(part: unknown): boolean {
  return (
    isRecord(part) && part['type'] === 'ByteLevel' && part['add_prefix_space'] === false && part['use_regex'] === false
  );
}

/** {"a":1,"b":0} -> ['b','a']. */
function inOrder(vocab: Record<string, unknown>): string[] {
  const entries = Object.entries(vocab);
  const tokens = new Array<string>(entries.length);
  for (const [token, id] of entries) {
    const free =
      typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < entries.length && tokens[id] === undefined;
    if (!free) refuse(`model.vocab[${JSON.stringify(token)}]`, id, `ids must be 0 to ${entries.length - 1}, each once`);
    tokens[id as number] = token;
  }
  if (tokens.length === 0) refuse('model.vocab', vocab, 'is empty');
  return tokens;
}

function checkAddedTokens(added: unknown, vocabulary: readonly string[]): void {
  if (!Array.isArray(added)) refuse('added_tokens', added, 'must be a list');
  for (const token of added) {
    if (!isRecord(token) || typeof token['id'] !== 'number' || vocabulary[token['id']] !== token['content']) {
      refuse('added_tokens', token, 'is not in model.vocab under that id');
    }
    for (const flag of ['lstrip', 'rstrip', 'single_word']) {
      if (token[flag]) refuse('added_tokens', token, `${flag} must be false: it would swallow or pass over text`);
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function record(value: unknown, where: string): Record<string, unknown> {
  return isRecord(value) ? value : refuse(where, value, 'must be a JSON object');
}

/** One line, however long the value is. */
function refuse(where: string, value: unknown, problem: string): never {
  const shown = JSON.stringify(value) ?? 'nothing';
  throw new FormatError(
    `tokenizer.json: ${where}: ${shown.length > 60 ? `${shown.slice(0, 60)}...` : shown}: ${problem}`,
  );
}
