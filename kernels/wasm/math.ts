// Exponentials and logarithms for four floats at a time. Both functions reduce their argument to a short interval and
// use a polynomial there: within 3 (exp) and 4 (log) units of 2^-24, relative; tests/kernels/assembler.test.ts measures
// it.
// Source of the reductions: Cody and Waite, "Software manual for the elementary functions" (1980); the coefficients are
// fits of our own.
// Read next: lanes.ts.

import type { FunctionBuilder } from './assembler.ts';
import { i32x4, v128, type Expr, type Local } from './instructions.ts';

const HALF_ROOT = 0x3f3504f3; // sqrt(1/2) as bits
// their sum is ln 2; the first has 10 bits, so n LN2_HIGH is exact
const LN2_HIGH = 0.693359375;
const LN2_LOW = Math.LN2 - LN2_HIGH;

/** (exp(r) - 1 - r) / r² on |r| <= ln(2)/2, lowest power first: exp(r) to 3e-9, relative. */
const EXP = [0.49999993435, 0.16666520387, 0.04166838952, 0.00836874624, 0.00138146332];

/** exp(x): 0 below -87.7, infinite above 88.37, where 2^n is so as a float; not a number stays so. */
export function exp(f: FunctionBuilder, x: Expr<'v128'>): Local<'v128'> {
  const limited = f.keep(v128.greater(v128.lesser(x, v128.of(89)), v128.of(-88)));
  const n = f.keep(v128.nearest(v128.mul(limited, v128.of(Math.LOG2E))));
  const r = f.keep(f.madd(n, v128.of(-LN2_LOW), f.madd(n, v128.of(-LN2_HIGH), limited)));
  const power = v128.add(f.madd(v128.mul(r, r), polynomial(f, EXP, r), r), v128.of(1));
  return f.keep(v128.mul(power, i32x4.shiftLeft(i32x4.add(i32x4.fromFloats(n), i32x4.of(127)), 23))); // times 2^n
}

/**
 * P with log(1 + r) = r - r²/2 + r³ P(r) on sqrt(1/2) - 1 <= r <= sqrt(2) - 1, lowest power first: the logarithm to
 * 6e-9, relative.
 */
const LOG = [
  0.3333333162, -0.2500082404, 0.2000123806, -0.166232517, 0.1420140255, -0.131609096, 0.1276462923, -0.07636440227,
];

/** log(x) for normal x > 0. */
export function log(f: FunctionBuilder, x: Expr<'v128'>): Local<'v128'> {
  const bits = f.keep(i32x4.sub(x, i32x4.of(HALF_ROOT))); // x = 2^n m with m from sqrt(1/2) to sqrt(2)
  const n = i32x4.toFloats(i32x4.shiftRightSigned(bits, 23));
  const r = f.keep(v128.sub(i32x4.add(i32x4.and(bits, i32x4.of(0x007fffff)), i32x4.of(HALF_ROOT)), v128.of(1)));
  return f.keep(f.madd(n, v128.of(Math.LN2), logOnePlus(f, r)));
}

/** log(1 + r) for r from sqrt(1/2) - 1 to sqrt(2) - 1: exact where 1 + r is not. */
export function logOnePlus(f: FunctionBuilder, r: Local<'v128'>): Expr<'v128'> {
  return f.madd(v128.mul(r, r), f.madd(polynomial(f, LOG, r), r, v128.of(-0.5)), r);
}

function polynomial(f: FunctionBuilder, coefficients: readonly number[], x: Expr<'v128'>): Expr<'v128'> {
  return coefficients.reduceRight<Expr<'v128'> | null>(
    (sum, c) => (sum ? f.madd(sum, x, v128.of(c)) : v128.of(c)),
    null,
  )!;
}
