// Phase 3: supervised fine-tuning. Right answers in a mix of styles; only the response carries loss.
// Settings: config.sft. Read after: midtrain.ts. Read next: rl.ts.

import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import type { Transformer } from '../../nn/transformer.ts';
import type { Config } from '../config/config.ts';
import type { Demonstrations } from '../data/corpus.ts';
import { nextTokenLoop } from './next-token.ts';
import type { Run } from './run.ts';

/** Trains a copy of `base` and returns it. `phase` names it in metrics and checkpoints. */
export async function sft(config: Config, data: Demonstrations, base: Transformer, run: Run, phase = 'sft'): Promise<Transformer> {
  const model = base.clone();
  await nextTokenLoop({
    phase, section: 'sft', settings: config.sft, model, run,
    rows: (i, batch) => data.rows(i, batch),
    loss: ({ inputs, targets, count }) => ({ loss: crossEntropy(model.forward(inputs), targets, { count }) }),
  });
  return model;
}
