// Elementwise functions of one tensor, from the table in kernels/elementwise. Read next: arithmetic.ts.

import { unaryBackwardKernels, unaryKernels, type UnaryName } from '../../kernels/elementwise/elementwise.ts';
import { awayFrom0, defineOp, normal, positive, run, type Op } from '../op.ts';
import { empty, type Tensor } from '../tensor.ts';

type Unary = Op<readonly [x: Tensor], object>;

/** e to the power of each element. */
export const exp: Unary = unaryOp('exp');
/** Natural logarithm; x > 0. */
export const log: Unary = unaryOp('log', positive);

/** The square root of each element. */
export const sqrt: Unary = unaryOp('sqrt', positive);

/** Each element times itself. */
export const square: Unary = unaryOp('square');

/** The hyperbolic tangent of each element. */
export const tanh: Unary = unaryOp('tanh');
/** max(x, 0); no gradient at 0. */
export const relu: Unary = unaryOp('relu', awayFrom0);
/** 1 / (1 + exp(-x)). */
export const sigmoid: Unary = unaryOp('sigmoid');

function unaryOp(name: UnaryName, input = normal): Unary {
  return defineOp({
    name,
    takes: { x: 'f32' },
    infer: ([x]) => [{ shape: x.shape, dtype: 'f32' }],
    forward(run, [x], [out]) {
      run(unaryKernels[name], { x: x.storage, out: out.storage }, { n: x.size });
    },
    backward: (grad, { inputs: [x], outputs: [y] }, need) => [need(0, () => {
      const dx = empty(x);
      run(unaryBackwardKernels[name], { x: x.storage, y: y.storage, dy: grad.storage, dx: dx.storage }, { n: x.size });
      return dx;
    })],
    cases: { dims: { M: [1, 4], N: [1, 4] }, inputs: ({ M, N }) => [input(M!, N!)] },
  });
}
