// Embedding: rows are looked up, and their gradients come back to them, as often as they were used.

import { expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { crossEntropy, logProb } from '../../engine/ops/cross-entropy.ts';
import { embedding } from '../../engine/ops/embedding.ts';
import { reshape } from '../../engine/ops/shape.ts';
import { withBackend } from '../../engine/runtime.ts';
import { backward } from '../../engine/tape.ts';
import { Tensor, tensor, variable } from '../../engine/tensor.ts';
import { expectClose, f64, messageOf } from './oracle.ts';
import { onBackend } from '../support/backends.ts';

const ids = (values: number[], shape = [values.length]): Tensor => tensor(values, shape, 'i32');

test('ids of any shape become rows of the table', () => onBackend(f64, async () => {
  const table = tensor([1, 2, 3, 4, 5, 6], [3, 2]);
  const y = embedding(table, ids([2, 0, 2, 1], [2, 2]));
  expect(y.shape).toEqual([2, 2, 2]);
  expectClose(await y.read(), [5, 6, 1, 2, 5, 6, 3, 4]);
  expect(embedding(table, ids([1], [])).shape).toEqual([2]);
}));

test('a row used twice gets both gradients, an unused row gets 0', () => onBackend(f64, async () => {
  const table = variable([1, 2, 3, 4, 5, 6], [3, 2]);
  const y = embedding(table, ids([2, 0, 2]));
  const gradients = backward(y, tensor([1, 2, 10, 20, 100, 200], [3, 2]));
  expectClose(await gradients.of(table)!.read(), [10, 20, 0, 0, 101, 202]);
}));

test("a parameter's gradient is added to its slot", () => onBackend(f64, async () => {
  const slot = tensor([1000, 0, 0, 0, 0, 1], [3, 2]);
  const { shape, dtype, storage } = tensor([1, 2, 3, 4, 5, 6], [3, 2]);
  const table = new Tensor({ shape, dtype, storage, needsGrad: true, gradient: slot });
  backward(embedding(table, ids([2, 0, 2])), tensor([1, 2, 10, 20, 100, 200], [3, 2]));
  expectClose(await slot.read(), [1010, 20, 0, 0, 101, 203]);
}));

test('a table that is no matrix and ids that are no integers are errors', () => {
  expect(messageOf(() => embedding(tensor([1, 2]), ids([0])))).toBe('embedding: table [2]: must be [V,C]');
  expect(messageOf(() => embedding(tensor([1, 2], [2, 1]), tensor([0])))).toBe('embedding: ids [1] f32: must be i32');
});

const fast = new CpuBackend();

/** Ids that the host has not seen: the sum of a tensor would be one. */
function unseen(values: number[]): Tensor {
  const { shape, dtype, storage } = ids(values);
  return new Tensor({ shape, dtype, storage });
}

test.each([
  ['f64', f64],
  ['WASM', fast],
])('ids from the host are looked at in the call, on %s', (_, backend) =>
  withBackend(backend, () => {
    const table = tensor([1, 2, 3, 4], [2, 2]);
    for (const [id, shown] of [
      [2, 2],
      [5000, 5000],
      [-1, -1],
      [-1000, -1000],
      [2 ** 31 - 1, 2 ** 31 - 1],
    ] as const) {
      expect(messageOf(() => embedding(table, ids([0, id, 1])))).toBe(`embedding: id ${shown}: must be from 0 to 1`);
      expect(messageOf(() => embedding(table, reshape(ids([id, 1]), { shape: [2, 1] })))).toBe(
        `embedding: id ${shown}: must be from 0 to 1`,
      );
    }
  }),
);

test.each([
  ['f64', f64],
  ['WASM', fast],
])('others read NaN, and their gradient goes nowhere, on %s', (_, backend) =>
  onBackend(backend, async () => {
    const table = variable([1, 2, 3, 4], [2, 2]);
    const y = embedding(table, unseen([1, 2, -1, -1000, 2 ** 31 - 1, 0]));
    expect([...(await y.read())]).toEqual([3, 4, ...Array<number>(8).fill(NaN), 1, 2]);
    const gradients = backward(y, tensor([1, 2, 10, 20, 30, 40, 50, 60, 70, 80, 100, 200], [6, 2]));
    expectClose(await gradients.of(table)!.read(), [100, 200, 1, 2]);
  }),
);

test.each([
  ['f64', f64],
  ['WASM', fast],
])('targets beyond the vocabulary are refused from the host, and make a loss of NaN otherwise, on %s', (_, backend) =>
  onBackend(backend, async () => {
    const values = [0.1, 0.2, 0.3, 1, 2, 3];
    const logits = variable(values, [2, 3]);
    expect(messageOf(() => crossEntropy(logits, ids([3, 1])))).toBe('weightedCrossEntropy: target 3: must be below 3');
    expect(messageOf(() => logProb(logits, ids([0, 9999])))).toBe('logProb: target 9999: must be below 3');
    expect(await crossEntropy(logits, ids([-1000, 1])).item()).toBeCloseTo(0.70380298, 6); // half of log(1 + e + 1/e)
    for (const target of [3, 4, 2 ** 31 - 1]) {
      const loss = crossEntropy(logits, unseen([target, 1]));
      expect(await loss.item()).toBe(NaN);
      const gradient = await backward(loss).of(logits)!.read();
      expect([...gradient].map(Number.isNaN)).toEqual([true, true, true, false, false, false]);
      expect([...(await logProb(logits, unseen([target, -1])).read())]).toEqual([NaN, 0]);
    }
  }),
);
