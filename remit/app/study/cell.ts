// What one cell of a study does, given the models of the cells before it. Everything follows from the configuration, so
// a cell that is done again writes the same bytes. Read after: plan.ts. Read next: analysis.ts, report.ts.

import { highest, lowest } from '../../../engine/extremes.ts';
import { rng } from '../../../engine/rng.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import type { Config } from '../../settings/resolve.ts';
import { corpus } from '../../worlds/tiny/index.ts';
import { accuracy, evaluate, type Evaluation } from '../../worlds/tiny/evaluate.ts';
import { midtrain } from '../../phases/midtrain.ts';
import { newModel, pretrain } from '../../phases/pretrain.ts';
import { postTrain } from '../../phases/pipeline.ts';
import type { Run, StepRecord } from '../../phases/run.ts';
import type { World } from '../../phases/world.ts';
import { evaluateFiles } from '../../worlds/files/evaluate.ts';
import { partsOf } from '../../worlds/files/world.ts';
import { ownSettings, tokenizerOf, worldOfExperiment } from '../../experiment.ts';
import { guideKind, vanillaOf, baseOf } from './arms.ts';
import { withSettings } from './grid.ts';
import { nearness, passAtK, weightsByClass, type ClassWeights, type Nearness } from './analysis.ts';
import { ANALYSED, guideOf, isElsewhere, type Cell, type StudyOptions } from './plan.ts';

/** Shares between 0 and 1 on 500 validation questions. */
export interface CurvePoint { readonly step: number; readonly cued: number; readonly sampled: number }

/** What a cell leaves behind: its result.json. */
export interface CellResult {
  readonly name: string;
  readonly seed: number;
  /** Test scores of the stages it trained. */
  readonly stages: readonly { readonly name: string; readonly evaluation: Evaluation }[];
  /** Learning curve of mid-training. */
  readonly curve?: readonly CurvePoint[];
  /** Over the steps of mid-training: means, and the extremes of all weights. */
  readonly weights?: Readonly<Record<(typeof WEIGHT_KEYS)[number] | 'weightLowest' | 'weightHighest', number>>;
  readonly analysis?: Analysis;
}

export interface Analysis {
  /** Weights of the ReMiT of epsilon 0.2 at its first step, by token class. */
  readonly classes: ClassWeights;
  /**
   * How near the vanilla pipeline's base model is to its RL model, along training. `step` counts on from pre-training
   * to mid-training.
   */
  readonly dynamics: readonly (Nearness & { readonly phase: 'pretrain' | 'midtrain'; readonly step: number })[];
  /** By arm and stage: pass@k. */
  readonly pass: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** The folder of a cell as the cell sees it. */
export interface CellFolder extends Run {
  /** A model that an earlier cell trained. */
  open(cell: string, stage: string): Transformer;
  /** Keeps a model as it was after a step. */
  snapshot(phase: string, step: number, model: Transformer): Promise<void>;
  openSnapshot(cell: string, phase: string, step: number): Transformer;
  /** Numbers that survive the end of the process, by key. */
  readonly curve: Map<number, CurvePoint>;
  saveCurve(): void;
  /** Steps of a stage of this cell, as they were logged. */
  steps(phase: string): readonly StepRecord[];
}

/** Points of a learning curve, and questions per task at each. */
export const CURVE_POINTS = 10;
export const CURVE_QUESTIONS = 50;

const PRETRAIN_SNAPSHOTS = 8;
const WEIGHT_KEYS = ['weightMean', 'weightDeviation', 'weightsHigh', 'weightsLow', 'gap'] as const;

/** The configuration of a cell: the study's, with the cell's seed and the settings of its arm and variant. */
export function configOf({ seed, work, variant }: Cell, whole: Config): Config {
  const study = variant === undefined ? whole : withSettings(whole, variant.settings);
  if (typeof work !== 'object') return { ...study, seed };
  const { method, settings, steps = 1 } = work.arm;
  const midtrain = { ...study.midtrain, steps: Math.round(steps * study.midtrain.steps) };
  return { ...study, seed, midtrain, remit: { ...study.remit, ...settings, arm: method } };
}

/** The phases that a cell may go through: an arm's post-training may be left out, so that it is not there. */
export function phasesOfCell({ work }: Cell): string[] {
  if (work === 'base') return ['pretrain'];
  return work === 'analysis' ? [] : ['midtrain', 'sft', 'rl'];
}

/** Does a cell's work. `light`, or elsewhere than in the tiny world: without a learning curve. */
export async function runCell(
  cell: Cell,
  config: Config,
  folder: CellFolder,
  { light = false, ...elsewhere }: Pick<StudyOptions, 'light' | 'experiment' | 'world'> = {},
): Promise<CellResult> {
  const { name, seed, work } = cell;
  const experiment = elsewhere.experiment?.experiment ?? {};
  const own = ownSettings(config, experiment);
  const { world, vocabulary, look } = surroundings(config, elsewhere);
  const unseen = light || isElsewhere(elsewhere); // no curve, and no snapshots, which are for the analysis
  const stages: { name: string; evaluation: Evaluation }[] = [];
  const test = async (stage: string, model: Transformer): Promise<void> => {
    stages.push({ name: stage, evaluation: await look(model) });
  };
  if (work === 'base') {
    const every = Math.max(1, Math.floor(config.pretrain.steps / PRETRAIN_SNAPSHOTS));
    folder.watch = async (phase, step, model) => {
      if (!unseen && step % every === 0) await folder.snapshot(phase, step, model);
    };
    await test(
      'pretrain',
      await pretrain(own, world.pretrain, newModel(config, vocabulary), folder),
    );
    return { name, seed, stages };
  }
  if (work === 'analysis') return { name, seed, stages, analysis: await analyse(cell, config, folder) };

  const { arm, turn } = work;
  const at = (other: string): string => `seed-${seed}/${other}`;
  const every = Math.max(1, Math.floor(config.midtrain.steps / CURVE_POINTS));
  folder.watch = async (phase, step, model) => {
    if (unseen || phase !== 'midtrain' || step % every !== 0) return;
    const few = { questions: CURVE_QUESTIONS, split: 'validation', seed } as const;
    folder.curve.set(step, {
      step,
      cued: await accuracy(model, 'cued', few),
      sampled: await accuracy(model, 'sampled', few),
    });
    folder.saveCurve();
    if (arm.name === vanillaOf(arm)) await folder.snapshot(phase, step, model);
  };
  const looksAt = guideKind(arm);
  const reference = looksAt === 'none' ? undefined : folder.open(at(guideOf(arm, turn)), looksAt);
  const base = folder.open(at(baseOf(arm)), 'pretrain');
  const model = await midtrain(own, world.midtrain, base, folder, { phase: 'midtrain', reference, loss: arm.loss });
  await test('midtrain', model);
  if (arm.postTrained) await postTrain(own, world, model, folder, { onStage: test });
  const weights = meanWeights(folder.steps('midtrain'));
  const curve = [...folder.curve.values()].sort((a, b) => a.step - b.step);
  return { name, seed, stages, ...(curve.length > 0 && { curve }), ...(weights && { weights }) };
}

/** What a cell learns from and is tested on. */
interface Surroundings {
  readonly world: World;
  /** Tokens of a new model. */
  readonly vocabulary: number;
  readonly look: (model: Transformer) => Promise<Evaluation>;
}

function surroundings(config: Config, { experiment: file, world: read }: Pick<StudyOptions, 'experiment' | 'world'>): Surroundings {
  const { seed } = config;
  if (read !== undefined) {
    const { world } = read;
    const parts = partsOf(world, config.model.context, rng(seed).fold('corpus'));
    return {
      world: parts as World, // those of a study are all there: remit/app/cli/study-world.ts
      vocabulary: world.tokenizer.vocabulary,
      look: async (model) => (await evaluateFiles(model, world, seed))!,
    };
  }
  const experiment = file?.experiment ?? {};
  return {
    world: worldOfExperiment(config, experiment),
    vocabulary: tokenizerOf(experiment).vocabulary,
    look: (model) => experiment.evaluate?.(model, config) ?? evaluate(model, { ...config.evaluate, seed }),
  };
}

function meanWeights(steps: readonly StepRecord[]): CellResult['weights'] | undefined {
  if (steps[0]?.weightMean === undefined) return undefined;
  const all = (key: string): number[] => steps.map((record) => Number(record[key]));
  const mean = (key: string): number => all(key).reduce((total, x) => total + x, 0) / steps.length;
  const means = Object.fromEntries(WEIGHT_KEYS.map((key) => [key, mean(key)])) as Record<
    (typeof WEIGHT_KEYS)[number],
    number
  >;
  return { ...means, weightLowest: lowest(all('weightLowest')), weightHighest: highest(all('weightHighest')) };
}

async function analyse({ seed, needs }: Cell, config: Config, folder: CellFolder): Promise<Analysis> {
  const at = (other: string): string => `seed-${seed}/${other}`;
  const reference = folder.open(at('vanilla'), 'rl');
  const classes = await weightsByClass(folder.open(at('base'), 'pretrain'), reference, 0.2);

  const rows = corpus(config.midtrain.corpus, rng(seed).fold('dynamics')).rows(0, 256);
  const dynamics: Analysis['dynamics'][number][] = [];
  for (const [cell, phase, points] of [
    ['base', 'pretrain', PRETRAIN_SNAPSHOTS],
    ['vanilla', 'midtrain', CURVE_POINTS],
  ] as const) {
    const { steps } = config[phase];
    const every = Math.max(1, Math.floor(steps / points));
    const before = phase === 'midtrain' ? config.pretrain.steps : 0;
    for (let step = every; step <= steps; step += every) {
      dynamics.push({
        phase,
        step: before + step,
        ...(await nearness(folder.openSnapshot(at(cell), phase, step), reference, rows)),
      });
    }
  }

  const pass: Record<string, Record<string, number>> = {};
  for (const arm of ANALYSED.filter((name) => needs.includes(at(name)))) {
    for (const stage of ['midtrain', 'rl']) pass[`${arm} ${stage}`] = await passAtK(folder.open(at(arm), stage), seed);
  }
  return { classes, dynamics, pass };
}
