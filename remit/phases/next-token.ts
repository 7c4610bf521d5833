// What every language-model phase does with a batch of rows: the first T tokens of each are inputs, the last T their targets.

import { DivergedError } from '../../engine/errors.ts';
import { tensor, type Tensor } from '../../engine/tensor.ts';

export interface NextTokenBatch {
  /** [B,T] i32. */
  readonly inputs: Tensor;
  /** [B,T] i32: the inputs shifted by one. */
  readonly targets: Tensor;
}

/** rows: B x (T + 1) tokens, row-major. */
export function nextTokens(rows: Int32Array, batch: number): NextTokenBatch {
  const length = rows.length / batch, T = length - 1;
  const inputs = new Int32Array(batch * T), targets = new Int32Array(batch * T);
  for (let b = 0; b < batch; b++) {
    inputs.set(rows.subarray(b * length, b * length + T), b * T);
    targets.set(rows.subarray(b * length + 1, (b + 1) * length), b * T);
  }
  return { inputs: tensor(inputs, [batch, T], 'i32'), targets: tensor(targets, [batch, T], 'i32') };
}

/** Throws DivergedError when a loss or norm is no number any more: a step further, the weights are not either. */
export function checkFinite(phase: string, step: number, values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isFinite(value)) throw new DivergedError(`${phase}: ${name} is ${value} at step ${step}: lower ${phase}.rate or ${phase}.clip`);
  }
}
