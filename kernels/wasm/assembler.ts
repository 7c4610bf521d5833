// A small WebAssembly assembler. Code is built from expressions, so that a kernel reads like the loop it is:
//   f.loop(i, n, 4, () => f.store(add(out, i4), v128.mul(v128.load(x), v128.load(y))));
// Here are the statements: locals, loops, branches, stores, calls; and the module. Functions take integers and return nothing.
// Source: the WebAssembly core specification 2.0, chapters 5.4 and 5.5. Read after: instructions.ts. Read next: program.ts.

import { atomic, expr, i32, int, unsigned, v128, vector, type Expr, type I32, type Local, type Type } from './instructions.ts';

const TYPE_CODES: Readonly<Record<Type, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };

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
