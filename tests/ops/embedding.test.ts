// Embedding: rows are looked up, and their gradients come back to them, as often as they were used.

import { expect, test } from 'vitest';
import { embedding } from '../../engine/ops/embedding.ts';
import { withBackend } from '../../engine/runtime.ts';
import { backward } from '../../engine/tape.ts';
import { Tensor, tensor, variable } from '../../engine/tensor.ts';
import { expectClose, f64, messageOf } from './oracle.ts';

const ids = (values: number[], shape = [values.length]): Tensor => tensor(values, shape, 'i32');

test('ids of any shape become rows of the table', () => withBackend(f64, async () => {
  const table = tensor([1, 2, 3, 4, 5, 6], [3, 2]), y = embedding(table, ids([2, 0, 2, 1], [2, 2]));
  expect(y.shape).toEqual([2, 2, 2]);
  expectClose(await y.read(), [5, 6, 1, 2, 5, 6, 3, 4]);
  expect(embedding(table, ids([1], [])).shape).toEqual([2]);
}));

test('a row used twice gets both gradients, an unused row gets 0', () => withBackend(f64, async () => {
  const table = variable([1, 2, 3, 4, 5, 6], [3, 2]), y = embedding(table, ids([2, 0, 2]));
  const gradients = backward(y, tensor([1, 2, 10, 20, 100, 200], [3, 2]));
  expectClose(await gradients.of(table)!.read(), [10, 20, 0, 0, 101, 202]);
}));

test("a parameter's gradient is added to its slot", () => withBackend(f64, async () => {
  const slot = tensor([1000, 0, 0, 0, 0, 1], [3, 2]), { shape, dtype, storage } = tensor([1, 2, 3, 4, 5, 6], [3, 2]);
  const table = new Tensor({ shape, dtype, storage, needsGrad: true, gradient: slot });
  backward(embedding(table, ids([2, 0, 2])), tensor([1, 2, 10, 20, 100, 200], [3, 2]));
  expectClose(await slot.read(), [1010, 20, 0, 0, 101, 203]);
}));

test('a table that is no matrix and ids that are no integers are errors', () => {
  expect(messageOf(() => embedding(tensor([1, 2]), ids([0])))).toBe('embedding: table [2]: must be [V,C]');
  expect(messageOf(() => embedding(tensor([1, 2], [2, 1]), tensor([0])))).toBe('embedding: ids are f32: must be i32');
});
