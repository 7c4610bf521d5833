// The ops' own test cases, made concrete: every op by name, the sizes and attributes it declares, and inputs filled
// from a seed. Declared in engine/op.ts (Cases, Fill), beside each op. Read next: gradient.ts, which feeds them.

import fc from 'fast-check';
import * as exported from '../../engine/ops/index.ts';
import type { Fill, Op } from '../../engine/op.ts';
import { rng, type Rng } from '../../engine/rng.ts';
import { sizeOf, type DType, type Shape } from '../../engine/shape.ts';
import { tensor, type Tensor } from '../../engine/tensor.ts';

export type AnyOp = Op<readonly Tensor[], object>;

/** Sizes by name, as a case declares them: { M: 2, N: 3 }. */
export type Sizes = Readonly<Record<string, number>>;

/** Values for one input, on the host. */
export interface HostInput {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly values: Float64Array;
}

/** An op with sizes and attributes chosen; only the values are missing. */
export interface Case {
  readonly op: AnyOp;
  readonly attrs: object;
  readonly fills: readonly Fill[];
}

export function isOp(value: unknown): value is AnyOp {
  return typeof value === 'function' && 'def' in value;
}

/** Every op that engine/ops/index.ts exports. */
export const everyOp: readonly AnyOp[] = Object.values(exported).filter(isOp);

/** One number per attributes function of the op's cases. */
export function variantsOf({ def: { cases: { attrs } } }: AnyOp): readonly number[] {
  return [...(attrs ?? [null]).keys()];
}

/** Every op with each of its variants, and a title for test.each. */
export const everyVariant = everyOp.flatMap((op) =>
  variantsOf(op).map((variant) => ({ op, variant, title: `${op.def.name}, variant ${variant}` })),
);

/** Draws sizes within the op's ranges; failures shrink to the smallest. */
export function drawnSizes({ def: { cases: { dims } } }: AnyOp): fc.Arbitrary<Sizes> {
  return fc.record(
    Object.fromEntries(Object.entries(dims).map(([name, [min, max]]) => [name, fc.integer({ min, max })])),
  );
}

/** All combinations of sizes, in order. */
export function allSizes({ def: { cases: { dims } } }: AnyOp): readonly Sizes[] {
  const grow = (found: Sizes[], [name, [min, max]]: [string, readonly [number, number]]): Sizes[] =>
    found.flatMap((sizes) => Array.from({ length: max - min + 1 }, (_, i) => ({ ...sizes, [name]: min + i })));
  return Object.entries(dims).reduce(grow, [{}]);
}

export function caseOf(op: AnyOp, variant: number, sizes: Sizes): Case {
  const { attrs: attrsOf, inputs } = op.def.cases;
  const attrs = attrsOf?.[variant]?.(sizes) ?? {};
  return { op, attrs, fills: inputs(sizes, attrs) };
}

/** The largest sizes that an op's cases allow. */
export function largest({ def: { cases: { dims } } }: AnyOp): Sizes {
  return Object.fromEntries(Object.entries(dims).map(([name, [, max]]) => [name, max]));
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
