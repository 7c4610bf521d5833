// A study as a graph of cells. A cell is one arm with one seed: a run in a folder of its own, that any process can do
// once the cells it needs are done, and that is never done twice. Read after: arms.ts. Read next: cell.ts (what a cell
// does), schedule.ts (who does it when).

import { ConfigError } from '../../../engine/errors.ts';
import { didYouMean } from '../../../engine/nearest.ts';
import { STUDY_ARMS, type StudyArm } from './arms.ts';

export interface Cell {
  /** Its folder in that of the study: `seed-3/remit.2`. */
  readonly name: string;
  readonly seed: number;
  /** `base` pre-trains; `analysis` looks at the models of a seed; else an arm and its turn of the flywheel. */
  readonly work: 'base' | 'analysis' | { readonly arm: StudyArm; readonly turn: number };
  /** Cells that have to be done before. */
  readonly needs: readonly string[];
}

export interface StudyOptions {
  readonly arms: readonly StudyArm[];
  readonly seeds: readonly number[];
  /** Turns of the flywheel. */
  readonly turns: number;
  /** Post-train only what guides other arms, and leave the analysis out. */
  readonly light?: boolean;
}

/** The name of an arm's turn: remit.2, then remit.2 turn 2 ... */
export function armName(arm: StudyArm, turn: number): string {
  return turn === 1 ? arm.name : `${arm.name}-turn${turn}`;
}

/** All cells of a seed, in an order that needs nothing that comes later. */
export function cellsOfSeed({ arms: chosen, turns, light = false }: StudyOptions, seed: number): Cell[] {
  const arms = chosen.map(
    (arm) =>
      ({
        ...arm,
        postTrained: light ? arm.name === 'vanilla' || (arm.turns && turns > 1) : arm.postTrained,
      }) as StudyArm,
  );
  const at = (name: string): string => `seed-${seed}/${name}`;
  const guided = arms.flatMap((arm) => Array.from({ length: arm.turns ? turns : 1 }, (_, t): Cell => ({
    name: at(armName(arm, t + 1)), seed, work: { arm, turn: t + 1 },
    needs: [at('base'), ...(arm.method === 'vanilla' ? [] : [at(guideOf(arm, t + 1))])],
  })));
  const looksAt = [
    at('base'),
    ...guided
      .filter(({ work }) => typeof work === 'object' && ANALYSED.includes(work.arm.name) && work.turn === 1)
      .map(({ name }) => name),
  ];
  const analysis: Cell = { name: at('analysis'), seed, work: 'analysis', needs: looksAt };
  return [{ name: at('base'), seed, work: 'base', needs: [] }, ...guided, ...(light ? [] : [analysis])];
}

/** Arms whose models the analysis of a seed looks at. */
export const ANALYSED: readonly string[] = ['vanilla', 'remit.2', 'remit.5'];

/**
 * The cell of the same seed whose RL (or SFT) model guides an arm: the ordinary pipeline at first, then the arm's own
 * turn before.
 */
export function guideOf(arm: StudyArm, turn: number): string {
  return turn === 1 ? 'vanilla' : armName(arm, turn - 1);
}

export function allCells(options: StudyOptions): Cell[] {
  return options.seeds.flatMap((seed) => cellsOfSeed(options, seed));
}

/**
 * `all`, or names separated by commas; vanilla, which everything is compared with, is always among them. Throws
 * ConfigError.
 */
export function parseArms(text: string): StudyArm[] {
  if (text === 'all') return [...STUDY_ARMS];
  const names = text.split(',').map((name) => name.trim());
  const known = STUDY_ARMS.map(({ name }) => name);
  const wrong = names.find((name) => !known.includes(name));
  if (wrong !== undefined) {
    throw new ConfigError(
      `study: --arms ${wrong}: no such arm: there are ${known.join(', ')}${didYouMean(wrong, known)}`,
    );
  }
  return STUDY_ARMS.filter(({ name }) => name === 'vanilla' || names.includes(name));
}

/** `1-8`, `3`, `1,2,5-7`. Throws ConfigError. */
export function parseSeeds(text: string): number[] {
  const seeds = text.split(',').flatMap((part) => {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || last < first || last - first > 9999 || last > 0xffff_ffff) {
      throw new ConfigError(`study: --seeds ${text}: must be like 1-8 or 1,2,5`);
    }
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  return [...new Set(seeds)].sort((a, b) => a - b);
}
