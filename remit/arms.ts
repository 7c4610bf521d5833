// What mid-training can do with a reference model: ReMiT, and what it is compared with. Every arm is a loss over the
// same rows in the same order from the same checkpoint, so that arms can be paired by seed.
//
//   vanilla        next-token prediction, without a reference
//   remit          weights from the gap to the RL model (weights.ts)
//   sft-guided     the same weights from the gap to the SFT model
//   normalised     ReMiT's weights divided by the mean of their row: every row counts alike
//   shuffled       ReMiT's weights, permuted over the batch: the control that says whether it matters which token gets
//                  which weight
//   shuffled-rows  the same within each row, which keeps what a row counts, and so which rows count more
//   kd             distillation: (1 - a) next-token prediction + a KL(p_reference || p_model) over the vocabulary
//   rho            RHO-1 (arXiv 2404.07965): only the share of tokens with the largest gap counts, each fully
//
// Every target of a row counts here, as it does in mid-training. Read next: phases/midtrain.ts.

import { ConfigError } from '../engine/errors.ts';
import { add, affine, div, mul, sub } from '../engine/ops/arithmetic.ts';
import { crossEntropy, logProb, weightedCrossEntropy } from '../engine/ops/cross-entropy.ts';
import { embedding } from '../engine/ops/embedding.ts';
import { sum } from '../engine/ops/reduce.ts';
import { reshape } from '../engine/ops/shape.ts';
import { logSoftmax } from '../engine/ops/softmax.ts';
import { keepLargest, tokenWeights } from '../engine/ops/token-weights.ts';
import { exp } from '../engine/ops/unary.ts';
import { checkValue, having, optional, such } from '../engine/options.ts';
import type { Rng } from '../engine/rng.ts';
import { noGrad } from '../engine/runtime.ts';
import { aTensor, tensor, Tensor } from '../engine/tensor.ts';
import type { Transformer } from '../nn/transformer.ts';
import type { Config } from './settings/resolve.ts';
import type { NextTokenBatch } from './phases/next-token.ts';
import { remitLoss } from './weights.ts';

export type ArmName = Config['remit']['arm'];

/** The model that an arm looks at: which phase of post-training made it. */
export const referenceOf: Readonly<Record<ArmName, 'none' | 'sft' | 'rl'>> = {
  vanilla: 'none', remit: 'rl', 'sft-guided': 'sft', normalised: 'rl', shuffled: 'rl', 'shuffled-rows': 'rl', kd: 'rl',
  rho: 'rl',
};

/** What an arm makes of a batch: the loss [] to differentiate, and numbers for the metrics. */
export interface ArmLoss {
  /** The scalar to minimise, in nats per token. */
  readonly loss: Tensor;
  /**
   * Where the arm weighs tokens: what each counts for [B,T], and its log-probability by model and reference, in nats.
   */
  readonly weights?: Tensor;
  readonly logProb?: Tensor;
  readonly reference?: Tensor;
}

/** What an arm sees of a step. */
export interface Seen {
  readonly batch: NextTokenBatch;
  /** The model's, [B,T,V]. */
  readonly logits: Tensor;
  /** The reference's logits, [B,T,V], constants; computed when asked for. */
  readonly guide: () => Tensor;
  /** Random numbers of this step. */
  readonly random: Rng;
  readonly settings: Config['remit'];
}

/** A way of mid-training: one of those here by its name, or one of somebody's own. */
export type Arm = (seen: Seen) => ArmLoss;

/** A way of mid-training by a name of somebody's: a loss of their own, or a method of ours with other settings. */
export interface OwnArm {
  /** What it is, for the report. */
  readonly about?: string;
  readonly loss?: Arm;
  readonly method?: ArmName;
  readonly settings?: Partial<Config['remit']>;
  /** The model that it looks at: which phase of post-training made it; for a loss, rl unless given. */
  readonly guide?: 'none' | 'sft' | 'rl';
  /** Steps of mid-training, as a multiple of the others'. */
  readonly steps?: number;
}

/** The model that an arm looks at. */
export function guideOfArm({ loss, method, guide }: OwnArm): 'none' | 'sft' | 'rl' {
  return loss === undefined ? referenceOf[method ?? 'remit'] : (guide ?? 'rl');
}

const arms: Readonly<Record<ArmName, Arm>> = {
  vanilla: ({ batch: { targets }, logits }) => ({ loss: crossEntropy(logits, targets) }),

  remit({ batch: { targets }, logits, guide, settings }) {
    const reference = noGrad(() => logProb(guide(), targets));
    const { epsilon, scale, centre, detach } = settings;
    return { ...remitLoss(logits, targets, reference, { epsilon, scale, centre, detach }), reference };
  },

  'sft-guided': (seen) => arms.remit(seen), // the difference is who guides: referenceOf

  normalised: (seen) => reweighted(seen, perRow),

  shuffled: (seen) => reweighted(seen, (weights) => permute(weights, 1, seen.random)),

  'shuffled-rows': (seen) => reweighted(seen, (weights) => permute(weights, weights.shape[0]!, seen.random)),

  kd({ batch: { targets }, logits, guide, settings: { distil } }) {
    const wanted = noGrad(() => logSoftmax(guide()));                                   // [B,T,V]
    const divergence = affine(sum(mul(exp(wanted), sub(wanted, logSoftmax(logits)))), {
      factor: distil / targets.size,
    });
    return { loss: add(affine(crossEntropy(logits, targets), { factor: 1 - distil }), divergence) };
  },

  rho({ batch: { targets }, logits, guide, settings: { keep } }) {
    const [own, reference] = noGrad(() => [logProb(logits, targets), logProb(guide(), targets)] as const);
    const kept = Math.max(1, Math.floor(keep * targets.size));
    const weights = noGrad(() => keepLargest(sub(reference, own), targets, { keep: kept }));
    return { loss: weightedCrossEntropy(logits, targets, weights, { count: kept }), weights, logProb: own, reference };
  },
};

/** Next-token prediction, weighted by what is made of ReMiT's weights. */
function reweighted(
  { batch: { targets }, logits, guide, settings: { epsilon, scale, centre } }: Seen,
  change: (weights: Tensor) => Tensor,
): ArmLoss {
  const [own, reference] = noGrad(() => [logProb(logits, targets), logProb(guide(), targets)] as const);
  const weights = noGrad(() => change(tokenWeights(reference, own, targets, { epsilon, scale, centre })));
  return { loss: weightedCrossEntropy(logits, targets, weights), weights, logProb: own, reference };
}

/** Each row of [B,T] over its mean. */
function perRow(weights: Tensor): Tensor {
  const [B, T] = weights.shape as [number, number];
  const mean = affine(sum(weights, { axis: -1 }), { factor: 1 / T });
  return div(weights, reshape(mean, { shape: [B, 1] }));
}

/** Which models an arm computes with. */
export interface ArmModels {
  readonly model: Transformer;
  /** May be absent where the arm does not ask for it. */
  readonly reference?: Transformer | undefined;
}

/**
 * The loss of an arm as a function of a batch and the step's number: of settings.arm, or of one of somebody's own,
 * whose result is checked. Throws ConfigError when an arm asks for a reference that is not there.
 */
export function armLoss(
  settings: Config['remit'],
  { model, reference }: ArmModels,
  random: Rng,
  own?: Arm,
): (batch: NextTokenBatch, i: number) => ArmLoss {
  const arm = own === undefined ? arms[settings.arm] : checkedArm(own);
  const guide = (inputs: Tensor): Tensor => {
    if (reference === undefined) throw new ConfigError('midtrain: the loss asks for a guide: give { reference } with it');
    return noGrad(() => reference.forward(inputs));
  };
  return (batch, i) =>
    arm({
      batch,
      logits: model.forward(batch.inputs),
      guide: () => guide(batch.inputs),
      random: random.at(i),
      settings,
    });
}

const anArmLoss = having<ArmLoss>('{ loss }, a scalar, and perhaps { weights, logProb, reference }', {
  loss: such('a tensor of one element', (value) => value instanceof Tensor && value.size === 1),
  weights: optional(aTensor),
  logProb: optional(aTensor),
  reference: optional(aTensor),
});

function checkedArm(arm: Arm): Arm {
  return (seen) => checkValue('midtrain: what the loss returned', arm(seen), anArmLoss);
}

/** The elements of x [B,T], in so many parts of equal length, each part in another order, drawn anew for each. */
function permute(x: Tensor, parts: number, random: Rng): Tensor {
  const length = x.size / parts;
  const stream = random.stream();
  const places = Array.from({ length }, (_, place) => place);
  const order = Array.from({ length: parts }, (_, part) =>
    stream.sample(places, length).map((place) => part * length + place),
  ).flat();
  const column = reshape(x, { shape: [x.size, 1] });
  return reshape(embedding(column, tensor(Int32Array.from(order), x.shape, 'i32')), { shape: x.shape });
}
