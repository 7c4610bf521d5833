// Arithmetic: broadcasting sums, differences, products, quotients; the affine map; limits; and the matrix product, alone and with what a layer adds.
// Kernels: kernels/elementwise, kernels/matmul. Read after: op.ts.

import { affineKernel, binaryKernels, clampBackwardKernel, clampKernel, type BinaryName } from '../../kernels/elementwise/elementwise.ts';
import { matmulKernel } from '../../kernels/matmul/matmul.ts';
import { ShapeError } from '../errors.ts';
import { awayFrom0, defineOp, normal, run, type Cases, type Op } from '../op.ts';
import { broadcast, sameShape, show, sizeOf, type Shape, type Spec } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { sumTo } from './reduce.ts';
import { reshape } from './shape.ts';

type Binary = Op<readonly [a: Tensor, b: Tensor], object>;

/** a + b, broadcasting. */
export const add: Binary = binaryOp('add', (g) => g, (g) => g);

/** a - b, broadcasting. */
export const sub: Binary = binaryOp('sub', (g) => g, (g) => affine(g, { factor: -1 }));

/** a b elementwise, broadcasting. */
export const mul: Binary = binaryOp('mul', (g, _, b) => mul(g, b), (g, a) => mul(g, a));

/** a / b, broadcasting. */
export const div: Binary = binaryOp('div', (g, _, b) => div(g, b), (g, a, b) => affine(mul(g, div(a, mul(b, b))), { factor: -1 }), awayFrom0);

/** The larger of a and b; where they are equal the gradient goes to a. */
export const maximum: Binary = binaryOp('maximum', (g, a, b) => mul(g, atLeast(a, b)), (g, a, b) => sub(g, mul(g, atLeast(a, b))));

/** The smaller of a and b; where they are equal the gradient goes to a. */
export const minimum: Binary = binaryOp('minimum', (g, a, b) => mul(g, atLeast(b, a)), (g, a, b) => sub(g, mul(g, atLeast(b, a))));

/** 1 where a >= b, else 0: a constant to the tape. */
export function atLeast(a: Tensor, b: Tensor): Tensor {
  return runBinary('atLeast', a, b, empty({ shape: broadcast('atLeast', a.shape, b.shape), dtype: 'f32' }));
}

/** factor x + offset; factor 1 and offset 0 unless given. */
export const affine: Op<readonly [x: Tensor], { readonly factor?: number; readonly offset?: number }> = defineOp({
  name: 'affine',
  infer: ([x]) => [{ shape: x.shape, dtype: 'f32' }],
  forward(run, [x], [out], { factor = 1, offset = 0 }) {
    run(affineKernel, { x: x.storage, out: out.storage }, { n: x.size, factor, offset });
  },
  backward: (grad, { attrs: { factor = 1 } }, need) => [need(0, () => (factor === 1 ? grad : affine(grad, { factor })))],
  cases: { dims: { M: [1, 5], N: [1, 5] }, attrs: [() => ({ factor: -2 }), () => ({ factor: 0.5, offset: 3 }), () => ({})], inputs: ({ M, N }) => [normal(M!, N!)] },
});

/** x limited to [low, high]; no gradient outside. */
export const clamp: Op<readonly [x: Tensor], { readonly low: number; readonly high: number }> = defineOp({
  name: 'clamp',
  infer: ([x]) => [{ shape: x.shape, dtype: 'f32' }],
  forward(run, [x], [out], limits) {
    run(clampKernel, { x: x.storage, out: out.storage }, { n: x.size, ...limits });
  },
  backward: (grad, { inputs: [x], attrs }, need) => [need(0, () => {
    const dx = empty(x);
    run(clampBackwardKernel, { x: x.storage, dy: grad.storage, dx: dx.storage }, { n: x.size, ...attrs });
    return dx;
  })],
  cases: { dims: { N: [1, 9] }, attrs: [() => ({ low: -0.05, high: 0.05 }), () => ({ low: -9, high: 9 })], inputs: ({ N }) => [awayFrom0(N!)] },
});

interface MatmulAttrs {
  readonly transA?: boolean;
  readonly transB?: boolean;
}

/**
 * Matrix product over the last two axes: [...,M,K] x [...,K,N] -> [...,M,N]; transA takes a as [...,K,M], transB takes b as [...,N,K].
 * Leading axes are a batch: equal on both sides, or absent from b, which is then shared ([...,M,K] x [K,N]).
 * Throws ShapeError when the inner dimensions or the batches differ.
 */
export const matmul: Op<readonly [a: Tensor, b: Tensor], MatmulAttrs> = defineOp({
  name: 'matmul',
  infer([a, b], attrs) {
    const { lead, M, N } = matmulSizes(a.shape, b.shape, attrs);
    return [{ shape: [...lead, M, N], dtype: 'f32' }];
  },
  forward(_, [a, b], [out], attrs) {
    runMatmul(a, b, out, attrs);
  },
  backward(grad, { inputs: [a, b], attrs: { transA = false, transB = false } }, need) {
    const shared = b.shape.length < a.shape.length;
    return [
      need(0, () => (transA ? matmul(b, grad, { transA: transB, transB: true }) : matmul(grad, b, { transB: !transB }))),
      need(1, (into) => {
        // A shared b sees the whole batch as more rows, so its gradient is one product over all of them.
        const [x, g] = shared ? [flatRows(a), flatRows(grad)] : [a, grad];
        const [left, right, flips] = transB ? [g, x, { transA: true, transB: transA }] : [x, g, { transA: !transA }];
        return into ? runMatmul(left, right, into, flips, { accumulate: true }) : matmul(left, right, flips);
      }),
    ];
  },
  cases: {
    dims: { L: [1, 3], M: [1, 6], N: [1, 6], K: [1, 6] },
    attrs: [() => ({}), () => ({ transA: true }), () => ({ transB: true }), () => ({ transA: true, transB: true })],
    inputs: ({ L, M, N, K }, { transA, transB }) => {
      const b = transB ? [N!, K!] : [K!, N!], batched = [...(L! > 1 ? [L!] : [])];
      if (L === 3 && !transA) return [normal(L, M!, K!), normal(...b)]; // a batch with a shared right side
      return [normal(...batched, ...(transA ? [K!, M!] : [M!, K!])), normal(...batched, ...b)];
    },
  },
});

/**
 * x W' with what is added to it in the same pass: x [...,M,K], weight [N,K] -> [...,M,N]. `added` may hold a bias [N] and a residual of
 * the result's shape; the bias is added first. Throws ShapeError when the inner dimensions differ, or something else is to be added.
 */
export const linear: Op<readonly [x: Tensor, weight: Tensor, ...added: Tensor[]], object> = defineOp({
  name: 'linear',
  infer([x, weight, ...added]) {
    const [out] = matmul.def.infer([x, weight], { transB: true }), { bias, residual } = addends(added, out.shape);
    if (+!!bias + +!!residual === added.length) return [out];
    const given = added.map(({ shape }) => show(shape)).join(', ');
    throw new ShapeError(`linear: ${show(x.shape)} x ${show(weight.shape)}' + ${given}: may be added: one bias ${show(out.shape.slice(-1))}, one residual ${show(out.shape)}`);
  },
  forward(_, [x, weight, ...added], [out]) {
    runMatmul(x, weight, out, { transB: true }, addends(added, out.shape));
  },
  backward: (grad, { inputs: [x, weight, ...added], outputs }, need) => [
    ...matmul.def.backward(grad, { inputs: [x, weight], outputs, attrs: { transB: true } }, need),
    ...added.map(({ shape }, i) => need(2 + i, () => sumTo(grad, shape))),
  ],
  cases: {
    dims: { kind: [0, 4], L: [1, 2], M: [1, 4], N: [1, 4], K: [1, 4] },
    inputs({ kind, L, M, N, K }) {
      const lead = L! > 1 ? [L!, M!] : [M!], bias = normal(N!), residual = normal(...lead, N!);
      return [normal(...lead, K!), normal(N!, K!), ...[[], [bias], [residual], [bias, residual], [residual, bias]][kind!]!];
    },
  },
});

/** Which is which: a bias has one axis, a residual the shape of the result. */
function addends<T extends Spec>(added: readonly T[], out: Shape): { readonly bias?: T | undefined; readonly residual?: T | undefined } {
  return { bias: added.find(({ shape }) => sameShape(shape, out.slice(-1))), residual: added.find(({ shape }) => sameShape(shape, out)) };
}

function matmulSizes(a: Shape, b: Shape, { transA = false, transB = false }: MatmulAttrs): { lead: Shape; M: number; N: number; K: number } {
  const where = `matmul: ${show(a)}${transA ? "'" : ''} x ${show(b)}${transB ? "'" : ''}`;
  if (a.length < 2 || b.length < 2) throw new ShapeError(`${where}: both need at least two axes`);
  const lead = a.slice(0, -2), [r, c] = a.slice(-2) as [number, number], [r2, c2] = b.slice(-2) as [number, number];
  const [M, K] = transA ? [c, r] : [r, c], [K2, N] = transB ? [c2, r2] : [r2, c2];
  if (K !== K2) throw new ShapeError(`${where}: inner dimensions ${K} and ${K2} differ`);
  const shared = b.length === 2 && a.length > 2;
  if (!shared && show(lead) !== show(b.slice(0, -2))) throw new ShapeError(`${where}: batches ${show(lead)} and ${show(b.slice(0, -2))} differ`);
  if (shared && transA) throw new ShapeError(`${where}: a transposed batch needs a batch on the right too`);
  return { lead, M, N, K };
}

interface Additions {
  readonly accumulate?: boolean;
  readonly bias?: Tensor | undefined;
  readonly residual?: Tensor | undefined;
}

/** Runs the product into `out`, or adds it there. A shared right side makes the batch more rows of one product. */
function runMatmul(a: Tensor, b: Tensor, out: Tensor, attrs: MatmulAttrs, { accumulate = false, bias, residual }: Additions = {}): Tensor {
  const { lead, M, N, K } = matmulSizes(a.shape, b.shape, attrs), batch = sizeOf(lead), shared = b.shape.length < a.shape.length;
  run(matmulKernel, { a: a.storage, b: b.storage, bias: (bias ?? b).storage, residual: (residual ?? b).storage, out: out.storage }, {
    batch: shared ? 1 : batch, M: shared ? batch * M : M, N, K, strideA: M * K, strideB: K * N,
    transA: +(attrs.transA ?? false), transB: +(attrs.transB ?? false), accumulate: +accumulate, addBias: +!!bias, addResidual: +!!residual,
  });
  return out;
}

function flatRows(x: Tensor): Tensor {
  return reshape(x, { shape: [-1, x.shape.at(-1)!] });
}

type Partial = (g: Tensor, a: Tensor, b: Tensor) => Tensor;

function binaryOp(name: BinaryName, da: Partial, db: Partial, right = normal): Binary {
  return defineOp({
    name,
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
      const full = [L!, M!, N!], other = [full, [N!], [M!, 1], [], [L!, 1, N!], full][kind!]!;
      return kind === 5 ? [normal(M!, 1), right(...full)] : [normal(...full), right(...other)];
    },
  };
}

function runBinary(name: BinaryName, a: Tensor, b: Tensor, out: Tensor): Tensor {
  const { dims, stepsA, stepsB } = broadcastSteps(name, a.shape, b.shape, out.shape);
  const [d0, d1, d2, d3] = dims, [a0, a1, a2, a3] = stepsA, [b0, b1, b2, b3] = stepsB;
  run(binaryKernels[name], { a: a.storage, b: b.storage, out: out.storage }, { d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3 });
  return out;
}

type Four = [number, number, number, number];

/** Merges axes that both operands walk alike, so that most cases become one or two loops; the kernel has four. */
function broadcastSteps(name: string, a: Shape, b: Shape, out: Shape): { dims: Four; stepsA: Four; stepsB: Four } {
  const merged: { d: number; a: number; b: number }[] = [];
  let stepA = 1, stepB = 1;
  for (let i = 1; i <= out.length; i++) {
    const d = out[out.length - i]!, da = a[a.length - i] ?? 1, db = b[b.length - i] ?? 1;
    const axis = { d, a: da === 1 ? 0 : stepA, b: db === 1 ? 0 : stepB }, last = merged[0];
    stepA *= da;
    stepB *= db;
    if (d === 1) continue;
    if (last && axis.a === last.a * last.d && axis.b === last.b * last.d) last.d *= d;
    else merged.unshift(axis);
  }
  if (merged.length > 4) throw new ShapeError(`${name}: ${show(a)} and ${show(b)}: broadcast over more than four groups of axes: reshape first`);
  while (merged.length < 4) merged.unshift({ d: 1, a: 0, b: 0 });
  return { dims: merged.map((x) => x.d) as Four, stepsA: merged.map((x) => x.a) as Four, stepsB: merged.map((x) => x.b) as Four };
}
