// RMSNorm and LayerNorm over the last axis. Kernels: kernels/norm.
// One dispatch makes all gradients; those of weight and bias, sums over all rows, it adds straight to a parameter's
// slot. Used by: nn/norm.ts.

import {
  layerNormBackwardKernel,
  layerNormKernel,
  rmsNormBackwardKernel,
  rmsNormKernel,
} from '../../kernels/norm/norm.ts';
import { ShapeError } from '../errors.ts';
import { defineOp, normal, run, type Op } from '../op.ts';
import { optional, real, type Rules } from '../options.ts';
import { show, type Spec } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';

interface NormAttrs {
  /** Added to the mean square (the variance, for layerNorm) inside the root; 1e-5 unless given. */
  readonly epsilon?: number;
}

const EPSILON = 1e-5;

const normRules: Rules<NormAttrs> = { epsilon: optional(real({ from: 0 })) };

/**
 * x [...,C], weight [C] -> [...,C] = x / sqrt(mean(x²) + epsilon) * weight, the mean over the last axis.
 * Throws ShapeError when weight is not [C]. Source: arXiv 1910.07467.
 */
export const rmsNorm: Op<readonly [x: Tensor, weight: Tensor], NormAttrs> = defineOp({
  name: 'rmsNorm',
  takes: { x: 'f32', weight: 'f32' },
  attrs: normRules,
  infer([x, weight]) {
    checkScale('rmsNorm', x, { weight });
    return [{ shape: x.shape, dtype: 'f32' }, { shape: x.shape.slice(0, -1), dtype: 'f32' }];
  },
  forward(run, [x, weight], [out, rstd], { epsilon = EPSILON }) {
    const { rows, C } = rowsOf(x);
    run(
      rmsNormKernel,
      { x: x.storage, weight: weight.storage, out: out.storage, rstd: rstd!.storage },
      { rows, C, epsilon },
    );
  },
  backward(grad, { inputs: [x, weight], outputs: [, rstd] }, need) {
    const dx = need(0, () => empty(x));
    const dWeight = need(1, (into) => into ?? empty(weight));
    run(rmsNormBackwardKernel, {
      x: x.storage, weight: weight.storage, rstd: rstd!.storage, dOut: grad.storage,
      dx: (dx ?? empty(x)).storage, dWeight: (dWeight ?? empty(weight)).storage,
    }, { ...rowsOf(x), accumulate: addsTo(weight, dWeight) });
    return [dx, dWeight];
  },
  cases: {
    dims: { M: [1, 3], N: [1, 3], C: [1, 7] },
    // so large that rows of tiny numbers stay smooth on the scale of a difference
    attrs: [() => ({ epsilon: 0.1 }), () => ({ epsilon: 1 })],
    inputs: ({ M, N, C }) => [normal(M!, N!, C!), normal(C!)],
  },
});

/**
 * x [...,C], weight [C], bias [C] -> [...,C] = (x - mean) / sqrt(variance + epsilon) * weight + bias, both over the
 * last axis. Throws ShapeError when weight or bias is not [C]. Source: arXiv 1607.06450.
 */
export const layerNorm: Op<readonly [x: Tensor, weight: Tensor, bias: Tensor], NormAttrs> = defineOp({
  name: 'layerNorm',
  takes: { x: 'f32', weight: 'f32', bias: 'f32' },
  attrs: normRules,
  infer([x, weight, bias]) {
    checkScale('layerNorm', x, { weight, bias });
    const perRow: Spec = { shape: x.shape.slice(0, -1), dtype: 'f32' };
    return [{ shape: x.shape, dtype: 'f32' }, perRow, perRow];
  },
  forward(run, [x, weight, bias], [out, mean, rstd], { epsilon = EPSILON }) {
    const { rows, C } = rowsOf(x);
    run(
      layerNormKernel,
      {
        x: x.storage,
        weight: weight.storage,
        bias: bias.storage,
        out: out.storage,
        mean: mean!.storage,
        rstd: rstd!.storage,
      },
      { rows, C, epsilon },
    );
  },
  backward(grad, { inputs: [x, weight, bias], outputs: [, mean, rstd] }, need) {
    const dx = need(0, () => empty(x));
    const dWeight = need(1, (into) => into ?? empty(weight));
    const dBias = need(2, (into) => into ?? empty(bias));
    run(layerNormBackwardKernel, {
      x: x.storage, weight: weight.storage, mean: mean!.storage, rstd: rstd!.storage, dOut: grad.storage,
      dx: (dx ?? empty(x)).storage, dWeight: (dWeight ?? empty(weight)).storage, dBias: (dBias ?? empty(bias)).storage,
    }, { ...rowsOf(x), accumulateWeight: addsTo(weight, dWeight), accumulateBias: addsTo(bias, dBias) });
    return [dx, dWeight, dBias];
  },
  cases: {
    dims: { M: [1, 3], N: [1, 3], C: [1, 7] },
    attrs: [() => ({ epsilon: 0.1 }), () => ({ epsilon: 1 })],
    inputs: ({ M, N, C }) => [normal(M!, N!, C!), normal(C!), normal(C!)],
  },
});

/** Checks that each of the tensors has one number per channel of x. */
function checkScale(where: string, x: Spec, perChannel: Readonly<Record<string, Spec>>): void {
  const C = x.shape.at(-1);
  if (C === undefined) throw new ShapeError(`${where}: x []: needs a last axis to normalise`);
  for (const name in perChannel) {
    const { shape } = perChannel[name]!;
    if (shape.length !== 1 || shape[0] !== C) {
      throw new ShapeError(`${where}: x ${show(x.shape)}, ${name} ${show(shape)}: ${name} must be [${C}]`);
    }
  }
}

/** 1 when the gradient is a parameter's slot, which holds what came before. */
function addsTo(parameter: Tensor, gradient: Tensor | null): number {
  return +(gradient !== null && gradient === parameter.gradient);
}

function rowsOf(x: Tensor): { rows: number; C: number } {
  const C = x.shape.at(-1)!;
  return { rows: x.size / C, C };
}
