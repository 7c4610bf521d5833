// What a study compares, claims and expects, as data and nothing else: read it before any figure. The report prints its
// hash, so that a prediction can be shown to be older than the data it is held against. Source of the claims: arXiv
// 2602.03075; of the ranges: another implementation, in PyTorch, whose random streams differ, widened by judgement.
// Read after: arms.ts. Read next: summary.ts (the figures), claims.ts (the verdicts), expected.ts.

import { STUDY_ARMS } from './arms.ts';

export const VIEWS = ['cued', 'sampled', 'greedy', 'thinkRate'] as const;
export type View = (typeof VIEWS)[number];
export type Stage = 'pretrain' | 'midtrain' | 'sft' | 'rl';

/** An arm's model after a stage. */
export interface Model {
  readonly arm: string;
  readonly stage: Stage;
}

/** Two models whose scores are compared, paired by seed. */
export interface Contrast {
  readonly title: string;
  readonly of: Model;
  readonly less: Model;
}

/** A figure of a study's summary. */
export type Measure =
  /** A score, in points, or how much more it is than the vanilla arm's at the same stage. */
  | { readonly kind: 'score' | 'gain'; readonly of: Model; readonly view: View }
  | { readonly kind: 'contrast'; readonly title: string; readonly view: View }
  /** Of k samples one at least is right, in points, less the vanilla arm's at the same stage. */
  | { readonly kind: 'pass'; readonly of: Model; readonly k: number }
  /** A statistic of the weights of an arm, or the mean weight of a class of tokens. */
  | { readonly kind: 'weight'; readonly arm: string; readonly key: string }
  | { readonly kind: 'class'; readonly name: string };

/** What a claim expects of a difference: that it is above 0, that there is none, or that it is not below 0. */
export type Expected = 'above' | 'nothing' | 'no less';

export interface Claim {
  readonly claim: string;
  readonly evidence: string;
  readonly of: Measure;
  readonly expected: Expected;
  /** Headline claims share one error rate (Holm); the rest is exploratory. */
  readonly family: 'headline' | 'exploratory';
}

/** Where a correct build lands, as a mean over seeds. */
export interface Expectation {
  readonly what: string;
  readonly low: number;
  readonly high: number;
  readonly of: Measure;
}

/**
 * The largest difference, in points, that counts as none. Fixed before any study was looked at: what paired differences
 * of right answers scatter by from seed to seed, about 2 points. That an interval holds 0 does not show that there is
 * nothing: it may be wide.
 */
export const MARGIN = 2;

/** The share of false findings that is put up with: in the headline claims together, and in each other one. */
export const LEVEL = 0.05;

/** Seeds: with two, an interval is as good as none, and may have no width by accident. */
export const FEWEST = 3;

const BOLDNESS = ['remit.2', 'remit.5'] as const;

const midtrained = (arm: string): Model => ({ arm, stage: 'midtrain' });
const over = (arm: string, other: string): Contrast => ({
  title: `${arm} over ${other}`,
  of: midtrained(arm),
  less: midtrained(other),
});

export const CONTRASTS: readonly Contrast[] = [
  { title: 'mid-training over pre-training', of: midtrained('vanilla'), less: { arm: 'vanilla', stage: 'pretrain' } },
  { title: 'RL over SFT, vanilla', of: { arm: 'vanilla', stage: 'rl' }, less: { arm: 'vanilla', stage: 'sft' } },
  over('remit.2', 'shuffled.2'),
  ...BOLDNESS.flatMap((arm) => ['sft-guided.2', 'kd.5', 'rho.6', 'vanilla+33%'].map((other) => over(arm, other))),
];

/** One turn of the flywheel over the turn before it, as far as there are turns. */
export function turnContrasts(turns: number): Contrast[] {
  const later = Array.from({ length: Math.max(0, turns - 1) }, (_, i) => i + 2);
  const name = (arm: string, turn: number): string => (turn === 1 ? arm : `${arm}-turn${turn}`);
  return BOLDNESS.flatMap((arm) =>
    later.flatMap((turn) =>
      (['midtrain', 'rl'] as const).map((stage) => ({
        title: `${arm}, turn ${turn} over turn ${turn - 1}, ${stage}`,
        of: { arm: name(arm, turn), stage },
        less: { arm: name(arm, turn - 1), stage },
      })),
    ),
  );
}

const gain = (stage: Stage, arm: string, view: View): Measure => ({ kind: 'gain', of: { arm, stage }, view });
const score = (stage: Stage, arm: string, view: View): Measure => ({ kind: 'score', of: { arm, stage }, view });
const contrast = (title: string, view: View): Measure => ({ kind: 'contrast', title, view });
const weight = (arm: string, key: string): Measure => ({ kind: 'weight', arm, key });
const classWeight = (name: string): Measure => ({ kind: 'class', name });

const headline = { expected: 'above', family: 'headline' } as const;
const exploratory = { expected: 'above', family: 'exploratory' } as const;

export const CLAIMS: readonly Claim[] = [
  ...BOLDNESS.flatMap((arm): Claim[] => {
    const main = arm === 'remit.2' ? headline : exploratory; // the paper's epsilon
    return [
      {
        claim: 'A ReMiT base is better than a vanilla one at equal tokens',
        evidence: `${arm} less vanilla, sampled`,
        of: gain('midtrain', arm, 'sampled'),
        ...main,
      },
      {
        claim: '... in skill, too',
        evidence: `${arm} less vanilla, cued`,
        of: gain('midtrain', arm, 'cued'),
        ...exploratory,
      },
      {
        claim: '... and at equal compute',
        evidence: `${arm} less vanilla with a third more steps, sampled`,
        of: contrast(`${arm} over vanilla+33%`, 'sampled'),
        ...main,
      },
      {
        claim: '... in skill at equal compute',
        evidence: `${arm} less vanilla with a third more steps, cued`,
        of: contrast(`${arm} over vanilla+33%`, 'cued'),
        ...exploratory,
      },
      {
        claim: 'The gain is kept by SFT and RL',
        evidence: `${arm} less vanilla after RL, sampled`,
        of: gain('rl', arm, 'sampled'),
        ...main,
      },
      {
        claim: 'A second turn adds to the base',
        evidence: `${arm}, turn 2 less turn 1, sampled`,
        of: contrast(`${arm}, turn 2 over turn 1, midtrain`, 'sampled'),
        ...exploratory,
      },
      {
        claim: '... and to what RL makes of it',
        evidence: `${arm}, turn 2 less turn 1 after RL, sampled`,
        of: contrast(`${arm}, turn 2 over turn 1, rl`, 'sampled'),
        ...exploratory,
      },
      {
        claim: 'Diversity is kept: many samples solve no less',
        evidence: `${arm} less vanilla after mid-training, pass@16`,
        of: { kind: 'pass', of: midtrained(arm), k: 16 },
        ...exploratory,
        expected: 'no less',
      },
    ];
  }),
  {
    claim: 'It matters which token gets which weight',
    evidence: 'remit.2 less shuffled.2, sampled',
    of: contrast('remit.2 over shuffled.2', 'sampled'),
    ...headline,
  },
  {
    claim: '... shuffled weights do nothing',
    evidence: 'shuffled.2 less vanilla, sampled',
    of: gain('midtrain', 'shuffled.2', 'sampled'),
    ...headline,
    expected: 'nothing',
  },
  {
    claim: 'An RL model guides better than an SFT model',
    evidence: 'remit.2 less sft-guided.2, sampled',
    of: contrast('remit.2 over sft-guided.2', 'sampled'),
    ...headline,
  },
  {
    claim: '... in skill, too',
    evidence: 'remit.2 less sft-guided.2, cued',
    of: contrast('remit.2 over sft-guided.2', 'cued'),
    ...exploratory,
  },
  ...BOLDNESS.flatMap((arm): Claim[] => [
    {
      claim: 'Soft weights beat distillation',
      evidence: `${arm} less kd.5, sampled`,
      of: contrast(`${arm} over kd.5`, 'sampled'),
      ...exploratory,
    },
    {
      claim: 'Soft weights beat hard selection',
      evidence: `${arm} less rho.6, sampled`,
      of: contrast(`${arm} over rho.6`, 'sampled'),
      ...exploratory,
    },
  ]),
];

/** Weights are float32. */
const ROUNDING = 1e-6;

/**
 * By preset, the one recipe that each was measured with. Scores and differences in points, weights as they are. Absolute
 * scores scatter by about 8 points between seeds, paired differences by 1.7.
 */
export const EXPECTATIONS: Readonly<Record<string, readonly Expectation[]>> = {
  tiny: [
    { what: 'pre-trained, cued', low: 33, high: 44, of: score('pretrain', 'base', 'cued') },
    { what: 'pre-trained, sampled', low: 23, high: 27.5, of: score('pretrain', 'base', 'sampled') },
    { what: 'vanilla mid-training, cued', low: 49, high: 68, of: score('midtrain', 'vanilla', 'cued') },
    { what: 'vanilla mid-training, sampled', low: 32.5, high: 37.5, of: score('midtrain', 'vanilla', 'sampled') },
    { what: 'vanilla mid-training, think rate', low: 31, high: 38, of: score('midtrain', 'vanilla', 'thinkRate') },
    { what: 'think rate: ReMiT .2 less vanilla', low: 7, high: 12, of: gain('midtrain', 'remit.2', 'thinkRate') },
    { what: 'think rate: ReMiT .5 less vanilla', low: 18, high: 26, of: gain('midtrain', 'remit.5', 'thinkRate') },
    { what: 'think rate: shuffled less vanilla', low: -2, high: 2, of: gain('midtrain', 'shuffled.2', 'thinkRate') },
    { what: 'sampled: ReMiT .2 less vanilla', low: 1, high: 4.5, of: gain('midtrain', 'remit.2', 'sampled') },
    { what: 'sampled: ReMiT .5 less vanilla', low: 3, high: 9, of: gain('midtrain', 'remit.5', 'sampled') },
    { what: 'cued: ReMiT .2 less vanilla', low: 0, high: 5, of: gain('midtrain', 'remit.2', 'cued') },
    { what: 'cued: ReMiT .5 less vanilla', low: 1, high: 8, of: gain('midtrain', 'remit.5', 'cued') },
    { what: 'cued: shuffled less vanilla', low: -2, high: 2.5, of: gain('midtrain', 'shuffled.2', 'cued') },
    { what: 'sampled: shuffled less vanilla', low: -1.5, high: 1.5, of: gain('midtrain', 'shuffled.2', 'sampled') },
    { what: 'vanilla SFT, cued', low: 54, high: 75, of: score('sft', 'vanilla', 'cued') },
    { what: 'vanilla SFT, sampled', low: 39, high: 46, of: score('sft', 'vanilla', 'sampled') },
    { what: 'sampled: RL less SFT', low: 6, high: 18, of: contrast('RL over SFT, vanilla', 'sampled') },
    { what: 'think rate after RL', low: 85, high: 100, of: score('rl', 'vanilla', 'thinkRate') },
    { what: 'sampled after RL: ReMiT .2 less vanilla', low: -0.5, high: Infinity, of: gain('rl', 'remit.2', 'sampled') },
    { what: 'sampled after RL: ReMiT .5 less vanilla', low: 1, high: Infinity, of: gain('rl', 'remit.5', 'sampled') },
    { what: 'ReMiT .2: mean weight', low: 1, high: 1.05, of: weight('remit.2', 'weightMean') },
    { what: 'ReMiT .2: deviation of weights', low: 0.09, high: 0.14, of: weight('remit.2', 'weightDeviation') },
    { what: 'ReMiT .2: share at the upper bound', low: 0.05, high: 0.17, of: weight('remit.2', 'weightsHigh') },
    { what: 'ReMiT .2: share at the lower bound', low: 0.04, high: 0.12, of: weight('remit.2', 'weightsLow') },
    { what: 'ReMiT .2: smallest weight', ...near(0.8), of: weight('remit.2', 'weightLowest') },
    { what: 'ReMiT .2: largest weight', ...near(1.2), of: weight('remit.2', 'weightHighest') },
    { what: 'weight of a think token', low: 1.18, high: 1.2 + ROUNDING, of: classWeight('style: think') },
    { what: "weight of a direct answer's first token", low: 0.8 - ROUNDING, high: 0.82, of: classWeight('style: direct') },
    { what: 'weight of a corrupted state', low: 0.8 - ROUNDING, high: 0.9, of: classWeight('state: corrupted') },
    { what: 'weight of a right state', low: 1.05, high: 1.2 + ROUNDING, of: classWeight('state: right') },
  ],
  // the fast gate: only documents that think, a third of the steps
  'think-only': [
    { what: 'vanilla mid-training, cued', low: 55, high: 82, of: score('midtrain', 'vanilla', 'cued') },
    { what: 'sampled: ReMiT .2 less vanilla', low: 1, high: 6, of: gain('midtrain', 'remit.2', 'sampled') },
    { what: 'cued: ReMiT .2 less vanilla', low: 0, high: Infinity, of: gain('midtrain', 'remit.2', 'cued') },
    { what: 'sampled: ReMiT .5 less vanilla', low: 2.5, high: 10, of: gain('midtrain', 'remit.5', 'sampled') },
    { what: 'cued: ReMiT .5 less vanilla', low: 1.5, high: Infinity, of: gain('midtrain', 'remit.5', 'cued') },
    { what: 'sampled: shuffled less vanilla', low: -2, high: 2, of: gain('midtrain', 'shuffled.2', 'sampled') },
    { what: 'ReMiT .5: smallest weight', ...near(0.5), of: weight('remit.5', 'weightLowest') },
    { what: 'ReMiT .5: largest weight', ...near(1.5), of: weight('remit.5', 'weightHighest') },
  ],
};

function near(x: number): { readonly low: number; readonly high: number } {
  return { low: x - ROUNDING, high: x + ROUNDING };
}

/** All of it, as its hash is taken. */
export const PROTOCOL = {
  arms: STUDY_ARMS,
  contrasts: [...CONTRASTS, ...turnContrasts(2)],
  claims: CLAIMS,
  expectations: EXPECTATIONS,
  margin: MARGIN,
  level: LEVEL,
  fewestSeeds: FEWEST,
} as const;
