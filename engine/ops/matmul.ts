// The matrix product, alone and with what a layer adds to it in the same pass.
// Kernel: kernels/matmul. Read after: op.ts.

import { matmulKernel } from '../../kernels/matmul/matmul.ts';
import { ShapeError } from '../errors.ts';
import { defineOp, normal, run, type Op } from '../op.ts';
import { optional, toggle } from '../options.ts';
import { sameShape, show, type Shape, type Spec } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { sumTo } from './reduce.ts';
import { reshape } from './shape.ts';

interface MatmulAttrs {
  readonly transA?: boolean;
  readonly transB?: boolean;
}

/**
 * Matrix product over the last two axes: [...,M,K] x [...,K,N] -> [...,M,N]; transA takes a as [...,K,M], transB takes
 * b as [...,N,K]. Leading axes are a batch: equal on both sides, or absent from b, which is then shared ([...,M,K] x
 * [K,N]). Throws ShapeError when the inner dimensions or the batches differ.
 */
export const matmul: Op<readonly [a: Tensor, b: Tensor], MatmulAttrs> = defineOp({
  name: 'matmul',
  takes: { a: 'f32', b: 'f32' },
  attrs: { transA: optional(toggle), transB: optional(toggle) },
  infer([a, b], attrs) {
    const { M, N } = matmulSizes(a.shape, b.shape, attrs);
    return [{ shape: [...a.shape.slice(0, -2), M, N], dtype: 'f32' }];
  },
  forward(_, [a, b], [out], attrs) {
    runMatmul(a, b, out, attrs);
  },
  backward(grad, { inputs: [a, b], attrs: { transA = false, transB = false } }, need) {
    const shared = b.shape.length < a.shape.length;
    return [
      need(0, () =>
        transA ? matmul(b, grad, { transA: transB, transB: true }) : matmul(grad, b, { transB: !transB }),
      ),
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
      const b = transB ? [N!, K!] : [K!, N!];
      const batched = [...(L! > 1 ? [L!] : [])];
      if (L === 3 && !transA) return [normal(L, M!, K!), normal(...b)]; // a batch with a shared right side
      return [normal(...batched, ...(transA ? [K!, M!] : [M!, K!])), normal(...batched, ...b)];
    },
  },
});

/**
 * x W' with what is added to it in the same pass: x [...,M,K], weight [N,K] -> [...,M,N]. `added` may hold a bias [N]
 * and a residual of the result's shape; the bias is added first. Throws ShapeError when the inner dimensions differ, or
 * something else is to be added.
 */
export const linear: Op<readonly [x: Tensor, weight: Tensor, ...added: Tensor[]], object> = defineOp({
  name: 'linear',
  takes: { x: 'f32', weight: 'f32', '...added': 'f32' },
  infer([x, weight, ...added]) {
    const [out] = matmul.def.infer([x, weight], { transB: true });
    const { bias, residual } = addends(added, out.shape);
    if (+!!bias + +!!residual === added.length) return [out];
    const given = added.map(({ shape }) => show(shape)).join(', ');
    throw new ShapeError(
      `linear: ${show(x.shape)} x ${show(weight.shape)}' + ${given}: may be added: one bias ` +
      `${show(out.shape.slice(-1))}, one residual ${show(out.shape)}`,
    );
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
      const lead = L! > 1 ? [L!, M!] : [M!];
      const bias = normal(N!);
      const residual = normal(...lead, N!);
      return [
        normal(...lead, K!),
        normal(N!, K!),
        ...[[], [bias], [residual], [bias, residual], [residual, bias]][kind!]!,
      ];
    },
  },
});

/** Which is which: a bias has one axis, a residual the shape of the result. */
function addends<T extends Spec>(
  added: readonly T[],
  out: Shape,
): { readonly bias?: T | undefined; readonly residual?: T | undefined } {
  return {
    bias: added.find(({ shape }) => shape.length === 1 && shape[0] === out.at(-1)),
    residual: added.find(({ shape }) => sameShape(shape, out)),
  };
}

function matmulSizes(
  a: Shape,
  b: Shape,
  { transA = false, transB = false }: MatmulAttrs,
): { M: number; N: number; K: number } {
  const wrong = (what: string): ShapeError =>
    new ShapeError(`matmul: ${show(a)}${transA ? "'" : ''} x ${show(b)}${transB ? "'" : ''}: ${what}`);
  if (a.length < 2 || b.length < 2) throw wrong('both need at least two axes');
  const M = a.at(transA ? -1 : -2)!;
  const K = a.at(transA ? -2 : -1)!;
  const K2 = b.at(transB ? -1 : -2)!;
  const N = b.at(transB ? -2 : -1)!;
  if (K !== K2) throw wrong(`inner dimensions ${K} and ${K2} differ`);
  const shared = b.length === 2 && a.length > 2;
  const isBatch = a.length > 2 || b.length > 2;
  if (isBatch && !shared && !sameShape(a.slice(0, -2), b.slice(0, -2))) {
    throw wrong(`batches ${show(a.slice(0, -2))} and ${show(b.slice(0, -2))} differ`);
  }
  if (shared && transA) throw wrong('a transposed batch needs a batch on the right too');
  return { M, N, K };
}

interface Additions {
  readonly accumulate?: boolean;
  readonly bias?: Tensor | undefined;
  readonly residual?: Tensor | undefined;
}

/** Runs the product into `out`, or adds it there. A shared right side makes the batch more rows of one product. */
function runMatmul(
  a: Tensor,
  b: Tensor,
  out: Tensor,
  attrs: MatmulAttrs,
  { accumulate = false, bias, residual }: Additions = {},
): Tensor {
  const { M, N, K } = matmulSizes(a.shape, b.shape, attrs);
  const batch = a.size / (M * K);
  const shared = b.shape.length < a.shape.length;
  run(
    matmulKernel,
    { a: a.storage, b: b.storage, bias: (bias ?? b).storage, residual: (residual ?? b).storage, out: out.storage },
    {
      batch: shared ? 1 : batch,
      M: shared ? batch * M : M,
      N,
      K,
      strideA: M * K,
      strideB: K * N,
      transA: +(attrs.transA ?? false),
      transB: +(attrs.transB ?? false),
      accumulate: +accumulate,
      addBias: +!!bias,
      addResidual: +!!residual,
    },
  );
  return out;
}

function flatRows(x: Tensor): Tensor {
  return reshape(x, { shape: [-1, x.shape.at(-1)!] });
}
