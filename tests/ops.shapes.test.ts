// What comes out of every op has the shape that its documentation says, and what does not fit is refused in one whole
// line.

import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../engine/cpu/backend.ts';
import { ShapeError } from '../engine/errors.ts';
import * as ops from '../engine/ops/index.ts';
import { backend, useBackend } from '../engine/runtime.ts';
import { sizeOf, type Shape } from '../engine/shape.ts';
import { backward } from '../engine/tape.ts';
import { Tensor, tensor, variable } from '../engine/tensor.ts';
import { caseOf, drawnSizes, everyOp, everyVariant, fillAll, upload } from './support/fill.ts';

beforeAll(() => useBackend(new CpuBackend()));

/** A tensor of this shape, and integer ids of this shape. */
const t = (...shape: number[]): Tensor => tensor(new Float32Array(sizeOf(shape)).fill(1), shape);
const ids = (...shape: number[]): Tensor => tensor(new Int32Array(sizeOf(shape)), shape, 'i32');

const shapes: Record<string, readonly (readonly [() => Tensor, Shape])[]> = {
  add: [
    [() => ops.add(t(2, 3), t(2, 3)), [2, 3]],
    [() => ops.add(t(3), t(4, 1)), [4, 3]],
  ],
  sub: [[() => ops.sub(t(2, 1, 3), t(5, 1)), [2, 5, 3]]],
  mul: [
    [() => ops.mul(t(), t(2)), [2]],
    [() => ops.mul(t(1), t()), [1]],
  ],
  div: [[() => ops.div(t(1, 1), t(3)), [1, 3]]],
  maximum: [[() => ops.maximum(t(2, 3), t(3)), [2, 3]]],
  minimum: [[() => ops.minimum(t(3), t(2, 3)), [2, 3]]],
  affine: [
    [() => ops.affine(t(2, 3), { factor: 2 }), [2, 3]],
    [() => ops.affine(t()), []],
  ],
  clamp: [[() => ops.clamp(t(2, 3), { low: 0, high: 1 }), [2, 3]]],
  matmul: [
    [() => ops.matmul(t(2, 3), t(3, 4)), [2, 4]],
    [() => ops.matmul(t(3, 2), t(3, 4), { transA: true }), [2, 4]],
    [() => ops.matmul(t(2, 3), t(4, 3), { transB: true }), [2, 4]],
    [() => ops.matmul(t(3, 2), t(4, 3), { transA: true, transB: true }), [2, 4]],
    [() => ops.matmul(t(5, 6, 2, 3), t(5, 6, 3, 4)), [5, 6, 2, 4]],
    [() => ops.matmul(t(5, 6, 2, 3), t(3, 4)), [5, 6, 2, 4]],
    [() => ops.matmul(t(5, 3, 2), t(5, 4, 3), { transA: true, transB: true }), [5, 2, 4]],
  ],
  linear: [
    [() => ops.linear(t(2, 3), t(4, 3)), [2, 4]],
    [() => ops.linear(t(5, 6, 2, 3), t(4, 3), t(4)), [5, 6, 2, 4]],
    [() => ops.linear(t(5, 2, 3), t(4, 3), t(4), t(5, 2, 4)), [5, 2, 4]],
  ],
  exp: [[() => ops.exp(t(2, 3)), [2, 3]]],
  log: [[() => ops.log(t()), []]],
  sqrt: [[() => ops.sqrt(t(2)), [2]]],
  square: [[() => ops.square(t(1, 2, 3, 4, 5)), [1, 2, 3, 4, 5]]],
  tanh: [[() => ops.tanh(t(2)), [2]]],
  relu: [[() => ops.relu(t(2)), [2]]],
  sigmoid: [[() => ops.sigmoid(t(2)), [2]]],
  gelu: [[() => ops.gelu(t(2, 3)), [2, 3]]],
  swiglu: [[() => ops.swiglu(t(2, 3, 8)), [2, 3, 4]]],
  softmax: [
    [() => ops.softmax(t(2, 3)), [2, 3]],
    [() => ops.softmax(t(5)), [5]],
  ],
  logSoftmax: [[() => ops.logSoftmax(t(2, 3)), [2, 3]]],
  sum: [
    [() => ops.sum(t(2, 3, 4)), []],
    [() => ops.sum(t(2, 3, 4), { axis: 0 }), [3, 4]],
    [() => ops.sum(t(2, 3, 4), { axis: -1 }), [2, 3]],
  ],
  max: [
    [() => ops.max(t(2, 3, 4)), []],
    [() => ops.max(t(2, 3, 4), { axis: 1 }), [2, 4]],
    [() => ops.max(t(5), { axis: 0 }), []],
  ],
  broadcastTo: [
    [() => ops.broadcastTo(t(3), { shape: [4, 3] }), [4, 3]],
    [() => ops.broadcastTo(t(2, 1), { shape: [2, 2, 5] }), [2, 2, 5]],
    [() => ops.broadcastTo(t(), { shape: [2] }), [2]],
  ],
  reshape: [
    [() => ops.reshape(t(4, 6), { shape: [3, -1] }), [3, 8]],
    [() => ops.reshape(t(1), { shape: [] }), []],
  ],
  permute: [
    [() => ops.permute(t(2, 3, 4, 5), { order: [3, 1, 0, 2] }), [5, 3, 2, 4]],
    [() => ops.permute(t(2, 3), { order: [1, 0] }), [3, 2]],
  ],
  slice: [
    [() => ops.slice(t(2, 5), { axis: 1, start: 1, end: 3 }), [2, 2]],
    [() => ops.slice(t(2, 5), { axis: -2, start: 0, end: 1 }), [1, 5]],
  ],
  concat: [
    [() => ops.concat(t(2, 3), t(1, 3), t(4, 3), { axis: 0 }), [7, 3]],
    [() => ops.concat(t(2, 3), { axis: -1 }), [2, 3]],
  ],
  embedding: [
    [() => ops.embedding(t(9, 4), ids(2, 3)), [2, 3, 4]],
    [() => ops.embedding(t(9, 4), ids()), [4]],
  ],
  rmsNorm: [[() => ops.rmsNorm(t(2, 3, 4), t(4)), [2, 3, 4]]],
  layerNorm: [[() => ops.layerNorm(t(2, 4), t(4), t(4)), [2, 4]]],
  attention: [
    [() => ops.attention(t(2, 3, 24), t(9, 2), { heads: 4 }), [2, 3, 8]],
    [() => ops.attention(t(2, 3, 16), t(9, 2), { heads: 4, kvHeads: 2 }), [2, 3, 8]],
  ],
  rope: [[() => ops.rope(t(2, 3, 8), t(9, 2), { heads: 4 }), [2, 3, 8]]],
  weightedCrossEntropy: [
    [() => ops.weightedCrossEntropy(t(2, 3, 9), ids(2, 3), t(2, 3)), []],
    [() => ops.crossEntropy(t(3, 9), ids(3)), []],
  ],
  logProb: [
    [() => ops.logProb(t(2, 3, 9), ids(2, 3)), [2, 3]],
    [() => ops.logProb(t(9), ids()), []],
  ],
  tokenWeights: [
    [() => ops.tokenWeights(t(2, 3), t(2, 3), ids(2, 3)), [2, 3]],
    [() => ops.tokenWeights(t(3), t(3), ids(3)), [3]],
  ],
  policyLoss: [
    [() => ops.policyLoss(t(2, 3), t(2, 3), t(2, 3), t(2), ids(2, 3)), []],
    [() => ops.policyLoss.all(t(2, 3), t(2, 3), t(2, 3), t(2), ids(2, 3))[3]!, [2, 2, 3]],
    [() => ops.policyLoss(t(3), t(3), t(3), t(), ids(3)), []],
    [() => ops.policyLoss(t(2, 3), t(2, 3), t(2, 3), t(2, 2), ids(2, 3)), []],
  ],
};

const sumsBack: readonly (readonly [from: Shape, to: Shape])[] = [
  [
    [2, 3, 4],
    [3, 1],
  ],
  [
    [2, 3, 4],
    [2, 1, 1],
  ],
  [
    [2, 1],
    [2, 1],
  ],
  [[2, 3], []],
];

describe('shapes', () => {
  test.each(Object.entries(shapes))('%s', (_, list) => {
    for (const [make, shape] of list) expect(make()).toMatchObject({ shape, dtype: 'f32' });
  });

  test.each(sumsBack)('sumTo undoes a broadcast: %j back to %j', async (from, to) => {
    const x = ops.sumTo(t(...from), to);
    expect(x.shape).toEqual(to);
    expect((await x.read()).every((total) => total === sizeOf(from) / sizeOf(to))).toBe(true);
  });

  test('every op is in the list', () => {
    expect(Object.keys(shapes).sort()).toEqual(everyOp.map(({ def }) => def.name).sort());
  });

  test.each(everyVariant)(
    '$title: infer() looks at nothing but shapes and types, and forward() makes what it says',
    ({ op, variant }) =>
      fc.assert(
        fc.asyncProperty(drawnSizes(op), fc.nat(1e6), async (sizes, seed) => {
          const { fills, attrs } = caseOf(op, variant, sizes);
          const inputs = fillAll(fills, seed);
          const said = op.def.infer(inputs.map(({ shape, dtype }) => ({ shape, dtype })) as never, attrs);
          const made = op.all(...inputs.map(upload), attrs);
          expect(made.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual(said);
          for (const x of made) {
            const values = await x.read();
            expect(values).toHaveLength(sizeOf(x.shape));
            expect(values.every(Number.isFinite)).toBe(true);
          }
        }),
        { numRuns: 10 },
      ),
  );

  test.each(everyVariant)('$title: neither forward() nor backward() changes what it is given', ({ op, variant }) =>
    fc.assert(fc.asyncProperty(drawnSizes(op), fc.nat(1e6), async (sizes, seed) => {
      const { fills, attrs } = caseOf(op, variant, sizes);
      const inputs = fillAll(fills, seed);
      const leaves = inputs.map((input) =>
        input.dtype === 'f32' ? variable(input.values, input.shape) : upload(input),
      );
      const result = op(...leaves, attrs);
      const before = await result.read();
      const ones = t(...result.shape);
      backward(result, ones);
      for (const [i, leaf] of leaves.entries()) expect(await leaf.read()).toEqual(await upload(inputs[i]!).read());
      expect(await result.read()).toEqual(before);
      expect((await ones.read()).every((x) => x === 1)).toBe(true);
    }), { numRuns: 10 }));

  test('ops that only move elements keep integers integers', async () => {
    const x = tensor([1, 2, 3, 4, 5, 6], [2, 3], 'i32');
    for (const moved of [
      ops.reshape(x, { shape: [6] }),
      ops.permute(x, { order: [1, 0] }),
      ops.slice(x, { axis: 0, start: 0, end: 1 }),
      ops.concat(x, x, { axis: 0 }),
    ]) {
      expect(moved.dtype).toBe('i32');
      expect(await moved.read()).toBeInstanceOf(Int32Array);
    }
  });
});

/** Every message: what is wrong, and the call that must say so. */
const errors: readonly (readonly [message: string, call: () => unknown])[] = [
  ...(['add', 'sub', 'mul', 'div', 'maximum', 'minimum', 'atLeast'] as const).flatMap(
    (name): (readonly [string, () => unknown])[] => [
      [`${name}: [2,3] and [2]: sizes 3 and 2 do not broadcast`, () => ops[name](t(2, 3), t(2))],
      [
        `${name}: [2,2,2,2,2] and [2,1,2,1,2]: broadcast over more than four groups of axes: reshape first`,
        () => ops[name](t(2, 2, 2, 2, 2), t(2, 1, 2, 1, 2)),
      ],
    ],
  ),

  ['matmul: [2,3] x [4,5]: inner dimensions 3 and 4 differ', () => ops.matmul(t(2, 3), t(4, 5))],
  ["matmul: [2,3]' x [4,5]: inner dimensions 2 and 4 differ", () => ops.matmul(t(2, 3), t(4, 5), { transA: true })],
  ["matmul: [2,3] x [4,5]': inner dimensions 3 and 5 differ", () => ops.matmul(t(2, 3), t(4, 5), { transB: true })],
  [
    "matmul: [2,3]' x [2,5]': inner dimensions 2 and 5 differ",
    () => ops.matmul(t(2, 3), t(2, 5), { transA: true, transB: true }),
  ],
  ['matmul: [3] x [3,4]: both need at least two axes', () => ops.matmul(t(3), t(3, 4))],
  ['matmul: [2,3] x [3]: both need at least two axes', () => ops.matmul(t(2, 3), t(3))],
  ['matmul: [2,4,3] x [5,3,4]: batches [2] and [5] differ', () => ops.matmul(t(2, 4, 3), t(5, 3, 4))],
  ['matmul: [4,3] x [5,3,4]: batches [] and [5] differ', () => ops.matmul(t(4, 3), t(5, 3, 4))],
  ['matmul: [2,2,4,3] x [2,3,4]: batches [2,2] and [2] differ', () => ops.matmul(t(2, 2, 4, 3), t(2, 3, 4))],
  [
    "matmul: [2,3,4]' x [3,5]: a transposed batch needs a batch on the right too",
    () => ops.matmul(t(2, 3, 4), t(3, 5), { transA: true }),
  ],
  [
    "linear: [2,3] x [4,3]' + [3]: may be added: one bias [4], one residual [2,4]",
    () => ops.linear(t(2, 3), t(4, 3), t(3)),
  ],
  [
    "linear: [2,3] x [4,3]' + [4], [4]: may be added: one bias [4], one residual [2,4]",
    () => ops.linear(t(2, 3), t(4, 3), t(4), t(4)),
  ],
  [
    "linear: [2,3] x [4,3]' + [2,4], [4], [2,4]: may be added: one bias [4], one residual [2,4]",
    () => ops.linear(t(2, 3), t(4, 3), t(2, 4), t(4), t(2, 4)),
  ],

  ['sum: [2,3]: has no axis 2', () => ops.sum(t(2, 3), { axis: 2 })],
  ['sum: []: has no axis 0', () => ops.sum(t(), { axis: 0 })],
  ['max: [2,3]: has no axis -3', () => ops.max(t(2, 3), { axis: -3 })],
  ['broadcastTo: [3] and [2]: sizes 3 and 2 do not broadcast', () => ops.broadcastTo(t(3), { shape: [2] })],
  [
    'broadcastTo: [2,3] -> [3]: the first does not broadcast to the second',
    () => ops.broadcastTo(t(2, 3), { shape: [3] }),
  ],
  [
    'broadcastTo: [3] -> [2,1]: the first does not broadcast to the second',
    () => ops.broadcastTo(t(3), { shape: [2, 1] }),
  ],
  [
    'broadcastTo: [3] -> [1,1,1,1,3]: has more than four axes: reshape first',
    () => ops.broadcastTo(t(3), { shape: [1, 1, 1, 1, 3] }),
  ],
  ['broadcastTo: [0]: every size must be a whole number of at least 1', () => ops.broadcastTo(t(1), { shape: [0] })],

  [
    'reshape: [4,6] -> [5,-1]: 24 elements do not divide into rows of 5',
    () => ops.reshape(t(4, 6), { shape: [5, -1] }),
  ],
  ['reshape: [4,6] -> [23]: 24 elements do not divide into 23', () => ops.reshape(t(4, 6), { shape: [23] })],
  ['reshape: [4,6] -> [-1,-1]: only one size may be -1', () => ops.reshape(t(4, 6), { shape: [-1, -1] })],
  [
    'reshape: [-4,-6]: every size must be a whole number of at least 1',
    () => ops.reshape(t(4, 6), { shape: [-4, -6] }),
  ],
  [
    'permute: [2,3] by [0,0]: the order must name each of its 2 axes once',
    () => ops.permute(t(2, 3), { order: [0, 0] }),
  ],
  [
    'permute: [2,3] by [0,2]: the order must name each of its 2 axes once',
    () => ops.permute(t(2, 3), { order: [0, 2] }),
  ],
  ['permute: [2,3] by [1]: the order must name each of its 2 axes once', () => ops.permute(t(2, 3), { order: [1] })],
  [
    'permute: [1,1,1,1,2]: has more than four axes: reshape first',
    () => ops.permute(t(1, 1, 1, 1, 2), { order: [4, 3, 2, 1, 0] }),
  ],
  [
    'slice: [2,3] axis 1 from 2 to 4: must lie within 0..3 and hold something',
    () => ops.slice(t(2, 3), { axis: 1, start: 2, end: 4 }),
  ],
  [
    'slice: [2,3] axis 0 from 1 to 1: must lie within 0..2 and hold something',
    () => ops.slice(t(2, 3), { axis: 0, start: 1, end: 1 }),
  ],
  [
    'slice: [2,3] axis -1 from -1 to 2: must lie within 0..3 and hold something',
    () => ops.slice(t(2, 3), { axis: -1, start: -1, end: 2 }),
  ],
  ['slice: [2,3]: has no axis 2', () => ops.slice(t(2, 3), { axis: 2, start: 0, end: 1 })],
  ['concat: no tensors: needs at least one', () => ops.concat({ axis: 0 })],
  ['concat: [2,3] and [2,4] along axis 0: their other sizes differ', () => ops.concat(t(2, 3), t(2, 4), { axis: 0 })],
  ['concat: [2,3] and [2] along axis 0: their other sizes differ', () => ops.concat(t(2, 3), t(2), { axis: 0 })],
  ['concat: f32 and i32: element types differ', () => ops.concat(t(2), ids(2), { axis: 0 })],
  ['concat: [2]: has no axis 1', () => ops.concat(t(2), { axis: 1 })],

  ['swiglu: [2,3]: the last size must be even, gate and up side by side', () => ops.swiglu(t(2, 3))],
  ['swiglu: []: the last size must be even, gate and up side by side', () => ops.swiglu(t())],
  ['rmsNorm: x [2,3], weight [2]: weight must be [3]', () => ops.rmsNorm(t(2, 3), t(2))],
  ['rmsNorm: x []: needs a last axis to normalise', () => ops.rmsNorm(t(), t(1))],
  ['layerNorm: x [2,3], weight [1,3]: weight must be [3]', () => ops.layerNorm(t(2, 3), t(1, 3), t(3))],
  ['layerNorm: x [2,3], bias [2]: bias must be [3]', () => ops.layerNorm(t(2, 3), t(3), t(2))],
  ['layerNorm: x []: needs a last axis to normalise', () => ops.layerNorm(t(), t(1), t(1))],
  ['embedding: table [6]: must be [V,C]', () => ops.embedding(t(6), ids(2))],
  ['embedding: ids [2] f32: must be i32', () => ops.embedding(t(3, 2), t(2))],

  [
    'weightedCrossEntropy: logits [2,5], targets [3]: targets must be [2]',
    () => ops.weightedCrossEntropy(t(2, 5), ids(3), t(3)),
  ],
  ['weightedCrossEntropy: targets [2] f32: must be i32', () => ops.weightedCrossEntropy(t(2, 5), t(2), t(2))],
  [
    'weightedCrossEntropy: weights [1] for targets [2]: shapes differ',
    () => ops.weightedCrossEntropy(t(2, 5), ids(2), t(1)),
  ],
  [
    'weightedCrossEntropy: logits [4,9], targets [2,2]: targets must be [4]',
    () => ops.crossEntropy(t(4, 9), ids(2, 2)),
  ],
  [
    'weightedCrossEntropy: logits []: need a last axis, one score per token of the vocabulary',
    () => ops.crossEntropy(t(), ids()),
  ],
  ['logProb: logits [2,3,5], targets [2,5]: targets must be [2,3]', () => ops.logProb(t(2, 3, 5), ids(2, 5))],
  ['logProb: targets [2] f32: must be i32', () => ops.logProb(t(2, 5), t(2))],
  ['logProb: logits []: need a last axis, one score per token of the vocabulary', () => ops.logProb(t(), ids())],
  ['tokenWeights: reference [3,2], targets [2,3]: shapes differ', () => ops.tokenWeights(t(3, 2), t(2, 3), ids(2, 3))],
  ['tokenWeights: model [6], targets [2,3]: shapes differ', () => ops.tokenWeights(t(2, 3), t(6), ids(2, 3))],
  ['tokenWeights: targets [2] f32: must be i32', () => ops.tokenWeights(t(2), t(2), t(2))],
  ['tokenWeights: targets []: need a last axis, the tokens of a sequence', () => ops.tokenWeights(t(), t(), ids())],
  ['keepLargest: x [2], targets [3]: shapes differ', () => ops.keepLargest(t(2), ids(3), { keep: 1 })],
  ['policyLoss: old [3], targets [2]: shapes differ', () => ops.policyLoss(t(2), t(3), t(2), t(), ids(2))],
  [
    'policyLoss: advantage [2,3] for tokens [2,3]: must be [2], one per sequence, or [2,2], with ' +
      'what its tokens count',
    () => ops.policyLoss(t(2, 3), t(2, 3), t(2, 3), t(2, 3), ids(2, 3)),
  ],

  ...(['attention', 'attentionInSmallOps'] as const).flatMap((name): (readonly [string, () => unknown])[] => [
    [
      'attention: heads 3, kvHeads 2: heads must be a multiple of kvHeads',
      () => ops[name](t(1, 2, 14), t(2, 2), { heads: 3, kvHeads: 2 }),
    ],
    [
      'attention: qkv [1,2,13] with heads 2, kvHeads 2: must be [B,T,6 D]',
      () => ops[name](t(1, 2, 13), t(2, 2), { heads: 2 }),
    ],
    [
      'attention: qkv [2,12] with heads 2, kvHeads 2: must be [B,T,6 D]',
      () => ops[name](t(2, 12), t(2, 2), { heads: 2 }),
    ],
  ]),
  [
    'attention: head size 3: must be even, channels are turned in pairs',
    () => ops.attention(t(1, 2, 9), t(2, 3), { heads: 1 }),
  ],
  [
    'attention: table [1,4] for 2 positions and head size 4: must be [2 or more,4]',
    () => ops.attention(t(1, 2, 12), t(1, 4), { heads: 1 }),
  ],
  [
    'attention: table [2,2] for 2 positions and head size 4: must be [2 or more,4]',
    () => ops.attention(t(1, 2, 12), t(2, 2), { heads: 1 }),
  ],
  ['rope: x [2,4] with heads 2: must be [B,T,2 D]', () => ops.rope(t(2, 4), t(2, 2), { heads: 2 })],
  ['rope: x [1,2,5] with heads 2: must be [B,T,2 D]', () => ops.rope(t(1, 2, 5), t(2, 2), { heads: 2 })],
  ['rope: head size 3: must be even, channels are turned in pairs', () => ops.rope(t(1, 2, 6), t(2, 3), { heads: 2 })],
  [
    'rope: table [1,2] for 2 positions and head size 2: must be [2 or more,2]',
    () => ops.rope(t(1, 2, 4), t(1, 2), { heads: 2 }),
  ],
  ['rotaryTable: head size 3: must be even, channels are turned in pairs', () => ops.rotaryTable(4, 3, 100)],
  [
    'attentionCached: qkv [1,1,12], cache.k [1,1,8,2]: must be [1,1,context,4]',
    () => cached(t(1, 1, 12), t(1, 1, 8, 2), t(1, 1, 8, 4), 0),
  ],
  [
    'attentionCached: qkv [1,1,12], cache.v [1,1,7,4]: must be [1,1,context,4]',
    () => cached(t(1, 1, 12), t(1, 1, 8, 4), t(1, 1, 7, 4), 0),
  ],
  [
    'attentionCached: 2 tokens from position 7: do not fit in a cache of 8',
    () => cached(t(1, 2, 12), t(1, 1, 8, 4), t(1, 1, 8, 4), 7),
  ],
  [
    'attentionCached: table [8,4] for 9 positions and head size 4: must be [9 or more,4]',
    () => cached(t(1, 1, 12), t(1, 1, 9, 4), t(1, 1, 9, 4), 8),
  ],
  [
    'attentionCached: heads 1, kvHeads 2: heads must be a multiple of kvHeads',
    () =>
      ops.attentionCached(
        t(1, 1, 10),
        t(8, 2),
        { k: t(1, 2, 8, 2), v: t(1, 2, 8, 2) },
        { heads: 1, kvHeads: 2, position: 0 },
      ),
  ],

  ['tensor: 3 values for [2,2]: needs 4', () => tensor([1, 2, 3], [2, 2])],
  ['tensor: [0]: every size must be a whole number of at least 1', () => tensor([])],
  ['tensor: [2,-1]: every size must be a whole number of at least 1', () => tensor([1, 2], [2, -1])],
  ['tensor: shape 4: must be a list of sizes: [2, 3]', () => tensor([1, 2, 3, 4], 4 as never)],
  ['tensor: dtype "f64": must be one of f32, i32, u32', () => tensor([1], [1], 'f64' as never)],
  ['new Tensor: [1,2]: make tensors with tensor() or variable()', () => new Tensor([1, 2] as never)],
  [
    'new Tensor: [3] in memory of 2 elements: needs 3',
    () => new Tensor({ shape: [3], dtype: 'f32', storage: backend().alloc(2, 'f32') }),
  ],
  ['sumTo: [3] -> [2,3]: the second does not broadcast to the first', () => ops.sumTo(t(3), [2, 3])],
  ['backward: loss [] i32: must be f32', () => backward(ids())],
  ['backward: seed [1] i32: must be f32', () => backward(variable([1]), ids(1))],
  ['item: [2]: has 2 elements, item() reads tensors of one', () => t(2).item()],
  ['backward: loss [2]: must be a scalar, or come with a seed of its shape', () => backward(variable([1, 2]))],
  ['backward: seed [2] for [1,2]: shapes differ', () => backward(variable([1, 2], [1, 2]), t(2))],
];

function cached(qkv: Tensor, k: Tensor, v: Tensor, position: number): Tensor {
  return ops.attentionCached(qkv, t(8, 4), { k, v }, { heads: 1, position });
}

describe('errors', () => {
  test.each(errors)('%s', async (message, call) => {
    await expect((async () => call())()).rejects.toThrow(new ShapeError(message)); // item() rejects, the others throw
  });

  test('an error is thrown before anything is computed', () => {
    const device = new CpuBackend();
    useBackend(device);
    const [a, b] = [t(2, 3), t(4, 5)];
    const allocated = device.alloc(16 * 1031, 'f32').address!;
    expect(() => ops.matmul(a, b)).toThrow(ShapeError);
    expect([...device.calls]).toEqual([]);
    expect(device.alloc(16 * 1031, 'f32').address! - allocated).toBe(16 * 1031 * 4); // nothing in between
  });

  test('every message of the engine that is about shapes is among these', () => {
    const engine = new URL('../engine/', import.meta.url);
    const files = [
      'shape.ts',
      'tensor.ts',
      'tape.ts',
      ...readdirSync(new URL('ops', engine)).map((name) => `ops/${name}`),
    ];
    const written = files.flatMap((file) => messagesIn(readFileSync(new URL(file, engine), 'utf8')));
    expect(written.length).toBeGreaterThan(30);
    expect(written.filter((pattern) => !errors.some(([message]) => pattern.test(message)))).toEqual([]);
  });

  test('the reader of messages sees both kinds of strings, and leaves internal ones out', () => {
    const source =
      "new ShapeError(`${where}: ${a ? `rows of ${b}` : show(c)}: differ`); new ShapeError('concat: none'); new " +
      "ShapeError(`internal: ${x}`);";
    expect(messagesIn(source)).toEqual([/^.*: .*: differ$/, /^concat: none$/]);
  });

  /** The messages in a source text, as patterns: anything may stand where a value is filled in. */
  function messagesIn(source: string): RegExp[] {
    const HOLE = '\u0000';
    let code = source;
    // the innermost first
    for (let before = ''; before !== code;) [before, code] = [code, code.replaceAll(/\$\{[^{}]*\}/g, HOLE)];
    const texts = [...code.matchAll(/new ShapeError\((?:`([^`]*)`|'([^']*)')/g)].map((match) => match[1] ?? match[2]!);
    const escape = (text: string): string => text.replaceAll(/[[\]().*+?^$|\\/]/g, '\\$&');
    return texts
      .filter((text) => !text.startsWith('internal:'))
      .map((text) => new RegExp(`^${text.split(HOLE).map(escape).join('.*')}$`));
  }
});
