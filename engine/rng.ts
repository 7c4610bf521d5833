// Random numbers as a function of (seed, name, step, index): nothing to save, nothing that depends on the order of
// calls. An Rng is a key. `fold` and `at` make new keys from it, everything else turns counters into numbers under it:
//   rng(seed).fold('dropout').at(step).uniform(index)
// A Stream is for code that just wants the next number, like a generator of sentences: it counts for itself.
// The block function, also used by the kernels, is kernels/random/threefry.ts.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). Read next: remit/worlds/tiny/corpus.ts,
// which lives off this.

import { threefry2x32 } from '../kernels/random/threefry.ts';
import { ConfigError } from './errors.ts';
import { describe } from './describe.ts';
import { anything, checkArguments, instance, list, real } from './options.ts';

export { threefry2x32 };

/**
 * The second word of a counter says what the block is for, so that no two uses of one key share a block. Kernels use
 * bits: (index, 0).
 */
const BITS = 0;
const AT = 1;
const FOLD = 2;
const STREAM = 3;
const NORMALS = 4;

/** 2^-24: a float32 holds any multiple of it below 1, so host and device agree on uniform numbers. */
const UNIT = 2 ** -24;

/** The root of all random numbers of a run. Throws ConfigError unless seed is a whole number from 0 to 2^53 - 1. */
export function rng(seed: number): Rng {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new ConfigError(`rng: seed ${describe(seed)}: must be a whole number from 0 to 2^53 - 1`);
  }
  return new Rng(seed >>> 0, Math.floor(seed / 2 ** 32));
}

/** A key of two 32-bit words. It has no state: the same call gives the same number, now or in another process. */
export class Rng {
  readonly k0: number;
  readonly k1: number;

  /** Two whole numbers from 0 to 2^32 - 1: ConfigError otherwise. Most keys come from rng(), fold() and at(). */
  constructor(k0: number, k1: number) {
    checkWord('key', k0);
    checkWord('key', k1);
    this.k0 = k0;
    this.k1 = k1;
  }

  /**
   * The key for the thing called `name`. Names are told apart by a 32-bit hash: meant for a handful of words, not for
   * data.
   */
  fold(name: string): Rng {
    if (typeof name !== 'string') throw new ConfigError(`rng: fold(${describe(name)}): must be a name`);
    return this.child(hash(name), FOLD);
  }

  /** The key for step, row or item `index`, from 0 to 2^32 - 1; ConfigError beyond. */
  at(index: number): Rng {
    checkWord('at', index);
    return this.child(index, AT);
  }

  /**
   * 32 random bits, as a whole number from 0 to 2^32 - 1: what the `bits` kernel writes at `index` under the same key.
   */
  bits(index: number): number {
    checkWord('bits', index);
    return threefry2x32(this.k0, this.k1, index, BITS)[0];
  }

  /** A multiple of 2^-24 in [0,1), from the upper 24 of bits(index). */
  uniform(index: number): number {
    return (this.bits(index) >>> 8) * UNIT;
  }

  /**
   * n normal numbers with mean 0 and the given standard deviation -> [n] f64. A longer call begins with the numbers of
   * a shorter one. Box-Muller: two uniforms make a radius and an angle, which make two independent normals.
   */
  normals(n: number, deviation = 1): Float64Array {
    checkArguments('rng: normals', arguments, { n: anything, deviation: anything });
    checkWord('normals', n);
    if (!Number.isFinite(deviation) || deviation < 0) {
      throw new ConfigError(
        `rng: normals(${n}, ${describe(deviation)}): the deviation must be a finite number of at least 0`,
      );
    }
    const out = new Float64Array(n);
    for (let i = 0; i < n; i += 2) {
      const [a, b] = threefry2x32(this.k0, this.k1, i / 2, NORMALS);
      const radius = deviation * Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32));   // in (0,1]: the logarithm is finite
      const angle = 2 * Math.PI * (b / 2 ** 32);
      out[i] = radius * Math.cos(angle);
      if (i + 1 < n) out[i + 1] = radius * Math.sin(angle);
    }
    return out;
  }

  /** Numbers one after the other. Every call starts again at the first. */
  stream(): Stream {
    return new Stream(this.k0, this.k1);
  }

  private child(index: number, use: number): Rng {
    const [k0, k1] = threefry2x32(this.k0, this.k1, index, use);
    return new Rng(k0, k1);
  }
}

/** An argument that is a key. */
export const anRng = instance('an Rng, as rng(seed) makes it', Rng);

const totals = list('a list of running totals', real());

/** Numbers in sequence under one key. The only state is how far it has got. Up to 2^33 draws. */
export class Stream {
  private readonly k0: number;
  private readonly k1: number;
  private block = 0;
  private spare = -1;   // the second word of the current block, or -1 when it has been handed out

  constructor(k0: number, k1: number) {
    this.k0 = k0;
    this.k1 = k1;
  }

  /** 32 random bits, as a whole number from 0 to 2^32 - 1. */
  bits(): number {
    const spare = this.spare;
    if (spare >= 0) {
      this.spare = -1;
      return spare;
    }
    const [first, second] = threefry2x32(this.k0, this.k1, this.block++, STREAM);
    this.spare = second;
    return first;
  }

  /** A multiple of 2^-24 in [0,1). */
  uniform(): number {
    return (this.bits() >>> 8) * UNIT;
  }

  /**
   * A whole number from 0 to n - 1, each exactly as likely: the last, incomplete round of n within 2^32 is drawn again.
   * 1 <= n <= 2^32.
   */
  int(n: number): number {
    if (!(Number.isInteger(n) && n >= 1 && n <= 2 ** 32)) {
      throw new ConfigError(`rng: int(${describe(n)}): must be a whole number from 1 to 2^32`);
    }
    const rounds = 2 ** 32 - (2 ** 32 % n);
    let bits = this.bits();
    while (bits >= rounds) bits = this.bits();
    return bits % n;
  }

  /** One of the items (or characters of a string), each as likely. ConfigError when there is none. */
  choice<T>(items: ArrayLike<T>): T {
    checkItems('choice', items);
    return items[this.int(items.length)] as T;
  }

  /** n of the items, without putting back, in random order. ConfigError when there are fewer than n. */
  sample<T>(items: ArrayLike<T>, n: number): T[] {
    checkArguments('rng: sample', arguments, { items: anything, n: anything });
    checkItems('sample', items);
    checkWord('sample', n);
    if (n > items.length) throw new ConfigError(`rng: sample(${n}): there are only ${items.length} items`);
    const pool = Array.from(items);
    for (let i = 0; i < n; i++) {
      const j = i + this.int(pool.length - i);
      [pool[i], pool[j]] = [pool[j] as T, pool[i] as T];
    }
    return pool.slice(0, n);
  }

  /**
   * An index, drawn in proportion to weights that are given as running totals: [1, 1.5, 2] draws 0 half of the time.
   */
  weighted(cumulative: readonly number[]): number {
    checkArguments('rng: weighted', arguments, { cumulative: totals });
    const target = this.uniform() * (cumulative[cumulative.length - 1] ?? 0);
    const index = cumulative.findIndex((total: number) => total > target);
    if (index < 0) throw new ConfigError(`rng: weighted([${cumulative.join(', ')}]): the last total must be above 0`);
    return index;
  }
}

/** An argument that is a stream. */
export const aStream = instance('a Stream, as rng(seed).stream() makes it', Stream);

/**
 * Throws ConfigError for what is no whole number from 0 to 2^32 - 1. Called for every key and draw, so no rule of
 * options.ts.
 */
function checkWord(where: string, value: number): void {
  if (typeof value !== 'number' || value >>> 0 !== value) {
    throw new ConfigError(`rng: ${where}(${describe(value)}): must be a whole number from 0 to 2^32 - 1`);
  }
}

function checkItems(where: string, items: ArrayLike<unknown>): void {
  const isList =
    typeof items === 'string' || (typeof items === 'object' && items !== null && Number.isSafeInteger(items.length));
  if (!isList) throw new ConfigError(`rng: ${where}(${describe(items)}): must be a list or a text`);
}

/**
 * FNV-1a over the UTF-16 code units of a name (http://www.isthe.com/chongo/tech/comp/fnv/). Threefry does the mixing
 * afterwards.
 */
function hash(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
