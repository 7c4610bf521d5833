// Exponentials and logarithms for four floats at a time, and loops over floats with a tail.
// Both functions reduce their argument to a short interval and use a polynomial there: within 3 (exp) and 4 (log) units of 2^-24,
// relative; tests/kernels/assembler.test.ts measures it.
// Source of the reductions: Cody and Waite, "Software manual for the elementary functions" (1980); the coefficients are fits of our own.

import { f32, i32, i32x4, v128, type Expr, type FunctionBuilder, type Local } from './assembler.ts';

const HALF_ROOT = 0x3f3504f3; // sqrt(1/2) as bits
const LN2_HIGH = 0.693359375, LN2_LOW = Math.LN2 - LN2_HIGH; // their sum is ln 2; the first has 10 bits, so n LN2_HIGH is exact

/** (exp(r) - 1 - r) / r² on |r| <= ln(2)/2, lowest power first: exp(r) to 3e-9, relative. */
const EXP = [0.49999993435, 0.16666520387, 0.04166838952, 0.00836874624, 0.00138146332];

/** out = exp(x) with x limited to [-87, 88]. `out` must be another local than `x`. */
export function exp(f: FunctionBuilder, relaxed: boolean, out: Local<'v128'>, x: Expr<'v128'>): void {
  const r = f.local('v128'), n = f.local('v128'), madd = madder(relaxed);
  f.set(r, v128.max(v128.min(x, v128.of(88)), v128.of(-87)));
  f.set(n, v128.nearest(v128.mul(r, v128.of(Math.LOG2E))));
  f.set(r, madd(n, v128.of(-LN2_HIGH), r));
  f.set(r, madd(n, v128.of(-LN2_LOW), r));
  f.set(out, polynomial(EXP, r, madd));
  f.set(out, v128.add(madd(v128.mul(r, r), out, r), v128.of(1)));
  f.set(out, v128.mul(out, i32x4.shiftLeft(i32x4.add(i32x4.fromFloats(n), i32x4.of(127)), 23))); // times 2^n
}

/** P with log(1 + r) = r - r²/2 + r³ P(r) on sqrt(1/2) - 1 <= r <= sqrt(2) - 1, lowest power first: the logarithm to 6e-9, relative. */
const LOG = [0.3333333162, -0.2500082404, 0.2000123806, -0.166232517, 0.1420140255, -0.131609096, 0.1276462923, -0.07636440227];

/** out = log(x) for normal x > 0. `out` must be another local than `x`. */
export function log(f: FunctionBuilder, relaxed: boolean, out: Local<'v128'>, x: Expr<'v128'>): void {
  const bits = f.local('v128'), n = f.local('v128'), r = f.local('v128'), madd = madder(relaxed);
  f.set(bits, i32x4.sub(x, i32x4.of(HALF_ROOT))); // x = 2^n m with m from sqrt(1/2) to sqrt(2)
  f.set(n, i32x4.toFloats(i32x4.shiftRightSigned(bits, 23)));
  f.set(r, v128.sub(i32x4.add(i32x4.and(bits, i32x4.of(0x007fffff)), i32x4.of(HALF_ROOT)), v128.of(1)));
  f.set(out, madd(polynomial(LOG, r, madd), r, v128.of(-0.5)));
  f.set(out, madd(v128.mul(r, r), out, r));
  f.set(out, madd(n, v128.of(Math.LN2), out));
}

/** a b + c, by the best the engine has. */
export function madder(relaxed: boolean) {
  return (a: Expr<'v128'>, b: Expr<'v128'>, c: Expr<'v128'>): Expr<'v128'> => v128.madd(relaxed, a, b, c);
}

function polynomial(coefficients: readonly number[], x: Expr<'v128'>, madd: ReturnType<typeof madder>): Expr<'v128'> {
  return coefficients.reduceRight<Expr<'v128'> | null>((sum, c) => (sum ? madd(sum, x, v128.of(c)) : v128.of(c)), null)!;
}

/** The operations that scalars and vectors share, so that a loop's body is written once. */
export interface Lanes<T extends 'f32' | 'v128'> {
  readonly type: T;
  readonly zero: Expr<T>;
  of(x: number): Expr<T>;
  load(address: Expr<'i32'>): Expr<T>;
  /** One float from memory, in every lane. */
  splat(address: Expr<'i32'>): Expr<T>;
  add(a: Expr<T>, b: Expr<T>): Expr<T>;
  sub(a: Expr<T>, b: Expr<T>): Expr<T>;
  mul(a: Expr<T>, b: Expr<T>): Expr<T>;
  div(a: Expr<T>, b: Expr<T>): Expr<T>;
  exp(x: Expr<T>): Expr<T>;
}

/** For n floats: `body` four at a time, then one at a time. It gets the operations and the byte offset of its place, to add to addresses. */
export function overFloats(f: FunctionBuilder, n: Expr<'i32'>, relaxed: boolean, body: <T extends 'f32' | 'v128'>(lanes: Lanes<T>, at: Local<'i32'>) => void): void {
  const at = f.local('i32'), end = f.local('i32');
  const exp4 = (x: Expr<'v128'>): Local<'v128'> => {
    const out = f.local('v128');
    exp(f, relaxed, out, x);
    return out;
  };
  f.set(end, i32.mul(n, 4));
  f.set(at, 0);
  f.while(i32.ge(i32.sub(end, at), 16), () => {
    body({ type: 'v128', ...v128, splat: v128.loadSplat, exp: exp4 }, at);
    f.bump(at, 16);
  });
  f.while(i32.lt(at, end), () => {
    body({ type: 'f32', ...f32, splat: f32.load, exp: (x) => v128.lane(exp4(v128.splat(x)), 0) }, at);
    f.bump(at, 4);
  });
}
