// A small WebAssembly assembler. Code is built from expressions, so that a kernel reads like the loop it is:
//   f.loop(i, n, 4, () => f.store(add(out, i4), v128.mul(v128.load(x), v128.load(y))));
// Only what the kernels need is here: 32-bit integers, single floats, vectors of four, locals, loops, branches, calls, and the atomic
// operations that threads meet by. Functions take integers and return nothing.
// Source: the WebAssembly core specification 2.0, chapters 5.4 and 5.5; relaxed SIMD and threads proposals. Read next: program.ts.

export type Type = 'i32' | 'f32' | 'v128';

const TYPE_CODES: Readonly<Record<Type, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };

/** Code that leaves one value of type T on the stack. */
export interface Expr<T extends Type> {
  readonly type: T;
  readonly code: readonly number[];
}

/** A local variable or parameter; reading it is an expression. */
export interface Local<T extends Type> extends Expr<T> {
  readonly index: number;
}

type I32 = Expr<'i32'> | number;

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

function expr<T extends Type>(type: T, ...parts: (number | readonly number[])[]): Expr<T> {
  return { type, code: parts.flat() };
}

const int = (x: I32): readonly number[] => (typeof x === 'number' ? [0x41, ...signed(x)] : x.code);

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

const vector = (opcode: number): readonly number[] => [0xfd, ...unsigned(opcode)];

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

const atomic = (opcode: number): readonly number[] => [0xfe, opcode, 2, 0];

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

/** A function of a module, to be called from another. */
export interface Callable {
  readonly index: number;
  readonly parameters: number;
}

/** The body of one function, statement by statement. */
export class FunctionBuilder {
  readonly module: WasmModule;
  readonly #types: Type[] = [];
  readonly #parameters: number;
  #code: number[] = [];

  constructor(module: WasmModule, parameters: number) {
    this.module = module;
    this.#parameters = parameters;
  }

  /** a b + c; rounded once where relaxed SIMD is there and the machine can, else twice. */
  madd(a: Expr<'v128'>, b: Expr<'v128'>, c: Expr<'v128'>): Expr<'v128'> {
    return this.module.relaxed ? expr('v128', a.code, b.code, c.code, vector(0x105)) : v128.add(c, v128.mul(a, b));
  }

  /** Computes a value once, to be used several times. */
  keep<T extends Type>(value: Expr<T>): Local<T> {
    const local = this.local(value.type);
    this.#emit(value.code, 0x21, unsigned(local.index));
    return local;
  }

  call(callee: Callable, ...values: readonly I32[]): void {
    if (values.length !== callee.parameters) throw new Error(`internal: ${values.length} arguments for a function of ${callee.parameters}`);
    this.#emit(...values.map(int), 0x10, unsigned(callee.index));
  }

  /** Calls the task of this number (WasmModule.task). */
  callTask(task: I32, ...values: readonly [I32, I32, I32, I32]): void {
    this.#emit(...values.map(int), int(task), 0x11, unsigned(values.length), 0);
  }

  /** Evaluates for the effect. */
  drop(value: Expr<Type>): void {
    this.#emit(value.code, 0x1a);
  }

  return(): void {
    this.#emit(0x0f);
  }

  atomicStore(address: I32, value: I32): void {
    this.#emit(int(address), int(value), atomic(0x17));
  }

  local<T extends Type>(type: T): Local<T> {
    this.#types.push(type);
    return variable(type, this.#parameters + this.#types.length - 1);
  }

  locals<T extends Type>(type: T, count: number): Local<T>[] {
    return Array.from({ length: count }, () => this.local(type));
  }

  set<T extends Type>(to: Local<T>, value: Expr<T> | (T extends 'i32' ? number : never)): void {
    this.#emit(typeof value === 'number' ? int(value) : value.code, 0x21, unsigned(to.index));
  }

  /** to += by. */
  bump(to: Local<'i32'>, by: I32): void {
    this.set(to, i32.add(to, by));
  }

  store(address: I32, value: Expr<Type>, offset = 0): void {
    const opcode = { i32: [0x36], f32: [0x38], v128: vector(0x0b) }[value.type];
    this.#emit(int(address), value.code, opcode, 2, unsigned(offset));
  }

  /** for (counter = 0; counter < limit; counter += step) body() */
  loop(counter: Local<'i32'>, limit: I32, step: I32, body: () => void): void {
    this.set(counter, 0);
    this.while(i32.lt(counter, limit), () => {
      body();
      this.bump(counter, step);
    });
  }

  /** do body() while (condition): for loops known to run at least once. */
  doWhile(condition: Expr<'i32'>, body: () => void): void {
    this.#emit(0x03, 0x40);
    body();
    this.#emit(condition.code, 0x0d, 0, 0x0b);
  }

  while(condition: Expr<'i32'>, body: () => void): void {
    this.if(condition, () => this.doWhile(condition, body));
  }

  if(condition: Expr<'i32'>, then: () => void, otherwise?: () => void): void {
    this.#emit(condition.code, 0x04, 0x40);
    then();
    if (otherwise) {
      this.#emit(0x05);
      otherwise();
    }
    this.#emit(0x0b);
  }

  /** Locals, code, end: as the code section holds it. */
  bytes(): number[] {
    const locals = this.#types.flatMap((type) => [1, TYPE_CODES[type]]);
    return sized([...unsigned(this.#types.length), ...locals, ...this.#code, 0x0b]);
  }

  #emit(...parts: (number | readonly number[])[]): void {
    for (const part of parts) {
      if (typeof part === 'number') this.#code.push(part);
      else for (const byte of part) this.#code.push(byte);
    }
  }
}

interface EmittedFunction extends Callable {
  readonly name: string;
  readonly body: FunctionBuilder;
}

interface ModuleOptions {
  readonly shared: boolean;
  readonly maximumPages: number;
  /** Whether fused multiply-add is available. */
  readonly relaxed: boolean;
}

/** A module of exported functions from integers to nothing, over one imported memory (`env.memory`). */
export class WasmModule {
  readonly relaxed: boolean;
  readonly #functions = new Map<string, EmittedFunction>();
  readonly #tasks: Callable[] = [];
  readonly #memory: { readonly shared: boolean; readonly maximumPages: number };

  constructor({ relaxed, ...memory }: ModuleOptions) {
    this.relaxed = relaxed;
    this.#memory = memory;
  }

  /** Adds a function, unless one of its name is there; `build` gets the body and its integer parameters, by name. */
  function<P extends string>(name: string, parameters: readonly P[], build: (f: FunctionBuilder, p: Readonly<Record<P, Local<'i32'>>>) => void): Callable {
    const before = this.#functions.get(name);
    if (before) return before;
    const body = new FunctionBuilder(this, parameters.length);
    build(body, Object.fromEntries(parameters.map((p, i) => [p, variable('i32', i)])) as Record<P, Local<'i32'>>);
    const made = { name, index: this.#functions.size, parameters: parameters.length, body }; // after those that build() has added
    this.#functions.set(name, made);
    return made;
  }

  /** A number by which threads call a function of four parameters. */
  task(callee: Callable): number {
    return this.#tasks.push(callee) - 1;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const functions = [...this.#functions.values()], { shared, maximumPages } = this.#memory;
    const most = functions.reduce((n, { parameters }) => Math.max(n, parameters), 4);
    const types = Array.from({ length: most + 1 }, (_, n) => [0x60, ...unsigned(n), ...new Array<number>(n).fill(TYPE_CODES.i32), 0]); // type n takes n integers
    const memory = [...text('env'), ...text('memory'), 2, shared ? 3 : 1, 1, ...unsigned(maximumPages)];
    const indices = this.#tasks.flatMap(({ index }) => unsigned(index));
    return Uint8Array.from([
      0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
      ...section(1, types),
      ...section(2, [memory]),
      ...section(3, functions.map(({ parameters }) => unsigned(parameters))),
      ...section(4, [[0x70, 0, ...unsigned(this.#tasks.length)]]),
      ...section(7, functions.map(({ name, index }) => [...text(name), 0, ...unsigned(index)])),
      ...section(9, [[0, 0x41, 0, 0x0b, ...unsigned(this.#tasks.length), ...indices]]),
      ...section(10, functions.map(({ body }) => body.bytes())),
    ]);
  }
}

function floatBytes(x: number): number[] {
  return [...new Uint8Array(Float32Array.of(x).buffer)];
}

function wordBytes(x: number): number[] {
  return [...new Uint8Array(Int32Array.of(x).buffer)];
}

function variable<T extends Type>(type: T, index: number): Local<T> {
  return { type, index, code: [0x20, ...unsigned(index)] };
}

/** Bytes with their count before them. */
function sized(bytes: readonly number[]): number[] {
  return [...unsigned(bytes.length), ...bytes];
}

function text(s: string): number[] {
  return sized([...new TextEncoder().encode(s)]);
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  return [id, ...sized([...unsigned(items.length), ...items.flat()])];
}
