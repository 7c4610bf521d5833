// What every language-model phase does with a batch of rows: the first T tokens of each are inputs, the last T their
// targets.

import type { HostArray } from '../../kernels/kernel.ts';
import { ConfigError } from '../../engine/errors.ts';
import { checkValue, having, optional, typedArray } from '../../engine/options.ts';
import { step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, type Tensor } from '../../engine/tensor.ts';
import type { PhaseConfig } from '../settings/resolve.ts';
import { trainLoop, type Apply, type TrainLoop } from './train-loop.ts';

export interface NextTokenBatch {
  /** [B,T] i32. */
  readonly inputs: Tensor;
  /** [B,T] i32: the inputs shifted by one; -1 where a target is not counted. */
  readonly targets: Tensor;
  /** Number of counted targets. */
  readonly count: number;
}

/**
 * rows: B x (T + 1) tokens, row-major; mask: B x T, 0 where a target is not counted (absent: all are). Throws
 * ConfigError where they do not divide.
 */
export function nextTokens(rows: Int32Array, batch: number, mask?: ArrayLike<number>): NextTokenBatch {
  const length = rows.length / batch;
  const T = length - 1;
  if (!Number.isInteger(length) || length < 2) {
    throw new ConfigError(
      `rows: ${rows.length} tokens in a batch of ${batch}: need rows of at least 2 tokens, all of one length`,
    );
  }
  if (mask !== undefined && mask.length !== batch * T) {
    throw new ConfigError(`rows: a mask of ${mask.length} for ${batch} rows of ${length} tokens: needs ${batch * T}`);
  }
  const inputs = new Int32Array(batch * T);
  const targets = new Int32Array(batch * T);
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

/** What a phase draws its batches from may be somebody's own. */
const drawnRule = having<{ rows: Int32Array; mask?: Float32Array }>('rows', {
  rows: typedArray('Int32Array'),
  mask: optional(typedArray('Float32Array')),
});

export interface NextTokenLoop extends Omit<TrainLoop, 'body' | 'updates' | 'memory'> {
  readonly settings: PhaseConfig;
  /** The rows of step i, and which of their targets count. */
  readonly rows: (i: number, batch: number) => { readonly rows: Int32Array; readonly mask?: Float32Array };
  /** The scalar to minimise, in nats per counted token; with it, what `describe` wants to see. */
  readonly loss: (
    batch: NextTokenBatch,
    i: number,
  ) => { readonly loss: Tensor; readonly read?: Readonly<Record<string, Tensor>> };
  /** Numbers for the metrics. */
  readonly describe?: (read: Readonly<Record<string, HostArray>>) => Readonly<Record<string, number>>;
}

/** One optimiser step per batch: forward, loss, backward, AdamW. */
export async function nextTokenLoop({
  rows,
  loss: lossOf,
  describe = () => ({}),
  ...loop
}: NextTokenLoop): Promise<void> {
  const {
    model,
    settings: { batch },
  } = loop;
  const train = step((drawn: ReturnType<typeof rows>, i: number, apply: Apply) => {
    const tokens = nextTokens(drawn.rows, batch, drawn.mask);
    const { loss, read = {} } = lossOf(tokens, i);
    model.parameters.clearGradients();
    backward(loss);
    return { count: tokens.count, loss, gradNorm: apply(), read };
  });
  await trainLoop({
    ...loop,
    async body(i, apply) {
      const drawn = checkValue(`${loop.phase}: data.rows(${i}, ${batch})`, rows(i, batch), drawnRule);
      const { count, loss, gradNorm, read } = await train(drawn, i, apply);
      const values = await Promise.all(
        Object.entries(read).map(async ([name, tensor]) => [name, await tensor.read()] as const),
      );
      return {
        loss: await loss.item(),
        gradNorm: await gradNorm.item(),
        ...describe(Object.fromEntries(values)),
        tokens: count,
      };
    },
  });
  train.free();
}
