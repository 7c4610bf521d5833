// How well a model predicts held-out text. Used by: remit/app/cli/train-text.ts.

import { logProb } from '../../engine/ops/cross-entropy.ts';
import { sum } from '../../engine/ops/reduce.ts';
import { ConfigError, DivergedError } from '../../engine/errors.ts';
import { checkArguments, optional, typedArray, whole } from '../../engine/options.ts';
import { noGrad } from '../../engine/runtime.ts';
import { step } from '../../engine/step.ts';
import { aTransformer, type Transformer } from '../../nn/transformer.ts';
import { nextTokens } from './next-token.ts';

const textLossArguments = {
  model: aTransformer,
  rows: typedArray('Int32Array'),
  length: whole({ min: 2 }),
  batch: optional(whole({ min: 1 })),
};

/**
 * Mean negative log-likelihood in nats per token over rows of `length` tokens; divided by ln 2, bits per byte for a
 * byte tokenizer. Throws ConfigError when there is no row, or the tokens do not divide into rows; DivergedError when
 * the loss is no number.
 */
export async function textLoss(model: Transformer, rows: Int32Array, length: number, batch = 16): Promise<number> {
  checkArguments('textLoss', arguments, textLossArguments);
  if (rows.length === 0 || rows.length % length !== 0) {
    throw new ConfigError(`textLoss: ${rows.length} tokens in rows of ${length}: need one or more whole rows`);
  }
  const score = step((part: Int32Array, count: number) => noGrad(() => {
    const { inputs, targets } = nextTokens(part, count);
    return sum(logProb(model.forward(inputs), targets));
  }));
  const count = rows.length / length;
  let total = 0;
  for (let start = 0; start < count; start += batch) {
    const part = rows.subarray(start * length, Math.min(count, start + batch) * length);
    total += await (await score(part, part.length / length)).item();
  }
  score.free();
  if (!Number.isFinite(total)) {
    throw new DivergedError(
      `textLoss: the loss is ${-total}: the model's weights are not finite, or its logits too large`,
    );
  }
  return -total / (count * (length - 1));
}
