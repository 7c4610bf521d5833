// Arithmetic: broadcasting sums, differences, products, quotients; the affine map; limits.
// Kernels: kernels/elementwise. Read after: op.ts.

import {
  affineKernel, binaryKernels, clampBackwardKernel, clampKernel, type BinaryName,
} from '../../kernels/elementwise/elementwise.ts';
import { ConfigError, ShapeError } from '../errors.ts';
import { awayFrom0, Call, defineOp, normal, run, type Cases, type Op } from '../op.ts';
import { anyNumber, optional } from '../options.ts';
import { broadcast, show, type Shape } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { sumTo } from './reduce.ts';

type Binary = Op<readonly [a: Tensor, b: Tensor], object>;

/** a + b, broadcasting. */
export const add: Binary = binaryOp('add', (g) => g, (g) => g);

/** a - b, broadcasting. */
export const sub: Binary = binaryOp('sub', (g) => g, (g) => affine(g, { factor: -1 }));

/** a b elementwise, broadcasting. */
export const mul: Binary = binaryOp('mul', (g, _, b) => mul(g, b), (g, a) => mul(g, a));

/** a / b, broadcasting. */
export const div: Binary = binaryOp(
  'div',
  (g, _, b) => div(g, b),
  (g, a, b) => affine(mul(g, div(a, mul(b, b))), { factor: -1 }),
  awayFrom0,
);

/** The larger of a and b; where they are equal the gradient goes to a. */
export const maximum: Binary = binaryOp(
  'maximum',
  (g, a, b) => mul(g, atLeast(a, b)),
  (g, a, b) => sub(g, mul(g, atLeast(a, b))),
);

/** The smaller of a and b; where they are equal the gradient goes to a. */
export const minimum: Binary = binaryOp(
  'minimum',
  (g, a, b) => mul(g, atLeast(b, a)),
  (g, a, b) => sub(g, mul(g, atLeast(b, a))),
);

const atLeastCall = new Call('atLeast', { a: 'f32', b: 'f32' });

/** 1 where a >= b, else 0: a constant to the tape. */
export function atLeast(a: Tensor, b: Tensor): Tensor {
  atLeastCall.check(arguments);
  return runBinary('atLeast', a, b, empty({ shape: broadcast('atLeast', a.shape, b.shape), dtype: 'f32' }));
}

/** factor x + offset; factor 1 and offset 0 unless given. Both may be infinite. */
export const affine: Op<readonly [x: Tensor], { readonly factor?: number; readonly offset?: number }> = defineOp({
  name: 'affine',
  takes: { x: 'f32' },
  attrs: { factor: optional(anyNumber), offset: optional(anyNumber) },
  infer: ([x]) => [{ shape: x.shape, dtype: 'f32' }],
  forward(run, [x], [out], { factor = 1, offset = 0 }) {
    run(affineKernel, { x: x.storage, out: out.storage }, { n: x.size, factor, offset });
  },
  backward: (grad, { attrs: { factor = 1 } }, need) => [
    need(0, () => (factor === 1 ? grad : affine(grad, { factor }))),
  ],
  cases: {
    dims: { M: [1, 5], N: [1, 5] },
    attrs: [() => ({ factor: -2 }), () => ({ factor: 0.5, offset: 3 }), () => ({})],
    inputs: ({ M, N }) => [normal(M!, N!)],
  },
});

/** x limited to [low, high], which may be infinite; no gradient outside. Throws ConfigError when low is above high. */
export const clamp: Op<readonly [x: Tensor], { readonly low: number; readonly high: number }> = defineOp({
  name: 'clamp',
  takes: { x: 'f32' },
  attrs: { low: anyNumber, high: anyNumber },
  infer([x], { low, high }) {
    if (low > high) throw new ConfigError(`clamp: low ${low}, high ${high}: low must not be above high`);
    return [{ shape: x.shape, dtype: 'f32' }];
  },
  forward(run, [x], [out], limits) {
    run(clampKernel, { x: x.storage, out: out.storage }, { n: x.size, ...limits });
  },
  backward: (grad, { inputs: [x], attrs }, need) => [
    need(0, () => {
      const dx = empty(x);
      run(clampBackwardKernel, { x: x.storage, dy: grad.storage, dx: dx.storage }, { n: x.size, ...attrs });
      return dx;
    }),
  ],
  cases: {
    dims: { N: [1, 9] },
    attrs: [() => ({ low: -0.05, high: 0.05 }), () => ({ low: -9, high: 9 })],
    inputs: ({ N }) => [awayFrom0(N!)],
  },
});

type PartialGradient = (g: Tensor, a: Tensor, b: Tensor) => Tensor;

function binaryOp(name: BinaryName, da: PartialGradient, db: PartialGradient, right = normal): Binary {
  return defineOp({
    name,
    takes: { a: 'f32', b: 'f32' },
    infer: ([a, b]) => [{ shape: broadcast(name, a.shape, b.shape), dtype: 'f32' }],
    forward(_, [a, b], [out]) {
      runBinary(name, a, b, out);
    },
    backward: (grad, { inputs: [a, b] }, need) => [
      need(0, () => sumTo(da(grad, a, b), a.shape)),
      need(1, () => sumTo(db(grad, a, b), b.shape)),
    ],
    cases: broadcastCases(right),
  });
}

/** Shapes that broadcast in every way: equal, a row, a column, a scalar, missing leading axes, on either side. */
function broadcastCases(right: typeof normal): Cases<object> {
  return {
    dims: { kind: [0, 5], L: [1, 3], M: [1, 4], N: [1, 4] },
    inputs({ kind, L, M, N }) {
      const full = [L!, M!, N!];
      const other = [full, [N!], [M!, 1], [], [L!, 1, N!], full][kind!]!;
      return kind === 5 ? [normal(M!, 1), right(...full)] : [normal(...full), right(...other)];
    },
  };
}

function runBinary(name: BinaryName, a: Tensor, b: Tensor, out: Tensor): Tensor {
  const { dims, stepsA, stepsB } = broadcastSteps(name, a.shape, b.shape, out.shape);
  const [d0, d1, d2, d3] = dims;
  const [a0, a1, a2, a3] = stepsA;
  const [b0, b1, b2, b3] = stepsB;
  run(
    binaryKernels[name],
    { a: a.storage, b: b.storage, out: out.storage },
    { d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3 },
  );
  return out;
}

type Four = [number, number, number, number];

/** Merges axes that both operands walk alike, so that most cases become one or two loops; the kernel has four. */
function broadcastSteps(name: string, a: Shape, b: Shape, out: Shape): { dims: Four; stepsA: Four; stepsB: Four } {
  const merged: { d: number; a: number; b: number }[] = [];
  let stepA = 1;
  let stepB = 1;
  for (let i = 1; i <= out.length; i++) {
    const d = out[out.length - i]!;
    const da = a[a.length - i] ?? 1;
    const db = b[b.length - i] ?? 1;
    const axis = { d, a: da === 1 ? 0 : stepA, b: db === 1 ? 0 : stepB };
    const last = merged[0];
    stepA *= da;
    stepB *= db;
    if (d === 1) continue;
    if (last && axis.a === last.a * last.d && axis.b === last.b * last.d) last.d *= d;
    else merged.unshift(axis);
  }
  if (merged.length > 4) {
    throw new ShapeError(
      `${name}: ${show(a)} and ${show(b)}: broadcast over more than four groups of axes: reshape first`,
    );
  }
  while (merged.length < 4) merged.unshift({ d: 1, a: 0, b: 0 });
  return {
    dims: merged.map((x) => x.d) as Four,
    stepsA: merged.map((x) => x.a) as Four,
    stepsB: merged.map((x) => x.b) as Four,
  };
}
