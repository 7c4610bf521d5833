// ReMiT's token weights, and RHO-1's hard selection, as ops over log-probabilities [...,T]: the last axis is a
// sequence. Kernels: kernels/remit. The method is told in remit/weights.ts. Used by: remit/weights.ts.

import { keepLargestKernel } from '../../kernels/remit/keep-largest.ts';
import { tokenWeightsBackwardKernel, tokenWeightsKernel } from '../../kernels/remit/token-weights.ts';
import { Call, defineOp, integers, normal, run, type Op } from '../op.ts';
import { optional, real, toggle, whole } from '../options.ts';
import { checkTokens } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { affine } from './arithmetic.ts';

/** How ReMiT makes a weight of a gap. */
export interface TokenWeightsOptions {
  /** Weights lie in 1 - epsilon .. 1 + epsilon; 0.2 unless given. */
  readonly epsilon?: number;
  /** Steepness of the sigmoid; 1 unless given. */
  readonly scale?: number;
  /** Whether the mean gap of a sequence is taken off; true unless given. */
  readonly centre?: boolean;
}

/**
 * w = clip(2 sigmoid(scale (gap - mean gap of its sequence)), 1 - epsilon, 1 + epsilon), gap = reference - model in
 * nats.
 *
 * reference, model [...,T] f32 log-probabilities of the targets, targets [...,T] i32 -> [...,T] f32; 0 where the target
 * is below 0. Such tokens count neither in the mean. The gradient flows to both models; a clipped weight passes none
 * on. Throws ShapeError. Source: arXiv 2602.03075.
 */
export const tokenWeights: Op<readonly [reference: Tensor, model: Tensor, targets: Tensor], TokenWeightsOptions> =
  defineOp({
    name: 'tokenWeights',
    takes: { reference: 'f32', model: 'f32', targets: 'i32' },
    attrs: { epsilon: optional(real({ from: 0 })), scale: optional(real()), centre: optional(toggle) },
    infer([reference, model, targets]) {
      checkTokens('tokenWeights', { reference, model }, targets);
      return [{ shape: model.shape, dtype: 'f32' }];
    },
    forward(run, [reference, model, targets], [weights], options) {
      run(
        tokenWeightsKernel,
        { reference: reference.storage, model: model.storage, targets: targets.storage, weights: weights.storage },
        paramsOf(model, options),
      );
    },
    backward(grad, { inputs: [reference, model, targets], attrs }, need) {
      const dModel = empty(model);
      run(
        tokenWeightsBackwardKernel,
        {
          reference: reference.storage,
          model: model.storage,
          targets: targets.storage,
          dWeights: grad.storage,
          dModel: dModel.storage,
        },
        paramsOf(model, attrs),
      );
      return [need(0, () => affine(dModel, { factor: -1 })), need(1, () => dModel), null];
    },
    cases: {
      // epsilon 1 clips nothing: the kinks are the business of tests by hand
      dims: { R: [1, 3], T: [1, 6] },
      attrs: [() => ({ epsilon: 1 }), () => ({ epsilon: 1, scale: 2, centre: false })],
      inputs: ({ R, T }) => [normal(R!, T!), normal(R!, T!), integers(5, R!, T!)],
    },
  });

const keepLargestCall = new Call('keepLargest', { x: 'f32', targets: 'i32' }, { keep: whole({ min: 0 }) });

/**
 * x [...] f32, targets [...] i32 -> [...] f32: 1 for the `keep` largest x whose target is at least 0 (of equals, the
 * first), else 0. A constant to the tape.
 */
export function keepLargest(x: Tensor, targets: Tensor, attrs: { readonly keep: number }): Tensor {
  keepLargestCall.check(arguments);
  checkTokens('keepLargest', { x }, targets);
  const out = empty({ shape: x.shape, dtype: 'f32' });
  run(keepLargestKernel, { x: x.storage, targets: targets.storage, out: out.storage }, { n: x.size, keep: attrs.keep });
  return out;
}

function paramsOf({ shape, size }: Tensor, { epsilon = 0.2, scale = 1, centre = true }: TokenWeightsOptions) {
  const T = shape.at(-1)!;
  return { rows: T === 0 ? 0 : size / T, T, scale, epsilon, centre: +centre };
}
