// Is it a difference, or noise? Two runs of one benchmark are compared by the ratio of their medians, each sample in the
// measure of the yardstick beside it, with a bootstrap interval (Efron, 1979). Other processes and the layout of memory
// move whole runs, which no interval within a run sees: so a difference counts only beyond a margin besides. How wide
// that must be was tried: docs/measuring.md. Read after: timing.ts. Used by: command.ts.

import { rng } from '../engine/rng.ts';

/** Samples of a run, and its yardstick's. */
export interface Samples {
  readonly samples: readonly number[];
  readonly yardsticks: readonly number[];
}

export interface Ratio {
  /** Time now over time then: 1.1 is a tenth slower. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  readonly verdict: 'slower' | 'faster' | 'no difference';
}

const RESAMPLES = 2000;
const OUTSIDE = 0.025; // of the resamples, on either side: an interval of 95%
/** What a run may differ from another of the same build by, beyond what its samples show. */
export const MARGIN = 0.03;

/** Compares a run with an earlier one. The same samples give the same answer. */
export function compare(then: Samples, now: Samples): Ratio {
  const [a, b] = [measured(then), measured(now)];
  const stream = rng(0).fold('bootstrap').stream();
  const again = (values: readonly number[]): number =>
    median(values.map(() => values[stream.int(values.length)]!));
  const ratios = Array.from({ length: RESAMPLES }, () => again(b) / again(a)).sort((x, y) => x - y);
  const low = ratios[Math.floor(OUTSIDE * RESAMPLES)]!;
  const high = ratios[Math.ceil((1 - OUTSIDE) * RESAMPLES) - 1]!;
  const verdict = low > 1 + MARGIN ? 'slower' : high < 1 - MARGIN ? 'faster' : 'no difference';
  return { ratio: median(b) / median(a), low, high, verdict };
}

/** Samples as multiples of the yardstick. */
function measured({ samples, yardsticks }: Samples): number[] {
  return samples.map((ms, i) => ms / (yardsticks[i] ?? 1));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** By the nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.round(share * (values.length - 1))]!;
}
