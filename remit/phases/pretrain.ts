// Phase 1: pre-training. Next-token prediction on the noisy corpus, at a constant rate after warm-up.
// Settings: config.pretrain. Read next: next-token.ts and train-loop.ts (the loop itself), midtrain.ts, ../worlds/tiny/evaluate.ts.

import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import { anything, checkArguments } from '../../engine/options.ts';
import { rng } from '../../engine/rng.ts';
import { modelRules } from '../../nn/config.ts';
import { aTransformer, Transformer } from '../../nn/transformer.ts';
import { checkConfig, type Config } from '../settings/resolve.ts';
import { rowsRule, type Corpus } from '../worlds/tiny/corpus.ts';
import { nextTokenLoop } from './next-token.ts';
import { aRun, type Run } from './run.ts';

const pretrainArguments = { config: anything, data: rowsRule, model: aTransformer, run: aRun };

/**
 * A model of the configured shape with fresh weights: a function of the seed. Throws ConfigError for what is no config.
 */
export function newModel(given: Config, vocabulary: number): Transformer {
  checkArguments('newModel', arguments, { config: anything, vocabulary: modelRules.vocabulary });
  const config = checkConfig('newModel', given);
  return new Transformer({ ...config.model, vocabulary }, rng(config.seed).fold('init'));
}

/** Trains `model` in place. Throws ConfigError for what is no config. */
export async function pretrain(given: Config, data: Corpus, model: Transformer, run: Run): Promise<Transformer> {
  checkArguments('pretrain', arguments, pretrainArguments);
  const config = checkConfig('pretrain', given);
  await nextTokenLoop({
    phase: 'pretrain', section: 'pretrain', settings: config.pretrain, model, run,
    rows: (i, batch) => ({ rows: data.rows(i, batch) }),
    loss: ({ inputs, targets }) => ({ loss: crossEntropy(model.forward(inputs), targets) }),
  });
  return model;
}
