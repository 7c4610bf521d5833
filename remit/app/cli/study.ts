// `remit-mini study`: arms times seeds, each a run of its own, then a report with intervals over the seeds.
// Read next: remit/app/study/plan.ts (the cells), cell.ts (what one does), schedule.ts (processes), report.ts.

import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import { highest } from '../../../engine/extremes.ts';
import type { Config } from '../../settings/resolve.ts';
import { checkRead } from '../../settings/reads.ts';
import { armsOf } from '../../experiment.ts';
import { openExperiment, type ExperimentFile } from '../run/experiment-file.ts';
import { clock } from '../run/progress.ts';
import { STUDY_ARMS } from '../study/arms.ts';
import { estimate, measure } from '../study/estimate.ts';
import { StudyFolder } from '../study/folder.ts';
import type { Grid } from '../study/grid.ts';
import { extendLedger, readLedger, type Ledger } from '../study/ledger.ts';
import { offerOf, type Offer } from '../study/offer.ts';
import { allCells, parseArms, parseSeeds, type Cell, type StudyOptions } from '../study/plan.ts';
import { writeReport } from '../study/report.ts';
import { runCells } from '../study/schedule.ts';
import { readArguments, wholeNumber, type Arguments, type Flags } from './arguments.ts';
import { closeDevice, openDevice } from './device.ts';
import { EXIT } from './exit.ts';
import { refuseParts } from './experiment.ts';
import { chooseLog } from './live-log.ts';
import { fitMarkdown } from './markdown.ts';
import { command, commandLine, programWords } from './program.ts';
import { columns, print, say } from './terminal.ts';
import { readSettings, settingFlags } from './settings.ts';
import { oneCell } from './study-cell.ts';
import { checkVerb, collect, openPlanned, runPlanned, tellPlan, tellStatus } from './study-cells.ts';
import { tellWorld, withPlace, worldOfStudy } from './study-world.ts';
import { SCHEDULERS, tellScript } from './study-scripts.ts';

export const help = `remit-mini study [plan | run | status | collect | script <scheduler>] [flags]

Compares ways of mid-training over several seeds: every arm from the same pre-trained model, on the same rows in the same order. Each
(seed, arm) is a run in a folder of its own, in a process of its own. A study that was killed goes on where it was: give the same command.
Ends with report.md, report.json and report.csv: paired differences with 95% intervals, what reproduces, what does not.

On several machines: plan writes plan.json, whose cells have indices; run does one of them, anywhere that sees the folder;
status and collect look at all; script prints what a scheduler is given. See docs/scale.md.

  run --index <n>              or --cell <seed-3/remit.2>: does it unless it is done; exit code 75: not now, try again later
  status [--json]              which cells are done, running, stopped, failed, ready or waiting
  collect [--partial]          the report; exit code 75 while cells are missing, or with --partial of the seeds that are whole;
      --mixed takes cells of different devices or versions of Node together
  script <name>                ${SCHEDULERS.join(', ')}

  --arms <all | a,b,...>       which arms (default all); vanilla is always among them
  --experiment <file>          arms, tasks, texts, schedules of your own: see docs/an-experiment-of-your-own.md; its arms by default
  --world <folder>             on a world made of files, all of whose parts are there
  --grid <setting>=<v>,<v>     each arm (by default ReMiT, or the experiment's) with each value; may be repeated: every combination
  --seeds <1-8>                which seeds (default 1-8)
  --iterations <n>             turns of the flywheel (default 2)
  --light                      post-train only what guides other arms, and leave the analysis of models out
  --out <folder>               where the study goes, or is (default runs/study)
  --jobs <n>                   processes at a time (default: the cores of this machine)
  --log tensorboard            an event file in every cell's folder, written while it trains: tensorboard --logdir <folder>
  --check                      exit 1 when a figure of the default recipe is outside the range in which a correct build lands
  --preset, --config, --set, --<setting>   as for remit-mini train

Arms:
${STUDY_ARMS.map(({ name, about }) => `  ${name.padEnd(14)} ${about}`).join('\n')}
`;

const flags: Flags = {
  ...settingFlags,
  arms: { type: 'string' }, seeds: { type: 'string' }, iterations: { type: 'string' }, light: { type: 'boolean' },
  out: { type: 'string' }, jobs: { type: 'string' }, check: { type: 'boolean' }, log: { type: 'string' },
  index: { type: 'string' }, json: { type: 'boolean' }, partial: { type: 'boolean' }, mixed: { type: 'boolean' },
  experiment: { type: 'string' }, grid: { type: 'string', multiple: true },
  cell: { type: 'string' }, // what the processes of a study are started with
};

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('study', argv, flags, 2);
  const out = args.text('out') ?? 'runs/study';
  const [verb, ...words] = args.positionals;
  checkVerb(verb, words, args);
  chooseLog('study', args);
  if (verb === 'run') return runPlanned(out, args);
  if (verb === 'status') return tellStatus(out, args.has('json'));
  if (verb === 'collect') return collect(out, args);
  if (verb === 'script') return tellScript(out, words[0]);
  const cell = args.text('cell');
  if (cell !== undefined) {
    const { folder, options } = await openPlanned(out);
    return oneCell(folder, cell, options, { endsWithParent: true });
  }

  const planned = readLedger(out);
  const stored = storedConfig(out, args);
  const without = readSettings('study', args, stored);
  const opened = await worldOfStudy(without.config);
  const asked = opened && { name: opened.world.name, values: opened.settings };
  const resolved = asked === undefined ? without : readSettings('study', args, stored, asked);
  const config = withPlace(resolved.config);
  if (config.data.path !== undefined) {
    throw new ConfigError('study: --data: a study is about the tiny world, whose answers can be checked: leave it out');
  }
  const experiment = await readExperiment(out, args);
  refuseParts('study', experiment, config.data.world);
  const grid = readGrid(args, planned, experiment, config);
  const offer = offerOf(config, experiment, grid);
  const options = { ...readOptions(args, planned, offer, grid), contrasts: offer.contrasts, experiment, world: opened };
  checkRead(resolved, { reader: 'study', arms: options.arms.map(({ method }) => method) });
  const jobs = wholeNumber('study', args, 'jobs', { min: 1, max: 1024, fallback: availableParallelism() });
  if (planned === undefined) tellWorld(opened);
  const folder = StudyFolder.claim(out, config, { experiment, world: opened });
  const ledger = extendLedger(out, options, offer, grid);
  if (verb === 'plan') return tellPlan(out, ledger);
  const cells = allCells(options);
  const before = cells.filter((one) => folder.isDone(one)).length;
  const threads = Math.max(1, Math.floor(availableParallelism() / jobs));
  say(`${out}: ${cells.length} runs, ${before} of them done, ${jobs} at a time`);
  const left = cells.filter((one) => !folder.isDone(one));
  if (left.length > 0 && opened === undefined) await sayHowLong(left, config, { ...options, jobs, threads });
  const started = performance.now();
  const longest = highest(cells.map(({ name }) => name.length));
  const signal = await runCells(cells, {
    jobs,
    isDone: (one) => folder.isDone(one),
    start: (one) => startCell(folder, one, args, threads),
    explain: (one) => lastLine(folder.log(one)),
    onDone: ({ name }, done, seconds) => {
      const perCell = (performance.now() - started) / 1000 / (done - before);
      const left = perCell * (cells.length - done);
      say(
        `${`${done}/${cells.length}`.padStart(9)}  ${name.padEnd(longest)} ${seconds.toFixed(0).padStart(4)} s   about ${clock(left)} left`,
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

/** What the command line says; what it does not say, as the plan has it. */
function readOptions(args: Arguments, planned: Ledger | undefined, offer: Offer, grid: Grid | undefined): StudyOptions {
  const turns = planned?.turns ?? (grid === undefined && armsOf(offer.experiment?.experiment ?? {}).size === 0 ? 2 : 1);
  const named = grid === undefined ? (args.text('arms') ?? planned?.arms.join() ?? usualArms(offer)) : 'all';
  return {
    arms: parseArms(named, offer.arms),
    seeds: parseSeeds(args.text('seeds') ?? planned?.seeds.join() ?? '1-8'),
    turns: wholeNumber('study', args, 'iterations', { min: 1, max: 20, fallback: turns }),
    light: args.has('light') || (planned?.light ?? false),
  };
}

/** Of an experiment with arms: those, and what it compares them with. */
function usualArms({ experiment, contrasts }: Offer): string {
  const own = [...armsOf(experiment?.experiment ?? {}).keys()];
  return own.length === 0 ? 'all' : [...own, ...contrasts.flatMap(({ of, less }) => [of.arm, less.arm])].join();
}

/** What --experiment names, or the study in a folder began with. */
async function readExperiment(out: string, args: Arguments): Promise<ExperimentFile | undefined> {
  const path = args.text('experiment');
  if (path !== undefined) return openExperiment(path);
  return existsSync(join(out, 'study.json')) ? StudyFolder.open(out).experiment() : undefined;
}

/** What --grid says, of the arms that --arms names, or as it is planned. */
function readGrid(
  args: Arguments,
  planned: Ledger | undefined,
  experiment: ExperimentFile | undefined,
  { remit }: Config,
): Grid | undefined {
  const given = args.given.filter(([flag]) => flag === 'grid').map(([, text]) => text);
  const axes = given.length > 0 ? given : planned?.grid?.axes;
  if (axes === undefined) return undefined;
  const own = [...armsOf(experiment?.experiment ?? {}).keys()];
  const named = args.text('arms')?.split(',').map((name) => name.trim());
  return { axes, of: named ?? planned?.grid?.of ?? (own.length > 0 ? own : [remit.arm]) };
}

/**
 * So that `study --out D` goes on with the study that is there, whatever its settings. Who gives settings means those:
 * StudyFolder.claim() compares them with what is there.
 */
function storedConfig(out: string, args: Arguments): string | undefined {
  const path = join(out, 'study.json');
  const givesSettings = args.given.some(([flag]) => Object.hasOwn(settingFlags, flag));
  return existsSync(path) && !givesSettings ? path : undefined;
}

/**
 * The same program again, for one cell; what it says goes to the cell's log. Detached: Ctrl-C reaches it through this
 * process alone, once. It works in the study's folder and calls it `.`: should it outlive this process for a moment,
 * and the folder be removed, it cannot bring it back.
 */
function startCell(folder: StudyFolder, cell: Cell, args: Arguments, threads: number) {
  const passed = args.given.filter(([flag]) => flag === 'log').flatMap(([flag, text]) => [`--${flag}`, text]);
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

function lastLine(path: string): string {
  try {
    return `${readFileSync(path, 'utf8').trim().split('\n').at(-1) || 'it said nothing'} (see ${path})`;
  } catch (error) {
    return `its log cannot be read: ${(error as Error).message}`;
  }
}
