// Phase 2: mid-training (annealing). From a pre-trained checkpoint, on a better corpus, under a rate that falls to 0, with fresh
// optimiser moments. This is the vanilla arm: next-token prediction, every token with weight 1.
// Settings: config.midtrain. Read after: pretrain.ts.

import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import type { Transformer } from '../../nn/transformer.ts';
import type { Config } from '../config/config.ts';
import type { Corpus } from '../data/corpus.ts';
import { nextTokenLoop } from './next-token.ts';
import type { Run } from './run.ts';

/** Trains a copy of `base` and returns it; the base stays as it is, for the other arms to start from. */
export async function midtrain(config: Config, data: Corpus, base: Transformer, run: Run): Promise<Transformer> {
  const model = base.clone();
  await nextTokenLoop({
    phase: 'midtrain', section: 'midtrain', settings: config.midtrain, model, run,
    rows: (i, batch) => ({ rows: data.rows(i, batch) }),
    loss: ({ inputs, targets }) => crossEntropy(model.forward(inputs), targets),
  });
  return model;
}
