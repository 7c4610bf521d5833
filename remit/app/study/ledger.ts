// plan.json: the cells of a study in an order for schedulers. Cells are sorted by wave, then by seed: a wave needs
// nothing but earlier ones, and is one range of indices, so that it can be an array of jobs. Indices never change: what
// is asked for later, more seeds or more arms, is appended as a block of waves of its own. Read after: plan.ts.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError, FormatError } from '../../../engine/errors.ts';
import { readJsonFile } from '../../text/read.ts';
import { writeAtomically } from '../run/atomic.ts';
import type { Grid } from './grid.ts';
import type { Offer } from './offer.ts';
import { allCells, type Cell, type StudyOptions } from './plan.ts';

export interface PlannedCell {
  readonly index: number;
  readonly name: string;
  readonly seed: number;
  /** Indices of the cells that have to be done before. */
  readonly needs: readonly number[];
  /** 0 needs nothing; in a block that was appended, waves go on counting. */
  readonly wave: number;
}

/** Indices, both included. */
export interface Wave { readonly first: number; readonly last: number }

export interface Ledger {
  readonly version: 1;
  readonly arms: readonly string[];
  readonly seeds: readonly number[];
  readonly turns: number;
  readonly light: boolean;
  /** What its arms are points of. */
  readonly grid?: Grid | undefined;
  readonly cells: readonly PlannedCell[];
  readonly waves: readonly Wave[];
}

const index = z.number().int().min(0);
const ledger = z.object({
  version: z.literal(1),
  arms: z.array(z.string()),
  seeds: z.array(index),
  turns: z.number().int().min(1),
  light: z.boolean(),
  grid: z.object({ axes: z.array(z.string()), of: z.array(z.string()) }).optional(),
  cells: z.array(
    z.object({ index, name: z.string(), seed: index, needs: z.array(index), wave: index }),
  ),
  waves: z.array(z.object({ first: index, last: index })),
});

const fileOf = (study: string): string => join(study, 'plan.json');

/** The plan of a study; undefined where there is none yet. Throws FormatError for one that is damaged. */
export function readLedger(study: string): Ledger | undefined {
  if (!existsSync(fileOf(study))) return undefined;
  const parsed = ledger.safeParse(readJsonFile('study', fileOf(study)));
  if (!parsed.success) throw new FormatError(`study: ${fileOf(study)}: is no plan of this version`);
  return parsed.data;
}

/** What a study does by its plan, of what it can choose from. */
export function optionsOf({ arms, seeds, turns, light }: Ledger, { arms: offered, ...rest }: Offer): StudyOptions {
  return { arms: offered.filter(({ name }) => arms.includes(name)), seeds, turns, light, ...rest };
}

/**
 * Adds what is asked for to the plan of a study, and writes it; the same again changes nothing. Throws ConfigError when
 * the study is light and this is not, or the other way round, or of another grid: their cells differ.
 */
export function extendLedger(study: string, asked: StudyOptions, offer: Offer, grid?: Grid): Ledger {
  const before = readLedger(study);
  if (before !== undefined && JSON.stringify(before.grid) !== JSON.stringify(grid)) {
    const there = before.grid ? `planned as the grid ${before.grid.axes.join(' ')} of ${before.grid.of.join()}` : 'planned without a grid';
    throw new ConfigError(`study: ${study}: is ${there}: keep it so, or choose another --out`);
  }
  const light = asked.light === true;
  if (before !== undefined && before.light !== light) {
    const there = before.light ? 'light' : 'not light';
    throw new ConfigError(`study: ${study}: is planned, and ${there}: keep it so, or choose another --out`);
  }
  const names = new Set([...(before?.arms ?? []), ...asked.arms.map(({ name }) => name)]);
  const options: StudyOptions = {
    ...asked,
    arms: offer.arms.filter(({ name }) => names.has(name)),
    seeds: [...new Set([...(before?.seeds ?? []), ...asked.seeds])].sort((a, b) => a - b),
    turns: Math.max(before?.turns ?? 1, asked.turns),
    light,
  };
  const known = new Set(before?.cells.map(({ name }) => name));
  const fresh = allCells(options).filter(({ name }) => !known.has(name));
  const { cells, waves } = appended(before ?? { cells: [], waves: [] }, fresh);
  const now: Ledger = {
    version: 1, arms: options.arms.map(({ name }) => name), seeds: options.seeds, turns: options.turns, light,
    ...(grid && { grid }), cells, waves,
  };
  if (fresh.length > 0 || JSON.stringify(before) !== JSON.stringify(now)) {
    writeAtomically(fileOf(study), `${JSON.stringify(now, null, 1)}\n`);
  }
  return now;
}

function appended(before: Pick<Ledger, 'cells' | 'waves'>, fresh: readonly Cell[]): Pick<Ledger, 'cells' | 'waves'> {
  const cells = [...before.cells];
  const waves = [...before.waves];
  const indexOf = new Map(cells.map(({ name, index }) => [name, index]));
  let left = fresh;
  while (left.length > 0) {
    const ready = left.filter(({ needs }) => needs.every((name) => indexOf.has(name)));
    const first = cells.length;
    for (const { name, seed, needs } of [...ready].sort((a, b) => a.seed - b.seed)) {
      const planned = { index: cells.length, name, seed, needs: needs.map((need) => indexOf.get(need)!), wave: waves.length };
      cells.push(planned);
    }
    for (const { name, index } of cells.slice(first)) indexOf.set(name, index);
    waves.push({ first, last: cells.length - 1 });
    left = left.filter(({ name }) => !indexOf.has(name));
  }
  return { cells, waves };
}
