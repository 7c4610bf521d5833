// The numbers of a study: from the results of its cells to means, paired differences and intervals. Its JSON is
// report.json. Seeds are read one after another and none is kept, so that a study may have any number of them. Read
// after: cell.ts, protocol.ts, statistics.ts. Read next: measure.ts, claims.ts (what they say), report.ts (how they are
// printed).

import type { Evaluation, Scores } from '../../worlds/tiny/evaluate.ts';
import type { Analysis, CellResult, CurvePoint } from './cell.ts';
import { baseOf, guideKind, vanillaOf } from './arms.ts';
import { armName, type StudyOptions } from './plan.ts';
import { CONTRASTS, turnContrasts, VIEWS, type Contrast, type Model, type Stage, type View } from './protocol.ts';
import { Tally, type Interval } from './statistics.ts';

/** A score per view, in points (percent). */
export type Views = Readonly<Record<View, Interval>>;

export interface Row {
  readonly arm: string;
  readonly scores: Views;
  /** Less the vanilla arm (of its variant) at the same stage, paired by seed; absent for itself. */
  readonly difference?: Views;
}

/** One pair of (arm, stage), paired by seed. */
export interface Pair {
  readonly title: string;
  readonly difference: Views;
}

/**
 * How much sooner than the vanilla arm one has the value that vanilla ends with, as a ratio: of steps, where the reference
 * is there already, and of what all steps cost, its post-training included, where it is not. 0 where it never has it.
 */
export interface Speed {
  readonly arm: string;
  readonly there: Readonly<Record<CurveView, Interval>>;
  readonly paid: Readonly<Record<CurveView, Interval>>;
}

/** Steps of vanilla mid-training that a reference costs: what post-trains it. */
export type ReferenceCost = Readonly<Record<'none' | 'sft' | 'rl', number>>;

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

/** bySeed: the results of each seed's cells, in the order of the options' seeds. */
export function summarise(
  options: StudyOptions,
  bySeed: Iterable<readonly CellResult[]>,
  cost: ReferenceCost,
): Summary {
  const { seeds, turns } = options;
  const compared = options.arms.flatMap((arm) =>
    Array.from({ length: arm.turns ? turns : 1 }, (_, turn) => ({
      arm: armName(arm, turn + 1), with: vanillaOf(arm), guide: guideKind(arm),
    })),
  );
  const arms = compared.map(({ arm }) => arm);
  const bases = [...new Set(options.arms.map(baseOf))];
  const contrasts = [...CONTRASTS, ...turnContrasts(turns), ...(options.contrasts ?? [])];
  const figures = new Figures();
  let first: Seed | undefined;
  for (const cells of bySeed) {
    const seed = new Seed(cells);
    first ??= seed;
    addScores(figures.at('score'), seed, arms, bases);
    addDifferences(figures.at('difference'), seed, compared, contrasts);
    addTasks(figures.at('task'), seed, compared);
    addCurves(figures.at('curve'), seed, arms);
    addAnalysis(figures.at('analysis'), seed);
    addSpeeds(figures.at('speed'), seed, compared, cost);
    for (const { arm } of compared) {
      for (const [key, value] of Object.entries(seed.weights(arm) ?? {})) figures.at('weights', arm, key).tally.add(value);
    }
  }
  const complete = { figures, count: seeds.length };
  return {
    seeds,
    arms,
    stages: {
      pretrain: bases.map((arm) => ({ arm, scores: views(figures.at('score', 'pretrain', arm)) })),
      midtrain: stageRows(complete, 'midtrain', compared),
      sft: stageRows(complete, 'sft', compared),
      rl: stageRows(complete, 'rl', compared),
    },
    pairs: contrasts
      .map(({ title }) => ({ title, found: figures.at('difference', 'pair', title) }))
      .filter(({ found }) => isComplete(found, seeds.length))
      .map(({ title, found }) => ({ title, difference: views(found) })),
    speeds: [...figures.at('speed').within]
      .filter(([, found]) => found.at('there', 'cued').tally.count === seeds.length)
      .map(([arm, found]) => {
        const both = (kind: string) => byName(CURVE_VIEWS, (view) => found.at(kind, view).tally.interval);
        return { arm, there: both('there'), paid: both('paid') };
      }),
    tasks: taskGains(figures.at('task'), first, compared),
    weights: intervals(figures.at('weights')),
    ...analysed(figures.at('analysis'), first?.analysis),
    curves: meanCurves(complete, arms, first),
  };
}

/** What the cells of one seed left. */
class Seed {
  readonly #cells: ReadonlyMap<string, CellResult>;

  constructor(cells: readonly CellResult[]) {
    this.#cells = new Map(cells.map((cell) => [cell.name.slice(cell.name.indexOf('/') + 1), cell]));
  }

  evaluation({ arm, stage }: Model): Evaluation | undefined {
    const cell = this.#cells.get(stage === 'pretrain' ? arm.replace(/^vanilla/, 'base') : arm);
    return cell?.stages.find(({ name }) => name === stage)?.evaluation;
  }

  curve(arm: string): readonly CurvePoint[] {
    return this.#cells.get(arm)?.curve ?? [];
  }

  weights(arm: string): CellResult['weights'] {
    return this.#cells.get(arm)?.weights;
  }

  get analysis(): Analysis | undefined {
    return this.#cells.get('analysis')?.analysis;
  }
}

/** Means over seeds by name, with others within, in the order in which they came. */
class Figures {
  readonly tally = new Tally();
  readonly within = new Map<string, Figures>();

  at(...[name, ...path]: readonly (string | number)[]): Figures {
    if (name === undefined) return this;
    const known = this.within.get(String(name)) ?? new Figures();
    this.within.set(String(name), known);
    return known.at(...path);
  }
}

/** Figures of which every seed may have its own. */
interface Complete {
  readonly figures: Figures;
  /** How many seeds there are. */
  readonly count: number;
}

/** An arm, the vanilla one that it is compared with, and which model it looks at. */
interface Compared {
  readonly arm: string;
  readonly with: string;
  readonly guide: 'none' | 'sft' | 'rl';
}

type CurveView = 'cued' | 'sampled';
const CURVE_VIEWS: readonly CurveView[] = ['cued', 'sampled'];
const AFTER: readonly Stage[] = ['midtrain', 'sft', 'rl'];

/** In points: scores, or what they are above others of the same seed. */
function addViews(figures: Figures, scores: Scores | undefined, less?: Scores): void {
  if (scores === undefined) return;
  for (const view of VIEWS) figures.at(view).tally.add(100 * (scores[view] - (less?.[view] ?? 0)));
}

function addScores(figures: Figures, seed: Seed, arms: readonly string[], bases: readonly string[]): void {
  for (const arm of bases) addViews(figures.at('pretrain', arm), seed.evaluation({ arm, stage: 'pretrain' }));
  for (const stage of AFTER) {
    for (const arm of arms) addViews(figures.at(stage, arm), seed.evaluation({ arm, stage }));
  }
}

function addDifferences(
  figures: Figures,
  seed: Seed,
  arms: readonly Compared[],
  contrasts: readonly Contrast[],
): void {
  const add = (into: Figures, of: Model, from: Model): void => {
    const less = seed.evaluation(from);
    if (less !== undefined) addViews(into, seed.evaluation(of), less);
  };
  for (const stage of AFTER) {
    for (const { arm, with: vanilla } of arms) add(figures.at(stage, arm), { arm, stage }, { arm: vanilla, stage });
  }
  for (const { title, of, less } of contrasts) add(figures.at('pair', title), of, less);
}

function addTasks(figures: Figures, seed: Seed, arms: readonly Compared[]): void {
  const tasks = (arm: string): Evaluation['tasks'] => seed.evaluation({ arm, stage: 'midtrain' })!.tasks;
  for (const { arm, with: vanilla } of arms) {
    for (const [task, scores] of tasks(arm).entries()) addViews(figures.at(arm, task), scores, tasks(vanilla)[task]!);
  }
}

function addCurves(figures: Figures, seed: Seed, arms: readonly string[]): void {
  for (const arm of arms) {
    for (const [i, point] of seed.curve(arm).entries()) {
      for (const view of CURVE_VIEWS) figures.at(arm, i, view).tally.add(100 * point[view]);
    }
  }
}

function addAnalysis(figures: Figures, { analysis }: Seed): void {
  if (analysis === undefined) return;
  for (const [name, { weight, gap }] of Object.entries(analysis.classes)) {
    figures.at('classes', name, 'weight').tally.add(weight);
    figures.at('classes', name, 'gap').tally.add(gap);
  }
  for (const [i, { kl, agreement }] of analysis.dynamics.entries()) {
    figures.at('dynamics', i, 'kl').tally.add(kl);
    figures.at('dynamics', i, 'agreement').tally.add(100 * agreement);
  }
  for (const [model, byK] of Object.entries(analysis.pass)) {
    const vanilla = analysis.pass[vanillaModel(model)];
    for (const [k, share] of Object.entries(byK)) {
      figures.at('pass', model, k, 'share').tally.add(100 * share);
      if (vanilla !== undefined && model !== vanillaModel(model)) {
        figures.at('pass', model, k, 'difference').tally.add(100 * (share - vanilla[k]!));
      }
    }
  }
}

/** Of a model of the analysis, `remit.2 rl`: vanilla's at the same stage. */
const vanillaModel = (model: string): string => `vanilla ${model.split(' ').at(-1)}`;

const WITH_REFERENCE = 4 / 3; // what a step with a reference's forward pass costs, in steps without

/**
 * In the measure of vanilla itself, which on a noisy curve has its last value before its last step. None for a vanilla
 * arm, and where one of the two has no curve.
 */
function addSpeeds(figures: Figures, seed: Seed, arms: readonly Compared[], cost: ReferenceCost): void {
  for (const { arm, with: vanilla, guide } of arms) {
    const [own, other] = [seed.curve(arm), seed.curve(vanilla)];
    if (arm.startsWith('vanilla') || own.length === 0 || other.length === 0) continue;
    for (const view of CURVE_VIEWS) {
      const zero = other.at(-1)!.step / speedUp(other, other, view); // steps that vanilla takes
      const ratio = speedUp(own, other, view) / speedUp(other, other, view);
      const steps = (zero / ratio) * (guide === 'none' ? 1 : WITH_REFERENCE) + cost[guide];
      figures.at(arm, 'there', view).tally.add(ratio);
      figures.at(arm, 'paid', view).tally.add(ratio === 0 ? 0 : zero / steps);
    }
  }
}

function views(figures: Figures): Views {
  return byName(VIEWS, (view) => figures.at(view).tally.interval);
}

/** Whether every seed has these views. */
function isComplete(figures: Figures, count: number): boolean {
  return figures.at('cued').tally.count === count;
}

function stageRows({ figures, count }: Complete, stage: Stage, arms: readonly Compared[]): Row[] {
  return arms
    .filter(({ arm }) => isComplete(figures.at('score', stage, arm), count))
    .map(({ arm, with: vanilla }) => {
      const scores = views(figures.at('score', stage, arm));
      if (arm === vanilla) return { arm, scores };
      return { arm, scores, difference: views(figures.at('difference', stage, arm)) };
    });
}

function taskGains(figures: Figures, first: Seed | undefined, arms: readonly Compared[]): Summary['tasks'] {
  const tasks = first?.evaluation({ arm: arms[0]!.with, stage: 'midtrain' })?.tasks ?? [];
  const guided = arms.filter((one) => one.arm !== one.with).map(({ arm }) => arm);
  return byName(guided, (arm) =>
    tasks.map(({ name, group }, task) => {
      const { cued, sampled } = views(figures.at(arm, task));
      return { name, group, cued, sampled };
    }),
  );
}

function intervals(figures: Figures): Summary['weights'] {
  return byName([...figures.within.keys()], (name) => {
    const found = figures.at(name);
    return byName([...found.within.keys()], (key) => found.at(key).tally.interval);
  });
}

function analysed(figures: Figures, first: Analysis | undefined): Pick<Summary, 'classes' | 'dynamics' | 'pass'> {
  const at = (...path: readonly (string | number)[]): Interval => figures.at(...path).tally.interval;
  return {
    classes: byName(Object.keys(first?.classes ?? {}), (name) => ({
      weight: at('classes', name, 'weight'),
      gap: at('classes', name, 'gap'),
    })),
    dynamics: (first?.dynamics ?? []).map(({ phase, step }, i) => ({
      phase,
      step,
      kl: at('dynamics', i, 'kl'),
      agreement: at('dynamics', i, 'agreement'),
    })),
    pass: byName(Object.keys(first?.pass ?? {}), (model) =>
      byName(Object.keys(first!.pass[model]!), (k) => {
        const share = at('pass', model, k, 'share');
        return model === vanillaModel(model) ? { share } : { share, difference: at('pass', model, k, 'difference') };
      }),
    ),
  };
}

/** Of arms whose curve every seed has. */
function meanCurves({ figures, count }: Complete, arms: readonly string[], first: Seed | undefined): Summary['curves'] {
  const curved = arms.filter((arm) => figures.at('curve', arm, 0, 'cued').tally.count === count);
  return byName(curved, (arm) =>
    first!.curve(arm).map(({ step }, i) => {
      const mean = (view: CurveView): number => figures.at('curve', arm, i, view).tally.interval.mean;
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
export function speedUp(arm: readonly CurvePoint[], vanilla: readonly CurvePoint[], view: CurveView): number {
  const { step: steps, [view]: goal } = vanilla.at(-1)!;
  const i = arm.findIndex((point) => point[view] >= goal);
  if (i < 0) return 0;
  if (i === 0) return steps / arm[0]!.step;
  const [before, after] = [arm[i - 1]!, arm[i]!];
  const part = (goal - before[view]) / (after[view] - before[view]);
  return steps / (before.step + part * (after.step - before.step));
}
