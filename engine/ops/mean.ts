// The mean, along one axis or of everything: a sum times a number. Read after: reduce.ts.

import { Call } from '../op.ts';
import { integer, optional } from '../options.ts';
import type { Tensor } from '../tensor.ts';
import { affine } from './arithmetic.ts';
import { sum, type Along } from './reduce.ts';

const call = new Call<Along>('mean', { x: 'f32' }, { axis: optional(integer) });

/** Mean along an axis, or of everything. [2,3] along 0 -> [3]. */
export function mean(x: Tensor, options: Along = {}): Tensor {
  call.check(arguments);
  const total = sum(x, options);
  return affine(total, { factor: total.size / x.size });
}
