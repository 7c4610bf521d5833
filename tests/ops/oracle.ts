// An oracle: the same maths written with other ops. A fused op must agree with it in value and in every gradient.

import { expect } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import '../../engine/methods.ts';
import { withBackend } from '../../engine/runtime.ts';
import { sizeOf, type Shape } from '../../engine/shape.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, variable, type Tensor } from '../../engine/tensor.ts';
import { onBackend } from '../support/backends.ts';

export const f64 = new CpuBackend({ precision: 'f64' });

/** Numbers between -1.5 and 1.5 that look random and are the same every time. */
export function numbers(shape: Shape, seed: number): Float64Array {
  return Float64Array.from({ length: sizeOf(shape) }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 + (seed + 1) * 78.233) * 43758.5453;
    return 3 * (x - Math.floor(x)) - 1.5;
  });
}

/** Feeds both functions the same inputs, in double precision, and compares the results and the inputs' gradients. */
export async function expectSame(
  fused: (...inputs: Tensor[]) => Tensor, oracle: (...inputs: Tensor[]) => Tensor, shapes: readonly Shape[], seed = 1,
): Promise<void> {
  await onBackend(f64, async () => {
    const inputs = shapes.map((shape, i) => variable(numbers(shape, seed + i), shape));
    const y = fused(...inputs);
    const expected = oracle(...inputs);
    expect(y.shape).toEqual(expected.shape);
    expectClose(await y.read(), await expected.read());
    const dy = tensor(numbers(y.shape, seed + 100), y.shape);
    const found = backward(y, dy);
    const wanted = backward(expected, dy);
    for (const input of inputs) {
      expectClose(await found.of(input)!.read(), await wanted.of(input)!.read());
    }
  });
}

/** Within `tolerance` of the largest expected number, or of 1. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-12): void {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(1, ...Array.from(expected, Math.abs));
  const worst = Math.max(...Array.from(actual, (x, i) => Math.abs(x - expected[i]!)));
  expect(worst / scale).toBeLessThan(tolerance);
}

/** What a call throws, whole. */
export function messageOf(call: () => unknown): string {
  return withBackend(f64, () => {
    try {
      call();
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing was thrown';
  });
}
