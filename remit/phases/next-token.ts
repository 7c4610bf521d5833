// What every language-model phase does with a batch of rows: the first T tokens of each are inputs, the last T their targets.

import { step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, type Tensor } from '../../engine/tensor.ts';
import type { PhaseConfig } from '../config/config.ts';
import { trainLoop, type TrainLoop } from './train-loop.ts';

export interface NextTokenBatch {
  /** [B,T] i32. */
  readonly inputs: Tensor;
  /** [B,T] i32: the inputs shifted by one; -1 where a target is not counted. */
  readonly targets: Tensor;
  /** Number of counted targets. */
  readonly count: number;
}

/** rows: B x (T + 1) tokens, row-major; mask: B x T, 0 where a target is not counted (absent: all are). */
export function nextTokens(rows: Int32Array, batch: number, mask?: ArrayLike<number>): NextTokenBatch {
  const length = rows.length / batch, T = length - 1;
  const inputs = new Int32Array(batch * T), targets = new Int32Array(batch * T);
  for (let b = 0; b < batch; b++) {
    inputs.set(rows.subarray(b * length, b * length + T), b * T);
    targets.set(rows.subarray(b * length + 1, (b + 1) * length), b * T);
  }
  let count = targets.length;
  for (let i = 0; mask !== undefined && i < targets.length; i++) {
    if (mask[i] !== 0) continue;
    targets[i] = -1;
    count--;
  }
  return { inputs: tensor(inputs, [batch, T], 'i32'), targets: tensor(targets, [batch, T], 'i32'), count };
}

export interface NextTokenLoop extends Omit<TrainLoop, 'body' | 'updates' | 'memory'> {
  readonly settings: PhaseConfig;
  /** The rows of step i, and which of their targets count. */
  readonly rows: (i: number, batch: number) => { readonly rows: Int32Array; readonly mask?: Float32Array };
  /** The scalar to minimise, in nats per counted token; or with it numbers to log, [] each. */
  readonly loss: (batch: NextTokenBatch, i: number) => Tensor | { readonly loss: Tensor; readonly [extra: string]: Tensor };
}

/** One optimiser step per batch: forward, loss, backward, AdamW. */
export async function nextTokenLoop({ rows, loss: lossOf, ...loop }: NextTokenLoop): Promise<void> {
  const { model, settings: { batch } } = loop;
  const train = step((drawn: ReturnType<typeof rows>, i: number, apply: () => Tensor) => {
    const tokens = nextTokens(drawn.rows, batch, drawn.mask);
    const made = lossOf(tokens, i), results = 'loss' in made ? made : { loss: made };
    model.parameters.clearGradients();
    backward(results.loss);
    return { count: tokens.count, results: { ...results, gradNorm: apply() } };
  });
  await trainLoop({
    ...loop,
    async body(i, apply) {
      const { count, results } = await train(rows(i, batch), i, apply);
      const names = Object.keys(results) as (keyof typeof results)[];
      const values = await Promise.all(names.map((name) => results[name].item()));
      return { ...Object.fromEntries(names.map((name, n) => [name, values[n]!])) as Record<keyof typeof results, number>, tokens: count };
    },
  });
  train.free();
}
