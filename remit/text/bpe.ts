// Byte-level BPE, as GPT-2, Llama 3 and SmolLM2 have it: the bytes of each word begin as tokens, and neighbours are
// merged for as long as the list of merges has them, the earliest merge first. Added tokens, such as <|endoftext|>, are
// found in the text before anything else. Source: Sennrich et al., arXiv 1508.07909; huggingface/tokenizers, models/bpe.
// Read before: split.ts. Read next: bpe-json.ts, which reads and writes it; bpe-train.ts, which learns one.

import { ConfigError } from '../../engine/errors.ts';
import { byteCharacters, bytesOf, inCharacters } from './bytes.ts';
import { Heap } from './heap.ts';
import type { Split } from './split.ts';

export interface BytePairs {
  /** In the order of their ids; in byte characters, but for the added ones. */
  readonly tokens: readonly string[];
  /** Pairs of tokens in byte characters; each pair together is a token too. */
  readonly merges: readonly (readonly [string, string])[];
  /** Ids of the added tokens. */
  readonly added: ReadonlySet<number>;
  readonly split: Split;
  /** Unicode form of what is encoded; as it comes unless given. */
  readonly form?: 'NFC' | undefined;
  /** Whether a word that is a token is taken whole, without regard to merges, as in Llama 3. */
  readonly wholeWords?: boolean;
}

/** What tokenizer.ts needs of it. */
export interface BytePairCoder {
  /** Text of whole characters -> ids. Throws ConfigError for a byte without a token. */
  encode(text: string): Int32Array;
  /** By id: what the token stands for. */
  readonly bytes: readonly Uint8Array[];
}

interface Merge { readonly rank: number; readonly id: number }

const MOST_CACHED = 100_000; // words; natural text repeats itself
const LONGEST_CACHED = 32; // code units
const PAIR = 2 ** 24; // ids are below: a pair is one number

const utf8 = new TextEncoder();

/** The tokens and merges fit: bpe-json.ts and bpe-train.ts see to it. */
export function bytePairCoder({ tokens, merges, added, split, form, wholeWords }: BytePairs): BytePairCoder {
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    if (!added.has(id)) ids.set(token, id);
  });
  const byteIds = byteCharacters.map((character) => ids.get(character));
  const table = new Map<number, Merge>();
  merges.forEach(([left, right], rank) => {
    const pair = ids.get(left)! * PAIR + ids.get(right)!;
    if (!table.has(pair)) table.set(pair, { rank, id: ids.get(left + right)! });
  });

  const cache = new Map<string, readonly number[]>();
  const wordIds = (word: string): readonly number[] => {
    const known = cache.get(word);
    if (known) return known;
    const bytes = utf8.encode(word);
    const found = wholeWords ? ids.get(inCharacters(bytes)) : undefined;
    const result = found === undefined ? merge(Array.from(bytes, idOfByte), table) : [found];
    if (word.length <= LONGEST_CACHED && cache.size < MOST_CACHED) cache.set(word, result);
    return result;
  };
  const idOfByte = (byte: number): number => {
    const id = byteIds[byte];
    if (id !== undefined) return id;
    throw new ConfigError(`tokenizer: byte ${byte} of the text: has no token in this vocabulary`);
  };

  const addedIds = new Map([...added].map((id) => [tokens[id]!, id]));
  const parts = partsAt([...addedIds.keys()]);
  return {
    bytes: tokens.map((token, id) => (added.has(id) ? utf8.encode(token) : bytesOf(token)!)),
    encode(text) {
      const out = new Growing(Math.ceil(text.length / 2) + 16);
      parts(text).forEach((part, i) => {
        if (i % 2 === 1) out.push([addedIds.get(part)!]);
        else if (part !== '') for (const word of split(form ? part.normalize(form) : part)) out.push(wordIds(word));
      });
      return out.taken();
    },
  };
}

/** Cuts a text at the added tokens, the longest first: every second part is one of them. */
function partsAt(added: readonly string[]): Split {
  if (added.length === 0) return (text) => [text];
  const longestFirst = [...added].sort((a, b) => b.length - a.length);
  const literal = longestFirst.map((token) => token.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
  const expression = new RegExp(`(${literal.join('|')})`, 'u');
  return (text) => text.split(expression);
}

/** Merges neighbours, the earliest merge first, and of equal ones the leftmost. A linked list, in O(n log n). */
function merge(ids: number[], table: ReadonlyMap<number, Merge>): number[] {
  const next = ids.map((_, i) => i + 1);
  const previous = ids.map((_, i) => i - 1);
  const heap = new Heap<Merge & { at: number; pair: number }>((a, b) =>
    a.rank === b.rank ? a.at < b.at : a.rank < b.rank,
  );
  const consider = (at: number): void => {
    if (at < 0 || next[at]! >= ids.length) return;
    const pair = ids[at]! * PAIR + ids[next[at]!]!;
    const found = table.get(pair);
    if (found) heap.push({ ...found, at, pair });
  };
  ids.forEach((_, at) => consider(at));
  for (let best = heap.pop(); best !== undefined; best = heap.pop()) {
    const { at, pair, id } = best;
    const right = next[at]!;
    if (ids[at]! < 0 || right >= ids.length || ids[at]! * PAIR + ids[right]! !== pair) continue; // merged meanwhile
    ids[at] = id;
    ids[right] = -1;
    next[at] = next[right]!;
    if (next[at]! < ids.length) previous[next[at]!] = at;
    consider(previous[at]!);
    consider(at);
  }
  return ids.filter((id) => id >= 0);
}

/** Ids that come in bits. */
class Growing {
  private ids: Int32Array;
  private length = 0;

  constructor(room: number) {
    this.ids = new Int32Array(room);
  }

  push(more: readonly number[]): void {
    if (this.length + more.length > this.ids.length) {
      const larger = new Int32Array(2 * this.ids.length + more.length);
      larger.set(this.ids);
      this.ids = larger;
    }
    this.ids.set(more, this.length);
    this.length += more.length;
  }

  taken(): Int32Array {
    return this.ids.slice(0, this.length);
  }
}
