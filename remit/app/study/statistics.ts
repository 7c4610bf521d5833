// Means over seeds with 95% intervals. Arms are paired by seed - same first weights, same rows in the same order - so
// differences are taken seed by seed: between seeds a score scatters by several points, a difference by one or two.
// Used by: summary.ts.

export interface Interval {
  readonly n: number;
  readonly mean: number;
  /** Standard deviation over seeds; NaN for one. */
  readonly deviation: number;
  /** Half the width of the 95% t-interval; NaN for one. */
  readonly half: number;
}

/** Mean of independent values, with its 95% t-interval. */
export function interval(values: readonly number[]): Interval {
  const tally = new Tally();
  for (const value of values) tally.add(value);
  return tally.interval;
}

/** An interval of values that come one by one and are not kept (Welford's sums). */
export class Tally {
  count = 0;
  #mean = 0;
  /** Sum of squared distances from the mean. */
  #squares = 0;

  add(value: number): void {
    this.count++;
    const before = value - this.#mean;
    this.#mean += before / this.count;
    this.#squares += before * (value - this.#mean);
  }

  get interval(): Interval {
    const n = this.count;
    const deviation = n > 1 ? Math.sqrt(this.#squares / (n - 1)) : NaN;
    const half = n > 1 ? (quantile(n - 1) * deviation) / Math.sqrt(n) : NaN;
    return { n, mean: n > 0 ? this.#mean : NaN, deviation, half };
  }
}

/** 97.5% points of Student's t for few degrees of freedom. */
const FEW = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622];

/**
 * The 97.5% point of Student's t: a table, then the expansion about the normal's (Abramowitz and Stegun, 26.7.5), good
 * to 1e-3.
 */
export function quantile(freedom: number): number {
  if (freedom <= FEW.length) return FEW[freedom - 1]!;
  const z = 1.959964;
  const f = freedom;
  return (
    z +
    (z ** 3 + z) / (4 * f) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * f ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * f ** 3)
  );
}

/**
 * The chance that Student's t of so many degrees of freedom is above x, good to 1e-12. Half the regularised incomplete
 * beta function of f / (f + x²), by its continued fraction (Abramowitz and Stegun, 26.7.1 and 26.5.8).
 */
export function tail(x: number, freedom: number): number {
  const half = incompleteBeta(freedom / (freedom + x * x), freedom / 2, 0.5) / 2;
  return x >= 0 ? half : 1 - half;
}

function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a); // where the fraction converges soon
  const front = Math.exp(a * Math.log(x) + b * Math.log(1 - x) + logGamma(a + b) - logGamma(a) - logGamma(b)) / a;
  let fraction = 1;
  for (let m = TERMS; m >= 1; m--) {
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    fraction = 1 + even / (1 + odd / fraction);
  }
  return front / (1 + (-((a + b) * x) / (a + 1)) / fraction);
}

const TERMS = 200;

/** Stirling's series, from arguments above 10 on; below, by gamma(x + 1) = x gamma(x). */
function logGamma(x: number): number {
  if (x < 10) return logGamma(x + 1) - Math.log(x);
  const series = 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5) - 1 / (1680 * x ** 7);
  return (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + series;
}
