// ReMiT's token weights: the method, on one screen.
//
//   gap_t     = log p_reference(x_t | x_<t) - log p_model(x_t | x_<t)     the reference: an RL model, frozen; the
//   model: as it is now
//   centred_t = gap_t - mean of the gaps of the row's counted tokens
//   w_t       = clip(2 sigmoid(scale * centred_t), 1 - epsilon, 1 + epsilon)
//   loss      = -(1 / counted tokens) * sum_t w_t log p_model(x_t | x_<t)
//
// A token that the reference expects more than the model does, compared with its row, is learned from more; one that it
// doubts, less. Where both agree the weight is 1, and the loss is next-token prediction. The weights are constants of
// the step: differentiated, the loss would reward the model for disagreeing with the reference. Then the gradient, in
// expectation over the data, is Z times that of KL(q || p_model) with q = p_data w / Z: an implicit target between the
// data and what the reference would say. Source: arXiv 2602.03075. Kernels: kernels/remit/token-weights.ts. Read next:
// arms.ts, which compares other losses.

import { affine, clamp, div, mul, sub } from '../engine/ops/arithmetic.ts';
import { logProb, weightedCrossEntropy } from '../engine/ops/cross-entropy.ts';
import { sum } from '../engine/ops/reduce.ts';
import { reshape } from '../engine/ops/shape.ts';
import { tokenWeights, type TokenWeightsOptions } from '../engine/ops/token-weights.ts';
import { sigmoid } from '../engine/ops/unary.ts';
import {
  anything, checkArguments, checkOptions, instance, optional, real, toggle, type Rules,
} from '../engine/options.ts';
import { noGrad } from '../engine/runtime.ts';
import { Tensor } from '../engine/tensor.ts';

/** How ReMiT weighs tokens; each has the paper's value or its neutral one unless given. */
export interface RemitOptions extends TokenWeightsOptions {
  /**
   * Whether the weights are constants of the step; true unless given. Otherwise the gradient also flows through them,
   * for study.
   */
  readonly detach?: boolean;
  /** Counted targets, the divisor; all unless given. */
  readonly count?: number;
}

/** The loss, and what it was made of. */
export interface WeightedLoss {
  /** [], nats per counted token. */
  readonly loss: Tensor;
  /** [...,T]. */
  readonly weights: Tensor;
  /** log p_model of the targets, [...,T], in nats. */
  readonly logProb: Tensor;
}

/** What each may be, and is unless given; remit/settings/schema.ts makes its settings of these. */
export const remitRules = {
  epsilon: optional(real({ above: 0, to: 1 }), 0.2),
  scale: optional(real({ above: 0, to: 1000 }), 1),
  centre: optional(toggle, true),
  detach: optional(toggle, true),
  count: optional(real({ above: 0 })),
} satisfies Rules<RemitOptions>;

const aTensor = instance('a tensor', Tensor);
const remitArguments = { logits: aTensor, targets: aTensor, reference: aTensor, options: anything };

/**
 * The weighted loss. logits [...,T,V] of the model, targets [...,T] i32 (below 0: not counted, in the mean of the gaps
 * neither), reference [...,T]: log p_reference of the targets. Throws ShapeError when they do not fit, ConfigError for
 * an option that is unknown or out of its range.
 */
export function remitLoss(logits: Tensor, targets: Tensor, reference: Tensor, given?: RemitOptions): WeightedLoss {
  checkArguments('remitLoss', arguments, remitArguments);
  const { detach, count = targets.size, ...options } = checkOptions<RemitOptions>('remitLoss', given, remitRules);
  if (detach) {
    const own = noGrad(() => logProb(logits, targets));
    const weights = tokenWeights(reference, own, targets, options);
    return { loss: weightedCrossEntropy(logits, targets, weights, { count }), weights, logProb: own };
  }
  const own = logProb(logits, targets);
  const weights = tokenWeights(reference, own, targets, options);
  return { loss: affine(sum(mul(weights, own)), { factor: -1 / count }), weights, logProb: own };
}

/**
 * tokenWeights as in the formula above, in small ops: to read, and to test the kernel with. counted [...,T]: 1 or 0, at
 * least one 1 in each row.
 */
export function tokenWeightsInSmallOps(
  reference: Tensor,
  model: Tensor,
  counted: Tensor,
  { epsilon = 0.2, scale = 1, centre = true }: TokenWeightsOptions = {},
): Tensor {
  const perRow = (x: Tensor): Tensor => reshape(sum(x, { axis: -1 }), { shape: x.shape.with(-1, 1) });
  const gap = mul(sub(reference, model), counted); // [...,T]
  const mean = div(perRow(gap), perRow(counted)); // [...,1]
  const weight = affine(sigmoid(affine(centre ? sub(gap, mean) : gap, { factor: scale })), { factor: 2 });
  return mul(clamp(weight, { low: 1 - epsilon, high: 1 + epsilon }), counted);
}
