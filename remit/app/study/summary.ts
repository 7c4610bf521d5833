// The numbers of a study: from the results of its cells to means, paired differences and intervals. Its JSON is
// report.json. Read after: cell.ts, protocol.ts, statistics.ts. Read next: measure.ts, claims.ts (what they say),
// report.ts (how they are printed).

import type { Evaluation, Scores } from '../../worlds/tiny/evaluate.ts';
import type { CellResult, CurvePoint } from './cell.ts';
import { armName, type StudyOptions } from './plan.ts';
import { CONTRASTS, turnContrasts, type Model, type Stage, type View } from './protocol.ts';
import { interval, median, type Interval } from './statistics.ts';

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
export function summarise(options: StudyOptions, cells: ReadonlyMap<string, CellResult>): Summary {
  const { seeds, turns } = options;
  const arms = options.arms.flatMap((arm) =>
    Array.from({ length: arm.turns ? turns : 1 }, (_, turn) => armName(arm, turn + 1)),
  );
  const results = new Results(arms, seeds, cells);
  return {
    seeds,
    arms,
    stages: {
      pretrain: [{ arm: 'base', scores: results.scores({ arm: 'base', stage: 'pretrain' }) }],
      midtrain: stageRows(results, 'midtrain'),
      sft: stageRows(results, 'sft'),
      rl: stageRows(results, 'rl'),
    },
    pairs: [...CONTRASTS, ...turnContrasts(turns)]
      .filter(({ of, less }) => results.has(of) && results.has(less))
      .map(({ title, of, less }) => ({ title, difference: results.difference(of, less) })),
    speeds: speeds(results),
    tasks: taskGains(results),
    weights: weightStatistics(results),
    ...analysed(results),
    curves: meanCurves(results),
  };
}

/** What the cells left, by seed. Scores as shares. */
class Results {
  readonly arms: readonly string[];
  readonly seeds: readonly number[];
  readonly #cells: ReadonlyMap<string, CellResult>;

  constructor(arms: readonly string[], seeds: readonly number[], cells: ReadonlyMap<string, CellResult>) {
    this.arms = arms;
    this.seeds = seeds;
    this.#cells = cells;
  }

  /** Whether every seed has it. */
  has(model: Model): boolean {
    return this.seeds.every((seed) => this.evaluation(seed, model) !== undefined);
  }

  evaluation(seed: number, { arm, stage }: Model): Evaluation | undefined {
    const cell = this.#cell(seed, stage === 'pretrain' ? 'base' : arm);
    return cell?.stages.find(({ name }) => name === stage)?.evaluation;
  }

  curve(seed: number, arm: string): readonly CurvePoint[] {
    return this.#cell(seed, arm)?.curve ?? [];
  }

  /** Of the seeds that have them. */
  weights(arm: string): NonNullable<CellResult['weights']>[] {
    return this.seeds.map((seed) => this.#cell(seed, arm)?.weights).filter((x) => x !== undefined);
  }

  analyses(): NonNullable<CellResult['analysis']>[] {
    return this.seeds.map((seed) => this.#cell(seed, 'analysis')?.analysis).filter((x) => x !== undefined);
  }

  scores(model: Model): Views {
    return views((view) => interval(this.seeds.map((seed) => 100 * this.evaluation(seed, model)![view])));
  }

  /** Seed by seed. */
  difference(of: Model, less: Model): Views {
    const scores = (seed: number, model: Model): Scores => this.evaluation(seed, model)!;
    return views((view) =>
      interval(this.seeds.map((seed) => 100 * (scores(seed, of)[view] - scores(seed, less)[view]))),
    );
  }

  #cell(seed: number, name: string): CellResult | undefined {
    return this.#cells.get(`seed-${seed}/${name}`);
  }
}

function views(of: (view: View) => Interval): Views {
  return { cued: of('cued'), sampled: of('sampled'), greedy: of('greedy'), thinkRate: of('thinkRate') };
}

function stageRows(results: Results, stage: Stage): Row[] {
  return results.arms
    .filter((arm) => results.has({ arm, stage }))
    .map((arm) => {
      const scores = results.scores({ arm, stage });
      if (arm === 'vanilla') return { arm, scores };
      return { arm, scores, difference: results.difference({ arm, stage }, { arm: 'vanilla', stage }) };
    });
}

/** Arms whose curve every seed has. */
function curved(results: Results): string[] {
  return results.arms.filter((arm) => results.seeds.every((seed) => results.curve(seed, arm).length > 0));
}

function speeds(results: Results): Speed[] {
  const ratio = (arm: string, view: 'cued' | 'sampled'): number =>
    median(results.seeds.map((seed) => speedUp(results.curve(seed, arm), results.curve(seed, 'vanilla'), view)));
  return curved(results)
    .filter((arm) => arm !== 'vanilla' && !arm.startsWith('vanilla+'))
    .map((arm) => ({ arm, cued: ratio(arm, 'cued'), sampled: ratio(arm, 'sampled') }));
}

function taskGains(results: Results): Summary['tasks'] {
  const { seeds } = results;
  const tasks = (seed: number, arm: string) => results.evaluation(seed, { arm, stage: 'midtrain' })!.tasks;
  const gain = (arm: string, task: number, view: 'cued' | 'sampled'): Interval =>
    interval(seeds.map((seed) => 100 * (tasks(seed, arm)[task]![view] - tasks(seed, 'vanilla')[task]![view])));
  const ofArm = (arm: string): Summary['tasks'][string] =>
    tasks(seeds[0]!, 'vanilla').map(({ name, group }, task) => ({
      name,
      group,
      cued: gain(arm, task, 'cued'),
      sampled: gain(arm, task, 'sampled'),
    }));
  return byName(results.arms.filter((arm) => arm !== 'vanilla'), ofArm);
}

function weightStatistics(results: Results): Summary['weights'] {
  return byName(results.arms.filter((arm) => results.weights(arm).length > 0), (arm) => {
    const found = results.weights(arm);
    const keys = Object.keys(found[0]!) as (keyof (typeof found)[0])[];
    return byName(keys, (key) => interval(found.map((weights) => weights[key])));
  });
}

function analysed(results: Results): Pick<Summary, 'classes' | 'dynamics' | 'pass'> {
  const analyses = results.analyses();
  const [first] = analyses;
  if (first === undefined) return { classes: {}, dynamics: [], pass: {} };
  const passOf = (model: string, k: string): number[] => analyses.map(({ pass }) => 100 * pass[model]![k]!);
  return {
    classes: byName(Object.keys(first.classes), (name) => ({
      weight: interval(analyses.map(({ classes }) => classes[name]!.weight)),
      gap: interval(analyses.map(({ classes }) => classes[name]!.gap)),
    })),
    dynamics: first.dynamics.map(({ phase, step }, i) => ({
      phase,
      step,
      kl: interval(analyses.map(({ dynamics }) => dynamics[i]!.kl)),
      agreement: interval(analyses.map(({ dynamics }) => 100 * dynamics[i]!.agreement)),
    })),
    pass: byName(Object.keys(first.pass), (model) => {
      const vanilla = `vanilla ${model.split(' ').at(-1)}`;
      return byName(Object.keys(first.pass[model]!), (k) => {
        const share = interval(passOf(model, k));
        if (model === vanilla) return { share };
        const less = passOf(vanilla, k);
        return { share, difference: interval(passOf(model, k).map((points, i) => points - less[i]!)) };
      });
    }),
  };
}

function meanCurves(results: Results): Summary['curves'] {
  const { seeds } = results;
  return byName(curved(results), (arm) =>
    results.curve(seeds[0]!, arm).map(({ step }, i) => {
      const mean = (view: 'cued' | 'sampled'): number =>
        interval(seeds.map((seed) => 100 * results.curve(seed, arm)[i]![view])).mean;
      return { step, cued: mean('cued'), sampled: mean('sampled') };
    }),
  );
}

function byName<K extends string, T>(names: readonly K[], of: (name: K) => T): Record<K, T> {
  return Object.fromEntries(names.map((name) => [name, of(name)])) as Record<K, T>;
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
