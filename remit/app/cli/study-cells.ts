// The contract between a study and whoever schedules its cells: plan, run, status, collect. Each cell is a run in a
// folder of its own that any machine can do which sees the study's folder, and that is never done twice. Read after:
// study.ts, remit/app/study/ledger.ts. Read next: study-scripts.ts; docs/scale.md.

import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import { didYouMean } from '../../../engine/nearest.ts';
import { writeAtomically } from '../run/atomic.ts';
import { readEnvironment } from '../run/environment.ts';
import { BusyError, isLocked } from '../run/lock.ts';
import { StudyFolder, type Attempts } from '../study/folder.ts';
import { optionsOf, readLedger, type Ledger, type PlannedCell } from '../study/ledger.ts';
import { offerOf } from '../study/offer.ts';
import { allCells, type StudyOptions } from '../study/plan.ts';
import { writeReport } from '../study/report.ts';
import { wholeNumber, type Arguments } from './arguments.ts';
import { EXIT } from './exit.ts';
import { fitMarkdown } from './markdown.ts';
import { command } from './program.ts';
import { oneCell } from './study-cell.ts';
import { worldOfStudy } from './study-world.ts';
import { columns, print, say } from './terminal.ts';

const VERBS = ['plan', 'run', 'status', 'collect', 'script'] as const;

/** Flags that only one of the verbs reads. */
const FLAG_OF = {
  index: ['run'],
  json: ['status'],
  partial: ['collect'],
  mixed: ['collect'],
  jobs: [undefined],
  log: [undefined, 'run'],
} as const;

/** Throws ConfigError for another word, and for a flag that this one does not read. */
export function checkVerb(verb: string | undefined, words: readonly string[], args: Arguments): void {
  if (verb !== undefined && !VERBS.some((known) => known === verb)) {
    throw new ConfigError(`study: ${verb}: must be one of ${VERBS.join(', ')}${didYouMean(verb, VERBS)}`);
  }
  if (words.length > 0 && verb !== 'script') throw new ConfigError(`study ${verb}: ${words[0]}: unexpected`);
  for (const [flag, verbs] of Object.entries(FLAG_OF)) {
    if (!args.has(flag) || (verbs as readonly (string | undefined)[]).includes(verb)) continue;
    const reader = verbs[0] === undefined ? 'study' : `study ${verbs[0]}`;
    throw new ConfigError(`study${verb === undefined ? '' : ` ${verb}`}: --${flag}: is for ${reader}: leave it out`);
  }
  const own = verb === undefined || verb === 'plan' ? undefined : args.given.find(([flag]) => !READ_BY_ALL.includes(flag));
  if (own !== undefined) throw new ConfigError(`study ${verb}: --${own[0]}: the plan says it: leave it out`);
}

const READ_BY_ALL: readonly string[] = ['out', 'cell', 'index', 'json', 'partial', 'mixed', 'check', 'threads', 'log'];

function planOf(out: string): Ledger {
  const ledger = readLedger(out);
  if (ledger !== undefined) return ledger;
  throw new ConfigError(`study: ${out}: has no plan yet: ${command('study', 'plan', '--out', out)}`);
}

/** A study that is planned, and what it does. */
export interface Planned {
  readonly folder: StudyFolder;
  readonly ledger: Ledger;
  readonly options: StudyOptions;
}

export async function openPlanned(out: string): Promise<Planned> {
  const folder = StudyFolder.open(out);
  const ledger = planOf(out);
  const offer = offerOf(folder.config, await folder.experiment(), ledger.grid);
  const world = await worldOfStudy(folder.config);
  folder.checkWorld(world);
  return { folder, ledger, options: { ...optionsOf(ledger, offer), world } };
}

export function tellPlan(out: string, { cells, waves }: Ledger): number {
  print(`${join(out, 'plan.json')}: ${cells.length} cells in ${waves.length} waves`);
  waves.forEach(({ first, last }, wave) => print(`  wave ${wave}: cells ${first} to ${last}`));
  return EXIT.ok;
}

/** One cell. Throws BusyError, which is exit code 75, when those that it needs are not done. */
export async function runPlanned(out: string, args: Arguments): Promise<number> {
  const { folder, ledger, options } = await openPlanned(out);
  const cell = chosenCell(ledger, args);
  if (folder.isDone(cell)) return EXIT.ok;
  const missing = cell.needs.map((index) => ledger.cells[index]!).filter((need) => !folder.isDone(need));
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join(', ');
    throw new BusyError(`study: ${cell.name}: needs ${names}: not done yet, or not to be seen from here: try again later`);
  }
  const note = faultFile(folder, cell);
  mkdirSync(folder.cell(cell), { recursive: true });
  rmSync(note, { force: true });
  try {
    return await oneCell(folder, cell.name, options, { endsWithParent: false });
  } catch (error) {
    if (!(error instanceof BusyError)) writeAtomically(note, `${(error as Error).message.split('\n')[0]}\n`);
    throw error;
  }
}

/** Why a cell ended for good, until it is begun again. */
function faultFile(folder: StudyFolder, cell: Pick<PlannedCell, 'name'>): string {
  return join(folder.cell(cell), 'fault.txt');
}

function chosenCell({ cells }: Ledger, args: Arguments): PlannedCell {
  const name = args.text('cell');
  if ((name === undefined) === (args.text('index') === undefined)) {
    throw new ConfigError('study run: which cell? Give --index <n> or --cell <name>, one of them');
  }
  if (name === undefined) return cells[wholeNumber('study run', args, 'index', { min: 0, max: cells.length - 1, fallback: 0 })]!;
  const found = cells.find((cell) => cell.name === name);
  if (found !== undefined) return found;
  throw new ConfigError(
    `study run: --cell ${name}: is not in the plan${didYouMean(name, cells.map((cell) => cell.name))}: see study status`,
  );
}

type State = 'done' | 'running' | 'failed' | 'stopped' | 'ready' | 'waiting';

interface CellState extends PlannedCell, Attempts {
  readonly state: State;
  /** Of a cell that failed: why. */
  readonly fault?: string;
}

function statesOf(folder: StudyFolder, { cells }: Ledger): CellState[] {
  const done = new Set(cells.filter((cell) => folder.isDone(cell)).map(({ index }) => index));
  return cells.map((cell): CellState => {
    const known = { ...cell, ...folder.attempts(cell) };
    if (done.has(cell.index)) return { ...known, state: 'done' };
    if (isLocked(folder.cell(cell))) return { ...known, state: 'running' };
    const note = faultFile(folder, cell);
    if (existsSync(note)) return { ...known, state: 'failed', fault: readFileSync(note, 'utf8').trim() };
    if (existsSync(join(folder.cell(cell), 'metrics.jsonl'))) return { ...known, state: 'stopped' };
    return { ...known, state: cell.needs.every((index) => done.has(index)) ? 'ready' : 'waiting' };
  });
}

export function tellStatus(out: string, asJson: boolean): number {
  const states = statesOf(StudyFolder.open(out), planOf(out));
  if (asJson) {
    print(JSON.stringify(states, null, 2));
    return EXIT.ok;
  }
  const counts = new Map<State, number>();
  for (const { state } of states) counts.set(state, (counts.get(state) ?? 0) + 1);
  print(`${out}: ${states.length} cells: ${[...counts].map(([state, count]) => `${count} ${state}`).join(', ')}`);
  const sum = (of: keyof Attempts): number => states.reduce((total, { [of]: count }) => total + count, 0);
  print(`begun ${sum('starts')} times, ended ${sum('completions')} times`);
  for (const { index, name, state, fault } of states) {
    if (state === 'done' || state === 'waiting') continue;
    print(`${String(index).padStart(6)}  ${name.padEnd(28)} ${state}${fault === undefined ? '' : `: ${fault}`}`);
  }
  return EXIT.ok;
}

/** The report. Exit code 75 while cells are missing. */
export async function collect(out: string, args: Arguments): Promise<number> {
  const { folder, ledger, options } = await openPlanned(out);
  const whole = options.seeds.filter((seed) =>
    allCells({ ...options, seeds: [seed] }).every((cell) => folder.isDone(cell)),
  );
  if (whole.length < options.seeds.length && !args.has('partial')) {
    const missing = ledger.cells.filter((cell) => !folder.isDone(cell)).length;
    throw new BusyError(
      `study collect: ${missing} of ${ledger.cells.length} cells are not done: see study status; --partial takes the ` +
      `${whole.length} of ${options.seeds.length} seeds that are whole`,
    );
  }
  if (whole.length === 0) throw new BusyError('study collect: no seed is whole yet: see study status');
  if (!args.has('mixed')) checkAlike(folder, ledger);
  const { markdown, outside } = writeReport(folder, { ...options, seeds: whole });
  print(fitMarkdown(markdown, columns()));
  say(`the same as Markdown, JSON and CSV: ${join(out, 'report.md')}, report.json, report.csv`);
  return args.has('check') && outside.length > 0 ? EXIT.failed : EXIT.ok;
}

/** Bits are the same on any CPU and differ between devices; versions of Node may round a power otherwise. */
function checkAlike(folder: StudyFolder, { cells }: Ledger): void {
  const madeBy = new Map<string, string>();
  for (const cell of cells) {
    if (!folder.isDone(cell)) continue;
    const { device, v8 } = readEnvironment(folder.cell(cell)) ?? {};
    madeBy.set(`${device}, V8 ${v8}`, cell.name);
  }
  if (madeBy.size < 2) return;
  const shown = [...madeBy].map(([engine, name]) => `${name} by ${engine}`).join('; ');
  throw new ConfigError(`study collect: cells were made by different engines: ${shown}: do some again, or add --mixed`);
}
