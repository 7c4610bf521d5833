// Tokenizers as Hugging Face tokenizer.json files, so that transformers and vLLM split text as we do.
// Both kinds are written as byte-pair encoding without a single merge. Character level: the characters are the
// vocabulary and nothing is split beforehand. Byte level: `ByteLevel` turns each byte into a printable character first,
// as GPT-2 does. Reading takes back those two, and byte-level BPE with merges. Any other file would split text
// differently from us, so it is refused, never approximated. Source: the file format of huggingface/tokenizers.
// Read next: bpe-json.ts, for files with merges.

import { readBytePairs } from './bpe-json.ts';
import type { BytePairs } from './bpe.ts';
import { byteCharacters } from './bytes.ts';
import { inOrder, isRecord, record, refuse } from './json-parts.ts';

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
  return tokenizerJSON({ vocabulary: byteCharacters, unknown: null, splitter: byteLevel, decoder: byteLevel });
}

/** A tokenizer as such a file describes it. */
export type Described =
  | { readonly kind: 'byte' }
  | { readonly kind: 'character'; readonly alphabet: string }
  | { readonly kind: 'bpe'; readonly pairs: BytePairs };

/**
 * What a parsed tokenizer.json describes: bytes, the characters of an alphabet in the order of their ids, or byte-level
 * BPE. Special tokens that libraries add on saving are fine as long as they name vocabulary entries.
 * Throws FormatError for a file that would split any text differently from these.
 */
export function readTokenizerJSON(json: unknown): Described {
  const file = record(json, 'the file');
  const model = record(file['model'], 'model');
  if (model['type'] !== 'BPE') refuse('model.type', model['type'], 'must be "BPE"');
  for (const name of ['continuing_subword_prefix', 'end_of_word_suffix', 'dropout']) {
    if (model[name]) refuse(`model.${name}`, model[name], 'must be absent or null');
  }
  if (file['truncation']) refuse('truncation', file['truncation'], 'must be absent or null: texts are never cut');
  const padding = file['padding'];
  if (padding && !(isRecord(padding) && padding['strategy'] === 'BatchLongest')) {
    // which fills up batches alone
    refuse('padding', padding, 'must be absent or null: texts are never filled up');
  }
  if (isByteLevel(file['pre_tokenizer'])) {
    const pairs = readBytePairs(file, model);
    const { tokens, merges, added } = pairs;
    const plain = merges.length === 0 && added.size === 0 && tokens.length === 256;
    return plain && tokens.every((token, id) => token === byteCharacters[id]) ? { kind: 'byte' } : { kind: 'bpe', pairs };
  }
  if (!Array.isArray(model['merges']) || model['merges'].length > 0) {
    refuse('model.merges', model['merges'], 'must be [] where pre_tokenizer is not ByteLevel');
  }
  for (const name of ['normalizer', 'post_processor']) {
    if (file[name]) refuse(name, file[name], 'must be absent or null');
  }
  const vocabulary = inOrder(record(model['vocab'], 'model.vocab'));
  checkAddedTokens(file['added_tokens'] ?? [], vocabulary);
  checkCharacters(file, vocabulary);
  return { kind: 'character', alphabet: vocabulary.join('') };
}

function checkCharacters(file: Record<string, unknown>, vocabulary: readonly string[]): void {
  if (file['pre_tokenizer']) {
    refuse('pre_tokenizer', file['pre_tokenizer'], 'must be null, ByteLevel, or a Sequence that ends with it');
  }
  const decoder = file['decoder'];
  if (!isRecord(decoder) || decoder['type'] !== 'Fuse') refuse('decoder', decoder, 'must be {"type":"Fuse"}');
  const long = vocabulary.find((token) => Array.from(token).length !== 1);
  if (long !== undefined) refuse('model.vocab', long, 'is not a single character');
  const half = vocabulary.find((token) => /\p{Surrogate}/u.test(token));
  if (half !== undefined) refuse('model.vocab', half, 'is half of a character');
}

/** Alone, or at the end of a sequence. */
function isByteLevel(part: unknown): boolean {
  if (!isRecord(part)) return false;
  const parts = part['pretokenizers'];
  return part['type'] === 'Sequence' && Array.isArray(parts) ? isByteLevel(parts.at(-1)) : part['type'] === 'ByteLevel';
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
