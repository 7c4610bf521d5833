// Phase 2: mid-training (annealing). From a pre-trained checkpoint, on a better corpus, under a rate that falls to 0,
// with fresh optimiser moments. Without a guide this is the vanilla arm, next-token prediction; with one, ReMiT or
// another arm (../arms.ts). Settings: config.midtrain, config.remit. Read after: pretrain.ts. Read next: ../weights.ts,
// sft.ts.

import { highest, lowest } from '../../engine/extremes.ts';
import type { HostArray } from '../../kernels/kernel.ts';
import { ConfigError } from '../../engine/errors.ts';
import { anything, callable, checkArguments, having, optional, text } from '../../engine/options.ts';
import { rng } from '../../engine/rng.ts';
import { aTransformer, type Transformer } from '../../nn/transformer.ts';
import { armLoss, type Arm, type ArmName } from '../arms.ts';
import { checkConfig, type Config } from '../settings/resolve.ts';
import { rowsRule, type Corpus } from '../worlds/tiny/corpus.ts';
import { nextTokenLoop } from './next-token.ts';
import { aRun, type Run } from './run.ts';

/** Arms whose weights depend on more than the token's row. */
const OVER_THE_BATCH: readonly ArmName[] = ['shuffled', 'rho'];

/** Mid-training with a frozen reference, with a loss of one's own, or with both. */
export interface Guide {
  /** Names it in metrics and checkpoints. */
  readonly phase: string;
  readonly reference?: Transformer | undefined;
  /** In place of the one that config.remit.arm names. */
  readonly loss?: Arm | undefined;
}

const aGuide = having<Guide>('a guide: { phase, reference, loss }', {
  phase: text,
  reference: optional(aTransformer),
  loss: optional(callable('a function of what an arm sees, which returns { loss }')),
});
const midtrainArguments = { config: anything, data: rowsRule, base: aTransformer, run: aRun, guide: optional(aGuide) };

/**
 * Trains a copy of `base` and returns it; the base stays as it is, for the other arms to start from. With a guide,
 * config.remit says how, or the guide's own loss. Throws ConfigError where that is none.
 */
export async function midtrain(
  given: Config,
  data: Corpus,
  base: Transformer,
  run: Run,
  guide?: Guide,
): Promise<Transformer> {
  checkArguments('midtrain', arguments, midtrainArguments);
  const config = checkConfig('midtrain', given);
  const model = base.clone();
  const settings = guide ? config.remit : { ...config.remit, arm: 'vanilla' as const };
  const { reference, loss: own } = guide ?? {};
  if (guide && !reference && !own && settings.arm !== 'vanilla') {
    throw new ConfigError(`midtrain: guide: has neither reference nor loss: arm ${settings.arm} needs a reference`);
  }
  const { batch, microBatch = batch } = config.midtrain;
  if (guide && !own && microBatch < batch && OVER_THE_BATCH.includes(settings.arm)) {
    throw new ConfigError(
      `midtrain: midtrain.microBatch = ${microBatch}: arm ${settings.arm} compares all tokens of a batch: leave it out`,
    );
  }
  const lossOf = armLoss(settings, { model, reference }, rng(config.seed).fold('arm'), own);
  await nextTokenLoop({
    phase: guide?.phase ?? 'midtrain',
    section: 'midtrain',
    settings: config.midtrain,
    model,
    run,
    rows: (i, batch) => ({ rows: data.rows(i, batch) }),
    loss(batch, i) {
      const { loss, ...read } = lossOf(batch, i);
      return { loss, read };
    },
    describe: ({ weights, logProb, reference }) =>
      weights && logProb && reference ? describeWeights(weights, logProb, reference, settings.epsilon) : {},
  });
  return model;
}

/**
 * Of a step's weights: mean, standard deviation, extremes, share at either bound; the unweighted loss, to compare arms
 * by, and how much better the reference predicts the batch (the mean gap), both in nats per token.
 */
function describeWeights(
  weights: HostArray,
  logProb: HostArray,
  reference: HostArray,
  epsilon: number,
): Record<string, number> {
  const n = weights.length;
  const mean = average(weights);
  const tolerance = 1e-6;
  return {
    nextToken: -average(logProb),
    gap: average(reference) - average(logProb),
    weightMean: mean,
    weightDeviation: Math.sqrt(average(weights.map((w) => (w - mean) ** 2))),
    weightLowest: lowest(weights),
    weightHighest: highest(weights),
    weightsLow: weights.filter((w) => w <= 1 - epsilon + tolerance).length / n,
    weightsHigh: weights.filter((w) => w >= 1 + epsilon - tolerance).length / n,
  };
}

function average(x: HostArray): number {
  let total = 0;
  for (const value of x) total += value;
  return total / x.length;
}
