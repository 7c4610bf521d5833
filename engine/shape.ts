// Shapes: what a tensor looks like, how two shapes broadcast, and how to print them.
// Read after: nothing. Read next: backend.ts, tensor.ts.

import { describe } from './describe.ts';
import { ShapeError } from './errors.ts';
import { such, type Rule } from './options.ts';

/** Sizes of the axes, the last one innermost; [] is one number. */
export type Shape = readonly number[];

/** Real numbers ('f32', held as f64 by the gradient checks' backend), or 32-bit integers. */
export type DType = 'f32' | 'i32' | 'u32';

export const dtypes: readonly DType[] = ['f32', 'i32', 'u32'];

/** The least and the largest of some integers. */
export interface Range {
  readonly least: number;
  readonly most: number;
}

/** What is known of a tensor before it has memory. */
export interface Spec {
  readonly shape: Shape;
  readonly dtype: DType;
  /**
   * Of integers that came from the host: what lies between them, so that ids can be checked without asking the device.
   */
  readonly range?: Range | undefined;
}

/** Number of elements; 1 for a scalar []. */
export function sizeOf(shape: Shape): number {
  let product = 1;
  for (let i = 0; i < shape.length; i++) product *= shape[i]!;
  return product;
}

/** The step through memory that each axis of a shape takes: [2,3,4] -> [12,4,1]. */
export function stepsOf(shape: Shape): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}

/** Sizes d0..d3 and steps s0..s3 of four axes at most, padded in front: what kernels of four loops take. */
export function fourAxes(
  sizes: Shape,
  steps: readonly number[],
): Record<'d0' | 'd1' | 'd2' | 'd3' | 's0' | 's1' | 's2' | 's3', number> {
  const size = (i: number): number => sizes[i - 4 + sizes.length] ?? 1;
  const step = (i: number): number => steps[i - 4 + steps.length] ?? 0;
  return {
    d0: size(0), d1: size(1), d2: size(2), d3: size(3), s0: step(0), s1: step(1), s2: step(2), s3: step(3),
  };
}

/** '[2,3]', as error messages and docs write it. */
export function show(shape: Shape): string {
  return `[${shape.join(',')}]`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * Throws ShapeError when ids from the host are not all below `count`, or, unless they `mayBeNegative`, not all at least
 * 0.
 */
export function checkIds(
  where: string,
  what: string,
  { range }: Spec,
  count: number,
  { mayBeNegative = false } = {},
): void {
  if (!range) return;
  const wrong = range.most >= count ? range.most : range.least < 0 && !mayBeNegative ? range.least : undefined;
  if (wrong !== undefined) {
    throw new ShapeError(
      `${where}: ${what} ${wrong}: must be ${mayBeNegative ? 'below' : 'from 0 to'} ` +
      `${mayBeNegative ? count : count - 1}`,
    );
  }
}

/** The least and the largest of at least one integer. */
export function rangeOf(values: ArrayLike<number>): Range {
  let least = values[0]!;
  let most = least;
  for (let i = 1; i < values.length; i++) {
    const value = values[i]!;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return { least, most };
}

/** Throws unless it is a list of whole numbers >= 1. */
export function checkShape(where: string, shape: Shape): void {
  if (!Array.isArray(shape)) {
    throw new ShapeError(`${where}: shape ${describe(shape)}: must be a list of sizes: [2, 3]`);
  }
  for (let i = 0; i < shape.length; i++) {
    if (Number.isInteger(shape[i]) && shape[i] >= 1) continue;
    throw new ShapeError(`${where}: ${show(shape)}: every size must be a whole number of at least 1`);
  }
}

/** A shape or an order of axes as an attribute: which numbers may be there, the op says. */
export const wholeNumbers: Rule<readonly number[]> = such(
  'a list of whole numbers: [2, 3]',
  (value) => Array.isArray(value) && Array.from(value).every(Number.isInteger),
);

/** Throws ShapeError unless everything has the targets' shape. */
export function checkTokens(where: string, given: Readonly<Record<string, Spec>>, targets: Spec): void {
  if (targets.shape.length === 0) {
    throw new ShapeError(`${where}: targets []: need a last axis, the tokens of a sequence`);
  }
  for (const [name, { shape }] of Object.entries(given)) {
    if (!sameShape(shape, targets.shape)) {
      throw new ShapeError(`${where}: ${name} ${show(shape)}, targets ${show(targets.shape)}: shapes differ`);
    }
  }
}

/** The shape that both broadcast to, aligned at the last dimension: [3,1] and [2] give [3,2]. */
export function broadcast(where: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const da = a[a.length - rank + i] ?? 1;
    const db = b[b.length - rank + i] ?? 1;
    if (da !== db && da !== 1 && db !== 1) {
      throw new ShapeError(`${where}: ${show(a)} and ${show(b)}: sizes ${da} and ${db} do not broadcast`);
    }
    return da === 1 ? db : da;
  });
}

/** The same elements in another shape; one size may be -1 and is worked out. */
export function reshaped(where: string, from: Shape, to: Shape): Shape {
  const unknown = to.indexOf(-1);
  const size = sizeOf(from);
  if (to.indexOf(-1, unknown + 1) > unknown && unknown >= 0) {
    throw new ShapeError(`${where}: ${show(from)} -> ${show(to)}: only one size may be -1`);
  }
  const known = to.reduce((product, d) => (d === -1 ? product : product * d), 1);
  const shape = unknown < 0 ? [...to] : to.map((d) => (d === -1 ? size / known : d));
  if (sizeOf(shape) !== size || !Number.isInteger(size / known)) {
    throw new ShapeError(
      `${where}: ${show(from)} -> ${show(to)}: ${size} elements do not divide into ${unknown < 0 ? sizeOf(to) : `rows of ${known}`}`,
    );
  }
  checkShape(where, shape);
  return shape;
}

/** An axis counted from the front; -1 is the last. */
export function axisOf(where: string, shape: Shape, axis: number): number {
  const at = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(axis) || at < 0 || at >= shape.length) {
    throw new ShapeError(`${where}: ${show(shape)}: has no axis ${axis}`);
  }
  return at;
}

/** Splits a shape round an axis: elements before it, along it, after it. */
export function around(shape: Shape, axis: number): { outer: number; length: number; inner: number } {
  return { outer: sizeOf(shape.slice(0, axis)), length: shape[axis] ?? 1, inner: sizeOf(shape.slice(axis + 1)) };
}
