// Learns byte pairs from a text: again and again, the commonest pair of neighbouring tokens becomes a token. The same
// merges in the same order as the trainer of huggingface/tokenizers: words are counted line by line, a pair is counted
// as often as its word is there, and of equally common pairs the one with the lowest ids wins, where the ids of single
// bytes follow the code points of their characters. Source: Sennrich et al., arXiv 1508.07909. Read before: bpe.ts.

import { ConfigError } from '../../engine/errors.ts';
import { byteCharacters } from './bytes.ts';
import { Heap } from './heap.ts';
import { splitLikeGPT2 } from './split.ts';

/** Stands between documents; the last id of a vocabulary that is learned here. */
export const END_OF_TEXT = '<|endoftext|>';

/** The fewest tokens: every byte, and END_OF_TEXT. */
export const SMALLEST_VOCABULARY = 257;

interface Word { ids: number[]; readonly count: number }
interface Pair { readonly key: number; count: number; readonly words: Set<Word> }
interface Candidate { readonly key: number; readonly count: number }

const PAIR = 2 ** 24;

export interface LearnedPairs {
  /** In the order of their ids, END_OF_TEXT last. */
  readonly tokens: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
}

/** `vocabulary`: tokens in all. Throws ConfigError when the text has too few different pairs for so many. */
export function learnBytePairs(text: string, vocabulary: number): LearnedPairs {
  const tokens = [...byteCharacters].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
  const known = new Map(tokens.map((token, id) => [token, id]));
  const merges: [string, string][] = [];
  const pairs = countPairs(countWords(text, known));
  const heap = new Heap<Candidate>((a, b) => (a.count === b.count ? a.key < b.key : a.count > b.count));
  for (const { key, count } of pairs.values()) heap.push({ key, count });

  while (tokens.length < vocabulary - 1) {
    const top = heap.pop();
    if (top === undefined) {
      throw new ConfigError(
        `tokenizer: vocabulary ${vocabulary}: the text has pairs for ${tokens.length + 1} tokens: ` +
        'ask for at most that, or give more text',
      );
    }
    const pair = pairs.get(top.key);
    if (pair === undefined || pair.count < 1) continue;
    if (pair.count !== top.count) { // some of it was merged into other tokens
      heap.push({ key: pair.key, count: pair.count });
      continue;
    }
    const left = Math.floor(top.key / PAIR);
    const right = top.key % PAIR;
    const token = tokens[left]! + tokens[right]!;
    const id = known.get(token) ?? tokens.push(token) - 1;
    known.set(token, id);
    merges.push([tokens[left]!, tokens[right]!]);
    pairs.delete(top.key);
    for (const key of mergeIn(pair.words, pairs, { left, right, id })) {
      const { count } = pairs.get(key)!;
      if (count > 0) heap.push({ key, count });
    }
  }
  return { tokens: [...tokens, END_OF_TEXT], merges };
}

/** Distinct words as ids of bytes, in the order of their first appearance. */
function countWords(text: string, ids: ReadonlyMap<string, number>): Word[] {
  const counts = new Map<string, number>();
  const count = (part: string): void => {
    for (const word of splitLikeGPT2(part)) counts.set(word, (counts.get(word) ?? 0) + 1);
  };
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf('\n', from) + 1 || text.length;
    text.slice(from, end).split(END_OF_TEXT).forEach(count);
    from = end;
  }
  const utf8 = new TextEncoder();
  return [...counts].map(([word, times]) => ({
    ids: Array.from(utf8.encode(word), (byte) => ids.get(byteCharacters[byte]!)!),
    count: times,
  }));
}

function countPairs(words: readonly Word[]): Map<number, Pair> {
  const pairs = new Map<number, Pair>();
  for (const word of words) for (const key of pairsOf(word.ids)) add(pairs, key, word, word.count);
  return pairs;
}

function pairsOf(ids: readonly number[]): number[] {
  return ids.slice(1).map((id, i) => ids[i]! * PAIR + id);
}

function add(pairs: Map<number, Pair>, key: number, word: Word, count: number): void {
  let pair = pairs.get(key);
  if (pair === undefined) pairs.set(key, (pair = { key, count: 0, words: new Set() }));
  pair.count += count;
  if (count > 0) pair.words.add(word);
}

/** Replaces left, right by id in these words; gives the pairs that are new. */
function mergeIn(
  words: ReadonlySet<Word>,
  pairs: Map<number, Pair>,
  { left, right, id }: { left: number; right: number; id: number },
): Set<number> {
  const fresh = new Set<number>();
  for (const word of words) {
    const before = word.ids;
    const after: number[] = [];
    for (let i = 0; i < before.length; i++) {
      const here = before[i] === left && before[i + 1] === right;
      after.push(here ? id : before[i]!);
      if (here) i++;
    }
    if (after.length === before.length) continue;
    for (const key of pairsOf(before)) add(pairs, key, word, -word.count);
    for (const key of pairsOf(after)) {
      add(pairs, key, word, word.count);
      if (Math.floor(key / PAIR) === id || key % PAIR === id) fresh.add(key);
    }
    word.ids = after;
  }
  return fresh;
}
