import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Rng, rng, threefry2x32 } from '../../engine/rng.ts';

/** How many standard errors the share of `hits` in n trials is away from p. */
const errors = (hits: number, n: number, p: number) => Math.abs(hits - n * p) / Math.sqrt(n * p * (1 - p));

describe('threefry2x32', () => {
  // Published with the Random123 library (tests/kat_vectors), 20 rounds; the last three: counters 1, 2 under key 0,
  // boost.compute's test.
  test.each([
    [[0, 0], [0, 0], [0x6b200159, 0x99ba4efe]],
    [[0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], [0x1cb996fc, 0xbb002be7]],
    [[0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3], [0xc4923a9c, 0x483df7a0]],
    [[0, 0], [1, 0], [0x508efb2c, 0xc0de3f32]],
    [[0, 0], [2, 0], [0x64a626ec, 0xfc15e573]],
  ] as const)('key %j, counter %j gives the published words', ([k0, k1], [c0, c1], words) => {
    expect(threefry2x32(k0, k1, c0, c1)).toEqual(words);
  });
});

describe('Rng', () => {
  // Computed with a separate program: seed 1337 + 5 * 2^32, FNV-1a of the name, blocks (hash, 2), (7, 1), (3, 0) and
  // (i, 3).
  const known = rng(1337 + 5 * 2 ** 32).fold('dropout').at(7);

  test('keys and numbers are those of the definition', () => {
    expect([known.k0, known.k1]).toEqual([0x4df9c5bc, 0xb4d28369]);
    expect(known.bits(3)).toBe(0x67019931);
    const stream = known.stream();
    expect([stream.bits(), stream.bits(), stream.bits(), stream.bits()]).toEqual([
      0xeca76e19, 0x852b7a26, 0x816d06da, 0x373adb4d,
    ]);
  });

  test('bits are the first word of block (index, 0), uniform their upper 24', () => {
    fc.assert(fc.property(fc.maxSafeNat(), fc.integer({ min: 0, max: 2 ** 32 - 1 }), (seed, index) => {
      const key = rng(seed);
      expect(key.bits(index)).toBe(threefry2x32(key.k0, key.k1, index, 0)[0]);
      expect(key.uniform(index)).toBe(Math.floor(key.bits(index) / 256) / 2 ** 24);
      expect(Math.fround(key.uniform(index))).toBe(key.uniform(index));
    }));
  });

  test('seeds, names and indices each make another key', () => {
    const root = rng(0);
    const keys = [
      root, rng(1), rng(2 ** 32), root.fold('a'), root.fold('b'), root.fold(''), root.at(0), root.at(1),
      root.fold('a').at(0), root.at(0).fold('a'),
    ];
    expect(new Set(keys.map(({ k0, k1 }) => `${k0} ${k1}`)).size).toBe(keys.length);
  });

  test('numbers of one use are not the keys or numbers of another', () => {
    const key = rng(9);
    const stream = key.stream();
    const words = [key.bits(0), key.at(0).k0, key.fold('').k0, stream.bits(), key.normals(1)[0]!];
    expect(new Set(words).size).toBe(words.length);
  });

  test('the first draws of neighbouring streams are spread evenly', () => {
    const counts = new Array<number>(10).fill(0);
    const n = 20_000;
    for (let i = 0; i < n; i++) counts[rng(3).at(i).stream().int(10)]!++;
    for (const hits of counts) expect(errors(hits, n, 0.1)).toBeLessThan(4);
  });

  test('normals have the mean, deviation and tails of a normal distribution', () => {
    const n = 40_000;
    const x = rng(4).normals(n, 3).map((value) => value / 3);
    const moment = (p: number) => x.reduce((sum, value) => sum + value ** p, 0) / n;
    expect(Math.abs(moment(1))).toBeLessThan(4 * Math.sqrt(1 / n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(4 * Math.sqrt(96 / n));   // the variance of x^4 is 105 - 9
    const neighbours = x.reduce((sum, value, i) => sum + value * (x[i + 1] ?? 0), 0) / n;
    expect(Math.abs(neighbours)).toBeLessThan(4 * Math.sqrt(1 / n));
  });

  test('a longer call for normals begins with the numbers of a shorter one', () => {
    expect(rng(4).normals(7)).toEqual(rng(4).normals(20).slice(0, 7));
    expect(rng(4).normals(0)).toHaveLength(0);
  });

  test('seeds and indices out of range are refused', () => {
    for (const seed of [-1, 0.5, NaN, 2 ** 53]) {
      expect(() => rng(seed)).toThrow(`rng: seed ${seed}: must be a whole number from 0 to 2^53 - 1`);
    }
    expect(() => rng(1).at(2 ** 32)).toThrow('rng: at(4294967296): must be a whole number from 0 to 2^32 - 1');
    expect(() => rng(1).at(-1)).toThrow('rng: at(-1): must be a whole number from 0 to 2^32 - 1');
  });
});

describe('Stream', () => {
  const stream = () => new Rng(5, 6).stream();

  test('each stream of a key starts at the same number', () => {
    const key = rng(1);
    const first = key.stream();
    first.bits();
    expect(key.stream().bits()).toBe(rng(1).stream().bits());
  });

  test('int leaves no number more likely than another, where a plain remainder would', () => {
    const s = stream();
    const n = 20_000;
    let low = 0;
    // the remainder alone would come out at 1/2
    for (let i = 0; i < n; i++) low += Number(s.int(3 * 2 ** 30) < 2 ** 30);
    expect(errors(low, n, 1 / 3)).toBeLessThan(4);
  });

  test('int stays in range', () => {
    fc.assert(fc.property(fc.nat(), fc.integer({ min: 1, max: 2 ** 32 }), (seed, n) => {
      const value = rng(seed).stream().int(n);
      expect(Number.isInteger(value) && value >= 0 && value < n).toBe(true);
    }));
    expect(stream().int(1)).toBe(0);
    for (const n of [0, -1, 1.5, 2 ** 32 + 1, NaN]) {
      expect(() => stream().int(n)).toThrow(`rng: int(${n}): must be a whole number from 1 to 2^32`);
    }
  });

  test('uniform is a multiple of 2^-24 below 1, with mean 1/2', () => {
    const s = stream();
    const n = 20_000;
    const values = Array.from({ length: n }, () => s.uniform());
    expect(values.every((u) => u >= 0 && u < 1 && Number.isInteger(u * 2 ** 24))).toBe(true);
    expect(Math.abs(values.reduce((a, b) => a + b) / n - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / n));
  });

  test('choice takes lists and strings, each item as likely', () => {
    const s = stream();
    const n = 20_000;
    const counts = { a: 0, b: 0, c: 0 } as Record<string, number>;
    for (let i = 0; i < n; i++) counts[s.choice('abc')]!++;
    for (const hits of Object.values(counts)) expect(errors(hits, n, 1 / 3)).toBeLessThan(4);
    expect(stream().choice(['x'])).toBe('x');
    expect(() => stream().choice([])).toThrow('rng: int(0)');
  });

  test('sample gives different items of the list, every order as likely', () => {
    fc.assert(fc.property(fc.nat(), fc.integer({ min: 0, max: 20 }), fc.nat({ max: 20 }), (seed, extra, n) => {
      const items = Array.from({ length: n + extra }, (_, i) => i);
      const sample = rng(seed).stream().sample(items, n);
      expect(new Set(sample).size).toBe(n);
      expect(sample.every((item) => items.includes(item))).toBe(true);
    }));
    const s = stream();
    const n = 24_000;
    const orders = new Map<string, number>();
    for (let i = 0; i < n; i++) {
      const order = s.sample('abcd', 4).join('');
      orders.set(order, (orders.get(order) ?? 0) + 1);
    }
    expect(orders.size).toBe(24);
    for (const hits of orders.values()) expect(errors(hits, n, 1 / 24)).toBeLessThan(4);
    expect(() => stream().sample([1], 2)).toThrow('rng: sample(2): there are only 1 items');
  });

  test('weighted draws in proportion, and never an item of weight 0', () => {
    const s = stream();
    const n = 20_000;
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < n; i++) counts[s.weighted([1, 1, 1.5, 2])]!++;
    expect(counts[1]).toBe(0);
    expect(errors(counts[0]!, n, 0.5)).toBeLessThan(4);
    expect(errors(counts[2]!, n, 0.25)).toBeLessThan(4);
    for (const bad of [[], [0, 0]]) expect(() => stream().weighted(bad)).toThrow('the last total must be above 0');
  });
});
