// A small WebAssembly assembler. Code is built from expressions, so that a kernel reads like the loop it is:
//   f.loop(i, n, 4, () => f.store(at(out, [i, 4]), v128.mul(v128.load(x), v128.load(y))));
// Here are the statements: locals, loops, branches, stores, calls; and the module. Functions take integers, by name,
// and return nothing.
// Source: the WebAssembly core specification 2.0, chapters 5.4 and 5.5. Read after: instructions.ts. Read next:
// program.ts.

import {
  expr, i32, int, lower, memory, pairOf, unsigned, upper, v128, type Code, type Expr, type I32, type Int, type Local,
  type Type,
} from './instructions.ts';
import { op } from './opcodes.ts';

const TYPE_CODES = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;
const NO_RESULT = 0x40; // a block that leaves nothing
const FUNCTION = 0x60;
const TABLE = 0x70; // of functions
const STORES = { i32: 'i32.store', f32: 'f32.store', v128: 'v128.store' } as const;

/** Kinds of what a module takes from outside, and its sections, as the binary format numbers them. */
const IMPORTED = { table: 1, memory: 2 } as const;
const SECTIONS = { types: 1, imports: 2, functions: 3, exports: 7, elements: 9, code: 10 } as const;

/** A function of a module, to be called from another. P names its parameters. */
export interface Callable<P extends string = string> {
  readonly index: number;
  readonly parameters: readonly P[];
}

/** As many as N says, where that is known. */
type Several<T, N extends number> = number extends N ? T[] : Exactly<T, N>;
type Exactly<T, N extends number, Made extends T[] = []> = Made['length'] extends N
  ? Made
  : Exactly<T, N, [...Made, T]>;

/** The body of one function, statement by statement. */
export class FunctionBuilder {
  readonly module: WasmModule;
  readonly #types: (keyof typeof TYPE_CODES)[] = [];
  readonly #parameters: number;
  #code: number[] = [];

  constructor(module: WasmModule, parameters: number) {
    this.module = module;
    this.#parameters = parameters;
  }

  /** a b + c; rounded once where relaxed SIMD is there and the machine can, else twice. */
  madd(a: Expr<'v128'>, b: Expr<'v128'>, c: Expr<'v128'>): Expr<'v128'> {
    return this.module.relaxed
      ? expr('v128', a.code, b.code, c.code, op('f32x4.relaxed_madd'))
      : v128.add(c, v128.mul(a, b));
  }

  /** Computes a value once, to be used several times. */
  keep<T extends Type>(value: Expr<T>): Local<T> {
    const local = this.local(value.type);
    this.set(local, value as never);
    return local;
  }

  /** Calls a function with its arguments by name. */
  call<P extends string>(callee: Callable<P>, values: Readonly<Record<NoInfer<P>, I32>>): void {
    this.#emit(callee.parameters.map((name) => int(values[name])), op('call'), unsigned(callee.index));
  }

  /** Calls the task of this number (WasmModule.task). */
  callTask(task: I32, ...values: readonly [I32, I32, I32, I32]): void {
    this.#emit(values.map(int), int(task), op('call_indirect'), unsigned(values.length), 0);
  }

  /** Evaluates for the effect. */
  drop(value: Expr<Type>): void {
    this.#emit(value.code, op('drop'));
  }

  return(): void {
    this.#emit(op('return'));
  }

  atomicStore(address: I32, value: I32): void {
    this.#emit(int(address), int(value), op('i32.atomic.store'), memory(0));
  }

  local<T extends Type>(type: T): Local<T> {
    const index = this.#parameters + this.#types.length;
    if (type !== 'pair') {
      this.#types.push(type as never);
      return variable(type, index);
    }
    this.#types.push('v128', 'v128');
    return { ...pairOf(variable('v128', index), variable('v128', index + 1)), index } as Local<'pair'> as never;
  }

  /** Several at once: const [i, j, k] = f.locals('i32', 3). */
  locals<T extends Type, const N extends number>(type: T, count: N): Several<Local<T>, N> {
    return Array.from({ length: count }, () => this.local(type)) as Several<Local<T>, N>;
  }

  set<T extends Type>(to: Local<T>, value: Expr<T> | (T extends 'i32' ? number : never)): void {
    if (typeof value === 'number') this.#emit(int(value), op('local.set'), unsigned(to.index));
    else this.#emit(value.code, op('local.set'), unsigned(to.index));
    if (typeof value !== 'number' && value.upper) this.#emit(value.upper, op('local.set'), unsigned(to.index + 1));
  }

  /** to += by. */
  bump(to: Int, by: I32): void {
    this.set(to, i32.add(to, by));
  }

  /** An address as a local: V8 joins the halves of a pair only if one and the same value is the address of both. */
  place(address: I32): Int {
    return typeof address === 'object' && 'index' in address ? (address as Int) : this.keep(i32.of(address));
  }

  /** A pair is computed whole before its first half is stored. */
  store(address: I32, value: Expr<Type>, offset = 0): void {
    if (value.type === 'pair') {
      const place = this.place(address).code;
      const pair = value as Expr<'pair'>;
      const store = op('v128.store');
      this.#emit(place, lower(pair).code, place, upper(pair).code, store, memory(offset + 16), store, memory(offset));
    } else {
      this.#emit(int(address), value.code, op(STORES[value.type]), memory(offset));
    }
  }

  /** for (counter = 0; counter < limit; counter += step) body() */
  loop(counter: Int, limit: I32, step: I32, body: () => void): void {
    this.set(counter, 0);
    this.while(i32.lt(counter, limit), () => {
      body();
      this.bump(counter, step);
    });
  }

  /** do body() while (condition): for loops known to run at least once. */
  doWhile(condition: Expr<'i32'>, body: () => void): void {
    this.#emit(op('loop'), NO_RESULT);
    body();
    this.#emit(condition.code, op('br_if'), 0, op('end'));
  }

  while(condition: Expr<'i32'>, body: () => void): void {
    this.if(condition, () => this.doWhile(condition, body));
  }

  if(condition: Expr<'i32'>, then: () => void, otherwise?: () => void): void {
    this.#emit(condition.code, op('if'), NO_RESULT);
    then();
    if (otherwise) {
      this.#emit(op('else'));
      otherwise();
    }
    this.#emit(op('end'));
  }

  /** Locals, code, end: as the code section holds it. */
  bytes(): number[] {
    const locals = this.#types.flatMap((type) => [1, TYPE_CODES[type]]);
    return sized([...unsigned(this.#types.length), ...locals, ...this.#code, ...op('end')]);
  }

  #emit(...parts: Code): void {
    for (const part of parts) {
      if (typeof part === 'number') this.#code.push(part);
      else this.#emit(...part);
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
  /** Whether programs are emitted in pairs of vectors, for V8 to join. */
  readonly wide?: boolean;
  /** The number of its first task. */
  readonly firstTask?: number;
}

/**
 * A module of exported functions from integers to nothing, over an imported memory and table (`env.memory`,
 * `env.table`).
 */
export class WasmModule {
  readonly relaxed: boolean;
  readonly wide: boolean;
  readonly #functions = new Map<string, EmittedFunction>();
  readonly #tasks: Callable[] = [];
  readonly #firstTask: number;
  readonly #memory: { readonly shared: boolean; readonly maximumPages: number };

  constructor({ relaxed, wide = false, firstTask = 0, ...memory }: ModuleOptions) {
    this.relaxed = relaxed;
    this.wide = wide;
    this.#firstTask = firstTask;
    this.#memory = memory;
  }

  /** Adds a function, unless one of its name is there; `build` gets the body and its integer parameters, by name. */
  function<const P extends string>(
    name: string, parameters: readonly P[], build: (f: FunctionBuilder, p: Readonly<Record<P, Int>>) => void,
  ): Callable<P> {
    const before = this.#functions.get(name);
    if (before) return before as Callable<string> as Callable<P>;
    const body = new FunctionBuilder(this, parameters.length);
    build(body, Object.fromEntries(parameters.map((p, i) => [p, variable('i32', i)])) as Record<P, Int>);
    const made = { name, index: this.#functions.size, parameters, body }; // after those that build() has added
    this.#functions.set(name, made);
    return made;
  }

  /** A number by which threads call a function of four parameters. */
  task(callee: Callable): number {
    return this.#firstTask + this.#tasks.push(callee) - 1;
  }

  /** Every function by name, and its body as bytes. */
  bodies(): ReadonlyMap<string, readonly number[]> {
    return new Map([...this.#functions].map(([name, { body }]) => [name, body.bytes()]));
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const functions = [...this.#functions.values()];
    const { shared, maximumPages } = this.#memory;
    const most = functions.reduce((n, { parameters }) => Math.max(n, parameters.length), 4);
    const types = Array.from({ length: most + 1 }, (_, n) => [
      FUNCTION,
      ...unsigned(n),
      ...new Array<number>(n).fill(TYPE_CODES.i32),
      0,
    ]);
    const imports = [
      [...text('env'), ...text('memory'), IMPORTED.memory, shared ? 3 : 1, 1, ...unsigned(maximumPages)],
    ];
    const indices = this.#tasks.flatMap(({ index }) => unsigned(index));
    if (indices.length > 0) imports.push([...text('env'), ...text('table'), IMPORTED.table, TABLE, 0, 0]);
    const first = int(this.#firstTask).flat() as number[];
    const elements =
      indices.length === 0 ? [] : [[0, ...first, ...op('end'), ...unsigned(this.#tasks.length), ...indices]];
    const parts = [
      [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
      section(SECTIONS.types, types), // type n takes n integers
      section(SECTIONS.imports, imports),
      section(SECTIONS.functions, functions.map(({ parameters }) => unsigned(parameters.length))),
      section(SECTIONS.exports, functions.map(({ name, index }) => [...text(name), 0, ...unsigned(index)])),
      section(SECTIONS.elements, elements),
      section(SECTIONS.code, functions.map(({ body }) => body.bytes())),
    ];
    return Uint8Array.from(parts.flat());
  }
}

function variable<T extends Type>(type: T, index: number): Local<T> {
  return { type, index, code: [op('local.get'), unsigned(index)] };
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
