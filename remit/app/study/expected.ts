// Whether a study lands where a correct build lands. A figure outside of its range says that something is wrong, until
// shown otherwise. Read after: protocol.ts, which has the ranges.

import { measured } from './measure.ts';
import type { Expectation } from './protocol.ts';
import type { Summary } from './summary.ts';

export interface Checked extends Omit<Expectation, 'of'> {
  readonly value: number;
  readonly inside: boolean;
}

/** What the study measured of a list. */
export function check(expectations: readonly Expectation[], summary: Summary): Checked[] {
  return expectations.flatMap(({ what, low, high, of }) => {
    const value = measured(summary, of)?.mean;
    return value === undefined ? [] : [{ what, low, high, value, inside: value >= low && value <= high }];
  });
}
