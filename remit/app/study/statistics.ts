// Means over seeds with 95% intervals. Arms are paired by seed - same first weights, same rows in the same order - so
// differences are taken seed by seed: between seeds a score scatters by several points, a difference by one or two.

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
  const n = values.length;
  const mean = values.reduce((total, x) => total + x, 0) / n;
  const deviation = n > 1 ? Math.sqrt(values.reduce((total, x) => total + (x - mean) ** 2, 0) / (n - 1)) : NaN;
  return { n, mean, deviation, half: n > 1 ? (quantile(n - 1) * deviation) / Math.sqrt(n) : NaN };
}

/** What an interval says about 0. */
export function verdict({ mean, half }: Interval): 'above' | 'below' | 'unresolved' {
  return Number.isNaN(half) || Math.abs(mean) <= half ? 'unresolved' : mean > 0 ? 'above' : 'below';
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
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
