// Values for an op's cases, from a seed. Read after: ../op.ts (Cases, Fill). Read next: gradients.ts, which feeds them.

import type { Fill } from '../op.ts';
import { rng, type Rng } from '../rng.ts';
import { sizeOf, type DType, type Shape } from '../shape.ts';
import { tensor, type Tensor } from '../tensor.ts';

/** Values for one input, on the host. */
export interface HostInput {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly values: Float64Array;
}

/**
 * No two real numbers of a case have magnitudes closer than this, so that where max, minimum and the like pick one of
 * two, a small difference does not make them pick the other.
 */
export const GAP = 4e-3;

/** Values for all inputs of a case: a function of the fills and the seed. */
export function fillAll(fills: readonly Fill[], seed: number): HostInput[] {
  const inputs = fills.map(({ shape, values }, i) => ({
    shape,
    dtype: typeof values === 'object' ? ('i32' as const) : ('f32' as const),
    values: draw(sizeOf(shape), values, rng(seed).fold('input').at(i)),
  }));
  spread(inputs.filter(({ dtype }) => dtype === 'f32').map(({ values }) => values));
  return inputs;
}

/** The input as a constant on the current backend. */
export function upload({ values, shape, dtype }: HostInput): Tensor {
  return tensor(values, shape, dtype);
}

function draw(n: number, values: Fill['values'], random: Rng): Float64Array {
  if (typeof values === 'object') {
    const stream = random.stream();
    return Float64Array.from({ length: n }, () => stream.int(values.below));
  }
  const numbers = random.normals(n);
  if (values === 'positive') return numbers.map((x) => 0.2 + Math.abs(x));
  if (values === 'away from 0') return numbers.map((x) => x + (x < 0 ? -0.2 : 0.2));
  return numbers;
}

/** Pushes the numbers outwards, from the smallest magnitude up, until each is GAP beyond the one before. */
function spread(arrays: readonly Float64Array[]): void {
  const places = arrays.flatMap((values) => Array.from(values, (x, i) => ({ values, i, magnitude: Math.abs(x) })));
  let least = 0;
  for (const { values, i, magnitude } of places.sort((a, b) => a.magnitude - b.magnitude)) {
    least = Math.max(magnitude, least);
    values[i] = values[i]! < 0 ? -least : least;
    least += GAP;
  }
}
