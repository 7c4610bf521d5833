// The feed-forward layer's nonlinearities. Kernels: kernels/activation. Read after: unary.ts.

import {
  geluBackwardKernel,
  geluKernel,
  swigluBackwardKernel,
  swigluKernel,
} from '../../kernels/activation/activation.ts';
import { ShapeError } from '../errors.ts';
import { defineOp, normal, run, type Op } from '../op.ts';
import { show } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';

/**
 * gateUp [...,2F], gate and up side by side as one projection writes them -> [...,F] = silu(gate) up, with silu(x) = x
 * / (1 + exp(-x)). Throws ShapeError when the last size is odd. Source: arXiv 2002.05202.
 */
export const swiglu: Op<readonly [gateUp: Tensor], object> = defineOp({
  name: 'swiglu',
  takes: { gateUp: 'f32' },
  infer([{ shape }]) {
    const width = shape.at(-1) ?? 1;
    if (width % 2 !== 0) {
      throw new ShapeError(`swiglu: ${show(shape)}: the last size must be even, gate and up side by side`);
    }
    return [{ shape: shape.with(-1, width / 2), dtype: 'f32' }];
  },
  forward(run, [gateUp], [out]) {
    run(swigluKernel, { gateUp: gateUp.storage, out: out.storage }, rowsOf(out));
  },
  backward: (grad, { inputs: [gateUp] }, need) => [need(0, () => {
    const dGateUp = empty(gateUp);
    run(swigluBackwardKernel, { gateUp: gateUp.storage, dOut: grad.storage, dGateUp: dGateUp.storage }, rowsOf(grad));
    return dGateUp;
  })],
  cases: { dims: { M: [1, 3], N: [1, 3], F: [1, 6] }, inputs: ({ M, N, F }) => [normal(M!, N!, 2 * F!)] },
});

/**
 * x (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))) / 2, elementwise: the form of GELU that GPT-2 uses. Source: arXiv
 * 1606.08415.
 */
export const gelu: Op<readonly [x: Tensor], object> = defineOp({
  name: 'gelu',
  takes: { x: 'f32' },
  infer: ([x]) => [{ shape: x.shape, dtype: 'f32' }],
  forward(run, [x], [out]) {
    run(geluKernel, { x: x.storage, out: out.storage }, { n: x.size });
  },
  backward: (grad, { inputs: [x] }, need) => [need(0, () => {
    const dx = empty(x);
    run(geluBackwardKernel, { x: x.storage, dOut: grad.storage, dx: dx.storage }, { n: x.size });
    return dx;
  })],
  cases: { dims: { M: [1, 4], N: [1, 4] }, inputs: ({ M, N }) => [normal(M!, N!)] },
});

function rowsOf(half: Tensor): { rows: number; F: number } {
  const F = half.shape.at(-1)!;
  return { rows: half.size / F, F };
}
