// `remit-mini bench`: checks, measures what the device can do at most, times by turns, and says how near each kernel
// comes and what holds it back. Read next: timing.ts, ceilings.ts, contenders.ts; docs/measuring.md.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { ConfigError } from '../engine/errors.ts';
import { didYouMean } from '../engine/nearest.ts';
import { WebGpuBackend } from '../engine/webgpu/backend.ts';
import { numberFrom, readArguments, type Arguments } from '../remit/app/cli/arguments.ts';
import { EXIT } from '../remit/app/cli/exit.ts';
import { print, say } from '../remit/app/cli/terminal.ts';
import { chosenThreads } from '../remit/app/cli/threads.ts';
import { stackedCharts, standalone } from '../remit/app/plot/index.ts';
import { caseOf, families, type Case, type Family } from './cases.ts';
import { bandwidthAt, better, boundOf, measureCeilings, type Ceilings } from './ceilings.ts';
import { generationContender, kernelContenders, stepContender } from './contenders.ts';
import { devicesOf, nameOf, type Opened } from './devices.ts';
import { models } from './models.ts';
import { checkAtOddSizes, loadOwnKernel, ownContender, type Loaded } from './own-kernel.ts';
import {
  appendLine, checkWritable, commitHere, keyOf, readLines, versions, type Circumstances, type Line,
} from './record.ts';
import { chartsOf, overThreads } from './plot.ts';
import { sharesOf } from './shares.ts';
import { compare, median, quantile } from './statistics.ts';
import { ceilingsText, ratioText, sharesText, tableOf } from './table.ts';
import { clockResolutionMs, takeTurns, type Contender, type Timed } from './timing.ts';

const WHATS = ['kernels', 'matmul', 'step', 'generate', 'dispatch', 'memory'] as const;
type What = (typeof WHATS)[number];

export const help = `remit-mini bench [kernels | matmul | step | generate | dispatch | memory] [flags]

Times kernels, a training step or generation on this machine. Each is checked against its reference first. Beside the times stand the
percent of what this device can do at most, as measured in the same run, and what holds it back: arithmetic, memory or dispatch.

  --device <cpu,webgpu>     one or both; by default the CPU, and a GPU if there is one; webgpu also takes a software driver
  --only <text,text>        those whose name holds one of these, such as attention
  --shapes <shape,shape>    for one kernel, other shapes than usual: matmul --shapes 64x64x64,128x32x16NT
  --time <seconds>          for each (default 0.5)
  --out <file>              appends a line of JSON for each: samples, adapter, versions, ceilings
  --compare <file>          what --out wrote earlier: ratios with intervals of 95%, or no difference
  --plot <file.svg>         a picture: kernels under the roofs of the device, programs as bars, where a step's time goes
  --fail-below <ratio>      with --compare: exit code 6 when something has less than this of its earlier speed, such as 0.9
  --kernel <file>           your own program for one of our kernels: checked at odd sizes, then timed beside ours
  --node <program>          under another Node
  --threads <n>             of the CPU; here 1 unless given
  --scaling                 on 1, 2, 4 ... threads, up to --threads or all cores; with --plot, drawn over them
`;

const flags = {
  device: { type: 'string' }, only: { type: 'string' }, shapes: { type: 'string' }, time: { type: 'string' },
  out: { type: 'string' }, compare: { type: 'string' }, 'fail-below': { type: 'string' }, kernel: { type: 'string' },
  node: { type: 'string' }, plot: { type: 'string' }, scaling: { type: 'boolean' },
} as const;

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('bench', argv, flags, 1);
  const node = args.text('node');
  if (node !== undefined) return underNode(node, argv);
  const what = chosenWhat(args.positionals[0] ?? 'kernels');
  const timeMs = 1000 * numberFrom('bench', args, 'time', { min: 0.01, fallback: 0.5 });
  const failBelow = numberFrom('bench', args, 'fail-below', { min: 0, fallback: 0 });
  const compareWith = args.text('compare');
  if (failBelow > 0 && compareWith === undefined) throw new ConfigError('bench: --fail-below: needs --compare');
  const earlier = compareWith === undefined ? undefined : readLines(compareWith);
  const path = args.text('kernel');
  const loaded = path === undefined ? undefined : await loadOwnKernel(path);
  const [out, plot] = [args.text('out'), args.text('plot')];
  if (out !== undefined) checkWritable('--out', out);
  if (plot !== undefined) checkWritable('--plot', plot);
  if (plot !== undefined && what === 'dispatch') throw new ConfigError('bench dispatch: --plot: there is nothing to draw');
  const plan = { what, chosen: choose(what, args, loaded), timeMs, failBelow, earlier, loaded, out, drawn: [], byThreads: [] };
  let tooSlow = 0;
  for (const open of await devicesOf(args, loaded)) {
    try {
      tooSlow += await onDevice(open, plan);
    } finally {
      await open.close();
    }
  }
  if (plot !== undefined) writeFileSync(plot, standalone(stackedCharts([...plan.drawn, ...overThreads(plan.byThreads)])));
  return tooSlow > 0 ? EXIT.different : EXIT.ok;
}

interface Plan {
  readonly what: What;
  readonly chosen: Chosen;
  readonly timeMs: number;
  readonly failBelow: number;
  readonly earlier: ReadonlyMap<string, Line> | undefined;
  readonly loaded: Loaded | undefined;
  readonly out: string | undefined;
  /** What was drawn, for --plot. */
  readonly drawn: string[];
  /** What the CPU took, for what is drawn over threads. */
  readonly byThreads: { readonly threads: number; readonly timed: readonly Timed[] }[];
}

const THOROUGH_MS = 100; // for each: who gives less wants a look, not a figure

/** Returns how many are slower than they may be. */
async function onDevice(open: Opened, plan: Plan): Promise<number> {
  const { backend, software } = open;
  const circumstances: Circumstances = {
    device: nameOf(open), software, threads: open.threads, adapter: open.about, versions: versions(),
    commit: commitHere(), clockResolutionMs: clockResolutionMs(),
  };
  print(`${circumstances.device}; node ${process.version}`);
  if (software) print('a software adapter: right, not fast; its times say nothing of a GPU, nor of the CPU');
  if (plan.loaded) {
    const count = await checkAtOddSizes(backend, plan.loaded);
    print(`${plan.loaded.name}: right at ${count} odd ${count === 1 ? 'size' : 'sizes'} of ${plan.loaded.family.name}`);
  }
  const effort = { threads: open.threads, timeMs: plan.timeMs };
  tell('measuring what this device can do at most');
  const before = await measureCeilings(backend, effort);
  const timed = plan.what === 'dispatch' ? [] : await takeTurns(contendersOn(open, plan), { timeMs: plan.timeMs, tell });
  let ceilings = before;
  if (plan.timeMs >= THOROUGH_MS && !software) {
    tell('once more what it can do at most');
    ceilings = better(before, await measureCeilings(backend, effort));
  }
  tell('');
  for (const row of ceilingsText(ceilings)) print(row);
  if (timed.length === 0) return 0;
  for (const row of tableOf(timed, ceilings)) print(row);
  const shares = plan.what === 'step' ? await sharesOf(backend, plan.chosen.models) : [];
  for (const row of shares.flatMap(sharesText)) print(row);
  for (const one of plan.out === undefined ? [] : timed) {
    appendLine(plan.out!, lineOf(one, circumstances, ceilings));
  }
  for (const chart of chartsOf({ title: circumstances.device, timed, ceilings, shares })) plan.drawn.push(chart);
  if (!(backend instanceof WebGpuBackend)) plan.byThreads.push({ threads: open.threads, timed });
  for (const { contender } of timed) contender.free();
  return plan.earlier ? printComparison(timed, circumstances.device, plan.earlier, plan.failBelow) : 0;
}

/** What to time: kernels at shapes, models. */
interface Chosen {
  readonly cases: readonly { readonly family: Family; readonly shapes: readonly string[] | undefined }[];
  readonly models: readonly string[];
}

function choose(what: What, args: Arguments, loaded: Loaded | undefined): Chosen {
  const only = args.text('only')?.split(',').filter((word) => word !== '');
  const isWanted = (name: string): boolean => only === undefined || only.some((word) => name.includes(word));
  const shapes = args.text('shapes')?.split(',');
  if (what === 'step' || what === 'generate') {
    if (shapes) throw new ConfigError(`bench ${what}: --shapes: only kernels have shapes`);
    if (loaded) throw new ConfigError(`bench ${what}: --kernel: only kernels have programs: leave out ${what}`);
    const names = Object.keys(models).filter(isWanted);
    if (names.length === 0) {
      throw new ConfigError(`bench ${what}: --only ${args.text('only')}: none of ${Object.keys(models).join(', ')}`);
    }
    return { cases: [], models: names };
  }
  const known = loaded ? [loaded.family] : families.filter(belongsTo(what)).filter(({ name }) => isWanted(name));
  if (known.length === 0) {
    const names = families.filter(belongsTo(what)).map(({ name }) => name);
    throw new ConfigError(`bench ${what}: --only ${args.text('only')}: none of ${names.join(', ')}`);
  }
  const exact = known.find(({ name }) => only?.length === 1 && name === only[0]) ?? (known.length === 1 ? known[0] : undefined);
  if (shapes === undefined) return { cases: known.map((family) => ({ family, shapes: undefined })), models: [] };
  if (!exact) throw new ConfigError('bench: --shapes: is for one kernel: name it with --only');
  for (const shape of shapes) caseOf(exact, shape); // refused now, not after minutes
  return { cases: [{ family: exact, shapes }], models: [] };
}

function belongsTo(what: What): (family: Family) => boolean {
  return ({ name, memory }) => (what === 'matmul' ? name === 'matmul' : what === 'memory' ? memory === true : true);
}

const GENERATED = [1, 32]; // prompts at a time

function contendersOn({ backend, software }: Opened, { what, chosen, loaded }: Plan): Contender[] {
  if (what === 'step') return chosen.models.map((name) => stepContender(backend, name));
  if (what === 'generate') {
    return chosen.models.flatMap((name) => GENERATED.map((batch) => generationContender(backend, name, batch)));
  }
  const isReal = backend instanceof WebGpuBackend && !software;
  const cases: Case[] = chosen.cases.flatMap(({ family, shapes }) =>
    (shapes ?? [...family.usual, ...(isReal ? family.large : [])]).map((shape) => caseOf(family, shape)),
  );
  if (!loaded) return cases.flatMap((one) => kernelContenders(backend, one));
  const fitting = cases.filter(({ work }) => loaded.own.fits?.(work.params) ?? true);
  if (fitting.length === 0) throw new ConfigError(`bench: ${loaded.name}: fits none of these shapes: give --shapes`);
  return fitting.flatMap((one) => {
    const ours = kernelContenders(backend, one);
    const usual = backend instanceof WebGpuBackend ? backend.chosen(one.work.kernel, one.work.params) : undefined;
    const beside = ours.find(({ program }) => program === usual) ?? ours[0]!;
    return [ownContender(backend, one, loaded), beside];
  });
}

function chosenWhat(word: string): What {
  const found = WHATS.find((each) => each === word);
  if (found === undefined) {
    throw new ConfigError(`bench: ${word}: must be one of ${WHATS.join(', ')}${didYouMean(word, WHATS)}`);
  }
  return found;
}

/** The same command under another Node, which prints for itself. */
function underNode(program: string, argv: readonly string[]): number {
  const at = argv.findIndex((word) => word === '--node' || word.startsWith('--node='));
  const rest = argv.toSpliced(at, argv[at] === '--node' ? 2 : 1);
  const threads = chosenThreads();
  const script = [process.argv[1]!, 'bench', ...rest, ...(threads === undefined ? [] : ['--threads', `${threads}`])];
  const { status, error } = spawnSync(program, script, { stdio: 'inherit' });
  if (error) throw new ConfigError(`bench: --node ${program}: cannot be started: ${error.message}`);
  return status ?? EXIT.failed;
}

/** Progress, on a terminal alone: one line that the next one overwrites. */
function tell(text: string): void {
  if (!process.stderr.isTTY) return;
  const width = process.stderr.columns || 80;
  process.stderr.write(`\r${text.slice(0, width - 1).padEnd(width - 1)}${text === '' ? '\r' : ''}`);
}

function lineOf({ contender, samples, yardsticks }: Timed, about: Circumstances, ceilings: Ceilings): object {
  const { label, program, least } = contender;
  const bound = least && boundOf(least, ceilings);
  return {
    version: 1,
    date: new Date().toISOString(),
    ...about,
    label, program,
    ...least,
    medianMs: median(samples),
    p10Ms: quantile(samples, 0.1),
    p90Ms: quantile(samples, 0.9),
    ...(bound && {
      bound: bound.by, ofMost: bound.ms / median(samples), bandwidthGbs: bandwidthAt(least!.touched, ceilings),
    }),
    ceilings,
    samplesMs: samples,
    yardstickMs: yardsticks,
  };
}

/** Returns how many have less than `failBelow` of their earlier speed, beyond doubt. */
function printComparison(
  timed: readonly Timed[],
  device: string,
  earlier: ReadonlyMap<string, Line>,
  failBelow: number,
): number {
  let failed = 0;
  let found = 0;
  print('\ncompared with before, as time now over time then (95%)');
  for (const { contender, samples, yardsticks } of timed) {
    const before = earlier.get(keyOf({ device, ...contender }));
    if (!before) continue;
    found++;
    const then = { samples: before.samplesMs, yardsticks: before.yardstickMs };
    const ratio = compare(then, { samples, yardsticks });
    const fails = ratio.verdict === 'slower' && 1 / ratio.ratio < failBelow;
    if (fails) failed++;
    print(`${contender.label}  ${contender.program}  ${ratioText(ratio)}${fails ? `: below ${failBelow}` : ''}`);
  }
  if (found === 0) print(`nothing in that file was timed on ${device}`);
  if (failed > 0) say(`bench: ${failed} of ${found} below ${failBelow} of the earlier speed`);
  return failed;
}
