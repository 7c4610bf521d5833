// The loop that pre-training, mid-training and fine-tuning share: draw a batch, differentiate the phase's loss, clip, AdamW, report.
// What differs between phases - model, data, loss - stays in the phase. Read after: pretrain.ts.

import type { Tensor } from '../../engine/tensor.ts';
import { step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import type { Transformer } from '../../nn/transformer.ts';
import { AdamW } from '../../optim/adamw.ts';
import { schedule } from '../../optim/schedule.ts';
import type { PhaseConfig } from '../config/config.ts';
import type { Corpus } from '../data/corpus.ts';
import { checkFinite, nextTokens, type NextTokenBatch } from './next-token.ts';
import type { Run } from './run.ts';

export interface TrainLoop {
  readonly phase: string;
  readonly settings: PhaseConfig;
  /** Trained in place. */
  readonly model: Transformer;
  readonly data: Corpus;
  /** The scalar to minimise, in nats per counted token. */
  readonly loss: (batch: NextTokenBatch) => Tensor;
  readonly run: Run;
}

/** Runs all steps of a phase with fresh optimiser moments. Throws DivergedError when loss or gradient is no number any more. */
export async function trainLoop({ phase, settings, model, data, loss: lossOf, run }: TrainLoop): Promise<void> {
  const { steps, batch, rate: peak, floor, warmup, schedule: kind } = settings;
  const rate = schedule({ kind, peak, steps, warmup, floor: floor * peak });
  const optimiser = new AdamW(model.parameters, settings);

  const train = step((rows: Int32Array, i: number) => {
    const tokens = nextTokens(rows, batch);
    const loss = lossOf(tokens); // []
    model.parameters.clearGradients();
    backward(loss);
    return { loss, gradNorm: optimiser.update(i, rate(i)), count: tokens.targets.size };
  });

  for (let i = 0, tokens = 0; i < steps && !run.stopping; i++) {
    const result = await train(data.rows(i, batch), i);
    const [loss, gradNorm] = await Promise.all([result.loss.item(), result.gradNorm.item()]);
    checkFinite(phase, i + 1, { loss, gradNorm });
    tokens += result.count;
    run.log({ phase, step: i + 1, steps, loss, rate: rate(i), gradNorm, tokens });
  }
  train.free();
  optimiser.free();
}
