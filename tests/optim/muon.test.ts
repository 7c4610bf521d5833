// Muon against its definition, written out in loops over numbers: the mean gradient one step ahead, five rounds towards
// the nearest orthogonal matrix, a step of AdamW's size; and AdamW itself for what is no such matrix.

import { beforeEach, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { Parameters, type Parameter } from '../../engine/parameters.ts';
import { rng } from '../../engine/rng.ts';
import { backend, useBackend } from '../../engine/runtime.ts';
import { tensor } from '../../engine/tensor.ts';
import { AdamW } from '../../optim/adamw.ts';
import { Muon, orthogonal } from '../../optim/muon.ts';

beforeEach(() => useBackend(new CpuBackend({ precision: 'f64' })));

type Matrix = number[][];

const transposed = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!));
const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((total, value, k) => total + value * b[k]![j]!, 0)));
const combined = (p: number, a: Matrix, q: number, b: Matrix): Matrix =>
  a.map((row, i) => row.map((value, j) => p * value + q * b[i]![j]!));

function orthogonalByHand(g: Matrix): Matrix {
  if (g.length > g[0]!.length) return transposed(orthogonalByHand(transposed(g)));
  const length = Math.hypot(...g.flat()) + 1e-7;
  let x = g.map((row) => row.map((value) => value / length));
  for (let round = 0; round < 5; round++) {
    const gram = product(x, transposed(x));
    x = combined(3.4445, x, 1, product(combined(-4.775, gram, 2.0315, product(gram, gram)), x));
  }
  return x;
}

const drawn = (rows: number, columns: number, key: string): Matrix => {
  const values = [...rng(7).fold(key).normals(rows * columns, 1)];
  return Array.from({ length: rows }, (_, i) => values.slice(i * columns, (i + 1) * columns));
};

describe('orthogonal', () => {
  test.each([[2, 3], [5, 4], [3, 3], [1, 6], [6, 1]])('[%i,%i] is what the loops make', async (rows, columns) => {
    const g = drawn(rows, columns, 'g');
    const found = [...await orthogonal(tensor(g)).read()];
    orthogonalByHand(g).flat().forEach((value, i) => expect(found[i]).toBeCloseTo(value, 10));
  });

  test.each([1e-3, 1, 1e3])('of a matrix %d times as large, singular values near 1', async (size) => {
    const [a, b, c, d] = await orthogonal(tensor([[3 * size, size], [-size, 0.5 * size]])).read();
    const [middle, spread] = [(a! ** 2 + b! ** 2 + c! ** 2 + d! ** 2) / 2, Math.abs(a! * d! - b! * c!)];
    const largest = Math.sqrt(middle + Math.sqrt(middle ** 2 - spread ** 2));
    for (const value of [largest, spread / largest]) expect(Math.abs(value - 0.95)).toBeLessThan(0.3);
  });

  test('of nothing is nothing', async () => {
    expect([...await orthogonal(tensor([[0, 0], [0, 0]])).read()]).toEqual([0, 0, 0, 0]);
  });
});

/** A gain, an embedding, two matrices packed into one slot and a third, in this order of declaration. */
function parameters(): { all: Parameters; slots: Record<'gain' | 'table' | 'packed' | 'tall', Parameter> } {
  const all = new Parameters();
  const initial = { deviation: 1 };
  const slots = {
    gain: all.declare({ name: 'gain', shape: [3], initial }),
    packed: all.declare({ name: 'q', shape: [2, 3], initial }, { name: 'k', shape: [4, 3], initial }),
    table: all.declare({ name: 'embed_tokens', shape: [2, 3], initial }),
    tall: all.declare({ name: 'up', shape: [5, 3], initial }),
  };
  all.allocate(rng(1));
  return { all, slots };
}

const gradients = [1, 2, 3].map((at) => ({
  gain: drawn(1, 3, `gain ${at}`), table: drawn(2, 3, `table ${at}`), packed: drawn(6, 3, `packed ${at}`),
  tall: drawn(5, 3, `tall ${at}`),
}));

function give(slots: Record<string, Parameter>, of: Record<string, Matrix>): void {
  for (const [name, slot] of Object.entries(slots)) backend().write(slot.tensor.gradient!.storage, of[name]!.flat());
}

describe('Muon', () => {
  test('three updates: its matrices by hand, the rest as AdamW does', async () => {
    const options = { weightDecay: 0.1, clip: 2 };
    const [mine, twin] = [parameters(), parameters()];
    const [muon, adamw] = [new Muon(mine.all, options), new AdamW(twin.all, options)];
    const before = await mine.all.toHost();
    const matrix = (name: string): Matrix => {
      const { shape: [rows, columns], data } = before.get(name)!;
      return Array.from({ length: rows! }, (_, i) => [...data.slice(i * columns!, (i + 1) * columns!)]);
    };
    const weights: Record<string, Matrix> = { q: matrix('q'), k: matrix('k'), up: matrix('up') };
    const means: Record<string, Matrix> = {};
    for (const [step, gradient] of gradients.entries()) {
      const rate = 0.1 / (step + 1);
      give(mine.slots, gradient);
      give(twin.slots, gradient);
      const norm = await muon.update(step, rate).item();
      expect(norm).toBe(await adamw.update(step, rate).item());
      const clip = 2 / norm; // each is longer
      const parts: Record<string, Matrix> = { q: gradient.packed.slice(0, 2), k: gradient.packed.slice(2), up: gradient.tall };
      for (const [name, g] of Object.entries(parts)) {
        const clipped = combined(clip, g, 0, g);
        const mean = combined(0.95, means[name] ?? combined(0, g, 0, g), 0.05, clipped);
        means[name] = mean;
        const size = 0.2 * Math.sqrt(Math.max(g.length, g[0]!.length));
        const move = orthogonalByHand(combined(0.95, mean, 0.05, clipped));
        weights[name] = combined(1 - rate * 0.1, weights[name]!, -rate * size, move);
      }
    }
    const [found, ofAdamW] = [await mine.all.toHost(), await twin.all.toHost()];
    for (const [name, expected] of Object.entries(weights)) {
      expected.flat().forEach((value, i) => expect(found.get(name)!.data[i]).toBeCloseTo(value, 6));
    }
    for (const name of ['gain', 'embed_tokens']) expect(found.get(name)).toEqual(ofAdamW.get(name));
  });

  test('a gradient that is no number leaves all as it was, and the next update is the first', async () => {
    const [mine, twin] = [parameters(), parameters()];
    const [late, first] = [new Muon(mine.all), new Muon(twin.all)];
    give(mine.slots, { ...gradients[0]!, table: [[NaN, 0, 0], [0, 0, 0]] });
    expect(await late.update(0, 0.1).item()).toBe(NaN);
    expect(await mine.all.toHost()).toEqual(await twin.all.toHost());
    for (const { slots } of [mine, twin]) give(slots, gradients[1]!);
    late.update(1, 0.1);
    first.update(0, 0.1);
    expect(await mine.all.toHost()).toEqual(await twin.all.toHost());
    expect([await late.readSkipped(), await first.readSkipped()]).toEqual([1, 0]);
  });

  test('takes the matrices that it is told to', async () => {
    const [mine, twin] = [parameters(), parameters()];
    for (const { slots } of [mine, twin]) give(slots, gradients[0]!);
    new Muon(mine.all, { takes: () => false }).update(0, 0.1);
    new AdamW(twin.all).update(0, 0.1);
    expect(await mine.all.toHost()).toEqual(await twin.all.toHost());
  });
});
