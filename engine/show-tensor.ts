// A tensor as console.log shows it: kind, shape and, where the host can see its memory, the first values.
// Used by: tensor.ts.

import type { TensorStorage } from './backend.ts';
import { StepError } from './errors.ts';
import { show, type Spec } from './shape.ts';

const MOST = 6; // of an axis
const DIGITS = 4;

/** `Tensor f32 [2,2] [[1, 2], [3, 4]]`; on a GPU, how to see them. */
export function showTensor(tensor: Spec & { readonly storage: TensorStorage }): string {
  const head = `Tensor ${tensor.dtype} ${show(tensor.shape)}`;
  try {
    const { storage } = tensor;
    const values = storage.owner?.peek?.(storage);
    return values === undefined ? `${head}, values by await read()` : `${head} ${nested(values, tensor.shape, 0)}`;
  } catch (error) {
    if (error instanceof StepError) return `${head}, stale: ${error.message}`;
    throw error;
  }
}

/** The values from number `at` on, as nested lists. */
function nested(values: ArrayLike<number>, [length, ...rest]: readonly number[], at: number): string {
  if (length === undefined) return String(Number(values[at]!.toPrecision(DIGITS)));
  const size = rest.reduce((product, n) => product * n, 1);
  const shown = Array.from({ length: Math.min(length, MOST) }, (_, i) => nested(values, rest, at + i * size));
  return `[${[...shown, ...(length > MOST ? ['...'] : [])].join(', ')}]`;
}
