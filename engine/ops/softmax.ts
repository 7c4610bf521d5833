// Softmax and log-softmax over the last axis. Kernels: kernels/softmax. Read next: cross-entropy.ts.

import {
  logSoftmaxBackwardKernel,
  logSoftmaxKernel,
  softmaxBackwardKernel,
  softmaxKernel,
} from '../../kernels/softmax/softmax.ts';
import { defineOp, normal, run, type Op } from '../op.ts';
import { empty, type Tensor } from '../tensor.ts';

/** exp(x) / sum(exp(x)) over the last axis. */
export const softmax: Op<readonly [x: Tensor], object> = rowOp('softmax', softmaxKernel, softmaxBackwardKernel);

/** log(softmax(x)) over the last axis, in nats. */
export const logSoftmax: Op<readonly [x: Tensor], object> = rowOp(
  'logSoftmax',
  logSoftmaxKernel,
  logSoftmaxBackwardKernel,
);

function rowOp(
  name: string,
  forward: typeof softmaxKernel,
  backward: typeof softmaxBackwardKernel,
): Op<readonly [x: Tensor], object> {
  const rows = (x: Tensor): { rows: number; V: number } => ({
    rows: x.size / (x.shape.at(-1) ?? 1),
    V: x.shape.at(-1) ?? 1,
  });
  return defineOp({
    name,
    takes: { x: 'f32' },
    infer: ([x]) => [{ shape: x.shape, dtype: 'f32' }],
    forward(run, [x], [out]) {
      run(forward, { x: x.storage, out: out.storage }, rows(x));
    },
    backward: (grad, { outputs: [y] }, need) => [
      need(0, () => {
        const dx = empty(y);
        run(backward, { y: y.storage, dy: grad.storage, dx: dx.storage }, rows(y));
        return dx;
      }),
    ],
    cases: { dims: { M: [1, 4], V: [1, 6] }, inputs: ({ M, V }) => [normal(M!, V!)] },
  });
}
