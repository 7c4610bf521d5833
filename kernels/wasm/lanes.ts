// Loops over floats whose number need not be a multiple of four: the body is written once, for vectors and for single floats.
// Read after: assembler.ts, math.ts. Read next: program.ts.

import type { FunctionBuilder } from './assembler.ts';
import { f32, i32, i32x4, v128, type Expr, type Local } from './instructions.ts';
import { exp, log } from './math.ts';

export type Number = 'f32' | 'v128';

/** The operations that single floats and vectors share. */
export interface Lanes<T extends Number> {
  readonly type: T;
  readonly zero: Expr<T>;
  of(x: number): Expr<T>;
  load(address: Expr<'i32'>): Expr<T>;
  /** Whole numbers from memory, as floats. */
  loadIntegers(address: Expr<'i32'>): Expr<T>;
  /** One float, in every lane. */
  splat(x: Expr<'f32'>): Expr<T>;
  add(a: Expr<T>, b: Expr<T>): Expr<T>;
  sub(a: Expr<T>, b: Expr<T>): Expr<T>;
  mul(a: Expr<T>, b: Expr<T>): Expr<T>;
  div(a: Expr<T>, b: Expr<T>): Expr<T>;
  min(a: Expr<T>, b: Expr<T>): Expr<T>;
  max(a: Expr<T>, b: Expr<T>): Expr<T>;
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

type Body = <T extends Number>(lanes: Lanes<T>, at: Local<'i32'>) => void;

/** For n floats: `body` four at a time, then one at a time. It gets the operations and the byte offset of its place, to add to addresses. */
export function overFloats(f: FunctionBuilder, n: Expr<'i32'>, body: Body): void {
  const at = f.local('i32'), end = f.keep(i32.mul(n, 4));
  f.set(at, 0);
  f.while(i32.ge(i32.sub(end, at), 16), () => {
    body(vectors(f), at);
    f.bump(at, 16);
  });
  f.while(i32.lt(at, end), () => {
    body(singles(f), at);
    f.bump(at, 4);
  });
}

/** The sum of n terms: lanes first, then across, then what is left over. */
export function sumOver(f: FunctionBuilder, n: Expr<'i32'>, term: <T extends Number>(lanes: Lanes<T>, at: Local<'i32'>) => Expr<T>): Local<'f32'> {
  return reduce(f, n, 0, term, (lanes, a, b) => lanes.add(a, b), v128.sum);
}

/** The largest of n terms, and of `least`. */
export function largestOf(f: FunctionBuilder, n: Expr<'i32'>, least: number, term: <T extends Number>(lanes: Lanes<T>, at: Local<'i32'>) => Expr<T>): Local<'f32'> {
  return reduce(f, n, least, term, (lanes, a, b) => lanes.max(a, b), v128.largest);
}

function reduce(
  f: FunctionBuilder, n: Expr<'i32'>, initial: number,
  term: <T extends Number>(lanes: Lanes<T>, at: Local<'i32'>) => Expr<T>,
  join: <T extends Number>(lanes: Lanes<T>, a: Expr<T>, b: Expr<T>) => Expr<T>,
  across: (v: Local<'v128'>) => Expr<'f32'>,
): Local<'f32'> {
  const at = f.local('i32'), end = f.keep(i32.mul(n, 4)), four = f.keep(v128.of(initial)), [vector, single] = [vectors(f), singles(f)];
  f.set(at, 0);
  f.while(i32.ge(i32.sub(end, at), 16), () => {
    f.set(four, join(vector, four, term(vector, at)));
    f.bump(at, 16);
  });
  const one = f.keep(across(four));
  f.while(i32.lt(at, end), () => {
    f.set(one, join(single, one, term(single, at)));
    f.bump(at, 4);
  });
  return one;
}

function vectors(f: FunctionBuilder): Lanes<'v128'> {
  return {
    type: 'v128', ...v128,
    loadIntegers: (address) => i32x4.toFloats(v128.load(address)),
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
function singles(f: FunctionBuilder): Lanes<'f32'> {
  const { splat, lane } = v128, vector = vectors(f);
  return {
    type: 'f32', ...f32,
    splat: (x) => x,
    loadIntegers: (address) => f32.fromInt(i32.load(address)),
    madd: (a, b, c) => (f.module.relaxed ? lane(f.madd(splat(a), splat(b), splat(c)), 0) : f32.add(f32.mul(a, b), c)),
    whereAtLeast: (a, b, yes, no) => f32.select(f32.ge(a, b), yes, no),
    whereAbove: (a, b, yes, no) => f32.select(f32.gt(a, b), yes, no),
    exp: (x) => lane(vector.exp(splat(x)), 0),
    log: (x) => lane(vector.log(splat(x)), 0),
    logistic: (x) => f.keep(lane(vector.logistic(splat(x)), 0)),
    keep: (x) => f.keep(x),
  };
}
