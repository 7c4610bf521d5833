// `remit-mini study`: arms times seeds, each a run of its own, then a report with intervals over the seeds.
// Read next: remit/app/study/plan.ts (the cells), cell.ts (what one does), schedule.ts (processes), report.ts.

import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import { tinyWorldTokenizer } from '../../worlds/tiny/tokenizer.ts';
import type { Config } from '../../settings/resolve.ts';
import { checkRead } from '../../settings/reads.ts';
import { newModel } from '../../phases/pretrain.ts';
import { clock } from '../run/progress.ts';
import { STUDY_ARMS } from '../study/arms.ts';
import { configOf, phasesOfCell, runCell } from '../study/cell.ts';
import { estimate, measure } from '../study/estimate.ts';
import { StudyFolder } from '../study/folder.ts';
import { allCells, parseArms, parseSeeds, type Cell, type StudyOptions } from '../study/plan.ts';
import { writeReport } from '../study/report.ts';
import { runCells } from '../study/schedule.ts';
import { readArguments, wholeNumber, type Arguments, type Flags } from './arguments.ts';
import { closeDevice, openDevice } from './device.ts';
import { EXIT } from './exit.ts';
import { fitMarkdown } from './markdown.ts';
import { command, commandLine, programWords } from './program.ts';
import { inRunFolder } from './session.ts';
import { columns, print, say } from './terminal.ts';
import { readSettings, settingFlags } from './settings.ts';

export const help = `remit-mini study [flags]

Compares ways of mid-training over several seeds: every arm from the same pre-trained model, on the same rows in the same order. Each
(seed, arm) is a run in a folder of its own, in a process of its own. A study that was killed goes on where it was: give the same command.
Ends with report.md, report.json and report.csv: paired differences with 95% intervals, what reproduces, what does not.

  --arms <all | a,b,...>       which arms (default all); vanilla is always among them
  --seeds <1-8>                which seeds (default 1-8)
  --iterations <n>             turns of the flywheel (default 2)
  --light                      post-train only what guides other arms, and leave the analysis of models out
  --out <folder>               where the study goes, or is (default runs/study)
  --jobs <n>                   processes at a time (default: the cores of this machine)
  --check                      exit 1 when a figure of the default recipe is outside the range in which a correct build lands
  --preset, --config, --set, --<setting>   as for remit-mini train

Arms:
${STUDY_ARMS.map(({ name, about }) => `  ${name.padEnd(14)} ${about}`).join('\n')}
`;

const flags: Flags = {
  ...settingFlags,
  arms: { type: 'string' }, seeds: { type: 'string' }, iterations: { type: 'string' }, light: { type: 'boolean' },
  out: { type: 'string' }, jobs: { type: 'string' }, check: { type: 'boolean' },
  cell: { type: 'string' }, // what the processes of a study are started with
};

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('study', argv, flags);
  const out = args.text('out') ?? 'runs/study';
  const cell = args.text('cell');
  const options = readOptions(args);
  if (cell !== undefined) return oneCell(StudyFolder.open(out), cell, options);

  const resolved = readSettings('study', args);
  const { config } = resolved;
  if (config.data.path !== undefined) {
    throw new ConfigError('study: --data: a study is about the tiny world, whose answers can be checked: leave it out');
  }
  checkRead(resolved, { reader: 'study', arms: options.arms.map(({ method }) => method) });
  const jobs = wholeNumber('study', args, 'jobs', { min: 1, max: 1024, fallback: availableParallelism() });
  const folder = StudyFolder.claim(out, config);
  const cells = allCells(options);
  const before = cells.filter((one) => folder.isDone(one)).length;
  const threads = Math.max(1, Math.floor(availableParallelism() / jobs));
  say(`${out}: ${cells.length} runs, ${before} of them done, ${jobs} at a time`);
  const left = cells.filter((one) => !folder.isDone(one));
  if (left.length > 0) await sayHowLong(left, config, { ...options, jobs, threads });
  const started = performance.now();
  const signal = await runCells(cells, {
    jobs,
    isDone: (one) => folder.isDone(one),
    start: (one) => startCell(folder, one, args, threads),
    explain: (one) => lastLine(folder.log(one)),
    onDone: ({ name }, done, seconds) => {
      const perCell = (performance.now() - started) / 1000 / (done - before);
      const left = perCell * (cells.length - done);
      say(
        `${`${done}/${cells.length}`.padStart(9)}  ${name.padEnd(28)} ${seconds.toFixed(0).padStart(4)} s   about ${clock(left)} left`,
      );
    },
  });
  if (signal !== undefined) {
    say(`stopped: what is done is kept; go on with: ${command(...commandLine())}`);
    return EXIT[signal];
  }
  const { markdown, outside } = writeReport(folder, options);
  print(fitMarkdown(markdown, columns()));
  say(
    `the same as Markdown, JSON and CSV: ${['md', 'json', 'csv'].map((end) => join(folder.path, `report.${end}`)).join(', ')}`,
  );
  return args.has('check') && outside.length > 0 ? EXIT.failed : EXIT.ok;
}

/** Measures a few steps, and says what the cells come to. */
async function sayHowLong(
  cells: readonly Cell[],
  config: Config,
  { jobs, threads, light }: { readonly jobs: number; readonly threads: number; readonly light?: boolean },
): Promise<void> {
  await openDevice(config.device, threads);
  const seconds = estimate(cells, config, await measure(config), { jobs, light: light === true });
  await closeDevice();
  say(
    `about ${clock(seconds)} to go, by a few steps measured just now; more when this machine has other work, or its ` +
    'cores share what they need',
  );
}

function readOptions(args: Arguments): StudyOptions {
  return {
    arms: parseArms(args.text('arms') ?? 'all'), seeds: parseSeeds(args.text('seeds') ?? '1-8'),
    turns: wholeNumber('study', args, 'iterations', { min: 1, max: 20, fallback: 2 }), light: args.has('light'),
  };
}

/**
 * The same program again, for one cell; what it says goes to the cell's log. Detached: Ctrl-C reaches it through this
 * process alone, once. It works in the study's folder and calls it `.`: should it outlive this process for a moment,
 * and the folder be removed, it cannot bring it back.
 */
function startCell(folder: StudyFolder, cell: Cell, args: Arguments, threads: number) {
  const passed = args.given
    .filter(([flag]) => ['arms', 'iterations', 'light'].includes(flag))
    .flatMap(([flag, text]) => (flag === 'light' ? [`--${flag}`] : [`--${flag}`, text]));
  for (const path of [folder.cell(cell), dirname(folder.log(cell))]) mkdirSync(path, { recursive: true });
  const log = openSync(folder.log(cell), 'w');
  try {
    return spawn(
      process.execPath,
      [...programWords(), 'study', '--out', '.', '--cell', cell.name, '--threads', `${threads}`, ...passed],
      { cwd: folder.path, stdio: ['ignore', log, log], detached: true },
    );
  } finally {
    closeSync(log);
  }
}

// when a study was killed, its cells end after the step in hand, which takes long on a machine that is busy
const PATIENCE_MS = 60_000;

/**
 * Does a cell unless it is done; from where a process before was interrupted, if there was one. Ends when the study
 * that started it does.
 */
async function oneCell(folder: StudyFolder, name: string, options: StudyOptions): Promise<number> {
  const seed = Number(/^seed-(\d+)\//.exec(name)?.[1]);
  const cell = allCells({ ...options, seeds: [seed] }).find((one) => one.name === name);
  if (cell === undefined) throw new ConfigError(`study: --cell ${name}: no such cell: they are like seed-1/remit.2`);
  if (folder.isDone(cell)) return EXIT.ok;
  endWith(process.ppid);
  const config = configOf(cell, folder.config);
  const device = await openDevice(config.device);
  const model = newModel(config, tinyWorldTokenizer.vocabulary);
  return inRunFolder(
    {
      config,
      device,
      model,
      tokenizer: tinyWorldTokenizer,
      out: folder.cell(cell),
      name,
      resume: 'in-place',
      patience: PATIENCE_MS,
      plan: 'a study',
      phases: phasesOfCell(cell),
    },
    async (run) => {
      run.report('result', await runCell(cell, config, folder.equip(run, cell.seed), options));
    },
  );
}

/** Asks this process to end, as a signal would, when its parent is gone. */
function endWith(parent: number): void {
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, 500).unref();
}

function lastLine(path: string): string {
  try {
    return `${readFileSync(path, 'utf8').trim().split('\n').at(-1) || 'it said nothing'} (see ${path})`;
  } catch (error) {
    return `its log cannot be read: ${(error as Error).message}`;
  }
}
