// Shapes: broadcasting, reshaping, axes, and what is said when they do not fit.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { around, axisOf, broadcast, checkShape, reshaped, sameShape, show, sizeOf } from '../../engine/shape.ts';
import { messageOf } from '../ops/oracle.ts';

const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });

test('the size is the product, 1 for a scalar', () => {
  expect([[], [3], [2, 3, 4]].map(sizeOf)).toEqual([1, 3, 24]);
});

test('shapes are shown without spaces', () => {
  expect([[], [3], [2, 3]].map(show)).toEqual(['[]', '[3]', '[2,3]']);
});

test('shapes are the same when all sizes are', () => {
  expect(sameShape([2, 3], [2, 3])).toBe(true);
  for (const other of [[2], [3, 2], [2, 3, 1], []]) expect(sameShape([2, 3], other)).toBe(false);
});

test.each([
  [[3, 1], [2], [3, 2]],
  [[2, 3], [], [2, 3]],
  [
    [1, 4],
    [3, 1],
    [3, 4],
  ],
  [
    [5, 1, 2],
    [3, 1],
    [5, 3, 2],
  ],
])('%j and %j broadcast to %j', (a, b, both) => {
  expect(broadcast('add', a, b)).toEqual(both);
  expect(broadcast('add', b, a)).toEqual(both);
});

test('any mixture of the sizes of one shape and 1 broadcasts back to it', () => {
  fc.assert(fc.property(sizes, fc.nat(15), fc.nat(4), (shape, ones, dropped) => {
    const part = shape.map((d, i) => ((ones >> i) & 1 ? 1 : d)).slice(dropped);
    expect(broadcast('add', shape, part)).toEqual(shape);
  }));
});

test('sizes that differ do not broadcast', () => {
  expect(messageOf(() => broadcast('add', [2, 3], [4]))).toBe('add: [2,3] and [4]: sizes 3 and 4 do not broadcast');
  expect(messageOf(() => broadcast('mul', [2, 1, 5], [3, 1, 5]))).toBe(
    'mul: [2,1,5] and [3,1,5]: sizes 2 and 3 do not broadcast',
  );
});

test('-1 is worked out from the others', () => {
  expect(reshaped('reshape', [4, 6], [3, -1])).toEqual([3, 8]);
  expect(reshaped('reshape', [4, 6], [-1])).toEqual([24]);
  expect(reshaped('reshape', [1], [-1, 1, 1])).toEqual([1, 1, 1]);
  expect(reshaped('reshape', [1], [])).toEqual([]);
  expect(reshaped('reshape', [], [1, 1])).toEqual([1, 1]);
});

test.each([
  [[4, 6], [5, -1], '24 elements do not divide into rows of 5'],
  [[4, 6], [5, 5], '24 elements do not divide into 25'],
  [[4, 6], [-1, 2, -1], 'only one size may be -1'],
  [[4, 6], [0, -1], '24 elements do not divide into rows of 0'],
])('%j does not become %j: %s', (from, to, reason) => {
  expect(messageOf(() => reshaped('reshape', from, to))).toBe(`reshape: ${show(from)} -> ${show(to)}: ${reason}`);
});

test('two negative sizes whose product fits are no shape', () => {
  expect(messageOf(() => reshaped('reshape', [4, 6], [-4, -6]))).toBe(
    'reshape: [-4,-6]: every size must be a whole number of at least 1',
  );
});

test.each([[[0]], [[2, -1]], [[1.5]], [[NaN]]])('%j is no shape', (shape) => {
  expect(messageOf(() => checkShape('tensor', shape))).toBe(
    `tensor: ${show(shape)}: every size must be a whole number of at least 1`,
  );
});

test('an axis counts from the front, or from the end when negative', () => {
  expect([0, 2, -1, -3].map((axis) => axisOf('sum', [2, 3, 4], axis))).toEqual([0, 2, 2, 0]);
  for (const axis of [3, -4, 0.5]) {
    expect(messageOf(() => axisOf('sum', [2, 3, 4], axis))).toBe(`sum: [2,3,4]: has no axis ${axis}`);
  }
  expect(messageOf(() => axisOf('sum', [], 0))).toBe('sum: []: has no axis 0');
});

test('a shape splits round an axis', () => {
  expect(around([2, 3, 4, 5], 2)).toEqual({ outer: 6, length: 4, inner: 5 });
  expect(around([7], 0)).toEqual({ outer: 1, length: 7, inner: 1 });
});
