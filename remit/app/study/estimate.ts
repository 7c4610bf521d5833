// How long a study will take, told before it begins: a few steps are measured, and every cell is counted in them. Rough
// by nature: cells that run beside each other slow each other down, and so does other work. Read after: plan.ts,
// cell.ts. Used by: remit/app/cli/study.ts.

import { tinyWorldTokenizer } from '../../worlds/tiny/tokenizer.ts';
import type { Config } from '../../settings/resolve.ts';
import { evaluate } from '../../worlds/tiny/evaluate.ts';
import { newModel, pretrain } from '../../phases/pretrain.ts';
import { rl } from '../../phases/rl.ts';
import { quietRun, type Run } from '../../phases/run.ts';
import { worldOf } from '../../phases/world.ts';
import { guideKind } from './arms.ts';
import { CURVE_POINTS, CURVE_QUESTIONS, configOf } from './cell.ts';
import type { Cell } from './plan.ts';

/** Seconds on the current device. */
export interface Measured {
  /** A step of pre-training. */
  readonly step: number;
  /** An iteration of reinforcement learning. */
  readonly iteration: number;
  /** A test of a model on all questions of the settings. */
  readonly test: number;
}

const STEPS = 4;
const QUESTIONS = 5;

/** Takes about a second with the default settings. Nothing is kept of what it trains. */
export async function measure(config: Config): Promise<Measured> {
  const short = {
    ...config,
    pretrain: { ...config.pretrain, steps: STEPS, warmup: 0 },
    rl: { ...config.rl, steps: 2, warmup: 0 },
  };
  const world = worldOf(short);
  const times: number[] = [];
  const run: Run = { ...quietRun, log: () => void times.push(now()) };
  const model = await pretrain(short, world.pretrain, newModel(short, tinyWorldTokenizer.vocabulary), run);
  const step = (times[STEPS - 1]! - times[0]!) / (STEPS - 1); // the first one also compiles
  times.length = 0;
  await rl(short, world.questions, model, run);
  const iteration = times[1]! - times[0]!;
  await evaluate(model, { questions: 1, split: 'validation', seed: 0 });
  const start = now();
  await evaluate(model, { questions: QUESTIONS, split: 'validation', seed: 0 });
  return { step, iteration, test: ((now() - start) * config.evaluate.questions) / QUESTIONS };
}

const now = (): number => performance.now() / 1000;

const START = 1;       // seconds until a process trains
const REFERENCE = 4 / 3; // a step with a reference model, in steps without

/**
 * Seconds that the cells take with so many processes at a time: no fewer than the longest of their chains, where each
 * needs the one before.
 */
export function estimate(
  cells: readonly Cell[],
  study: Config,
  measured: Measured,
  { jobs, light = false }: { readonly jobs: number; readonly light?: boolean },
): number {
  const ends = new Map<string, number>(); // of a cell that never waits for a process
  let total = 0;
  let longest = 0;
  for (const cell of cells) {
    // in an order that needs nothing that comes later
    const seconds = secondsOf(cell, study, measured, light);
    const end = seconds + cell.needs.reduce((latest, name) => Math.max(latest, ends.get(name) ?? 0), 0);
    ends.set(cell.name, end);
    longest = Math.max(longest, end);
    total += seconds;
  }
  return Math.max(total / jobs, longest);
}

function secondsOf(cell: Cell, study: Config, { step, iteration, test }: Measured, light: boolean): number {
  const { pretrain: first, midtrain, sft, rl: reinforced, evaluate: { questions } } = configOf(cell, study);
  const { work } = cell;
  if (work === 'base') return START + first.steps * step + test;
  const look = (test * CURVE_QUESTIONS * 2) / (questions * 3); // in two views of three
  if (work === 'analysis') return START + 4 * CURVE_POINTS * look;
  const perRow = step / first.batch;
  const { arm } = work;
  const guided = midtrain.steps * midtrain.batch * perRow * (guideKind(arm) === 'none' ? 1 : REFERENCE) + test;
  const curve = light ? 0 : CURVE_POINTS * look;
  return (
    START +
    guided +
    curve +
    (arm.postTrained ? sft.steps * sft.batch * perRow + reinforced.steps * iteration + 2 * test : 0)
  );
}
