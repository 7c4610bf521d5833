// `remit-mini runs`: the runs of a folder, a line each, to be compared. Read next: remit/app/run/overview.ts.

import { existsSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { ConfigError, oneLine } from '../../../engine/errors.ts';
import { highest } from '../../../engine/extremes.ts';
import { overviews, type Overview } from '../run/overview.ts';
import { short } from '../run/progress.ts';
import { readArguments } from './arguments.ts';
import { EXIT } from './exit.ts';
import { print } from './terminal.ts';

export const help = `remit-mini runs [folder] [flags]

Lists the runs in a folder (runs, unless given), the newest last: the phase that
each came to, its seed, steps, scores and state. cued and sampled are percent of
right answers of its last stage; a run without scores shows its loss.

  --json               everything, as JSON
`;

// columns in all, and of a name
const WIDTH = 79;
const LEAST = 8;

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('runs', argv, { json: { type: 'boolean' } }, 1);
  const folder = args.positionals[0] ?? 'runs';
  if (!existsSync(folder)) {
    throw new ConfigError(
      `runs: ${folder}: no such ` +
      `folder${args.positionals.length === 0 ? ': there are no runs here yet: name another folder' : ''}`,
    );
  }
  if (!statSync(folder).isDirectory()) throw new ConfigError(`runs: ${folder}: is a file: runs are folders`);
  const found = overviews(folder);
  if (args.has('json')) print(JSON.stringify(found, null, 2));
  else print(found.length === 0 ? `${folder}: holds no runs` : runsTable(found));
  return EXIT.ok;
}

const HEAD = ['run', 'stage', 'seed', 'steps', 'cued', 'sampled', 'date', 'state'] as const;

/**
 * A line each, 79 columns at most: a name that is too long loses its beginning, and where that is not enough, the date
 * goes.
 */
export function runsTable(found: readonly Overview[]): string {
  const rows = [[...HEAD], ...found.map(cells)];
  const widthOf = (column: number): number => highest(rows.map((row) => row[column]!.length));
  const others = (): number =>
    HEAD.slice(1).reduce((total, _, i) => total + (widthOf(i + 1) === 0 ? 0 : widthOf(i + 1) + 2), 0);
  if (others() + LEAST > WIDTH) for (const row of rows) row[HEAD.indexOf('date')] = '';
  const widths = HEAD.map((_, column) => widthOf(column));
  const room = Math.max(LEAST, Math.min(widths[0]!, WIDTH - others()));
  return rows.map(([name = '', ...rest]) => {
    const fitted = name.length > room ? `…${name.slice(name.length - room + 1)}` : name;
    const right = rest.flatMap((cell, i) =>
      widths[i + 1] === 0 ? [] : [isNumber(i + 1) ? cell.padStart(widths[i + 1]!) : cell.padEnd(widths[i + 1]!)],
    );
    return [fitted.padEnd(room), ...right].join('  ').trimEnd();
  }).join('\n');
}

const isNumber = (column: number): boolean => column >= 2 && column <= 5;

function cells({ path, kind, stage, seed, steps, ofSteps, scores, bits, loss, date, state }: Overview): string[] {
  const count = kind === 'study' ? `${steps} runs` : ofSteps === undefined ? '' : `${many(steps)}/${many(ofSteps)}`;
  return [
    oneLine(basename(path)),
    stage,
    seed === undefined ? '' : String(seed),
    count,
    ...results({ scores, bits, loss }),
    day(date),
    state,
  ];
}

const many = (n: number): string => (n < 100_000 ? String(n) : short(n));

function results({ scores, bits, loss }: Pick<Overview, 'scores' | 'bits' | 'loss'>): [string, string] {
  if (scores !== undefined) return [(100 * scores.cued).toFixed(1), (100 * scores.sampled).toFixed(1)];
  if (bits !== undefined) return [bits.toFixed(2), 'bits'];
  return loss === undefined ? ['', ''] : [loss.toFixed(2), 'loss'];
}

/** In the time of this machine. */
function day(date: Date): string {
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
