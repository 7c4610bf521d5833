// Is backward() the derivative? Compared with central differences, in double precision, for any function of tensors.
// Read after: fill.ts. Used by: ops.gradient.test.ts, for every op.

import { expect } from 'vitest';
import { rng } from '../../engine/rng.ts';
import { noGrad } from '../../engine/runtime.ts';
import { sameShape } from '../../engine/shape.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, Tensor, variable } from '../../engine/tensor.ts';
import { GAP, upload, type HostInput } from './fill.ts';

export type TensorFunction = (...inputs: Tensor[]) => Tensor;

export interface CheckOptions {
  readonly seed: number;
  /** Inputs that the function documents as constants: they must get no gradient. */
  readonly constants?: readonly number[];
}

/**
 * Errors are relative to the derivative, but a derivative below this counts as this: inputs and seeds are numbers of
 * size 1.
 */
export const FLOOR = 1e-3;

const STEP = GAP / 8; // two steps to either side, of two numbers at once, stay within half a gap
const ENTRIES = 3;    // single elements that are checked beside the direction

/**
 * Differentiates sum(f(inputs) * random) by every real input, along a random direction (whose largest component is 1)
 * and by a few single elements, and returns the largest relative error. Runs on the current backend, which must be in
 * double precision. Throws when an input gets no gradient, or a constant gets one.
 */
export async function checkGradient(
  f: TensorFunction,
  inputs: readonly HostInput[],
  { seed, constants = [] }: CheckOptions,
): Promise<number> {
  const random = rng(seed).fold('gradient');
  const stream = random.stream();
  const leaves = inputs.map((input) => (input.dtype === 'f32' ? variable(input.values, input.shape) : upload(input)));
  const result = f(...leaves);
  const weights = random.fold('weights').normals(result.size);
  const gradients = backward(result, tensor(weights, result.shape));

  const lossAt = async (values: readonly HostInput[]): Promise<number> => {
    const out = await noGrad(() => f(...values.map(upload))).read();
    return weights.reduce((total, weight, i) => total + weight * out[i]!, 0);
  };
  /** Fourth order: the error of two differences cancels to h⁴. */
  const along = async (input: number, direction: ArrayLike<number>): Promise<number> => {
    const moved = (h: number): Promise<number> =>
      lossAt(inputs.map((x, i) => (i === input ? { ...x, values: x.values.map((v, k) => v + h * direction[k]!) } : x)));
    const near = (await moved(STEP)) - (await moved(-STEP));
    const far = (await moved(2 * STEP)) - (await moved(-2 * STEP));
    return (8 * near - far) / (12 * STEP);
  };

  let worst = 0;
  for (const [i, { dtype, values }] of inputs.entries()) {
    const gradient = gradients.of(leaves[i]!);
    if (dtype !== 'f32' || constants.includes(i)) {
      expect(gradient, `input ${i} is a constant`).toBeUndefined();
      continue;
    }
    expect(gradient && sameShape(gradient.shape, inputs[i]!.shape), `input ${i} has a gradient of its shape`).toBe(
      true,
    );
    const found = await gradient!.read();
    const some = random.fold('direction').at(i).normals(values.length);
    const most = Math.max(...some.map(Math.abs));
    const entries = Array.from({ length: ENTRIES }, () => stream.int(values.length));
    for (const direction of [some.map((x) => x / most), ...entries.map((k) => values.map((_, j) => +(j === k)))]) {
      const analytic = direction.reduce((total, d, k) => total + d * found[k]!, 0);
      const numeric = await along(i, direction);
      worst = Math.max(worst, relativeError(analytic, numeric));
    }
  }
  return worst;
}

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

/** NaN counts as infinitely wrong. */
export function relativeError(a: number, b: number): number {
  const error = Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b), FLOOR);
  return Number.isNaN(error) ? Infinity : error;
}

/** A leaf whose gradient is added to a slot, as those of engine/parameters.ts. */
function parameter(input: HostInput, held: ArrayLike<number>): Tensor {
  const { shape, dtype, storage } = upload(input);
  return new Tensor({ shape, dtype, storage, needsGrad: true, gradient: tensor(held, shape) });
}
