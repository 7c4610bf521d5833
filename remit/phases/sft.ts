// Phase 3: supervised fine-tuning. Right answers in a mix of styles; only the response carries loss.
// Settings: config.sft. Read after: midtrain.ts. Read next: rl.ts.

import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import { anything, checkArguments, optional, text } from '../../engine/options.ts';
import { aTransformer, type Transformer } from '../../nn/transformer.ts';
import { checkConfig, type Config } from '../settings/resolve.ts';
import { rowsRule, type Demonstrations } from '../worlds/tiny/corpus.ts';
import { nextTokenLoop } from './next-token.ts';
import { aRun, type Run } from './run.ts';

const sftArguments = { config: anything, data: rowsRule, base: aTransformer, run: aRun, phase: optional(text) };

/** Trains a copy of `base` and returns it. `phase` names it in metrics and checkpoints. */
export async function sft(
  given: Config,
  data: Demonstrations,
  base: Transformer,
  run: Run,
  phase = 'sft',
): Promise<Transformer> {
  checkArguments('sft', arguments, sftArguments);
  const config = checkConfig('sft', given);
  const model = base.clone();
  await nextTokenLoop({
    phase,
    section: 'sft',
    settings: config.sft,
    model,
    run,
    rows: (i, batch) => data.rows(i, batch),
    loss: ({ inputs, targets, count }) => ({ loss: crossEntropy(model.forward(inputs), targets, { count }) }),
  });
  return model;
}
