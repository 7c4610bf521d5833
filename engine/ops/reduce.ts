// Sums and maxima, along one axis or over everything; and the sum that undoes a broadcast.
// Kernels: kernels/reduce. Read next: mean.ts.

import { permuteKernel } from '../../kernels/copy/copy.ts';
import { maxBackwardKernel, maxKernel, sumKernel } from '../../kernels/reduce/reduce.ts';
import { ShapeError } from '../errors.ts';
import { Call, defineOp, normal, run, type Cases, type Op } from '../op.ts';
import { integer, optional, type Rules } from '../options.ts';
import {
  around, axisOf, broadcast, checkShape, fourAxes, sameShape, show, sizeOf, stepsOf, wholeNumbers, type Shape,
} from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { reshape } from './shape.ts';

/** What a sum, mean or maximum is taken over. */
export interface Along {
  /** The axis to reduce (negative: from the end); absent: all elements, giving a scalar. */
  readonly axis?: number;
}

const along: Rules<Along> = { axis: optional(integer) };

/** Sum along an axis, or of everything. [2,3] along 0 -> [3]. */
export const sum: Op<readonly [x: Tensor], Along> = defineOp({
  name: 'sum',
  takes: { x: 'f32' },
  attrs: along,
  infer: ([x], { axis }) => [{ shape: reduced('sum', x.shape, axis), dtype: 'f32' }],
  forward(run, [x], [out], { axis }) {
    run(sumKernel, { x: x.storage, out: out.storage }, { ...split(x.shape, axis), factor: 1 });
  },
  backward: (grad, { inputs: [x], attrs: { axis } }, need) => [
    need(0, () => broadcastTo(reshape(grad, { shape: kept(x.shape, axis) }), { shape: x.shape })),
  ],
  cases: reduceCases(),
});

/** Largest value along an axis, or of everything; the gradient goes to the first of equals. */
export const max: Op<readonly [x: Tensor], Along> = defineOp({
  name: 'max',
  takes: { x: 'f32' },
  attrs: along,
  infer: ([x], { axis }) => [{ shape: reduced('max', x.shape, axis), dtype: 'f32' }],
  forward(run, [x], [out], { axis }) {
    run(maxKernel, { x: x.storage, out: out.storage }, split(x.shape, axis));
  },
  backward: (grad, { inputs: [x], outputs: [y], attrs: { axis } }, need) => [need(0, () => {
    const dx = empty(x);
    run(maxBackwardKernel, { x: x.storage, y: y.storage, dy: grad.storage, dx: dx.storage }, split(x.shape, axis));
    return dx;
  })],
  cases: reduceCases(),
});

/** Repeats a tensor along axes of size 1 and along new leading axes: [3] to [4,3]. Up to four axes. */
export const broadcastTo: Op<readonly [x: Tensor], { readonly shape: Shape }> = defineOp({
  name: 'broadcastTo',
  takes: { x: 'any' },
  attrs: { shape: wholeNumbers },
  infer([x], { shape }) {
    const where = `broadcastTo: ${show(x.shape)} -> ${show(shape)}`;
    checkShape('broadcastTo', shape);
    if (!sameShape(broadcast('broadcastTo', x.shape, shape), shape)) {
      throw new ShapeError(`${where}: the first does not broadcast to the second`);
    }
    if (shape.length > 4) throw new ShapeError(`${where}: has more than four axes: reshape first`);
    return [{ shape: [...shape], dtype: x.dtype }];
  },
  forward(run, [x], [out], { shape }) {
    const steps = stepsOf(x.shape).map((step, axis) => (x.shape[axis] === 1 ? 0 : step));
    run(permuteKernel, { x: x.storage, out: out.storage }, fourAxes(shape, steps));
  },
  backward: (grad, { inputs: [x] }, need) => [need(0, () => sumTo(grad, x.shape))],
  cases: {
    dims: { kind: [0, 3], L: [1, 3], M: [1, 4], N: [1, 4] },
    attrs: [({ L, M, N }) => ({ shape: [L!, M!, N!] })],
    inputs: ({ kind, L, M, N }) => [normal(...[[N!], [M!, 1], [L!, 1, N!], []][kind!]!)],
  },
});

const sumToCall = new Call('sumTo', { x: 'f32' }, { shape: wholeNumbers });

/**
 * Sums the axes that a broadcast stretched, back to `shape`: [4,3] to [3], or to [4,1]. Throws ShapeError when `shape`
 * does not broadcast to that of x.
 */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  sumToCall.check([x, { shape }, ...[...arguments].slice(2)]);
  if (!sameShape(broadcast('sumTo', x.shape, shape), x.shape)) {
    throw new ShapeError(`sumTo: ${show(x.shape)} -> ${show(shape)}: the second does not broadcast to the first`);
  }
  const added = x.shape.length - shape.length;
  let result = x;
  for (let i = x.shape.length - 1; i >= 0; i--) {
    if (x.shape[i] === 1 || (i >= added && shape[i - added] !== 1)) continue;
    let first = i; // neighbouring stretched axes are one
    while (first > 0 && (first - 1 < added || shape[first - 1 - added] === 1)) first--;
    const outer = sizeOf(x.shape.slice(0, first));
    const length = sizeOf(x.shape.slice(first, i + 1));
    result = sum(reshape(result, { shape: [outer, length, result.size / (outer * length)] }), { axis: 1 });
    i = first;
  }
  return sameShape(result.shape, shape) ? result : reshape(result, { shape });
}

function reduced(where: string, shape: Shape, axis: number | undefined): Shape {
  if (axis === undefined) return [];
  const at = axisOf(where, shape, axis);
  return shape.filter((_, i) => i !== at);
}

/** The reduced shape with its axis kept at size 1. */
function kept(shape: Shape, axis: number | undefined): Shape {
  return axis === undefined ? shape.map(() => 1) : shape.with(axis, 1);
}

function split(shape: Shape, axis: number | undefined): { outer: number; length: number; inner: number } {
  return axis === undefined
    ? { outer: 1, length: sizeOf(shape), inner: 1 }
    : around(shape, axisOf('reduce', shape, axis));
}

function reduceCases(): Cases<Along> {
  return {
    dims: { L: [1, 4], M: [1, 4], N: [1, 4] },
    attrs: [() => ({}), () => ({ axis: 0 }), () => ({ axis: 1 }), () => ({ axis: -1 })],
    inputs: ({ L, M, N }) => [normal(L!, M!, N!)],
  };
}
