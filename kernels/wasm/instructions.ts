// WebAssembly's instructions, as expressions that leave a value: 32-bit integers, single floats, vectors of four, pairs
// of vectors, and the atomic operations that threads meet by. Only what the kernels need is here.
// Source: the WebAssembly core specification 2.0, chapter 5.4; relaxed SIMD and threads proposals.
// Read after: opcodes.ts. Read next: assembler.ts.

import { op, unsigned, type Opcode } from './opcodes.ts';

/**
 * A pair is two vectors side by side, eight floats: what V8 may join into one of 256 bits (docs/cpu.md). WebAssembly
 * knows no such type.
 */
export type Type = 'i32' | 'f32' | 'v128' | 'pair';

/** Bytes, in pieces. */
export type Code = readonly (number | Code)[];

/** Code that leaves one value of type T on the stack; of a pair, its lower half. */
export interface Expr<T extends Type> {
  readonly type: T;
  readonly code: Code;
  /** Of a pair alone: code that leaves its upper half. */
  readonly upper?: Code;
}

/** A local variable or parameter; reading it is an expression. The upper half of a pair is the local after this one. */
export interface Local<T extends Type> extends Expr<T> {
  readonly index: number;
}

/** A 32-bit number: computed, or known when the program is emitted. */
export type I32 = Expr<'i32'> | number;

/** A local that holds a 32-bit number. */
export type Int = Local<'i32'>;

/** A local that holds a float. */
export type Float = Local<'f32'>;

/** A local that holds four floats. */
export type Vector = Local<'v128'>;

export { unsigned };

/** Bytes of a signed 32-bit number, seven bits each, least significant first: the last byte's bit 6 is the sign. */
export function signed(n: number): number[] {
  const bytes: number[] = [];
  for (;;) {
    const low = n & 0x7f;
    const rest = n >> 7;
    const done = rest === (low & 0x40 ? -1 : 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
    n = rest;
  }
}

/** Code that leaves one value of this type on the stack. */
export function expr<T extends Type>(type: T, ...code: Code): Expr<T> {
  return { type, code };
}

/** Two vectors side by side, which a wide module computes as one. */
export function pairOf(lower: Expr<'v128'>, upper: Expr<'v128'>): Expr<'pair'> {
  return { type: 'pair', code: lower.code, upper: upper.code };
}

/** The first vector of a pair. */
export const lower = ({ code }: Expr<'pair'>): Expr<'v128'> => expr('v128', code);

/** The second vector of a pair. */
export const upper = (pair: Expr<'pair'>): Expr<'v128'> => expr('v128', pair.upper!);

/** The code of a 32-bit number. */
export const int = (x: I32): Code => (typeof x === 'number' ? [op('i32.const'), signed(x)] : x.code);

/** base + index stride + index stride + ...: an address, or any sum of products. */
export function at(base: I32, ...steps: readonly (readonly [index: I32, stride: I32])[]): Expr<'i32'> {
  return steps.reduce<Expr<'i32'>>((sum, [index, stride]) => i32.add(sum, i32.mul(index, stride)), i32.of(base));
}

/** Alignment, as a power of two, and offset: what follows the opcode of a load or store. */
export const memory = (offset: number): Code => [2, unsigned(offset)];

type Binary<A, T extends Type> = (a: A, b: A) => Expr<T>;

const int2 = (name: Opcode): Binary<I32, 'i32'> => (a, b) => expr('i32', int(a), int(b), op(name));

/**
 * Integers; numbers stand for constants. Comparisons give 0 or 1; lt, gt, ge and min are signed: for counts, not for
 * addresses (4 GiB).
 */
export const i32 = {
  of: (n: I32): Expr<'i32'> => (typeof n === 'number' ? expr('i32', int(n)) : n),
  add: int2('i32.add'), sub: int2('i32.sub'), mul: int2('i32.mul'),
  and: int2('i32.and'), or: int2('i32.or'), xor: int2('i32.xor'),
  /** Unsigned: quotient and rest. */
  div: int2('i32.div_u'), rem: int2('i32.rem_u'),
  eq: int2('i32.eq'), ne: int2('i32.ne'), lt: int2('i32.lt_s'), gt: int2('i32.gt_s'), ge: int2('i32.ge_s'),
  shiftLeft: int2('i32.shl'), shiftRight: int2('i32.shr_s'),
  min: (a: I32, b: I32) => expr('i32', int(a), int(b), int(a), int(b), op('i32.lt_s'), op('select')),
  load: (address: I32, offset = 0) => expr('i32', int(address), op('i32.load'), memory(offset)),
} as const;

type F32 = Expr<'f32'>;

const float2 = (name: Opcode): Binary<F32, 'f32'> => (a, b) => expr('f32', a.code, b.code, op(name));
const floatCompare = (name: Opcode): Binary<F32, 'i32'> => (a, b) => expr('i32', a.code, b.code, op(name));

/** Operations on single floats. */
export const f32 = {
  of: (x: number) => expr('f32', op('f32.const'), floatBytes(x)),
  zero: expr('f32', op('f32.const'), [0, 0, 0, 0]),
  add: float2('f32.add'), sub: float2('f32.sub'), mul: float2('f32.mul'), div: float2('f32.div'),
  min: float2('f32.min'), max: float2('f32.max'),
  sqrt: (x: F32) => expr('f32', x.code, op('f32.sqrt')),
  eq: floatCompare('f32.eq'), ge: floatCompare('f32.ge'), gt: floatCompare('f32.gt'),
  select: (condition: Expr<'i32'>, yes: F32, no: F32) => expr('f32', yes.code, no.code, condition.code, op('select')),
  fromInt: (x: I32) => expr('f32', int(x), op('f32.convert_i32_s')),
  load: (address: I32, offset = 0) => expr('f32', int(address), op('f32.load'), memory(offset)),
} as const;

type V128 = Expr<'v128'>;

const vector1 = (name: Opcode) => (v: V128): V128 => expr('v128', v.code, op(name));
const vector2 = (name: Opcode): Binary<V128, 'v128'> => (a, b) => expr('v128', a.code, b.code, op(name));
const shift = (name: Opcode) => (v: V128, by: number): V128 => expr('v128', v.code, int(by), op(name));

/** Vectors of four floats. */
export const v128 = {
  zero: expr('v128', op('v128.const'), new Array<number>(16).fill(0)),
  load: (address: I32, offset = 0) => expr('v128', int(address), op('v128.load'), memory(offset)),
  /** One float from memory in all four lanes. */
  loadSplat: (address: I32, offset = 0) => expr('v128', int(address), op('v128.load32_splat'), memory(offset)),
  /** The same float in all four lanes. */
  of: (x: number) => expr('v128', op('v128.const'), floatBytes(x), floatBytes(x), floatBytes(x), floatBytes(x)),
  splat: (x: F32) => expr('v128', x.code, op('f32x4.splat')),
  add: vector2('f32x4.add'),
  sub: vector2('f32x4.sub'),
  mul: vector2('f32x4.mul'),
  div: vector2('f32x4.div'),
  min: vector2('f32x4.min'),
  max: vector2('f32x4.max'),
  /**
   * b < a ? b : a, and a < b ? b : a: one instruction, where min and max take several; not a number stays so if it is
   * a.
   */
  lesser: vector2('f32x4.pmin'),
  greater: vector2('f32x4.pmax'),
  sqrt: vector1('f32x4.sqrt'),
  /** Lanes of ones where true, of zeros where not. */
  gt: vector2('f32x4.gt'),
  ge: vector2('f32x4.ge'),
  /** a where the mask's bits are 1, b where they are 0. */
  select: (mask: V128, a: V128, b: V128) => expr('v128', a.code, b.code, mask.code, op('v128.bitselect')),
  /** Lanes by number, 0 to 3 from a and 4 to 7 from b. */
  shuffle: (a: V128, b: V128, ...lanes: readonly [number, number, number, number]) =>
    expr(
      'v128',
      a.code,
      b.code,
      op('i8x16.shuffle'),
      lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]),
    ),
  /** Rounds to the nearest whole number, halves to even. */
  nearest: vector1('f32x4.nearest'),
  lane: (v: V128, i: number) => expr('f32', v.code, op('f32x4.extract_lane'), i),
  /** Largest of the four lanes. */
  largest: (v: Vector): F32 =>
    f32.max(f32.max(v128.lane(v, 0), v128.lane(v, 1)), f32.max(v128.lane(v, 2), v128.lane(v, 3))),
  /** (lane 0 + lane 1) + (lane 2 + lane 3). */
  sum: (v: Vector): F32 =>
    f32.add(f32.add(v128.lane(v, 0), v128.lane(v, 1)), f32.add(v128.lane(v, 2), v128.lane(v, 3))),
} as const;

/** The same 128 bits seen as four 32-bit integers. */
export const i32x4 = {
  of: (x: number) => expr('v128', op('v128.const'), wordBytes(x), wordBytes(x), wordBytes(x), wordBytes(x)),
  add: vector2('i32x4.add'), sub: vector2('i32x4.sub'),
  and: vector2('v128.and'), or: vector2('v128.or'), xor: vector2('v128.xor'),
  words: (...four: readonly [number, number, number, number]) => expr('v128', op('v128.const'), ...four.map(wordBytes)),
  splat: (x: I32) => expr('v128', int(x), op('i32x4.splat')),
  lane: (v: V128, i: number) => expr('i32', v.code, op('i32x4.extract_lane'), i),
  shiftLeft: shift('i32x4.shl'),
  /** Fills with zeros. */
  shiftRight: shift('i32x4.shr_u'),
  /** Copies the sign. */
  shiftRightSigned: shift('i32x4.shr_s'),
  fromFloats: vector1('i32x4.trunc_sat_f32x4_s'),
  toFloats: vector1('f32x4.convert_i32x4_s'),
} as const;

const FOREVER = -1; // as a time-out

/** Operations on integers in shared memory that all threads see happen in one order. */
export const atomics = {
  load: (address: I32) => expr('i32', int(address), op('i32.atomic.load'), memory(0)),
  /** Adds; the value before. */
  add: (address: I32, by: I32) => expr('i32', int(address), int(by), op('i32.atomic.rmw.add'), memory(0)),
  /** Writes `next` if the value is `expected`; the value before. */
  exchange: (address: I32, expected: I32, next: I32) =>
    expr('i32', int(address), int(expected), int(next), op('i32.atomic.rmw.cmpxchg'), memory(0)),
  /** Sleeps until woken, unless the value is another than `expected`. */
  wait: (address: I32, expected: I32) =>
    expr('i32', int(address), int(expected), op('i64.const'), signed(FOREVER), op('memory.atomic.wait32'), memory(0)),
  /** Wakes all who sleep; their number. */
  notify: (address: I32) => expr('i32', int(address), int(-1), op('memory.atomic.notify'), memory(0)),
} as const;

function floatBytes(x: number): number[] {
  return [...new Uint8Array(Float32Array.of(x).buffer)];
}

function wordBytes(x: number): number[] {
  return [...new Uint8Array(Int32Array.of(x).buffer)];
}
