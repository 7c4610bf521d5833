// Do gradients of parameters land in their slots? The derivative itself: engine/check/gradients.ts. Used by:
// ops.gradient.test.ts, for every op.

import { rng } from '../../engine/rng.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, Tensor, variable } from '../../engine/tensor.ts';
import type { CheckOptions, TensorFunction } from '../../engine/check/gradients.ts';
import { upload, type HostInput } from './fill.ts';

export { checkGradient, relativeError, type TensorFunction } from '../../engine/check/gradients.ts';

/**
 * With parameters as inputs: two backward passes must add twice the gradient to whatever their slots hold. Returns the
 * largest difference. (Some ops add to a slot by themselves, others leave it to the tape.)
 */
export async function checkSlots(
  f: TensorFunction,
  inputs: readonly HostInput[],
  { seed, constants = [] }: CheckOptions,
): Promise<number> {
  const random = rng(seed).fold('slots');
  const plain = inputs.map((input) => (input.dtype === 'f32' ? variable(input.values, input.shape) : upload(input)));
  const before = inputs.map(({ values }, i) => random.fold('before').at(i).normals(values.length));
  const parameters = inputs.map((input, i) => (input.dtype === 'f32' ? parameter(input, before[i]!) : upload(input)));
  const result = f(...plain);
  const weights = tensor(random.fold('weights').normals(result.size), result.shape);
  const wanted = backward(result, weights);
  for (let pass = 0; pass < 2; pass++) backward(f(...parameters), weights);

  let worst = 0;
  for (const [i, { gradient: slot }] of parameters.entries()) {
    if (!slot) continue;
    const gradient = constants.includes(i) ? before[i]!.map(() => 0) : await wanted.of(plain[i]!)!.read();
    const after = await slot.read();
    after.forEach((x, k) => (worst = Math.max(worst, Math.abs(x - before[i]![k]! - 2 * gradient[k]!))));
  }
  return worst;
}

/** A leaf whose gradient is added to a slot, as those of engine/parameters.ts. */
function parameter(input: HostInput, held: ArrayLike<number>): Tensor {
  const { shape, dtype, storage } = upload(input);
  return new Tensor({ shape, dtype, storage, needsGrad: true, gradient: tensor(held, shape) });
}
