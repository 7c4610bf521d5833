// The numbers of a study: from the results of its cells to means, paired differences and intervals. Its JSON is
// report.json. Read after: cell.ts, statistics.ts. Read next: claims.ts (what they say), report.ts (how they are
// printed).

import type { Evaluation, Scores } from '../../worlds/tiny/evaluate.ts';
import type { CellResult, CurvePoint } from './cell.ts';
import { armName, type StudyOptions } from './plan.ts';
import { interval, median, type Interval } from './statistics.ts';

export const VIEWS = ['cued', 'sampled', 'greedy', 'thinkRate'] as const;
export type View = (typeof VIEWS)[number];
export type Stage = 'pretrain' | 'midtrain' | 'sft' | 'rl';

/** A score per view, in points (percent). */
export type Views = Readonly<Record<View, Interval>>;

export interface Row {
  readonly arm: string;
  readonly scores: Views;
  /** Less the vanilla arm at the same stage, paired by seed; absent for itself. */
  readonly difference?: Views;
}

/** One pair of (arm, stage), paired by seed. */
export interface Pair {
  readonly title: string;
  readonly difference: Views;
}

export interface Speed {
  readonly arm: string;
  /**
   * Median over seeds of: vanilla's steps / the arm's steps to vanilla's last value; 0 where a seed never got there.
   */
  readonly cued: number;
  readonly sampled: number;
}

export interface Summary {
  readonly seeds: readonly number[];
  readonly arms: readonly string[];
  readonly stages: Readonly<Partial<Record<Stage, readonly Row[]>>>;
  readonly pairs: readonly Pair[];
  readonly speeds: readonly Speed[];
  /** By arm, then task: the paired difference to vanilla after mid-training. */
  readonly tasks: Readonly<
    Record<
      string,
      readonly { readonly name: string; readonly group: string; readonly cued: Interval; readonly sampled: Interval }[]
    >
  >;
  /** By arm: statistics of the weights, over all steps of mid-training. */
  readonly weights: Readonly<Record<string, Readonly<Record<string, Interval>>>>;
  /** By token class: mean weight and gap at the first step of ReMiT with epsilon 0.2. */
  readonly classes: Readonly<Record<string, { readonly weight: Interval; readonly gap: Interval }>>;
  /** Along training: the base model's distance from the RL model. */
  readonly dynamics: readonly {
    readonly phase: string;
    readonly step: number;
    readonly kl: Interval;
    readonly agreement: Interval;
  }[];
  /** By arm: mean learning curves of mid-training, in points. */
  readonly curves: Readonly<
    Record<string, readonly { readonly step: number; readonly cued: number; readonly sampled: number }[]>
  >;
  /** By arm and stage, then k: pass@k in points, and less vanilla's at the same stage. */
  readonly pass: Readonly<
    Record<string, Readonly<Record<string, { readonly share: Interval; readonly difference?: Interval }>>>
  >;
}

/** results: of every cell, by name. */
export function summarise(
  { arms: chosen, seeds, turns }: StudyOptions,
  results: ReadonlyMap<string, CellResult>,
): Summary {
  const arms = chosen.flatMap((arm) => Array.from({ length: arm.turns ? turns : 1 }, (_, t) => armName(arm, t + 1)));
  const cell = (seed: number, name: string): CellResult | undefined => results.get(`seed-${seed}/${name}`);
  const evaluation = (seed: number, arm: string, stage: Stage): Evaluation | undefined =>
    cell(seed, stage === 'pretrain' ? 'base' : arm)?.stages.find(({ name }) => name === stage)?.evaluation;

  const views = (scoresOf: (seed: number) => Scores): Views =>
    Object.fromEntries(
      VIEWS.map((view) => [view, interval(seeds.map((seed) => 100 * scoresOf(seed)[view]))]),
    ) as unknown as Views;
  const difference = (a: readonly [string, Stage], b: readonly [string, Stage]): Views =>
    views((seed) => {
      const [x, y] = [evaluation(seed, ...a)!, evaluation(seed, ...b)!];
      return Object.fromEntries(VIEWS.map((view) => [view, x[view] - y[view]])) as unknown as Scores;
    });
  const has = (arm: string, stage: Stage): boolean => seeds.every((seed) => evaluation(seed, arm, stage) !== undefined);
  const rows = (stage: Stage): Row[] =>
    arms
      .filter((arm) => has(arm, stage))
      .map((arm) => ({
        arm,
        scores: views((seed) => evaluation(seed, arm, stage)!),
        ...(arm === 'vanilla' ? {} : { difference: difference([arm, stage], ['vanilla', stage]) }),
      }));

  const pair = (title: string, a: readonly [string, Stage], b: readonly [string, Stage]): Pair[] =>
    has(...a) && has(...b) ? [{ title, difference: difference(a, b) }] : [];
  const guided = chosen.filter(({ turns: turning }) => turning).map(({ name }) => name);
  const pairs = [
    ...pair('mid-training over pre-training', ['vanilla', 'midtrain'], ['vanilla', 'pretrain']),
    ...pair('RL over SFT, vanilla', ['vanilla', 'rl'], ['vanilla', 'sft']),
    ...guided.flatMap((arm) =>
      ['sft-guided.2', 'kd.5', 'rho.6', 'vanilla+33%'].flatMap((other) =>
        pair(`${arm} over ${other}`, [arm, 'midtrain'], [other, 'midtrain']),
      ),
    ),
    ...guided.flatMap((arm) =>
      Array.from({ length: turns - 1 }, (_, t) => t + 2).flatMap((turn) => {
        const [later, before] = [`${arm}-turn${turn}`, turn === 2 ? arm : `${arm}-turn${turn - 1}`];
        return (['midtrain', 'rl'] as const).flatMap((stage) =>
          pair(`${arm}, turn ${turn} over turn ${turn - 1}, ${stage}`, [later, stage], [before, stage]),
        );
      }),
    ),
  ];

  const curveOf = (seed: number, arm: string): readonly CurvePoint[] => cell(seed, arm)?.curve ?? [];
  const curved = arms.filter((arm) => seeds.every((seed) => curveOf(seed, arm).length > 0));
  const numbers = <T,>(list: readonly (T | undefined)[]): T[] => list.filter((x) => x !== undefined);
  const analyses = numbers(seeds.map((seed) => cell(seed, 'analysis')?.analysis));

  return {
    seeds,
    arms,
    stages: {
      pretrain: [{ arm: 'base', scores: views((seed) => evaluation(seed, 'base', 'pretrain')!) }],
      midtrain: rows('midtrain'),
      sft: rows('sft'),
      rl: rows('rl'),
    },
    pairs,
    speeds: curved
      .filter((arm) => arm !== 'vanilla' && !arm.startsWith('vanilla+'))
      .map((arm) => {
        const ratio = (view: 'cued' | 'sampled'): number =>
          median(seeds.map((seed) => speedUp(curveOf(seed, arm), curveOf(seed, 'vanilla'), view)));
        return { arm, cued: ratio('cued'), sampled: ratio('sampled') };
      }),
    tasks: Object.fromEntries(
      arms
        .filter((arm) => arm !== 'vanilla')
        .map((arm) => [
          arm,
          evaluation(seeds[0]!, 'vanilla', 'midtrain')!.tasks.map(({ name, group }, t) => {
            const gain = (view: 'cued' | 'sampled'): Interval =>
              interval(
                seeds.map(
                  (seed) =>
                    100 *
                    (evaluation(seed, arm, 'midtrain')!.tasks[t]![view] -
                      evaluation(seed, 'vanilla', 'midtrain')!.tasks[t]![view]),
                ),
              );
            return { name, group, cued: gain('cued'), sampled: gain('sampled') };
          }),
        ]),
    ),
    weights: Object.fromEntries(
      arms.flatMap((arm) => {
        const found = numbers(seeds.map((seed) => cell(seed, arm)?.weights));
        return found.length === 0
          ? []
          : [
              [
                arm,
                Object.fromEntries(
                  Object.keys(found[0]!).map((key) => [
                    key,
                    interval(found.map((weights) => weights[key as keyof typeof weights])),
                  ]),
                ),
              ],
            ];
      }),
    ),
    classes: Object.fromEntries(
      Object.keys(analyses[0]?.classes ?? {}).map((name) => [
        name,
        {
          weight: interval(analyses.map(({ classes }) => classes[name]!.weight)),
          gap: interval(analyses.map(({ classes }) => classes[name]!.gap)),
        },
      ]),
    ),
    dynamics: (analyses[0]?.dynamics ?? []).map(({ phase, step }, i) => ({
      phase,
      step,
      kl: interval(analyses.map(({ dynamics }) => dynamics[i]!.kl)),
      agreement: interval(analyses.map(({ dynamics }) => 100 * dynamics[i]!.agreement)),
    })),
    curves: Object.fromEntries(
      curved.map((arm) => [
        arm,
        curveOf(seeds[0]!, arm).map(({ step }, i) => {
          const mean = (view: 'cued' | 'sampled'): number =>
            interval(seeds.map((seed) => 100 * curveOf(seed, arm)[i]![view])).mean;
          return { step, cued: mean('cued'), sampled: mean('sampled') };
        }),
      ]),
    ),
    pass: Object.fromEntries(
      Object.keys(analyses[0]?.pass ?? {}).map((key) => [
        key,
        Object.fromEntries(
          Object.keys(analyses[0]!.pass[key]!).map((k) => {
            const vanilla = `vanilla ${key.split(' ').at(-1)}`;
            const share = interval(analyses.map(({ pass }) => 100 * pass[key]![k]!));
            return [
              k,
              key === vanilla
                ? { share }
                : {
                    share,
                    difference: interval(analyses.map(({ pass }) => 100 * (pass[key]![k]! - pass[vanilla]![k]!))),
                  },
            ];
          }),
        ),
      ]),
    ),
  };
}

/**
 * Vanilla's steps over the steps after which the arm had vanilla's last value, interpolated between points; 0 when it
 * never had.
 */
export function speedUp(arm: readonly CurvePoint[], vanilla: readonly CurvePoint[], view: 'cued' | 'sampled'): number {
  const { step: steps, [view]: goal } = vanilla.at(-1)!;
  const i = arm.findIndex((point) => point[view] >= goal);
  if (i < 0) return 0;
  if (i === 0) return steps / arm[0]!.step;
  const [before, after] = [arm[i - 1]!, arm[i]!];
  const part = (goal - before[view]) / (after[view] - before[view]);
  return steps / (before.step + part * (after.step - before.step));
}
