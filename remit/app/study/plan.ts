// A study as a graph of cells. A cell is one arm with one seed: a run in a folder of its own, that any process can do
// once the cells it needs are done, and that is never done twice. Read after: arms.ts. Read next: cell.ts (what a cell
// does), schedule.ts (who does it when).

import { ConfigError } from '../../../engine/errors.ts';
import { baseOf, guideKind, STUDY_ARMS, vanillaOf, type StudyArm, type Variant } from './arms.ts';
import type { Contrast } from './protocol.ts';
import { armsNamed } from './offer.ts';
import type { ExperimentFile } from '../run/experiment-file.ts';
import type { ReadWorld } from '../../worlds/files/read.ts';

export interface Cell {
  /** Its folder in that of the study: `seed-3/remit.2`. */
  readonly name: string;
  readonly seed: number;
  /** `base` pre-trains; `analysis` looks at the models of a seed; else an arm and its turn of the flywheel. */
  readonly work: 'base' | 'analysis' | { readonly arm: StudyArm; readonly turn: number };
  /** Cells that have to be done before. */
  readonly needs: readonly string[];
  readonly variant?: Variant | undefined;
}

export interface StudyOptions {
  readonly arms: readonly StudyArm[];
  readonly seeds: readonly number[];
  /** Turns of the flywheel. */
  readonly turns: number;
  /** Post-train only what guides other arms, and leave the analysis out. */
  readonly light?: boolean;
  /** Compared beside what the protocol compares. */
  readonly contrasts?: readonly Contrast[];
  /** What somebody put in the place of ours. */
  readonly experiment?: ExperimentFile | undefined;
  /** A world made of files, in place of the tiny one. */
  readonly world?: ReadWorld | undefined;
}

/** The name of an arm's turn: remit.2, then remit.2 turn 2 ... */
export function armName(arm: StudyArm, turn: number): string {
  return turn === 1 ? arm.name : `${arm.name}-turn${turn}`;
}

/** All cells of a seed, in an order that needs nothing that comes later. */
export function cellsOfSeed(options: StudyOptions, seed: number): Cell[] {
  const { arms: chosen, turns, light = false } = options;
  const arms = chosen.map(
    (arm) =>
      ({
        ...arm,
        postTrained: light ? arm.name === vanillaOf(arm) || (arm.turns && turns > 1) : arm.postTrained,
      }) as StudyArm,
  );
  const at = (name: string): string => `seed-${seed}/${name}`;
  const guided = arms.flatMap((arm) => Array.from({ length: arm.turns ? turns : 1 }, (_, t): Cell => ({
    name: at(armName(arm, t + 1)), seed, work: { arm, turn: t + 1 }, variant: arm.variant,
    needs: [at(baseOf(arm)), ...(guideKind(arm) === 'none' ? [] : [at(guideOf(arm, t + 1))])],
  })));
  const bases = new Map(arms.map((arm) => [baseOf(arm), arm.variant?.base]));
  const looksAt = [
    at('base'),
    ...guided
      .filter(({ work }) => typeof work === 'object' && ANALYSED.includes(work.arm.name) && work.turn === 1)
      .map(({ name }) => name),
  ];
  const analysis: Cell = { name: at('analysis'), seed, work: 'analysis', needs: looksAt };
  const first = [...bases].map(([name, variant]): Cell => ({ name: at(name), seed, work: 'base', needs: [], variant }));
  return [...first, ...guided, ...(isAnalysed(options) ? [analysis] : [])];
}

/** Models are looked at closely where they are those of our recipe, and speak of our world. */
function isAnalysed({ arms, light = false, ...elsewhere }: StudyOptions): boolean {
  const isOurs = arms.every(({ variant, name }) => variant === undefined && !name.includes('@'));
  return !light && isOurs && !isElsewhere(elsewhere);
}

/** Whether a model cannot be asked the questions of the tiny world. */
export function isElsewhere({ experiment: file, world }: Pick<StudyOptions, 'experiment' | 'world'>): boolean {
  return world !== undefined || file?.experiment.world !== undefined || file?.experiment.evaluate !== undefined;
}

/** Arms whose models the analysis of a seed looks at. */
export const ANALYSED: readonly string[] = ['vanilla', 'remit.2', 'remit.5'];

/**
 * The cell of the same seed whose RL (or SFT) model guides an arm: the ordinary pipeline at first, then the arm's own
 * turn before.
 */
export function guideOf(arm: StudyArm, turn: number): string {
  return turn === 1 ? vanillaOf(arm) : armName(arm, turn - 1);
}

export function allCells(options: StudyOptions): Cell[] {
  return options.seeds.flatMap((seed) => cellsOfSeed(options, seed));
}

/**
 * `all`, or names separated by commas, of the arms that there are; those that others are compared with are always among
 * them. Throws ConfigError.
 */
export function parseArms(text: string, offered: readonly StudyArm[] = STUDY_ARMS): StudyArm[] {
  if (text === 'all') return [...offered];
  const chosen = armsNamed(text.split(',').map((name) => name.trim()), offered);
  const compared = new Set(['vanilla', ...chosen.map(vanillaOf)]);
  return offered.filter((arm) => compared.has(arm.name) || chosen.includes(arm));
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
