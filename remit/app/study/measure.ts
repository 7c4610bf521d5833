// A figure of a study's summary, found by what the protocol calls it. Read after: protocol.ts, summary.ts.

import type { Measure } from './protocol.ts';
import type { Interval } from './statistics.ts';
import type { Summary } from './summary.ts';

/** Undefined where the study did not measure it. */
export function measured({ stages, pairs, pass, weights, classes }: Summary, measure: Measure): Interval | undefined {
  switch (measure.kind) {
    case 'score':
    case 'gain': {
      const row = stages[measure.of.stage]?.find(({ arm }) => arm === measure.of.arm);
      return (measure.kind === 'score' ? row?.scores : row?.difference)?.[measure.view];
    }
    case 'contrast':
      return pairs.find(({ title }) => title === measure.title)?.difference[measure.view];
    case 'pass':
      return pass[`${measure.of.arm} ${measure.of.stage}`]?.[measure.k]?.difference;
    case 'weight':
      return weights[measure.arm]?.[measure.key];
    case 'class':
      return classes[measure.name]?.weight;
  }
}
