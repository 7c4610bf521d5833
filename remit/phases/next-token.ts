// What every language-model phase does with a batch of rows: the first T tokens of each are inputs, the last T their
// targets. Read after: pretrain.ts. Read next: train-loop.ts.

import type { HostArray } from '../../kernels/kernel.ts';
import { ConfigError } from '../../engine/errors.ts';
import { checkValue, having, optional, typedArray } from '../../engine/options.ts';
import { affine } from '../../engine/ops/arithmetic.ts';
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
  checkLength({ rows, mask }, batch);
  const length = rows.length / batch;
  const T = length - 1;
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

function checkLength(
  { rows, mask }: { readonly rows: Int32Array; readonly mask?: ArrayLike<number> | undefined },
  batch: number,
): void {
  const length = rows.length / batch;
  if (!Number.isInteger(length) || length < 2) {
    throw new ConfigError(
      `rows: ${rows.length} tokens in a batch of ${batch}: need rows of at least 2 tokens, all of one length`,
    );
  }
  const needed = batch * (length - 1);
  if (mask !== undefined && mask.length !== needed) {
    throw new ConfigError(`rows: a mask of ${mask.length} for ${batch} rows of ${length} tokens: needs ${needed}`);
  }
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

type Drawn = ReturnType<NextTokenLoop['rows']>;

/** A part of a batch, and how many of its targets count. */
interface Part extends Drawn {
  readonly batch: number;
  readonly count: number;
}

/** A batch in parts of at most `size` rows. */
function inParts({ rows, mask }: Drawn, batch: number, size: number): Part[] {
  const length = rows.length / batch;
  return Array.from({ length: Math.ceil(batch / size) }, (_, part): Part => {
    const [from, to] = [part * size, Math.min(batch, (part + 1) * size)];
    const own = mask?.subarray(from * (length - 1), to * (length - 1));
    const count = own ? own.filter((counts) => counts !== 0).length : (to - from) * (length - 1);
    return { rows: rows.subarray(from * length, to * length), ...(own && { mask: own }), batch: to - from, count };
  });
}

/**
 * One optimiser step per batch: forward, loss, backward, AdamW. With settings.microBatch, forward and backward of that
 * many rows at a time; the sum of their gradients is the batch's, to rounding.
 */
export async function nextTokenLoop({
  rows,
  loss: lossOf,
  describe = () => ({}),
  ...loop
}: NextTokenLoop): Promise<void> {
  const { model, settings: { batch, microBatch = batch } } = loop;
  const train = step((part: Part, i: number, at: { share: number; isFirst: boolean; apply: Apply | undefined }) => {
    const { loss, read = {} } = lossOf(nextTokens(part.rows, part.batch, part.mask), i);
    if (at.isFirst) model.parameters.clearGradients();
    backward(at.share === 1 ? loss : affine(loss, { factor: at.share }));
    return { loss, gradNorm: at.apply?.(), read };
  });
  await trainLoop({
    ...loop,
    async body(i, apply) {
      const drawn = checkValue(`${loop.phase}: data.rows(${i}, ${batch})`, rows(i, batch), drawnRule);
      checkLength(drawn, batch);
      const parts = inParts(drawn, batch, microBatch);
      const tokens = parts.reduce((sum, { count }) => sum + count, 0);
      const seen: Record<string, HostArray[]> = {};
      let [loss, gradNorm] = [0, 0];
      for (const [at, part] of parts.entries()) {
        const isLast = at === parts.length - 1;
        const share = parts.length === 1 ? 1 : part.count / tokens;
        const found = await train(part, i, { share, isFirst: at === 0, apply: isLast ? apply : undefined });
        for (const [name, tensor] of Object.entries(found.read)) (seen[name] ??= []).push(await tensor.read());
        loss += share * (await found.loss.item());
        gradNorm = (await found.gradNorm?.item()) ?? 0;
      }
      const values = Object.entries(seen).map(([name, read]) => [name, joined(read)] as const);
      return { loss, gradNorm, ...describe(Object.fromEntries(values)), tokens };
    },
  });
  train.free();
}

function joined(parts: readonly HostArray[]): HostArray {
  const [first] = parts;
  if (parts.length === 1) return first!;
  return Float64Array.from(parts.flatMap((part) => [...part]));
}
