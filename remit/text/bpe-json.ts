// Byte-level BPE as a Hugging Face tokenizer.json: what GPT-2, Llama 3, SmolLM2 and Qwen ship, read; and what was learned
// here, written. What a post-processor adds round a text (a token at its beginning, say) is not added here: a prompt
// says all of itself. Source: the file format of huggingface/tokenizers. Read before: bpe.ts, split.ts.

import type { LearnedPairs } from './bpe-train.ts';
import type { BytePairs } from './bpe.ts';
import { bytesOf } from './bytes.ts';
import { inOrder, isRecord, record, refuse } from './json-parts.ts';
import { splitByPattern, splitDigits, splitLikeGPT2, type Split } from './split.ts';

type Part = Readonly<Record<string, unknown>>;

/** Throws FormatError for a file that would make other tokens than bpe.ts does. */
export function readBytePairs(file: Part, model: Part): BytePairs {
  const { added, ids } = readAdded(file['added_tokens'] ?? []);
  const own = record(model['vocab'], 'model.vocab');
  for (const [content, id] of ids) {
    if (Object.hasOwn(own, content) && own[content] !== id) {
      refuse('added_tokens', { id, content }, `is token ${JSON.stringify(own[content])} of model.vocab`);
    }
  }
  const tokens = inOrder({ ...own, ...Object.fromEntries(ids) });
  const odd = tokens.find((token, id) => !added.has(id) && bytesOf(token) === undefined);
  if (odd !== undefined) refuse('model.vocab', odd, 'is not written in byte characters');
  if (!isRecord(file['decoder']) || file['decoder']['type'] !== 'ByteLevel') {
    refuse('decoder', file['decoder'], 'must be ByteLevel, as pre_tokenizer is');
  }
  if (model['byte_fallback']) refuse('model.byte_fallback', true, 'must be false: every byte is a token already');
  return {
    tokens,
    merges: readMerges(model['merges'], own),
    added,
    split: readSplit(record(file['pre_tokenizer'], 'pre_tokenizer')),
    form: readForm(file['normalizer'], file['added_tokens']),
    wholeWords: model['ignore_merges'] === true,
  };
}

function readAdded(list: unknown): { added: Set<number>; ids: Map<string, number> } {
  if (!Array.isArray(list)) refuse('added_tokens', list, 'must be a list');
  const ids = new Map<string, number>();
  for (const token of list as unknown[]) {
    if (!isRecord(token)) refuse('added_tokens', token, 'must be an object with "id" and "content"');
    const { id, content } = token;
    const fine = typeof id === 'number' && Number.isInteger(id) && typeof content === 'string' && content !== '';
    if (!fine) refuse('added_tokens', token, 'must be an object with "id" and "content"');
    for (const flag of ['lstrip', 'rstrip', 'single_word']) {
      if (token[flag]) refuse('added_tokens', token, `${flag} must be false: it would swallow or pass over text`);
    }
    ids.set(content as string, id as number);
  }
  return { added: new Set(ids.values()), ids };
}

/** `["a b"]`, or `[["a","b"]]` as newer files have it. */
function readMerges(list: unknown, vocabulary: Part): [string, string][] {
  if (!Array.isArray(list)) refuse('model.merges', list, 'must be a list');
  return (list as unknown[]).map((merge, i) => {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
    if (!Array.isArray(pair) || pair.length !== 2) refuse(`model.merges[${i}]`, merge, 'must be two tokens');
    const [left, right] = pair as [unknown, unknown];
    if (typeof left !== 'string' || typeof right !== 'string') {
      return refuse(`model.merges[${i}]`, merge, 'must be two tokens');
    }
    const missing = [left, right, left + right].find((token) => !Object.hasOwn(vocabulary, token));
    if (missing !== undefined) refuse(`model.merges[${i}]`, merge, `${JSON.stringify(missing)} is not in model.vocab`);
    return [left, right];
  });
}

function readSplit(part: Part, where = 'pre_tokenizer'): Split {
  switch (part['type']) {
    case 'Sequence': {
      const parts = (part['pretokenizers'] as unknown[]).map((inner, i) =>
        readSplit(record(inner, `${where}.pretokenizers[${i}]`), `${where}.pretokenizers[${i}]`),
      );
      return (text) => parts.reduce<readonly string[]>((pieces, split) => pieces.flatMap(split), [text]);
    }
    case 'ByteLevel':
      if (part['add_prefix_space']) refuse(`${where}.add_prefix_space`, true, 'must be false: it would add to the text');
      return part['use_regex'] === false ? (text) => [text] : splitLikeGPT2;
    case 'Digits':
      return splitDigits(part['individual_digits'] === true);
    case 'Split':
      return readPattern(part, where);
    default:
      return refuse(where, part, 'must be ByteLevel, Split, Digits or a Sequence of these');
  }
}

function readPattern({ pattern, behavior, invert }: Part, where: string): Split {
  const expression = isRecord(pattern) ? pattern['Regex'] : undefined;
  if (typeof expression !== 'string') return refuse(`${where}.pattern`, pattern, 'must be {"Regex": "..."}');
  if (behavior !== 'Isolated' || invert) {
    refuse(`${where}.behavior`, behavior, 'must be "Isolated", with invert false: nothing of the text is left out');
  }
  try {
    return splitByPattern(expression);
  } catch {
    return refuse(`${where}.pattern`, expression, 'cannot be said as a pattern of JavaScript');
  }
}

function readForm(normalizer: unknown, added: unknown): 'NFC' | undefined {
  if (!normalizer) return undefined;
  if (!isRecord(normalizer) || normalizer['type'] !== 'NFC') refuse('normalizer', normalizer, 'must be null or NFC');
  const late = (added as readonly Part[] | undefined)?.find((token) => token['normalized'] === true);
  if (late) refuse('added_tokens', late, 'normalized must be false where there is a normalizer');
  return 'NFC';
}

/** The file of a vocabulary that was learned here; its last token is special. */
export function bytePairsJSON({ tokens, merges }: LearnedPairs): unknown {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const last = tokens.length - 1;
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [{ id: last, content: tokens[last], ...flags }],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.slice(0, last).map((token, id) => [token, id])),
      merges,
    },
  };
}
