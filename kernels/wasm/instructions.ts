// WebAssembly's instructions, as expressions that leave a value: 32-bit integers, single floats, vectors of four, and the atomic operations
// that threads meet by. Only what the kernels need is here.
// Source: the WebAssembly core specification 2.0, chapter 5.4; relaxed SIMD and threads proposals. Read next: assembler.ts.

export type Type = 'i32' | 'f32' | 'v128';

/** Code that leaves one value of type T on the stack. */
export interface Expr<T extends Type> {
  readonly type: T;
  readonly code: readonly number[];
}

/** A local variable or parameter; reading it is an expression. */
export interface Local<T extends Type> extends Expr<T> {
  readonly index: number;
}

export type I32 = Expr<'i32'> | number;

/** Bytes of an unsigned number, seven bits each, least significant first. */
export function unsigned(n: number): number[] {
  const bytes: number[] = [];
  do {
    const rest = n >>> 7;
    bytes.push((n & 0x7f) | (rest ? 0x80 : 0));
    n = rest;
  } while (n);
  return bytes;
}

/** The same for a signed 32-bit number: the last byte's bit 6 is the sign. */
export function signed(n: number): number[] {
  const bytes: number[] = [];
  for (;;) {
    const low = n & 0x7f, rest = n >> 7, done = rest === (low & 0x40 ? -1 : 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
    n = rest;
  }
}

export function expr<T extends Type>(type: T, ...parts: (number | readonly number[])[]): Expr<T> {
  return { type, code: parts.flat() };
}

export const int = (x: I32): readonly number[] => (typeof x === 'number' ? [0x41, ...signed(x)] : x.code);

const int2 = (opcode: number) => (a: I32, b: I32): Expr<'i32'> => expr('i32', int(a), int(b), opcode);

/** Integers; numbers stand for constants. Comparisons give 0 or 1; lt, gt, ge and min are signed: for counts, not for addresses (4 GiB). */
export const i32 = {
  of: (n: number) => expr('i32', int(n)),
  add: int2(0x6a), sub: int2(0x6b), mul: int2(0x6c), and: int2(0x71), or: int2(0x72), xor: int2(0x73),
  /** Unsigned: quotient and rest. */
  div: int2(0x6e), rem: int2(0x70),
  eq: int2(0x46), ne: int2(0x47), lt: int2(0x48), gt: int2(0x4a), ge: int2(0x4e),
  shiftLeft: int2(0x74), shiftRight: int2(0x75),
  min: (a: I32, b: I32) => expr('i32', int(a), int(b), int(a), int(b), 0x48, 0x1b),
  load: (address: I32, offset = 0) => expr('i32', int(address), 0x28, 2, unsigned(offset)),
} as const;

const float2 = (opcode: number) => (a: Expr<'f32'>, b: Expr<'f32'>): Expr<'f32'> => expr('f32', a.code, b.code, opcode);

export const f32 = {
  of: (x: number) => expr('f32', 0x43, floatBytes(x)),
  zero: expr('f32', 0x43, 0, 0, 0, 0),
  add: float2(0x92), sub: float2(0x93), mul: float2(0x94), div: float2(0x95), min: float2(0x96), max: float2(0x97),
  sqrt: (x: Expr<'f32'>) => expr('f32', x.code, 0x91),
  eq: (a: Expr<'f32'>, b: Expr<'f32'>) => expr('i32', a.code, b.code, 0x5b),
  ge: (a: Expr<'f32'>, b: Expr<'f32'>) => expr('i32', a.code, b.code, 0x60),
  gt: (a: Expr<'f32'>, b: Expr<'f32'>) => expr('i32', a.code, b.code, 0x5e),
  select: (condition: Expr<'i32'>, yes: Expr<'f32'>, no: Expr<'f32'>) => expr('f32', yes.code, no.code, condition.code, 0x1b),
  fromInt: (x: I32) => expr('f32', int(x), 0xb2),
  load: (address: I32, offset = 0) => expr('f32', int(address), 0x2a, 2, unsigned(offset)),
} as const;

export const vector = (opcode: number): readonly number[] => [0xfd, ...unsigned(opcode)];

const vector2 = (opcode: number) => (a: Expr<'v128'>, b: Expr<'v128'>): Expr<'v128'> => expr('v128', a.code, b.code, vector(opcode));

/** Vectors of four floats. */
export const v128 = {
  zero: expr('v128', vector(0x0c), new Array<number>(16).fill(0)),
  load: (address: I32, offset = 0) => expr('v128', int(address), vector(0x00), 2, unsigned(offset)),
  /** One float from memory in all four lanes. */
  loadSplat: (address: I32, offset = 0) => expr('v128', int(address), vector(0x09), 2, unsigned(offset)),
  /** The same float in all four lanes. */
  of: (x: number) => expr('v128', vector(0x0c), floatBytes(x), floatBytes(x), floatBytes(x), floatBytes(x)),
  splat: (x: Expr<'f32'>) => expr('v128', x.code, vector(0x13)),
  add: vector2(0xe4), sub: vector2(0xe5), mul: vector2(0xe6), div: vector2(0xe7), min: vector2(0xe8), max: vector2(0xe9),
  /** b < a ? b : a, and a < b ? b : a: one instruction, where min and max take several; not a number stays so if it is a. */
  lesser: vector2(0xea), greater: vector2(0xeb),
  sqrt: (v: Expr<'v128'>) => expr('v128', v.code, vector(0xe3)),
  /** Lanes of ones where true, of zeros where not. */
  gt: vector2(0x44), ge: vector2(0x46),
  /** a where the mask's bits are 1, b where they are 0. */
  select: (mask: Expr<'v128'>, a: Expr<'v128'>, b: Expr<'v128'>) => expr('v128', a.code, b.code, mask.code, vector(0x52)),
  /** Lanes by number, 0 to 3 from a and 4 to 7 from b. */
  shuffle: (a: Expr<'v128'>, b: Expr<'v128'>, ...lanes: readonly [number, number, number, number]) =>
    expr('v128', a.code, b.code, vector(0x0d), lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3])),
  /** Rounds to the nearest whole number, halves to even. */
  nearest: (v: Expr<'v128'>) => expr('v128', v.code, vector(0x6a)),
  lane: (v: Expr<'v128'>, i: number) => expr('f32', v.code, vector(0x1f), i),
  /** Largest of the four lanes. */
  largest: (v: Local<'v128'>): Expr<'f32'> => f32.max(f32.max(v128.lane(v, 0), v128.lane(v, 1)), f32.max(v128.lane(v, 2), v128.lane(v, 3))),
  /** (lane 0 + lane 1) + (lane 2 + lane 3). */
  sum: (v: Local<'v128'>): Expr<'f32'> => f32.add(f32.add(v128.lane(v, 0), v128.lane(v, 1)), f32.add(v128.lane(v, 2), v128.lane(v, 3))),
} as const;

/** The same 128 bits seen as four 32-bit integers. */
export const i32x4 = {
  of: (x: number) => expr('v128', vector(0x0c), ...Array.from({ length: 4 }, () => wordBytes(x))),
  add: vector2(0xae), sub: vector2(0xb1), and: vector2(0x4e), or: vector2(0x50), xor: vector2(0x51),
  words: (...four: readonly [number, number, number, number]) => expr('v128', vector(0x0c), ...four.map(wordBytes)),
  splat: (x: I32) => expr('v128', int(x), vector(0x11)),
  lane: (v: Expr<'v128'>, i: number) => expr('i32', v.code, vector(0x1b), i),
  shiftLeft: (v: Expr<'v128'>, by: number) => expr('v128', v.code, int(by), vector(0xab)),
  /** Fills with zeros. */
  shiftRight: (v: Expr<'v128'>, by: number) => expr('v128', v.code, int(by), vector(0xad)),
  /** Copies the sign. */
  shiftRightSigned: (v: Expr<'v128'>, by: number) => expr('v128', v.code, int(by), vector(0xac)),
  fromFloats: (v: Expr<'v128'>) => expr('v128', v.code, vector(0xf8)),
  toFloats: (v: Expr<'v128'>) => expr('v128', v.code, vector(0xfa)),
} as const;

export const atomic = (opcode: number): readonly number[] => [0xfe, opcode, 2, 0];

/** Operations on integers in shared memory that all threads see happen in one order. */
export const atomics = {
  load: (address: I32) => expr('i32', int(address), atomic(0x10)),
  /** Adds; the value before. */
  add: (address: I32, by: I32) => expr('i32', int(address), int(by), atomic(0x1e)),
  /** Writes `next` if the value is `expected`; the value before. */
  exchange: (address: I32, expected: I32, next: I32) => expr('i32', int(address), int(expected), int(next), atomic(0x48)),
  /** Sleeps until woken, unless the value is another than `expected`. */
  wait: (address: I32, expected: I32) => expr('i32', int(address), int(expected), 0x42, 0x7f, atomic(0x01)),
  /** Wakes all who sleep; their number. */
  notify: (address: I32) => expr('i32', int(address), int(-1), atomic(0x00)),
} as const;

function floatBytes(x: number): number[] {
  return [...new Uint8Array(Float32Array.of(x).buffer)];
}

function wordBytes(x: number): number[] {
  return [...new Uint8Array(Int32Array.of(x).buffer)];
}
