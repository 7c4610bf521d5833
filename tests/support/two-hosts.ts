// Two pid namespaces on one run folder, as two containers or machines have them: holders that sleep past their lease or
// are killed, and others that take over. Linux alone has namespaces, and does not let everybody make them.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { readSpans } from '../../remit/app/run/lines.ts';
import { compiledProgram, contents } from './faults.ts';

const LEASE_SECONDS = 0.6;

/** Why there are no namespaces here; undefined where there are. */
export function noNamespaces(): string | undefined {
  const { status, stderr, error } = spawnSync('unshare', [...APART, 'true'], { encoding: 'utf8' });
  return status === 0 ? undefined : `unshare: ${error?.message ?? stderr.trim()}`;
}

const APART = ['--user', '--map-root-user', '--pid', '--fork', '--mount-proc', '--kill-child'];

/** The program in a namespace of its own. */
class Host {
  readonly #shell: ChildProcess;
  readonly ended: Promise<number | null>;
  said = '';

  constructor(program: string, args: readonly string[]) {
    this.#shell = spawn('unshare', [...APART, process.execPath, program, ...args], {
      cwd: tmpdir(),
      env: { ...process.env, REMIT_LEASE: String(LEASE_SECONDS) },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#shell.stderr!.on('data', (part: Buffer) => (this.said += part.toString()));
    this.ended = once(this.#shell, 'close').then(([code]) => code as number | null);
  }

  get running(): boolean {
    return this.#shell.exitCode === null && this.#shell.signalCode === null;
  }

  /** To the program itself, by the number that it has out here. */
  kill(signal: NodeJS.Signals): void {
    const { pid } = this.#shell;
    const inside = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    if (inside !== '') process.kill(Number(inside), signal);
  }
}

const wait = (ms: number): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, ms));

function linesOf(run: string): number {
  const path = join(run, 'metrics.jsonl');
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0;
}

async function until(host: Host, condition: () => boolean): Promise<void> {
  while (host.running && !condition()) await wait(5);
}

/** How the rounds went. */
export interface Outcome {
  /** Holders that slept, and had to give up; that were killed; and processes that came while a holder was awake. */
  readonly fenced: number;
  readonly killed: number;
  readonly refused: number;
}

/**
 * Trains in `run`, from holder to holder, until it is done. In each round the holder is put to sleep or killed, another
 * takes over after the lease, and one that slept wakes up. Whatever happens, the steps follow each other, and who was
 * robbed stops with 75.
 */
async function robbedRun(
  program: string,
  run: string,
  begin: readonly string[],
  rounds: number,
): Promise<Outcome> {
  const outcome = { fenced: 0, killed: 0, refused: 0 };
  const goOn = ['train', '--resume', run];
  let holder = new Host(program, [...begin, '--out', run]);
  for (let round = 0; round < rounds; round++) {
    const before = linesOf(run);
    // somewhere in a step, a checkpoint, a line
    await until(holder, () => linesOf(run) > before + 5 + ((round * 37) % 23));
    if (!holder.running) break;
    if (round === 0) {
      const guest = new Host(program, goOn);
      expect(await guest.ended, guest.said).toBe(75);
      expect(guest.said).toMatch(/process \d+ on .* is at work in it/);
      outcome.refused++;
    }
    const isKilled = round % 3 === 2;
    holder.kill(isKilled ? 'SIGKILL' : 'SIGSTOP');
    const there = linesOf(run);
    const next = new Host(program, goOn);
    await until(next, () => /going on from|phase=/.test(next.said) && linesOf(run) !== there);
    if (isKilled) outcome.killed++;
    else {
      holder.kill('SIGCONT');
      expect(await holder.ended, holder.said).toBe(75);
      expect(holder.said).toMatch(/has taken it over|its lock is gone/);
      outcome.fenced++;
    }
    readSpans(join(run, 'metrics.jsonl')); // throws where a step does not follow the one before
    holder = next;
  }
  expect(await holder.ended, holder.said).toBe(0);
  return outcome;
}

/** A run through so many rounds beside one that nobody disturbed, of enough steps: the same bytes. */
export async function expectSameBytes(scratch: string, rounds: number, steps: number): Promise<Outcome> {
  const begin = [
    'train', 'pretrain', '--model.width', '32', '--pretrain.steps', `${steps}`, '--pretrain.batch', '8',
    '--checkpoint.every', '7', '--checkpoint.seconds', '0', '--evaluate.questions', '1', '--threads', '1',
  ];
  const program = compiledProgram();
  const [alone, run] = [join(scratch, 'alone'), join(scratch, 'run')];
  const reference = new Host(program, [...begin, '--out', alone]);
  const [outcome] = await Promise.all([robbedRun(program, run, begin, rounds), reference.ended]);
  expect(await reference.ended, reference.said).toBe(0);
  expect(contents(run)).toEqual(contents(alone));
  return outcome;
}
