// Ops that move elements and compute nothing: reshape (free), permute, slice, concat.
// Kernels: kernels/copy. Read after: ../shape.ts.

import { copyRowsKernel, fillKernel, permuteKernel } from '../../kernels/copy/copy.ts';
import { ShapeError } from '../errors.ts';
import { defineOp, normal, run, type Op } from '../op.ts';
import { integer } from '../options.ts';
import { around, axisOf, fourAxes, reshaped, show, stepsOf, wholeNumbers, type Shape } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';

/** The same elements in another shape; one size may be -1. Costs nothing. */
export const reshape: Op<readonly [x: Tensor], { readonly shape: Shape }> = defineOp({
  name: 'reshape',
  takes: { x: 'any' },
  attrs: { shape: wholeNumbers },
  infer: ([x], { shape }) => [{ shape: reshaped('reshape', x.shape, shape), dtype: x.dtype }],
  view: true,
  forward() {},
  backward: (grad, { inputs: [x] }, need) => [need(0, () => reshape(grad, { shape: x.shape }))],
  cases: {
    dims: { M: [1, 4], N: [1, 4] },
    attrs: [() => ({ shape: [-1] }), ({ N }) => ({ shape: [N!, -1, 1] })],
    inputs: ({ M, N }) => [normal(M!, N!)],
  },
});

/** Reorders axes (at most four): order[i] is the input axis that becomes axis i. */
export const permute: Op<readonly [x: Tensor], { readonly order: readonly number[] }> = defineOp({
  name: 'permute',
  takes: { x: 'any' },
  attrs: { order: wholeNumbers },
  infer([x], { order }) {
    const valid = order.length === x.shape.length && [...order].sort((a, b) => a - b).every((axis, i) => axis === i);
    if (!valid) {
      throw new ShapeError(
        `permute: ${show(x.shape)} by ${show(order)}: the order must name each of its ${x.shape.length} axes once`,
      );
    }
    if (order.length > 4) throw new ShapeError(`permute: ${show(x.shape)}: has more than four axes: reshape first`);
    return [{ shape: order.map((axis) => x.shape[axis]!), dtype: x.dtype }];
  },
  forward(run, [x], [out], { order }) {
    const steps = stepsOf(x.shape);
    const reordered = order.map((axis) => steps[axis]!);
    run(permuteKernel, { x: x.storage, out: out.storage }, fourAxes(out.shape, reordered));
  },
  backward: (grad, { attrs: { order } }, need) => [
    need(0, () => permute(grad, { order: order.map((_, axis) => order.indexOf(axis)) })),
  ],
  cases: {
    dims: { A: [1, 3], B: [1, 3], C: [1, 3], D: [1, 3] },
    attrs: [() => ({ order: [1, 0, 2, 3] }), () => ({ order: [3, 1, 0, 2] }), () => ({ order: [0, 2, 1, 3] })],
    inputs: ({ A, B, C, D }) => [normal(A!, B!, C!, D!)],
  },
});

/** Elements start..end-1 of one axis. */
export const slice: Op<readonly [x: Tensor], { readonly axis: number; readonly start: number; readonly end: number }> =
  defineOp({
    name: 'slice',
    takes: { x: 'any' },
    attrs: { axis: integer, start: integer, end: integer },
    infer([x], { axis, start, end }) {
      const at = axisOf('slice', x.shape, axis);
      const length = x.shape[at]!;
      const valid = Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start < end && end <= length;
      if (!valid) {
        throw new ShapeError(
          `slice: ${show(x.shape)} axis ${axis} from ${start} to ${end}: must lie within 0..${length} and hold ` +
          'something',
        );
      }
      return [{ shape: x.shape.with(at, end - start), dtype: x.dtype }];
    },
    forward(_, [x], [out], { axis, start, end }) {
      copyRows([x, start], [out, 0], axisOf('slice', x.shape, axis), end - start);
    },
    backward: (grad, { inputs: [x], attrs: { axis, start, end } }, need) => [
      need(0, () => {
        const dx = empty(x);
        run(fillKernel, { out: dx.storage }, { n: dx.size, value: 0 });
        copyRows([grad, 0], [dx, start], axisOf('slice', x.shape, axis), end - start);
        return dx;
      }),
    ],
    cases: {
      dims: { L: [1, 3], M: [2, 5], N: [1, 3] },
      attrs: [
        () => ({ axis: 1, start: 0, end: 2 }),
        () => ({ axis: -2, start: 1, end: 2 }),
        ({ M }) => ({ axis: 1, start: 0, end: M! }),
      ],
      inputs: ({ L, M, N }) => [normal(L!, M!, N!)],
    },
  });

/** Joins tensors along an axis; their other sizes and their element types must agree. */
export const concat: Op<readonly Tensor[], { readonly axis: number }> = defineOp({
  name: 'concat',
  takes: { '...tensors': 'any' },
  attrs: { axis: integer },
  infer(inputs, { axis }) {
    const [first] = inputs;
    if (!first) throw new ShapeError('concat: no tensors: needs at least one');
    const at = axisOf('concat', first.shape, axis);
    for (const x of inputs) {
      const fits = x.shape.length === first.shape.length && x.shape.every((d, i) => i === at || d === first.shape[i]);
      if (!fits) {
        throw new ShapeError(
          `concat: ${show(first.shape)} and ${show(x.shape)} along axis ${axis}: their other sizes differ`,
        );
      }
      if (x.dtype !== first.dtype) throw new ShapeError(`concat: ${first.dtype} and ${x.dtype}: element types differ`);
    }
    return [
      {
        shape: first.shape.with(
          at,
          inputs.reduce((total, x) => total + x.shape[at]!, 0),
        ),
        dtype: first.dtype,
      },
    ];
  },
  forward(_, inputs, [out], { axis }) {
    const at = axisOf('concat', out.shape, axis);
    let start = 0;
    for (const x of inputs) {
      copyRows([x, 0], [out, start], at, x.shape[at]!);
      start += x.shape[at]!;
    }
  },
  backward(grad, { inputs, attrs: { axis } }, need) {
    const at = axisOf('concat', grad.shape, axis);
    let end = 0;
    return inputs.map((x, i) => {
      const start = end;
      end += x.shape[at]!;
      return need(i, () => slice(grad, { axis: at, start, end: start + x.shape[at]! }));
    });
  },
  cases: {
    dims: { L: [1, 3], M: [1, 3], N: [1, 3] },
    attrs: [() => ({ axis: 0 }), () => ({ axis: 1 }), () => ({ axis: -1 })],
    inputs: ({ L, M, N }, { axis }) => [
      normal(L!, M!, N!),
      normal(...[L!, M!, N!].with(axis < 0 ? axis + 3 : axis, 2)),
      normal(L!, M!, N!),
    ],
  },
});


/** `count` rows along an axis, from a place in one tensor to a place in another. */
function copyRows(
  [x, xStart]: readonly [Tensor, number],
  [out, outStart]: readonly [Tensor, number],
  axis: number,
  count: number,
): void {
  const { outer, length: xRows, inner } = around(x.shape, axis);
  run(
    copyRowsKernel,
    { x: x.storage, out: out.storage },
    { outer, inner, count, xRows, xStart, outRows: out.shape[axis]!, outStart },
  );
}
