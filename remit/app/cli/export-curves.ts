// `remit-mini export --format csv | tensorboard`: what a run, or every cell of a study, wrote while it trained. Read
// next: remit/app/report/records.ts, tensorboard.ts.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import type { StepRecord } from '../../phases/run.ts';
import { phasesOfRun } from '../report/records.ts';
import { configText, eventFile } from '../report/tensorboard.ts';
import { reason } from '../run/reason.ts';
import { EXIT } from './exit.ts';
import { print } from './terminal.ts';

/** A run, and what it is called: '' alone, `seed-3/remit.2` in a study. */
interface Named {
  readonly name: string;
  readonly path: string;
}

export function exportCurves(folder: string, format: 'csv' | 'tensorboard', out: string | undefined): number {
  const runs = runsIn(folder);
  if (format === 'csv') {
    const path = out ?? join(folder, 'metrics.csv');
    write(path, csv(runs));
    print(path);
    return EXIT.ok;
  }
  const root = out ?? join(folder, 'tensorboard');
  for (const { name, path } of runs) {
    const text = configText(readFileSync(join(path, 'config.json'), 'utf8'));
    const file = join(root, name, 'events.out.tfevents.0000000000.remit-mini.0.v2');
    write(file, eventFile(phasesOfRun(path), text));
    print(file);
  }
  return EXIT.ok;
}

function runsIn(folder: string): Named[] {
  if (!existsSync(folder)) throw new ConfigError(`export: ${folder}: no such folder`);
  if (existsSync(join(folder, 'metrics.jsonl'))) return [{ name: '', path: folder }];
  const cells = existsSync(join(folder, 'study.json')) ? cellsOf(folder) : [];
  if (cells.length > 0) return cells;
  throw new ConfigError(`export: ${folder}: has no metrics.jsonl: give the folder of a run or a study that has begun`);
}

function cellsOf(study: string): Named[] {
  const seeds = readdirSync(study).filter((name) => /^seed-\d+$/.test(name));
  return seeds.flatMap((seed) => readdirSync(join(study, seed)).map((cell) => `${seed}/${cell}`))
    .filter((name) => existsSync(join(study, name, 'metrics.jsonl')))
    .sort((a, b) => Number(/\d+/.exec(a)) - Number(/\d+/.exec(b)) || (a < b ? -1 : 1))
    .map((name) => ({ name, path: join(study, name) }));
}

/** A line a step; a column for every number that any phase has, empty where this one has it not. */
function csv(runs: readonly Named[]): string {
  const rows = runs.flatMap(({ name, path }) =>
    [...phasesOfRun(path).values()].flat().map((record) => ({ name, record })),
  );
  const names = new Set<string>();
  for (const { record } of rows) for (const key of Object.keys(record)) names.add(key);
  const columns = ['phase', 'step', ...[...names].filter((key) => key !== 'phase' && key !== 'step')];
  const isStudy = runs.some(({ name }) => name !== '');
  const cells = ({ name, record }: { name: string; record: StepRecord }): string =>
    [...(isStudy ? [name] : []), ...columns.map((column) => `${record[column] ?? ''}`)].join(',');
  return `${[[...(isStudy ? ['run'] : []), ...columns].join(','), ...rows.map(cells)].join('\n')}\n`;
}

function write(path: string, contents: string | Uint8Array): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contents);
  } catch (error) {
    throw new ConfigError(`export: --out ${path}: ${reason(error)}: give a place that can be written`);
  }
}
