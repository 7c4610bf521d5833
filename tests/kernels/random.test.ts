// Randomness on the device: the bits are those of the host, and a drawn token is what its distribution says.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { rng } from '../../engine/rng.ts';
import { bitsKernel, sampleKernel } from '../../kernels/random/random.ts';
import { threefry2x32 } from '../../kernels/random/threefry.ts';

const backend = new CpuBackend();
const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** What the bits kernel writes: n words from counter `first` on. */
async function bits(key0: number, key1: number, first: number, n: number): Promise<number[]> {
  const out = backend.alloc(n, 'u32');
  backend.dispatch(bitsKernel, { out }, { n, key0, key1, first });
  return Array.from(await backend.read(out));
}

describe('bits', () => {
  // Random123's tests/kat_vectors (counter 0) and the threefry test of boost.compute (counters 1 and 2), key 0, 20
  // rounds.
  test('under key 0 are the published words', async () => {
    expect(await bits(0, 0, 0, 3)).toEqual([0x6b200159, 0x508efb2c, 0x64a626ec]);
    expect([0, 1, 2].map((i) => rng(0).bits(i))).toEqual([0x6b200159, 0x508efb2c, 0x64a626ec]);
  });

  test('the block function gives both published words under other keys', () => {
    expect(threefry2x32(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff)).toEqual([0x1cb996fc, 0xbb002be7]);
    expect(threefry2x32(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3)).toEqual([0xc4923a9c, 0x483df7a0]);
  });

  test('are those of engine/rng.ts under every key, from any counter on', async () => {
    await fc.assert(fc.asyncProperty(fc.maxSafeNat(), fc.integer({ min: 0, max: 2 ** 32 - 9 }), async (seed, first) => {
      const key = rng(seed).fold('bits');
      expect(await bits(key.k0, key.k1, first, 8)).toEqual(Array.from({ length: 8 }, (_, i) => key.bits(first + i)));
    }));
  });

  test('do not depend on how many are asked for', async () => {
    await fc.assert(fc.asyncProperty(word, word, fc.integer({ min: 1, max: 70 }), async (key0, key1, n) => {
      expect(await bits(key0, key1, 5, n)).toEqual((await bits(key0, key1, 0, n + 5)).slice(5));
    }));
  });
});

interface Draw {
  /** One row's logits, the same for every row. */
  readonly logits: readonly number[];
  readonly rows?: number;
  /** Tokens before, one row for all; the draw is at position before.length. */
  readonly before?: readonly number[];
  readonly first?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly force?: number;
  readonly stop?: number;
  readonly seed?: number;
  /** What stands at the place to write; below 0: nothing. */
  readonly given?: number;
}

/**
 * Runs the kernel; returns each row's token after checking that `tokens` and `next` agree and that nothing else was
 * touched.
 */
async function draw(what: Draw): Promise<number[]> {
  const {
    logits, rows: B = 1, before = [0], first = before.length, temperature = 1, topK = 0, force = -1, stop = -1,
    seed = 1, given = -7,
  } = what;
  const V = logits.length;
  const T = before.length + 2;
  const position = before.length;
  const { k0: key0, k1: key1 } = rng(seed);
  const row = [...before, given, -8]; // the place to write, and one beyond
  const all = {
    logits: backend.alloc(B * V, 'f32'),
    tokens: backend.alloc(B * T, 'i32'),
    next: backend.alloc(B, 'i32'),
  };
  backend.write(all.logits, Array.from({ length: B }, () => logits).flat());
  backend.write(all.tokens, Array.from({ length: B }, () => row).flat());
  backend.dispatch(sampleKernel, all, { B, V, T, position, first, temperature, topK, force, stop, key0, key1 });
  const [tokens, next] = [Array.from(await backend.read(all.tokens)), Array.from(await backend.read(all.next))];
  expect(tokens).toEqual(next.flatMap((token) => row.with(position, token)));
  for (const storage of Object.values(all)) backend.free(storage);
  return next;
}

const logits = [0.3, -1.2, 1.5, 0, 0.9, -0.4, 1.5, -3];
const N = 20_000;

describe('sample', () => {
  test('without temperature takes the largest, the first of equals', async () => {
    expect(await draw({ logits, temperature: 0 })).toEqual([2]);
    expect(await draw({ logits: [5, 5, 5], temperature: 0 })).toEqual([0]);
    expect(await draw({ logits: [-3, -2, -2], temperature: 0, rows: 3 })).toEqual([1, 1, 1]);
    expect(await draw({ logits: [-Infinity, -1e30, -Infinity], temperature: 0 })).toEqual([1]);
  });

  test('a forced token is written whatever the logits say', async () => {
    expect(await draw({ logits, force: 7, rows: 2 })).toEqual([7, 7]);
    expect(await draw({ logits, force: 0, temperature: 0 })).toEqual([0]);
  });

  test('after its stop token a row stays stopped, even against a forced one', async () => {
    const stop = 4;
    expect(await draw({ logits, before: [1, 4], first: 1, stop, temperature: 0 })).toEqual([4]);
    expect(await draw({ logits, before: [1, 4, 4], first: 1, stop, force: 6 })).toEqual([4]);
    expect(await draw({ logits, before: [1, 3], first: 1, stop, temperature: 0 })).toEqual([2]);
  });

  test('the same token in the prompt does not stop it', async () => {
    expect(await draw({ logits, before: [1, 4], first: 2, stop: 4, temperature: 0 })).toEqual([2]);
  });

  test('a token that stands there already is kept, before any other rule', async () => {
    expect(await draw({ logits, given: 5, rows: 3 })).toEqual([5, 5, 5]);
    expect(await draw({ logits, given: 0, temperature: 0 })).toEqual([0]);
    expect(await draw({ logits, given: 5, before: [1, 4], first: 1, stop: 4, force: 6 })).toEqual([5]);
    expect(await draw({ logits: [NaN, NaN], given: 1 })).toEqual([1]);
  });

  test('token 0 can be the stop token', async () => {
    expect(await draw({ logits, before: [1, 0], first: 1, stop: 0, temperature: 0 })).toEqual([0]);
  });

  test.each([0.5, 1, 3])('at temperature %d tokens come as often as the softmax says', async (temperature) => {
    expectShares(await draw({ logits, rows: N, temperature }), softmax(logits.map((x) => x / temperature)));
  });

  test('the top k come as often as the softmax among them says, ties with the last included', async () => {
    const kept = (floor: number): number[] => softmax(logits.map((x) => (x >= floor ? x : -Infinity)));
    expectShares(await draw({ logits, rows: N, topK: 3 }), kept(0.9));
    expectShares(await draw({ logits, rows: N, topK: 1 }), kept(1.5)); // two share the first place
    expectShares(await draw({ logits, rows: N, topK: 8 }), kept(-3));
  });

  test('the top k never leaves the k best, at any temperature', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 14 }),
        fc.constantFrom(0, 0.1, 1, 100),
        fc.nat(),
        async (values, topK, temperature, seed) => {
          const rounded = values.map(Math.fround);
          const floor = rounded.toSorted((a, b) => b - a)[Math.min(topK, rounded.length) - 1]!;
          for (const token of await draw({ logits: rounded, topK, temperature, seed, rows: 5 })) {
            expect(rounded[token]).toBeGreaterThanOrEqual(floor);
          }
        },
      ),
    );
  });

  test('draws at neighbouring positions, and in neighbouring rows, are independent', async () => {
    const here = await draw({ logits, rows: N, before: [0] });
    const there = await draw({ logits, rows: N, before: [0, 0] });
    const p = softmax(logits);
    const equal = p.reduce((total, x) => total + x * x, 0);
    const error = Math.sqrt(N * equal * (1 - equal));
    const same = (other: (i: number) => number): number => here.filter((token, i) => token === other(i)).length;
    expect(Math.abs(same((i) => there[i]!) - N * equal)).toBeLessThan(4 * error);
    expect(Math.abs(same((i) => here[(i + 1) % N]!) - N * equal)).toBeLessThan(4 * error);
  });

  test('the same key draws the same, another key otherwise', async () => {
    const one = await draw({ logits, rows: 50, seed: 3 });
    expect(await draw({ logits, rows: 50, seed: 3 })).toEqual(one);
    expect(await draw({ logits, rows: 50, seed: 4 })).not.toEqual(one);
  });
});

function softmax(x: readonly number[]): number[] {
  const powers = x.map(Math.exp);
  const total = powers.reduce((a, b) => a + b);
  return powers.map((value) => value / total);
}

/** Each token within 4 standard errors of its share; one of share 0 never. */
function expectShares(tokens: readonly number[], shares: readonly number[]): void {
  const n = tokens.length;
  for (const [v, p] of shares.entries()) {
    const hits = tokens.filter((token) => token === v).length;
    expect(Math.abs(hits - n * p), `token ${v}: ${hits} of ${n}, expected ${n * p}`).toBeLessThanOrEqual(
      4 * Math.sqrt(n * p * (1 - p)),
    );
  }
}
