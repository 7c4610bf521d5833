// A kernel's program for the CPU: one or more parts, each a WASM function that does units first .. last-1 of the
// kernel's work. Threads share out the units of a part as they like; the next part begins when all of them are done. A
// unit's result does not depend on who computes it, nor on which units go together, so the bits do not depend on the
// number of threads.
// Read after: lanes.ts. Read next: engine/cpu/wasm/compile.ts (which runs programs),
// kernels/activation/activation.wasm.ts.

import type { FunctionBuilder } from './assembler.ts';
import { f32, i32, type Expr, type Int, type Local } from './instructions.ts';
import { overFloats, type Lanes, type LaneType } from './lanes.ts';

/** Which units to do, and memory to do it with. */
export interface UnitRange {
  readonly first: Local<'i32'>;
  readonly last: Local<'i32'>;
  /** Address of `Part.scratch` bytes of this thread. */
  readonly scratch: Local<'i32'>;
  /** Address of `Signature.shared` bytes that keep their contents from part to part. */
  readonly shared: Local<'i32'>;
}

/** A kernel's buffers (as addresses), whole numbers, other numbers, and whole numbers made from those, by name. */
export interface Signature<B extends string, N extends string, F extends string, D extends string> {
  readonly buffers: readonly B[];
  readonly counts: readonly N[];
  readonly floats?: readonly F[];
  readonly derived?: Readonly<Record<D, (params: Readonly<Record<N, number>>) => number>>;
  /** Bytes of memory that all threads and parts share. */
  readonly shared?: (params: Readonly<Record<N, number>>) => number;
}

/** A piece of a CPU program that threads may share, as program() is given it. */
export interface Part<B extends string, N extends string, F extends string, D extends string> {
  readonly name: string;
  /** How many units there are. */
  units(params: Readonly<Record<N, number>>): number;
  /** What a unit costs, in multiply-adds of four floats, roughly: decides whether threads pay. */
  cost(params: Readonly<Record<N, number>>): number;
  /** Bytes of scratch per thread. */
  readonly scratch?: (params: Readonly<Record<N, number>>) => number;
  /** Whether every call has work to do before its units: then they are not cut finer than there are threads. */
  readonly setup?: boolean;
  emit(
    f: FunctionBuilder,
    args: Readonly<Record<B | N | D, Local<'i32'>> & Record<F, Local<'f32'>>>,
    range: UnitRange,
  ): void;
}

/** What a kernel carries. B names its buffers, P its numbers. */
export interface WasmProgram<B extends string, P extends string> {
  readonly buffers: readonly B[];
  readonly counts: readonly P[];
  readonly derived: readonly ((params: Readonly<Record<P, number>>) => number)[];
  readonly floats: readonly P[];
  readonly shared: (params: Readonly<Record<P, number>>) => number;
  readonly parts: readonly WasmPart<P>[];
}

/** The same as the backend runs it, by the kernel's parameters. */
export interface WasmPart<P extends string> {
  readonly name: string;
  units(params: Readonly<Record<P, number>>): number;
  cost(params: Readonly<Record<P, number>>): number;
  scratch(params: Readonly<Record<P, number>>): number;
  readonly setup: boolean;
  /**
   * The function's body: `args` is the address of the arguments: buffers, counts, derived, floats, then the shared
   * memory.
   */
  emit(f: FunctionBuilder, args: Local<'i32'>, range: Omit<UnitRange, 'shared'>): void;
}

/** Arrays that lie one behind the other in scratch memory: name -> the derived number that is its size in bytes. */
export type Layout<S extends string, D extends string> = Readonly<Record<S, D>>;

/** How many bytes they take together. */
export function bytesOf<D extends string, P>(
  layout: Layout<string, D>,
  derived: Readonly<Record<D, (params: P) => number>>,
  params: P,
): number {
  return Object.values<D>(layout).reduce((sum, size) => sum + derived[size](params), 0);
}

/** Their addresses. */
export function carve<S extends string, D extends string>(
  f: FunctionBuilder, start: Int, layout: Layout<S, D>, sizes: Readonly<Record<D, Int>>,
): Record<S, Int> {
  const places: Partial<Record<S, Int>> = {};
  let place = start;
  for (const [name, size] of Object.entries<D>(layout) as [S, D][]) {
    places[name] = place;
    place = f.keep(i32.add(place, sizes[size]));
  }
  return places as Record<S, Int>;
}

/** Makes a program from its signature and its parts. */
export function program<
  const B extends string,
  const N extends string,
  const F extends string = never,
  const D extends string = never,
>(
  { buffers, counts, floats = [], derived = {} as never, shared = () => 0 }: Signature<B, N, F, D>,
  ...parts: readonly Part<NoInfer<B>, NoInfer<N>, NoInfer<F>, NoInfer<D>>[]
): WasmProgram<B, N | F> {
  const integers = [...buffers, ...counts, ...Object.keys(derived)];
  return {
    buffers,
    counts,
    floats,
    shared,
    derived: Object.values(derived),
    parts: parts.map(({ name, units, cost, scratch = () => 0, setup = false, emit }) => ({
      name,
      units,
      cost,
      scratch,
      setup,
      emit(f, args, range) {
        const values: Record<string, Local<'i32'> | Local<'f32'>> = {};
        integers.forEach((argument, i) => (values[argument] = f.keep(i32.load(args, 4 * i))));
        floats.forEach((argument, i) => (values[argument] = f.keep(f32.load(args, 4 * (integers.length + i)))));
        const last = f.keep(i32.load(args, 4 * (integers.length + floats.length)));
        emit(f, values as Parameters<typeof emit>[1], { ...range, shared: last });
      },
    })),
  };
}

const BLOCK = 1024; // floats: a unit of an elementwise kernel

/**
 * A program that does the same to each of n floats. `body` gets the places of this one in every buffer, and the
 * numbers.
 */
export function elementwise<const B extends string, const F extends string = never>({
  name, buffers, floats = [], cost, body,
}: {
  readonly name: string;
  readonly buffers: readonly B[];
  readonly floats?: readonly F[];
  /** Of four floats. */
  readonly cost: number;
  body<T extends LaneType>(
    f: FunctionBuilder,
    lanes: Lanes<T>,
    places: Readonly<Record<B, Expr<'i32'>>>,
    numbers: Readonly<Record<F, Expr<T>>>,
  ): void;
}): WasmProgram<B, 'n' | F> {
  return program<B, 'n', F>(
    { buffers, counts: ['n'], floats },
    {
      name,
      units: ({ n }) => Math.ceil(n / BLOCK),
      cost: () => (cost * BLOCK) / 4,
      emit(f, args, { first, last }) {
        const from = f.keep(i32.mul(first, BLOCK));
        const count = i32.sub(i32.min(i32.mul(last, BLOCK), args.n), from);
        for (const buffer of buffers) f.bump(args[buffer], i32.mul(from, 4));
        overFloats(f, count, (lanes, at) =>
          body(
            f,
            lanes,
            Object.fromEntries(buffers.map((buffer) => [buffer, i32.add(args[buffer], at)])) as Record<B, Expr<'i32'>>,
            Object.fromEntries(floats.map((number) => [number, lanes.splat(args[number])])) as never,
          ),
        );
      },
    },
  );
}

/** A program ready to run: with the byte address of each buffer, and the params. */
export type WasmRunner = (buffers: Readonly<Record<string, number>>, params: Readonly<Record<string, number>>) => void;
