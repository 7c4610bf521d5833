// Numbers from the host, however they come: a typed array, a list, or lists of lists. Each is looked at once, here, so
// that what is no number never becomes NaN in silence. Read next: tensor.ts.

import { describe } from './describe.ts';
import { ShapeError } from './errors.ts';
import { checkShape, sameShape, show, sizeOf, type DType, type Shape } from './shape.ts';

/** A typed array, a list of numbers, or rows of them, each as long as the others: [[1, 2], [3, 4]]. */
export type Numbers = ArrayLike<number> | NestedNumbers;

interface NestedNumbers extends ReadonlyArray<number | Numbers> {}

const DEEPEST = 16; // axes: deeper than any tensor, and an end for a list that holds itself

const limits = { i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1] } as const;

/** Integers that a typed array of this kind cannot miss. */
const always: Readonly<Record<string, readonly DType[]>> = {
  Int8Array: ['i32'], Int16Array: ['i32'], Int32Array: ['i32'],
  Uint8Array: ['i32', 'u32'], Uint8ClampedArray: ['i32', 'u32'], Uint16Array: ['i32', 'u32'], Uint32Array: ['u32'],
};

/**
 * Values row-major with their shape, which is worked out unless given. Throws ShapeError, naming the place, for rows of
 * unlike lengths, for what is no number, for an integer type's fractions and numbers out of its range, and where the
 * shape does not fit.
 */
export function fromHost(
  where: string,
  values: Numbers,
  wanted: Shape | undefined,
  dtype: DType,
): { values: ArrayLike<number>; shape: Shape } {
  if (!isList(values)) {
    throw new ShapeError(
      `${where}: ${describe(values)}: must be a list of numbers, or of rows of numbers; a single one is ([5], [])`,
    );
  }
  const found = measure(where, values);
  const isFlat = found.length === 1;
  const shape = wanted === undefined ? found : wanted;
  checkShape(where, shape);
  const count = sizeOf(found);
  if (count !== sizeOf(shape)) {
    throw new ShapeError(`${where}: ${count} values for ${show(shape)}: needs ${sizeOf(shape)}`);
  }
  if (!isFlat && !sameShape(found, shape)) {
    throw new ShapeError(`${where}: rows ${show(found)} for ${show(shape)}: shapes differ`);
  }
  if (isFlat) {
    checkNumbers(where, values, dtype, '');
    return { values: values as ArrayLike<number>, shape: [...shape] };
  }
  const flat = new Float64Array(count);
  fill(flat, 0, { where, values, shape: found, dtype, place: '' });
  return { values: flat, shape: [...shape] };
}

/** The lengths down the first elements: [2,3] for two rows of three. */
function measure(where: string, values: ArrayLike<unknown>): number[] {
  const shape = [];
  for (let inner: unknown = values; isList(inner); inner = inner[0]) {
    shape.push(inner.length);
    if (shape.length > DEEPEST) throw new ShapeError(`${where}: lists more than ${DEEPEST} deep`);
  }
  return shape;
}

interface Rows {
  readonly where: string;
  readonly values: unknown;
  readonly shape: Shape;
  readonly dtype: DType;
  /** Of these values within all: `[1][0]`. */
  readonly place: string;
}

/** Writes rows one after the other; returns where the next begins. */
function fill(flat: Float64Array, start: number, { where, values, shape, dtype, place }: Rows): number {
  const [length, ...rest] = shape as readonly [number, ...number[]];
  if (!isList(values)) {
    throw new ShapeError(`${where}: ${place} = ${describe(values)}: must be a list of ${length}, as the first one is`);
  }
  if (values.length !== length) {
    throw new ShapeError(`${where}: ${place} has ${values.length} elements: must have ${length}, as the first one has`);
  }
  if (rest.length === 0) {
    checkNumbers(where, values, dtype, place);
    flat.set(values as ArrayLike<number>, start);
    return start + length;
  }
  let next = start;
  for (let i = 0; i < length; i++) {
    next = fill(flat, next, { where, values: values[i], shape: rest, dtype, place: `${place}[${i}]` });
  }
  return next;
}

function checkNumbers(where: string, values: ArrayLike<unknown>, dtype: DType, place: string): void {
  const kind = kindOf(values);
  if (kind !== undefined && (dtype === 'f32' || always[kind]?.includes(dtype))) return;
  const [least, most] = dtype === 'f32' ? [NaN, NaN] : limits[dtype];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (
      dtype === 'f32'
        ? typeof value === 'number'
        : Number.isInteger(value) && (value as number) >= least && (value as number) <= most
    ) {
      continue;
    }
    const what = dtype === 'f32' ? 'a number' : `a whole number from ${least} to ${most} (${dtype})`;
    throw new ShapeError(`${where}: ${place}[${i}] = ${describe(value)}: must be ${what}`);
  }
}

/** `Float32Array`; undefined for what is no typed array of numbers. */
function kindOf(values: unknown): string | undefined {
  return ArrayBuffer.isView(values) ? values[Symbol.toStringTag as never] as string | undefined : undefined;
}

/** An array or a typed array of numbers, of any realm. */
function isList(values: unknown): values is ArrayLike<unknown> {
  const kind = kindOf(values);
  return Array.isArray(values) || (kind !== undefined && kind !== 'DataView' && !kind.startsWith('Big'));
}
