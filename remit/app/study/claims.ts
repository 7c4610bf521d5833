// What a study says about each claim of its protocol: it reproduces, it is contradicted, there is no difference worth
// the name, or it is not resolved. Verdicts are computed. Headline claims share one error rate: their p-values are
// adjusted after Holm (Scandinavian Journal of Statistics 6, 1979); equivalence is shown by two one-sided tests
// (Schuirmann, J. Pharmacokin. Biopharm. 15, 1987). Read after: protocol.ts, statistics.ts.

import { CLAIMS, FEWEST, LEVEL, MARGIN, type Claim, type Expected } from './protocol.ts';
import { measured } from './measure.ts';
import { tail, type Interval } from './statistics.ts';
import type { Summary } from './summary.ts';

export interface Verdict extends Pick<Claim, 'claim' | 'evidence' | 'family'> {
  readonly interval: Interval;
  /** How likely such a figure, or one that speaks louder for the claim, would be if the claim did not hold. */
  readonly p: number;
  readonly outcome: Outcome;
}

export const EQUIVALENT = `equivalent within ${MARGIN}`;
export type Outcome = 'reproduces' | 'contradicts' | typeof EQUIVALENT | 'unresolved' | 'unresolved (too few seeds)';

/** Every claim that the study has figures for. */
export function verdicts(summary: Summary): Verdict[] {
  const found = CLAIMS.flatMap(({ of, ...claim }) => {
    const interval = measured(summary, of);
    return interval === undefined ? [] : [{ ...claim, interval, p: pFor(interval, claim.expected) }];
  });
  const headlines = found.filter(({ family }) => family === 'headline');
  // also over those that this study has no figures for: which they are was fixed beforehand, not by what was run
  const adjusted = holm(headlines.map(({ p }) => p), CLAIMS.filter(({ family }) => family === 'headline').length);
  return found.map(({ claim, evidence, family, expected, interval, p: own }) => {
    const i = headlines.findIndex((headline) => headline.interval === interval);
    const p = i < 0 ? own : adjusted[i]!;
    return { claim, evidence, family, interval, p, outcome: outcome(interval, expected, p) };
  });
}

/** What an interval says, given the p-value that speaks for the claim. */
export function outcome(interval: Interval, expected: Expected, p = pFor(interval, expected)): Outcome {
  if (!isEnough(interval)) return 'unresolved (too few seeds)';
  if (p <= LEVEL) return expected === 'nothing' ? EQUIVALENT : 'reproduces';
  const against = expected === 'nothing' || interval.mean < 0;
  if (against && pDifferent(interval) <= LEVEL) return 'contradicts';
  return expected === 'above' && pWithin(interval) <= LEVEL ? EQUIVALENT : 'unresolved';
}

/**
 * Adjusts p-values of one family of so many claims, in their order: the smallest counts as often as there are claims,
 * and so on.
 */
export function holm(ps: readonly number[], claims = ps.length): number[] {
  const order = ps.map((_, i) => i).sort((a, b) => ps[a]! - ps[b]!);
  const adjusted = [...ps];
  let least = 0;
  order.forEach((i, rank) => {
    least = Math.max(least, Math.min(1, ps[i]! * (claims - rank)));
    adjusted[i] = least;
  });
  return adjusted;
}

function isEnough({ n, half }: Interval): boolean {
  return n >= FEWEST && half > 0;
}

function pFor(interval: Interval, expected: Expected): number {
  if (!isEnough(interval)) return 1;
  if (expected === 'nothing') return pWithin(interval);
  if (expected === 'no less') return pAbove(interval, -MARGIN);
  return interval.mean > 0 ? pDifferent(interval) : 1;
}

/** That the true mean is 0: both sides. */
function pDifferent(interval: Interval): number {
  return Math.min(1, 2 * Math.min(pAbove(interval, 0), 1 - pAbove(interval, 0)));
}

/** That the true mean is no more than `bound`: one side. */
function pAbove({ n, mean, deviation }: Interval, bound: number): number {
  return tail((mean - bound) / (deviation / Math.sqrt(n)), n - 1);
}

/** That the true mean lies outside of the margin: the worse of two one-sided tests. */
function pWithin(interval: Interval): number {
  return Math.max(pAbove(interval, -MARGIN), 1 - pAbove(interval, MARGIN));
}
