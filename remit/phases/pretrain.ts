// Phase 1: pre-training. Next-token prediction on the noisy corpus, at a constant rate after warm-up.
// Settings: config.pretrain. Read next: next-token.ts and train-loop.ts (the loop itself), midtrain.ts, evaluate.ts.

import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import { rng } from '../../engine/rng.ts';
import { Transformer } from '../../nn/transformer.ts';
import type { Config } from '../config/config.ts';
import type { Corpus } from '../data/corpus.ts';
import { nextTokenLoop } from './next-token.ts';
import type { Run } from './run.ts';

/** A model of the configured shape with fresh weights: a function of the seed. */
export function newModel(config: Config, vocabulary: number): Transformer {
  return new Transformer({ ...config.model, vocabulary }, rng(config.seed).fold('init'));
}

/** Trains `model` in place. */
export async function pretrain(config: Config, data: Corpus, model: Transformer, run: Run): Promise<Transformer> {
  await nextTokenLoop({
    phase: 'pretrain', section: 'pretrain', settings: config.pretrain, model, run,
    rows: (i, batch) => ({ rows: data.rows(i, batch) }),
    loss: ({ inputs, targets }) => ({ loss: crossEntropy(model.forward(inputs), targets) }),
  });
  return model;
}
