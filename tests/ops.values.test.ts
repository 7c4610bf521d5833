// Values that can be checked on paper, and ops against the plainest program for the same thing: one loop over indices.
// (Fused ops against the same maths in small ops: ops/*.test.ts.)

import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../engine/cpu/backend.ts';
import * as ops from '../engine/ops/index.ts';
import { useBackend } from '../engine/runtime.ts';
import { broadcast, sizeOf, type Shape } from '../engine/shape.ts';
import { backward } from '../engine/tape.ts';
import { tensor, variable, type Tensor } from '../engine/tensor.ts';
import { expectClose, numbers } from './ops/oracle.ts';
import { onBackend } from './support/backends.ts';

beforeAll(() => useBackend(new CpuBackend({ precision: 'f64' })));

const values = async (x: Tensor | undefined): Promise<number[]> => [...await x!.read()];
const ids = (...list: number[]): Tensor => tensor(list, [list.length], 'i32');
const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
const shapes = fc.array(size(4), { minLength: 1, maxLength: 4 });

/** Every index of a shape, in row-major order. */
function indices(shape: Shape): number[][] {
  return shape.reduce<number[][]>(
    (all, d) => all.flatMap((index) => Array.from({ length: d }, (_, i) => [...index, i])),
    [[]],
  );
}

/** Where an index lies in a row-major tensor; axes of size 1 and missing leading axes repeat. */
function place(shape: Shape, index: readonly number[]): number {
  return index
    .slice(index.length - shape.length)
    .reduce((at, i, axis) => at * shape[axis]! + (shape[axis] === 1 ? 0 : i), 0);
}

describe('functions of one number', () => {
  test.each<[name: 'exp' | 'log' | 'sqrt' | 'square' | 'tanh' | 'relu' | 'sigmoid', x: number[], y: number[]]>([
    ['exp', [0, 1, -1], [1, Math.E, 1 / Math.E]],
    ['log', [1, Math.E, 0.5], [0, 1, -Math.LN2]],
    ['sqrt', [0, 4, 2], [0, 2, Math.SQRT2]],
    ['square', [3, -3, 0], [9, 9, 0]],
    ['tanh', [0, Math.log(2), 99, -99], [0, 0.6, 1, -1]],
    ['relu', [-2, 0, 3], [0, 0, 3]],
    ['sigmoid', [0, Math.log(3), -800, 800], [0.5, 0.75, 0, 1]],
  ])('%s', async (name, x, y) => {
    expectClose(await values(ops[name](tensor(x))), y);
  });

  test('relu has no gradient at 0', async () => {
    const x = variable([-1, 0, 2]);
    expect(await values(backward(ops.sum(ops.relu(x))).of(x))).toEqual([0, 0, 1]);
  });

  test('affine: factor x + offset, 1 and 0 unless given', async () => {
    const x = tensor([1, -2]);
    expect(await values(ops.affine(x, { factor: 3, offset: 1 }))).toEqual([4, -5]);
    expect(await values(ops.affine(x, { offset: 1 }))).toEqual([2, -1]);
    expect(await values(ops.affine(x))).toEqual([1, -2]);
  });

  test('clamp limits, and its gradient ends beyond the limits', async () => {
    const x = variable([-5, -1, 0.5, 1, 3]);
    const y = ops.clamp(x, { low: -1, high: 1 });
    expect(await values(y)).toEqual([-1, -1, 0.5, 1, 1]);
    expect(await values(backward(ops.sum(y)).of(x))).toEqual([0, 1, 1, 1, 0]);
  });
});

describe('functions of two', () => {
  const plain = {
    add: (a: number, b: number) => a + b,
    sub: (a: number, b: number) => a - b,
    mul: (a: number, b: number) => a * b,
    div: (a: number, b: number) => a / b,
    maximum: Math.max,
    minimum: Math.min,
    atLeast: (a: number, b: number) => Number(a >= b),
  };

  test.each(Object.entries(plain))('%s, broadcast in every way', (name, f) => fc.assert(fc.asyncProperty(
    shapes, fc.nat(15), fc.nat(15), fc.nat(3), fc.boolean(), async (full, onesA, onesB, dropped, swap) => {
      const some = (ones: number): Shape => full.map((d, axis) => ((ones >> axis) & 1 ? 1 : d));
      const [a, b] = swap ? [some(onesA).slice(dropped), some(onesB)] : [some(onesA), some(onesB).slice(dropped)];
      const [x, y] = [numbers(a, 1), numbers(b, 2)];
      const out = broadcast(name, a, b);
      const expected = indices(out).map((index) => f(x[place(a, index)]!, y[place(b, index)]!));
      const found = ops[name as keyof typeof plain](tensor(x, a), tensor(y, b));
      expect(found.shape).toEqual(out);
      expect(await values(found)).toEqual(expected);
    },
  )));

  test('the gradient of a broadcast operand is summed', async () => {
    const x = variable([1, 2, 3, 4, 5, 6], [2, 3]);
    const row = variable([10, 20, 30]);
    const column = variable([1, 2], [2, 1]);
    const one = variable([5], []);
    const g = backward(ops.sum(ops.mul(ops.add(ops.mul(x, row), column), one)));
    expect(await values(g.of(row))).toEqual([25, 35, 45]);
    expect(await values(g.of(column))).toEqual([15, 15]);
    expect(await values(g.of(one))).toEqual([10 + 40 + 90 + 40 + 100 + 180 + 3 * 3]);
    expect(g.of(one)!.shape).toEqual([]);
  });

  test('where maximum and minimum have equals, the gradient goes to the first operand', async () => {
    for (const [op, first, second] of [
      [ops.maximum, [0, 1, 1], [1, 0, 0]],
      [ops.minimum, [1, 1, 0], [0, 0, 1]],
    ] as const) {
      const a = variable([1, 2, 3]);
      const b = variable([2, 2, 2]);
      const g = backward(ops.sum(op(a, b)));
      expect([await values(g.of(a)), await values(g.of(b))]).toEqual([first, second]);
    }
  });

  test('atLeast is a constant to the tape', () => {
    const x = variable([1, 2]);
    expect(ops.atLeast(x, x)).toMatchObject({ needsGrad: false, node: null });
  });
});

describe('matmul', () => {
  test('2 x 3 by 3 x 2, in all four layouts', async () => {
    const [a, aT, b, bT] = [[1, 2, 3, 4, 5, 6], [1, 4, 2, 5, 3, 6], [7, 8, 9, 10, 11, 12], [7, 9, 11, 8, 10, 12]];
    const product = [58, 64, 139, 154];
    expect(await values(ops.matmul(tensor(a, [2, 3]), tensor(b, [3, 2])))).toEqual(product);
    expect(await values(ops.matmul(tensor(aT, [3, 2]), tensor(b, [3, 2]), { transA: true }))).toEqual(product);
    expect(await values(ops.matmul(tensor(a, [2, 3]), tensor(bT, [2, 3]), { transB: true }))).toEqual(product);
    expect(await values(ops.matmul(tensor(aT, [3, 2]), tensor(bT, [2, 3]), { transA: true, transB: true }))).toEqual(
      product,
    );
  });

  test('each matrix of a batch meets its own, or a shared one', async () => {
    const a = tensor([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2]);
    expect(await values(ops.matmul(a, tensor([1, 0, 0, 1, 2, 0, 0, 2], [2, 2, 2])))).toEqual([
      1, 2, 3, 4, 10, 12, 14, 16,
    ]);
    expect(await values(ops.matmul(a, tensor([1, 10], [2, 1])))).toEqual([21, 43, 65, 87]);
  });
});

describe('reductions', () => {
  const x = (): Tensor => tensor([1, 5, 2, 4, 3, 6], [2, 3]);

  test('sum and max, along an axis and over everything', async () => {
    expect([
      await values(ops.sum(x(), { axis: 0 })),
      await values(ops.sum(x(), { axis: 1 })),
      await values(ops.sum(x())),
    ]).toEqual([[5, 8, 8], [8, 13], [21]]);
    expect([
      await values(ops.max(x(), { axis: 0 })),
      await values(ops.max(x(), { axis: -1 })),
      await values(ops.max(x())),
    ]).toEqual([[4, 5, 6], [5, 6], [6]]);
    expect(await values(ops.max(tensor([-3, -2, -9])))).toEqual([-2]);
  });

  test("max's gradient goes to the first of equals", async () => {
    const y = variable([2, 7, 7, 7, 1, 7], [2, 3]);
    expect(await values(backward(ops.sum(ops.max(y, { axis: 1 }))).of(y))).toEqual([0, 1, 0, 1, 0, 0]);
    expect(await values(backward(ops.max(y)).of(y))).toEqual([0, 1, 0, 0, 0, 0]);
  });

  test('broadcastTo repeats, sumTo adds up again', async () => {
    expect(await values(ops.broadcastTo(tensor([1, 2], [2, 1]), { shape: [2, 2, 3] }))).toEqual([
      1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2,
    ]);
    expect(await values(ops.sumTo(tensor([1, 2, 3, 4, 5, 6], [2, 3]), [1, 3]))).toEqual([5, 7, 9]);
    expect(ops.sumTo(tensor([1, 2, 3, 4, 5, 6], [2, 3]), [2, 1]).shape).toEqual([2, 1]);
  });

  test('sumTo adds what a broadcast made of one element', () =>
    fc.assert(
      fc.asyncProperty(shapes, fc.nat(15), fc.nat(4), async (full, ones, dropped) => {
        const part = full.map((d, axis) => ((ones >> axis) & 1 ? 1 : d)).slice(dropped);
        const x = numbers(full, 3);
        const expected = new Float64Array(sizeOf(part));
        indices(full).forEach((index, i) => (expected[place(part, index)]! += x[i]!));
        expectClose(await values(ops.sumTo(tensor(x, full), part)), expected);
      }),
    ));
});

describe('moving elements', () => {
  test('permute puts axis order[i] at axis i', () =>
    fc.assert(
      fc.asyncProperty(shapes, fc.nat(1e6), async (shape, seed) => {
        const order = shape.map((_, axis) => axis).sort((a, b) => numbers([4], seed)[a]! - numbers([4], seed)[b]!);
        const x = numbers(shape, 1);
        const y = ops.permute(tensor(x, shape), { order });
        const out = order.map((axis) => shape[axis]!);
        const expected = indices(out).map(
          (index) =>
            x[
              place(
                shape,
                shape.map((_, axis) => index[order.indexOf(axis)]!),
              )
            ]!,
        );
        expect(y.shape).toEqual(out);
        expect(await values(y)).toEqual(expected);
      }),
    ));

  test('slices along an axis, joined again, are the tensor', () =>
    fc.assert(
      fc.asyncProperty(shapes, fc.nat(3), fc.nat(3), async (shape, at, cut) => {
        const axis = at % shape.length;
        const length = shape[axis]!;
        const middle = 1 + (cut % length);
        const x = tensor(numbers(shape, 2), shape);
        const first = ops.slice(x, { axis, start: 0, end: middle });
        const joined =
          middle === length ? first : ops.concat(first, ops.slice(x, { axis, start: middle, end: length }), { axis });
        expect(joined.shape).toEqual(shape);
        expect(await values(joined)).toEqual(await values(x));
      }),
    ));

  test('slice and concat, on paper', async () => {
    const x = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
    expect(await values(ops.slice(x, { axis: 1, start: 1, end: 3 }))).toEqual([2, 3, 5, 6]);
    expect(await values(ops.slice(x, { axis: 0, start: 1, end: 2 }))).toEqual([4, 5, 6]);
    expect(await values(ops.concat(x, tensor([8, 9], [2, 1]), { axis: 1 }))).toEqual([1, 2, 3, 8, 4, 5, 6, 9]);
    expect(await values(ops.concat(x, tensor([7, 8, 9], [1, 3]), { axis: 0 }))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("a slice's gradient is 0 outside of it", async () => {
    const x = variable([1, 2, 3, 4, 5, 6], [2, 3]);
    expect(await values(backward(ops.slice(x, { axis: 1, start: 1, end: 2 }), tensor([7, 8], [2, 1])).of(x))).toEqual([
      0, 7, 0, 0, 8, 0,
    ]);
  });

  test('reshape is the same memory', () => {
    const x = tensor([1, 2, 3, 4]);
    expect(ops.reshape(x, { shape: [2, 2] }).storage).toBe(x.storage);
  });
});

describe('softmax', () => {
  test('is a distribution, and its logarithm is logSoftmax', async () => {
    const x = tensor([0, Math.log(3), Math.log(4), 1, 1, 1], [2, 3]);
    expectClose(await values(ops.softmax(x)), [1 / 8, 3 / 8, 4 / 8, 1 / 3, 1 / 3, 1 / 3]);
    expectClose(await values(ops.logSoftmax(x)), [1 / 8, 3 / 8, 4 / 8, 1 / 3, 1 / 3, 1 / 3].map(Math.log));
  });

  test('of large numbers neither overflows nor vanishes', async () => {
    const x = tensor([1e4, 1e4 + Math.log(3), -1e4, -1e4]);
    const p = await values(ops.softmax(x));
    expectClose(p, [0.25, 0.75, 0, 0]);
    // 1e4 takes four digits
    expectClose((await values(ops.logSoftmax(x))).slice(0, 2), [Math.log(0.25), Math.log(0.75)], 1e-11);
  });
});

describe('cross-entropy', () => {
  // Row 0 has probabilities 1/8, 3/8, 4/8; row 1 a third each; row 2 is (1, 1, 2) / 4.
  const logits = [0, Math.log(3), Math.log(4), 1, 1, 1, 0, 0, Math.LN2];

  test('is the mean of -log p', async () => {
    const expected = -(Math.log(3 / 8) + Math.log(1 / 3) + Math.log(1 / 2)) / 3;
    expectClose(await values(ops.crossEntropy(tensor(logits, [3, 3]), ids(1, 0, 2))), [expected]);
    expectClose(await values(ops.logProb(tensor(logits, [3, 3]), ids(1, 0, 2))), [
      Math.log(3 / 8),
      Math.log(1 / 3),
      Math.log(1 / 2),
    ]);
  });

  test('its gradient is (p - 1 at the target) / count', async () => {
    const x = variable(logits, [3, 3]);
    const g = backward(ops.crossEntropy(x, ids(1, 0, 2))).of(x);
    expectClose(
      await values(g),
      [1 / 8, 3 / 8 - 1, 4 / 8, 1 / 3 - 1, 1 / 3, 1 / 3, 1 / 4, 1 / 4, 1 / 2 - 1].map((v) => v / 3),
    );
  });

  test('weights multiply, and count divides', async () => {
    const x = variable(logits, [3, 3]);
    const loss = ops.weightedCrossEntropy(x, ids(1, 0, 2), tensor([2, 0, 1]), { count: 5 });
    expectClose(await values(loss), [-(2 * Math.log(3 / 8) + Math.log(1 / 2)) / 5]);
    expectClose(
      await values(backward(loss).of(x)),
      [2 / 8, 6 / 8 - 2, 8 / 8, 0, 0, 0, 1 / 4, 1 / 4, 1 / 2 - 1].map((v) => v / 5),
    );
  });

  test('.all() gives the log-probabilities beside the loss', async () => {
    const [loss, logProb] = ops.weightedCrossEntropy.all(tensor(logits, [3, 3]), ids(1, -1, 2), tensor([2, 3, 4]));
    expect(loss.shape).toEqual([]);
    expectClose(await values(logProb), [Math.log(3 / 8), 0, Math.log(1 / 2)]);
  });

  test('a target below 0 counts nowhere', async () => {
    const x = variable(logits, [3, 3]);
    const loss = ops.weightedCrossEntropy(x, ids(1, -1, 2), tensor([1, 9, 1]), { count: 2 });
    expectClose(await values(loss), [-(Math.log(3 / 8) + Math.log(1 / 2)) / 2]);
    expect((await values(backward(loss).of(x))).slice(3, 6)).toEqual([0, 0, 0]);
    const y = variable(logits, [3, 3]);
    const p = ops.logProb(y, ids(1, -100, 2));
    expectClose(await values(p), [Math.log(3 / 8), 0, Math.log(1 / 2)]);
    const g = await values(backward(p, tensor([1, 5, 1])).of(y));
    expect(g.slice(3, 6).every((v) => v === 0)).toBe(true); // some are -0
    expectClose(g.slice(0, 3), [-1 / 8, 1 - 3 / 8, -4 / 8]);
  });

  test('of a sure thing is 0, of a lost one large but finite', async () => {
    const x = variable([100, -100, -100], [1, 3]);
    expectClose(await values(ops.crossEntropy(x, ids(0))), [0]);
    const lost = ops.crossEntropy(x, ids(1));
    expectClose(await values(lost), [200]);
    expectClose(await values(backward(lost).of(x)), [1, -1, 0]);
  });
});

describe('sums of very many floats, in single precision', () => {
  const n = 2 ** 25;
  const tenth = new Float32Array(n).fill(0.1);

  test.each<[string, Shape, number | undefined]>([
    ['all', [n], undefined], ['columns of vectors', [n / 16, 16], 0], ['three columns', [Math.floor(n / 3), 3], 0],
  ])('%s: within 5e-5, on one thread and on two', async (_, shape, axis) => {
    const bits: number[][] = [];
    for (const threads of [1, 2]) {
      const backend = new CpuBackend({ threads });
      await onBackend(backend, async () => {
        const x = tensor(tenth.subarray(0, sizeOf(shape)), shape);
        const found = await ops.sum(x, axis === undefined ? {} : { axis }).read();
        const right = Math.fround(0.1) * sizeOf(shape) / found.length;
        // 4096 additions of rounded tenths; in one chain it is 1e-3 and more
        for (const value of found) expect(Math.abs(value / right - 1)).toBeLessThan(5e-5);
        bits.push([...found]);
      });
      await backend.close();
    }
    expect(bits[1]).toEqual(bits[0]);
  });
});
