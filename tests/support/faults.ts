// Short runs of the real program whose file system goes wrong at a chosen call (fault.mjs), and what must be true of
// them afterwards.

import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect } from 'vitest';
import { readCheckpoint } from '../../remit/app/run/checkpoint.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const injector = fileURLToPath(new URL('fault.mjs', import.meta.url));

export const KINDS = ['kill', 'torn', 'ENOSPC', 'EIO'] as const;
export type Kind = (typeof KINDS)[number];

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** <what>:<call>:<folder>, for fault.mjs. */
  readonly fault?: string;
  /** SIGKILL after so many milliseconds. */
  readonly killAfter?: number;
}

export type RunProgram = (args: readonly string[], options?: RunOptions) => Promise<Ended>;

/** The program's path, compiled as it stands: it starts in a third of the time that the sources take. */
export function compiledProgram(): string {
  const folder = join(root, 'node_modules/.cache', `faults-${process.pid}`);
  execFileSync(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    join(root, 'tsconfig.build.json'),
    '--outDir',
    join(folder, 'dist'),
    '--declaration',
    'false',
    '--declarationMap',
    'false',
    '--sourceMap',
    'false',
  ]);
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'dist/remit/cli/bin.js');
}

export function compiled(): RunProgram {
  const program = compiledProgram();
  return (args, { fault, killAfter } = {}) => new Promise((resolve) => {
    const words = [...(fault ? ['--import', injector] : []), program, ...args];
    const child = spawn(process.execPath, words, {
      cwd: tmpdir(),
      env: { ...process.env, ...(fault && { REMIT_FAULT: fault }) },
    });
    const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
    const out = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (part: Buffer) => {
        out[name] += part.toString();
      });
    }
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...out });
    });
  });
}

/** Everything that a run or a study leaves, by name and hash; of files with a clock in them, the steps. */
export function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  // a study's logs hold speeds
  const names = files
    .map((file) => relative(folder, join(file.parentPath, file.name)))
    .filter((name) => !name.startsWith('logs'))
    .sort();
  return Object.fromEntries(names.map((name) => {
    const bytes = readFileSync(join(folder, name));
    const withoutClock = basename(name) === 'timing.jsonl' ? bytes.toString().replaceAll(/,"seconds".*$/gm, '') : bytes;
    return [name, createHash('sha256').update(withoutClock).digest('hex')];
  }));
}

/** Settings of a run of seconds in which every phase stores itself once on its way. */
export const short: readonly string[] = Object.entries({
  'model.width': 8,
  'model.layers': 1,
  'model.heads': 2,
  'pretrain.warmup': 0,
  'rl.warmup': 0,
  'pretrain.steps': 3,
  'midtrain.steps': 3,
  'sft.steps': 3,
  'rl.steps': 3,
  'pretrain.batch': 2,
  'midtrain.batch': 2,
  'sft.batch': 2,
  'rl.prompts': 2,
  'rl.samples': 2,
  'rl.advantage': 'reinforce',
  'rl.weightDecay': 0.1,
  'rl.updates': 2,
  'evaluate.questions': 1,
  'checkpoint.every': 2,
  'checkpoint.seconds': 0,
  'checkpoint.keep': 1,
}).flatMap(([name, value]) => ['--set', `${name}=${value}`]);

/** Those of them that one phase reads, or your own text. */
export function shortOf(phase: string): string[] {
  const section = { remit: 'midtrain', text: 'pretrain' }[phase] ?? phase;
  const read = [section, 'model', 'checkpoint', ...(phase === 'text' ? [] : ['evaluate'])];
  return short.filter((word) => read.includes(word.split('.')[0]!)).flatMap((word) => ['--set', word]);
}

export interface Suite {
  readonly run: RunProgram;
  /** The command, without --out and --resume. */
  readonly command: readonly string[];
  /** What makes it go on where it was; default: --resume. */
  readonly goOn?: readonly string[];
  /** A folder of the suite's own. */
  readonly scratch: string;
  /** Every so many calls go wrong. */
  readonly stride: number;
}

/**
 * Lets each call of a run go wrong in each way, takes the run up again, and compares it with one that was left alone.
 * Resolves to the number of faults.
 */
export async function injectFaults({
  run, command, goOn = ['--resume'], scratch, stride,
}: Suite): Promise<Record<Kind, number>> {
  const whole = join(scratch, 'whole');
  const calls: Record<string, number> = {};
  for (const count of ['count', 'count-reads']) {
    rmSync(whole, { recursive: true, force: true });
    const { code, stdout, stderr } = await run([...command, '--out', whole], { fault: `${count}:0:${whole}` });
    expect(code, stderr).toBe(0);
    calls[count] = Number(/\ncalls (\d+)\n/.exec(stdout)![1]);
  }
  expect(calls['count']).toBeGreaterThan(40); // else there would be nothing to see
  const expected = contents(whole);
  const faults = KINDS.flatMap((kind, k) => {
    const most = calls[kind === 'EIO' ? 'count-reads' : 'count']!;
    return Array.from({ length: Math.ceil((most - k) / stride) }, (_, i) => ({
      kind,
      call: 1 + k + i * stride,
    })).filter(({ call }) => call <= most);
  });
  await together(faults, async ({ kind, call }) => {
    const folder = join(scratch, `${kind}-${call}`);
    const at = `${command.slice(0, 2).join(' ')}, ${kind} at call ${call}`;
    const first = await run([...command, '--out', folder], { fault: `${kind}:${call}:${folder}` });
    if (kind === 'kill' || kind === 'torn') expect(first.signal, at).toBe('SIGKILL');
    // or the call did not matter
    else if (first.code !== 0) expect(first.stderr, at).toMatch(new RegExp(`^error: .*${kind}.*\\n$`, 'm'));
    for (const path of checkpoints(folder)) readCheckpoint(path); // whatever is there is whole: else it throws
    const again = await run([...command, '--out', folder, ...goOn]);
    expect(again.code, `${at}: ${again.stderr}`).toBe(0);
    expect(contents(folder), at).toEqual(expected);
    rmSync(folder, { recursive: true });
  });
  return Object.fromEntries(
    KINDS.map((kind) => [kind, faults.filter((fault) => fault.kind === kind).length]),
  ) as Record<Kind, number>;
}

function checkpoints(folder: string): string[] {
  const inside = join(folder, 'checkpoints');
  return existsSync(inside)
    ? readdirSync(inside)
        .filter((name) => name.endsWith('.safetensors'))
        .map((name) => join(inside, name))
    : [];
}

/** Two at a time. */
export async function together<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item; (item = queue.shift()) !== undefined;) await work(item);
  };
  await Promise.all([worker(), worker()]);
}
