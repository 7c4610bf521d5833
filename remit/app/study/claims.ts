// The paper's claims, each with the interval that speaks about it: what reproduces here, what does not, what is not
// resolved. Source of the claims: arXiv 2602.03075. Read after: summary.ts.

import { verdict, type Interval } from './statistics.ts';
import type { Summary, View } from './summary.ts';

export interface Claim {
  readonly claim: string;
  readonly evidence: string;
  readonly interval: Interval;
  readonly outcome: Outcome;
}

export type Outcome = 'reproduces' | 'does not reproduce' | 'unresolved' | 'unresolved (too few seeds)';

/** What a claim expects of a difference: that it is above 0, that there is none, or that it is not below 0. */
export type Expected = 'above' | 'nothing' | 'no less';

/**
 * The largest difference, in points, that counts as none. Fixed before any study was looked at: what paired differences
 * of right answers scatter by from seed to seed, about 2 points (expected.ts). That an interval holds 0 does not show
 * that there is nothing: it may be wide.
 */
export const MARGIN = 2;

const FEWEST = 3; // seeds: with two, an interval is as good as none, and may have no width by accident

/** What an interval says about a claim. */
export function outcome(found: Interval, expected: Expected): Outcome {
  const { n, mean, half } = found;
  const seen = verdict(found);
  if (n < FEWEST || !(half > 0)) return 'unresolved (too few seeds)';
  if (expected === 'nothing') {
    if (seen !== 'unresolved') return 'does not reproduce';
    return Math.abs(mean) + half <= MARGIN ? 'reproduces' : 'unresolved';
  }
  if (seen === 'above') return 'reproduces';
  if (seen === 'below') return 'does not reproduce';
  return expected === 'no less' && mean - half >= -MARGIN ? 'reproduces' : 'unresolved';
}

/** Every claim that the study has figures for. */
export function claims({ stages, pairs, pass }: Summary): Claim[] {
  const gain = (stage: keyof Summary['stages'], arm: string, view: View): Interval | undefined =>
    stages[stage]?.find((row) => row.arm === arm)?.difference?.[view];
  const pair = (title: string, view: View): Interval | undefined =>
    pairs.find((one) => one.title === title)?.difference[view];
  const claim = (
    text: string,
    evidence: string,
    found: Interval | undefined,
    expected: Expected = 'above',
  ): Claim[] => {
    if (found === undefined) return [];
    return [{ claim: text, evidence, interval: found, outcome: outcome(found, expected) }];
  };
  return [
    ...(['remit.2', 'remit.5'] as const).flatMap((arm) => [
      ...claim(
        'A ReMiT base is better than a vanilla one at equal tokens',
        `${arm} less vanilla, sampled`,
        gain('midtrain', arm, 'sampled'),
      ),
      ...claim('... in skill, too', `${arm} less vanilla, cued`, gain('midtrain', arm, 'cued')),
      ...claim(
        '... and at equal compute',
        `${arm} less vanilla with a third more steps, sampled`,
        pair(`${arm} over vanilla+33%`, 'sampled'),
      ),
      ...claim(
        '... in skill at equal compute',
        `${arm} less vanilla with a third more steps, cued`,
        pair(`${arm} over vanilla+33%`, 'cued'),
      ),
      ...claim('The gain is kept by SFT and RL', `${arm} less vanilla after RL, sampled`, gain('rl', arm, 'sampled')),
      ...claim(
        'A second turn adds to the base',
        `${arm}, turn 2 less turn 1, sampled`,
        pair(`${arm}, turn 2 over turn 1, midtrain`, 'sampled'),
      ),
      ...claim(
        '... and to what RL makes of it',
        `${arm}, turn 2 less turn 1 after RL, sampled`,
        pair(`${arm}, turn 2 over turn 1, rl`, 'sampled'),
      ),
      ...claim(
        'Diversity is kept: many samples solve no less',
        `${arm} less vanilla after mid-training, pass@16`,
        pass[`${arm} midtrain`]?.['16']?.difference,
        'no less',
      ),
    ]),
    ...claim(
      'It matters which token gets which weight: shuffled weights do nothing',
      'shuffled.2 less vanilla, sampled',
      gain('midtrain', 'shuffled.2', 'sampled'),
      'nothing',
    ),
    ...claim(
      'An RL model guides better than an SFT model',
      'remit.2 less sft-guided.2, sampled',
      pair('remit.2 over sft-guided.2', 'sampled'),
    ),
    ...claim('... in skill, too', 'remit.2 less sft-guided.2, cued', pair('remit.2 over sft-guided.2', 'cued')),
    ...(['remit.2', 'remit.5'] as const).flatMap((arm) => [
      ...claim('Soft weights beat distillation', `${arm} less kd.5, sampled`, pair(`${arm} over kd.5`, 'sampled')),
      ...claim('Soft weights beat hard selection', `${arm} less rho.6, sampled`, pair(`${arm} over rho.6`, 'sampled')),
    ]),
  ];
}
