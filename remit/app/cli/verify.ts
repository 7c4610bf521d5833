// `remit-mini verify`: trains a run again, in a folder of its own that is removed afterwards, and compares every bit
// with what the run left: the proof that equal settings and seeds write equal bytes. Read next: remit/app/run/compare.ts;
// train-world.ts and train-text.ts, which train.

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, DivergedError, FormatError } from '../../../engine/errors.ts';
import { resolveConfig, type Config, type Resolved } from '../../settings/resolve.ts';
import type { StepRecord } from '../../phases/run.ts';
import { compareCheckpoints, compareJson, compareLine, type Difference, type Json } from '../run/compare.ts';
import { withNamesOfToday } from '../run/evaluation.ts';
import { environment, readEnvironment, type Environment } from '../run/environment.ts';
import { readSpans, type Span } from '../run/lines.ts';
import { isLocked } from '../run/lock.ts';
import { isPlan, phasesOf, type Plan } from '../run/plan.ts';
import { findSource, findWorld } from '../run/sources.ts';
import { States } from '../run/states.ts';
import { findText } from '../run/text.ts';
import { readJsonFile } from '../../text/read.ts';
import { readArguments, type Arguments, type Flags } from './arguments.ts';
import { EXIT } from './exit.ts';
import { chosenExperiment } from './experiment.ts';
import { print, say } from './terminal.ts';
import { version } from './version.ts';

export const help = `remit-mini verify <run folder> [flags]

Trains a run again and compares it, bit by bit, with what its folder holds:
metrics, checkpoints, scores. Begins at the last checkpoint that something
follows, so that the last phase is trained again; or with --whole at the start.
Writes into a temporary folder alone. Of a run that was interrupted, the phase
on its way is compared as far as it came.

  --whole              train everything again
  --device <device>    auto, cpu or webgpu; by default what the run began on
  --data <path>        own text, if it was moved
  --init <path>        the model that the run began from, if it was moved
  --reference <path>   the model that guided it, if it was moved
  --experiment <path>  the file of its experiment, if it was moved

Exit code 0: the same. 6: different; the first place and both values are said.
On another device the last bits differ; that is said, too.
`;

const flags: Flags = {
  whole: { type: 'boolean' },
  device: { type: 'string' },
  data: { type: 'string' },
  init: { type: 'string' },
  reference: { type: 'string' },
  experiment: { type: 'string' },
};

/** Ends the training when enough was seen. */
class Enough extends Error {
  readonly difference: Difference | undefined;

  constructor(difference?: Difference) {
    super('enough');
    this.difference = difference;
  }
}

/** What is to be trained again. */
interface Stored {
  readonly path: string;
  readonly resolved: Resolved;
  readonly plan: Plan;
  /** Phases that the run finished, and the one that it was in. */
  readonly finished: readonly string[];
  readonly unfinished: string | undefined;
  readonly spans: readonly Span[];
  readonly lines: readonly string[];
  readonly before: Partial<Environment>;
}

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('verify', argv, flags, 1);
  const path = args.positionals[0];
  if (path === undefined) throw new ConfigError('verify: which run? Give its folder');
  const stored = open(path);
  const kept = args.has('whole') ? [] : keptPhases(stored);
  const again = [...stored.finished, ...(stored.unfinished === undefined ? [] : [stored.unfinished])].filter(
    (phase) => !kept.includes(phase),
  );
  if (again.length === 0) throw new ConfigError(`verify: ${path}: has no step yet: there is nothing to compare`);
  const scratch = mkdtempSync(join(tmpdir(), 'remit-verify-'));
  const remove = (): void => rmSync(scratch, { recursive: true, force: true });
  process.once('exit', remove); // a signal between two phases ends the process there
  try {
    const copy = join(scratch, 'run');
    const skip = prepare(copy, stored, kept);
    say(
      `${path}: training ${list(again)} again${kept.length > 0 ? `, from the checkpoint of ${kept.at(-1)}` : ', from the start'}`,
    );
    const { code, difference, compared } = await trainAgain(copy, stored, args, skip);
    if (code !== EXIT.ok) return code;
    const found = difference ?? compareResults(copy, stored, again);
    return report(path, stored, { found, again, kept, compared });
  } finally {
    process.off('exit', remove);
    remove();
  }
}

const list = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;

/**
 * Reads a run folder. Throws ConfigError when there is no run that can be trained again, FormatError when it is
 * damaged.
 */
function open(path: string): Stored {
  const file = join(path, 'config.json');
  const metrics = join(path, 'metrics.jsonl');
  if (!existsSync(file)) {
    throw new ConfigError(
      `verify: ${path}: ${existsSync(path) ? 'holds no run: there is no config.json' : 'no such folder'}`,
    );
  }
  if (isLocked(path)) throw new ConfigError(`verify: ${path}: a process is at work in it: wait for its end`);
  const resolved = resolveConfig({ file: { path: file, values: readJsonFile('run', file) } });
  const before = readEnvironment(path) ?? {};
  if (!existsSync(metrics)) throw new ConfigError(`verify: ${path}: has no metrics.jsonl: there is nothing to compare`);
  // what follows the last newline was never finished
  const spans = readSpans(metrics);
  const lines = readFileSync(metrics, 'utf8').split('\n').slice(0, -1);
  const plan = planOf(path, resolved.config, before, spans);
  const phases = before.phases ?? phasesOf(plan, resolved.config.remit.iterations);
  const states = new States(join(path, 'checkpoints'));
  const finished = phases.filter((phase) => existsSync(states.result(phase)));
  if (finished.some((phase, i) => phase !== phases[i])) {
    throw new FormatError(
      `verify: ${path}: has checkpoints of ${list(finished)}, and none of ` +
      `${phases.find((phase) => !finished.includes(phase))}: the folder was damaged`,
    );
  }
  const next = phases[finished.length];
  const unfinished = spans.some(({ phase }) => phase === next) ? next : undefined;
  return { path, resolved, plan, finished, unfinished, spans, lines, before };
}

/** What the run says that it is for, or what its steps say, if it was made before runs said so. */
function planOf(path: string, config: Config, { plan }: Partial<Environment>, spans: readonly Span[]): Plan {
  if (isPlan(plan)) return plan;
  if (plan !== undefined || existsSync(join(path, 'result.json'))) {
    throw new ConfigError(
      `verify: ${path}: is a part of a study, which depends on others: only runs of train can be verified`,
    );
  }
  const [first, second] = spans.map(({ phase }) => phase);
  if (config.data.path !== undefined) return 'text';
  if (second === undefined && first !== undefined && isPlan(first)) return first;
  return 'everything';
}

/** Phases that need not be trained again: all that are finished but the last, or all, when one is on its way. */
function keptPhases({ finished, unfinished }: Stored): readonly string[] {
  return unfinished === undefined ? finished.slice(0, -1) : finished;
}

/**
 * Makes the folder to train in, as if the run had been interrupted after the phases in `kept`; returns how many lines
 * of metrics that is.
 */
function prepare(copy: string, { path, lines, spans }: Stored, kept: readonly string[]): number {
  mkdirSync(join(copy, 'checkpoints'), { recursive: true });
  for (const name of ['config.json', 'env.json']) {
    if (existsSync(join(path, name))) copyFileSync(join(path, name), join(copy, name));
  }
  const from = new States(join(path, 'checkpoints'));
  const to = new States(join(copy, 'checkpoints'));
  for (const phase of kept) copyFileSync(from.result(phase), to.result(phase));
  const count = spans.filter(({ phase }) => kept.includes(phase)).reduce((total, { steps }) => total + steps, 0);
  writeFileSync(join(copy, 'metrics.jsonl'), lines.slice(0, count).map((line) => `${line}\n`).join(''));
  return count;
}

interface Trained {
  readonly code: number;
  readonly difference: Difference | undefined;
  /** Lines of metrics. */
  readonly compared: number;
}

/**
 * Trains in `copy` what is to be trained there, looking at every step as it comes. `skip`: lines of metrics that are
 * there already.
 */
async function trainAgain(copy: string, stored: Stored, args: Arguments, skip: number): Promise<Trained> {
  const { path, resolved, plan, lines, unfinished } = stored;
  let at = skip;
  const check = (record: StepRecord): void => {
    if (unfinished !== undefined && at === lines.length) throw new Enough();
    const difference = compareLine(lines[at], record, at + 1);
    if (difference !== undefined) throw new Enough(difference);
    at++;
  };
  const source = (name: 'init' | 'reference'): string | undefined => args.text(name) ?? findSource(path, name);
  const { world } = resolved.config.data;
  const chosen = await chosenExperiment(args, path);
  const options = {
    resolved,
    init: source('init'),
    reference: source('reference'),
    ...chosen,
    out: copy,
    resume: 'required',
    check,
    device: deviceOf(args, stored),
  } as const;
  try {
    const code = await (plan === 'text'
      ? trainText(options, stored, args)
      : world === undefined
        ? (await import('./train-world.ts')).trainWorld({ ...options, plan })
        : (await import('./train-files.ts')).trainFiles({ ...options, plan }, findWorld(path, world)));
    return { code, difference: undefined, compared: at - skip };
  } catch (error) {
    if (error instanceof Enough) return { code: EXIT.ok, difference: error.difference, compared: at - skip };
    // so did the run
    if (error instanceof DivergedError && unfinished !== undefined && at === lines.length) {
      return { code: EXIT.ok, difference: undefined, compared: at - skip };
    }
    throw error;
  }
}

async function trainText(
  options: Omit<Parameters<typeof import('./train-text.ts').trainText>[0], 'plan'>,
  { path, resolved }: Stored,
  args: Arguments,
): Promise<number> {
  const { path: wanted, field } = resolved.config.data;
  return (await import('./train-text.ts')).trainText(
    { ...options, plan: 'pretrain' },
    args.text('data') ?? findText(path, wanted!, field),
  );
}

/** What --device says, or what the run began on: on another one, the last bits differ. */
function deviceOf(args: Arguments, { before, resolved }: Stored): Config['device'] {
  const wanted = args.text('device');
  if (wanted === undefined) return before.device === 'cpu' ? 'cpu' : resolved.config.device;
  if (wanted === 'auto' || wanted === 'cpu' || wanted === 'webgpu') return wanted;
  throw new ConfigError(`verify: --device ${wanted}: must be auto, cpu or webgpu`);
}

/** The first difference among what the phases and the tests left; of an unfinished run, as far as it came. */
function compareResults(
  copy: string,
  { path, plan, unfinished, finished, lines }: Stored,
  again: readonly string[],
): Difference | undefined {
  const [from, to] = [path, copy].map((folder) => new States(join(folder, 'checkpoints'))) as [States, States];
  for (const phase of again.filter((one) => finished.includes(one))) {
    const pairs: [stored: string, now: string, name: string][] = [
      [from.result(phase), to.result(phase), `checkpoints/${phase}.safetensors`],
    ];
    if (plan === 'text' && existsSync(from.best(phase))) {
      pairs.push([from.best(phase), to.best(phase), `checkpoints/${phase}.best.safetensors`]);
    }
    for (const [before, now, name] of pairs) {
      const difference = compareCheckpoints(before, now, name);
      if (difference !== undefined) return difference;
    }
  }
  if (unfinished !== undefined) return undefined;
  const steps = readFileSync(join(copy, 'metrics.jsonl'), 'utf8').split('\n').length - 1;
  if (steps < lines.length) {
    return { place: `metrics.jsonl:${steps + 1}`, stored: lines[steps]!, now: 'nothing: the run ends before' };
  }
  if (!existsSync(join(path, 'evaluation.json'))) return undefined;
  const scores = (folder: string): Json => {
    const { version: _, ...rest } = withNamesOfToday(readJsonFile('run', join(folder, 'evaluation.json'))) as Record<string, Json>;
    return rest;
  };
  return compareJson(scores(path), scores(copy), 'evaluation.json');
}

interface Found {
  readonly found: Difference | undefined;
  readonly again: readonly string[];
  readonly kept: readonly string[];
  readonly compared: number;
}

/** Says what was found, and whether this machine is the one that the run was made on. Returns the exit code. */
function report(
  path: string,
  { unfinished, finished, before, plan }: Stored,
  { found, again, kept, compared }: Found,
): number {
  const other = elsewhere(before);
  if (found !== undefined) {
    const { place, stored, now } = found;
    print(`${path}: different: ${place}\n  stored         ${stored}\n  trained again  ${now}`);
    if (other !== '') print(other);
    return EXIT.different;
  }
  const checkpoints = again.filter((phase) => finished.includes(phase)).length;
  const scores = unfinished === undefined && existsSync(join(path, 'evaluation.json'));
  const parts = [
    `${count(compared, 'line')} of metrics`,
    ...(checkpoints > 0 ? [count(checkpoints, 'checkpoint')] : []),
    ...(scores ? [plan === 'text' ? 'its loss' : 'all scores'] : []),
  ];
  print(`${path}: the same, bit for bit: ${list(parts)}`);
  if (kept.length > 0) print(`not trained again: ${list(kept)}: --whole does that`);
  if (unfinished !== undefined) print(`${unfinished} was interrupted: compared as far as it came`);
  if (other !== '') print(other);
  return EXIT.ok;
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** What is not as it was when the run was made; empty when nothing is that could matter. */
function elsewhere(before: Partial<Environment>): string {
  const now = environment(version(), before.device ?? 'unknown');
  const parts = (['version', 'v8', 'platform', 'cpu', 'commit'] as const).filter(
    (part) => before[part] !== undefined && before[part] !== now[part],
  );
  const changes = parts.map((part) => `${part} ${before[part]} then, ${now[part] ?? 'unknown'} now`);
  return changes.length === 0 ? '' : `it was made elsewhere: ${changes.join('; ')}`;
}
