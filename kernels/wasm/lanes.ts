// Loops over floats whose number need not be a multiple of anything: the body is written once, for pairs of vectors,
// for vectors and for single floats. In a wide module the pairs come first, for V8 to join; in a narrow one only sums
// take pairs, so that both add up the same eight partial sums. Read after: assembler.ts, math.ts. Read next:
// program.ts.

import type { FunctionBuilder } from './assembler.ts';
import {
  f32, i32, i32x4, lower, pairOf, upper, v128, type Expr, type Float, type I32, type Int, type Local, type Vector,
} from './instructions.ts';
import { exp, log } from './math.ts';

/** How many floats an operation takes at once: one, four or eight. */
export type LaneType = 'f32' | 'v128' | 'pair';
/** What a program for many floats is made of: pairs in a wide module, else vectors. */
export type Wide = 'v128' | 'pair';

/** The operations that single floats, vectors and pairs share. */
export interface Lanes<T extends LaneType> {
  readonly type: T;
  /** How many floats: 1, 4 or 8. */
  readonly floats: number;
  readonly zero: Expr<T>;
  of(x: number): Expr<T>;
  load(address: Expr<'i32'>, offset?: number): Expr<T>;
  /** Whole numbers from memory, as floats. */
  loadIntegers(address: Expr<'i32'>, offset?: number): Expr<T>;
  /** One float from memory, in every lane. */
  loadSplat(address: Expr<'i32'>, offset?: number): Expr<T>;
  /** One float, in every lane. */
  splat(x: Expr<'f32'>): Expr<T>;
  add(a: Expr<T>, b: Expr<T>): Expr<T>;
  sub(a: Expr<T>, b: Expr<T>): Expr<T>;
  mul(a: Expr<T>, b: Expr<T>): Expr<T>;
  div(a: Expr<T>, b: Expr<T>): Expr<T>;
  min(a: Expr<T>, b: Expr<T>): Expr<T>;
  max(a: Expr<T>, b: Expr<T>): Expr<T>;
  /** a < b ? b : a: one instruction, where max takes several; not a number stays so if it is a. */
  greater(a: Expr<T>, b: Expr<T>): Expr<T>;
  sqrt(x: Expr<T>): Expr<T>;
  /** a b + c. */
  madd(a: Expr<T>, b: Expr<T>, c: Expr<T>): Expr<T>;
  /** yes where a >= b, else no. */
  whereAtLeast(a: Expr<T>, b: Expr<T>, yes: Expr<T>, no: Expr<T>): Expr<T>;
  /** yes where a > b, else no. */
  whereAbove(a: Expr<T>, b: Expr<T>, yes: Expr<T>, no: Expr<T>): Expr<T>;
  exp(x: Expr<T>): Expr<T>;
  /** Of normal x > 0. */
  log(x: Expr<T>): Expr<T>;
  /** 1 / (1 + exp(-x)), computed once. */
  logistic(x: Expr<T>): Local<T>;
  /** Computes a value once, to be used several times. */
  keep(x: Expr<T>): Local<T>;
}

type Body = <T extends LaneType>(lanes: Lanes<T>, at: Int) => void;
type Term = <T extends LaneType>(lanes: Lanes<T>, at: Int) => Expr<T>;
type Terms = <T extends LaneType>(lanes: Lanes<T>, at: Int) => readonly Expr<T>[];

/**
 * For n floats: `body` for as many at a time as there are. It gets the operations and the byte offset of its place, to
 * add to addresses.
 */
export function overFloats(f: FunctionBuilder, n: Expr<'i32'>, body: Body): void {
  const place = f.keep(i32.of(0));
  const end = f.keep(i32.mul(n, 4));
  if (f.module.wide) whileThereAre(f, place, end, pairs(f), body);
  whileThereAre(f, place, end, vectors(f), body);
  whileThereAre(f, place, end, singles(f), body);
}

function whileThereAre<T extends LaneType>(
  f: FunctionBuilder,
  place: Int,
  end: Int,
  lanes: Lanes<T>,
  body: (lanes: Lanes<T>, at: Int) => void,
): void {
  const bytes = 4 * lanes.floats;
  f.while(i32.ge(i32.sub(end, place), bytes), () => {
    body(lanes, place);
    f.bump(place, bytes);
  });
}

/** The sum of n terms: eight partial sums; what is left over, by fours and one by one; across. */
export function sumOver(f: FunctionBuilder, n: Expr<'i32'>, term: Term): Float {
  return sumsOver(f, n, 1, (lanes, place) => [term(lanes, place)])[0]!;
}

/** Several such sums over the same terms, first .. n-1. */
export function sumsOver(f: FunctionBuilder, n: Expr<'i32'>, count: number, terms: Terms, first: I32 = 0): Float[] {
  return reduce(f, first, n, new Array<number>(count).fill(0), terms, (lanes, a, b) => lanes.add(a, b), v128.sum);
}

/** The largest of n terms, and of `least`. */
export function largestOf(f: FunctionBuilder, n: Expr<'i32'>, least: number, term: Term): Float {
  return reduce(
    f,
    0,
    n,
    [least],
    (lanes, place) => [term(lanes, place)],
    (lanes, a, b) => lanes.max(a, b),
    v128.largest,
  )[0]!;
}

function reduce(
  f: FunctionBuilder, first: I32, n: Expr<'i32'>, initial: readonly number[], terms: Terms,
  join: <T extends LaneType>(lanes: Lanes<T>, a: Expr<T>, b: Expr<T>) => Expr<T>, across: (v: Vector) => Expr<'f32'>,
): Float[] {
  const place = f.keep(i32.mul(first, 4));
  const end = f.keep(i32.mul(n, 4));
  const addTo = <T extends LaneType>(totals: readonly Local<T>[]) => (lanes: Lanes<T>, at: Int): void => {
    const found = terms(lanes, at);
    totals.forEach((total, i) => f.set(total, join(lanes, total, found[i]!) as never));
  };
  const eights = initial.map((x) => f.keep(pairs(f).of(x)));
  whileThereAre(f, place, end, pairs(f), addTo(eights));
  const fours = eights.map((eight) => f.keep(join(vectors(f), lower(eight), upper(eight))));
  whileThereAre(f, place, end, vectors(f), addTo(fours));
  const ones = fours.map((four) => f.keep(across(four)));
  whileThereAre(f, place, end, singles(f), addTo(ones));
  return ones;
}

/** Pairs in a wide module, else vectors. */
export function widest(f: FunctionBuilder): Lanes<Wide> {
  return (f.module.wide ? pairs(f) : vectors(f)) as Lanes<Wide>;
}

/** Every operation does to the upper half what it does to the lower, at once behind it: that is what V8 joins. */
export function pairs(f: FunctionBuilder): Lanes<'pair'> {
  const half = vectors(f);
  type Operands = readonly Expr<'pair'>[];
  const both =
    <A extends Operands>(of: (...halves: { [K in keyof A]: Expr<'v128'> }) => Expr<'v128'>) =>
    (...operands: A): Expr<'pair'> => {
      const first = of(...(operands.map(lower) as never));
      return pairOf(first, of(...(operands.map(upper) as never)));
    };
  const same = (x: Expr<'v128'>): Expr<'pair'> => pairOf(x, x);
  return {
    type: 'pair', floats: 8,
    zero: same(half.zero),
    of: (x) => same(half.of(x)),
    splat: (x) => same(f.keep(half.splat(x))),
    loadSplat: (address, offset) => same(f.keep(half.loadSplat(address, offset))),
    load(address, offset = 0) {
      const place = f.place(address);
      return pairOf(half.load(place, offset), half.load(place, offset + 16));
    },
    loadIntegers(address) {
      const place = f.place(address);
      return pairOf(half.loadIntegers(place), half.loadIntegers(place, 16));
    },
    add: both(half.add), sub: both(half.sub), mul: both(half.mul), div: both(half.div),
    min: both(half.min), max: both(half.max), greater: both(half.greater), sqrt: both(half.sqrt), madd: both(half.madd),
    whereAtLeast: both(half.whereAtLeast), whereAbove: both(half.whereAbove),
    exp: both(half.exp), log: both(half.log),
    logistic: (x) => f.keep(both(half.logistic)(x)),
    keep: (x) => f.keep(x),
  };
}

/** The shared operations on four floats at once. */
export function vectors(f: FunctionBuilder): Lanes<'v128'> {
  return {
    type: 'v128', floats: 4, ...v128,
    loadIntegers: (address, offset) => i32x4.toFloats(v128.load(address, offset)),
    madd: (a, b, c) => f.madd(a, b, c),
    whereAtLeast: (a, b, yes, no) => v128.select(v128.ge(a, b), yes, no),
    whereAbove: (a, b, yes, no) => v128.select(v128.gt(a, b), yes, no),
    exp: (x) => exp(f, x),
    log: (x) => log(f, x),
    logistic: (x) => f.keep(v128.div(v128.of(1), v128.add(v128.of(1), exp(f, v128.sub(v128.zero, x))))),
    keep: (x) => f.keep(x),
  };
}

/** What has no instruction for single floats is computed as a vector. */
export function singles(f: FunctionBuilder): Lanes<'f32'> {
  const { splat, lane } = v128;
  const vector = vectors(f);
  return {
    type: 'f32', floats: 1, ...f32,
    splat: (x) => x,
    loadSplat: f32.load,
    loadIntegers: (address, offset) => f32.fromInt(i32.load(address, offset)),
    greater: (a, b) => lane(vector.greater(splat(a), splat(b)), 0),
    madd: (a, b, c) => (f.module.relaxed ? lane(f.madd(splat(a), splat(b), splat(c)), 0) : f32.add(f32.mul(a, b), c)),
    whereAtLeast: (a, b, yes, no) => f32.select(f32.ge(a, b), yes, no),
    whereAbove: (a, b, yes, no) => f32.select(f32.gt(a, b), yes, no),
    exp: (x) => lane(vector.exp(splat(x)), 0),
    log: (x) => lane(vector.log(splat(x)), 0),
    logistic: (x) => f.keep(lane(vector.logistic(splat(x)), 0)),
    keep: (x) => f.keep(x),
  };
}
