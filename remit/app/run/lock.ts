// One process at a time writes a run folder. The file `lock` names it (holder.ts). When that process was on this
// machine and is gone, however it went, the lock is open. Of a process on another machine, or in another container,
// nobody can see whether it is gone: it touches the lock every ten seconds, and who wants the folder takes it after it
// has seen the lock untouched for two minutes, on a clock of its own. No two machines' clocks are compared. A process
// that only slept finds another's name in the lock before it writes again, and stops. Used by: folder.ts, session.ts.

import {
  closeSync, futimesSync, linkSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, RemitError } from '../../../engine/errors.ts';
import { temporaryName } from './atomic.ts';
import { nameOf, newHolder, readHolder, stateOf } from './holder.ts';
import { reason } from './reason.ts';

/** Another process has the folder now: the same command may be right later. */
export class BusyError extends RemitError {}

const PATIENCE_MS = 3000; // the process before may be on its way out
const LEASE_SECONDS = 120;
const TOUCHES = 12; // in the time of a lease

/** A lock that this process holds. */
export class Lock {
  readonly #path: string;
  readonly #text: string;
  readonly #file: number;
  readonly #every: number;
  readonly #timer: NodeJS.Timeout;
  #touched = performance.now();

  constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
    this.#every = leaseMs() / TOUCHES;
    this.#file = openSync(path, 'r+');
    this.#timer = setInterval(() => this.#touch(), this.#every).unref();
  }

  /** To be called at every step: now and then it touches the lock. Throws BusyError like hold(). */
  tick(): void {
    if (performance.now() - this.#touched < this.#every) return;
    this.hold();
    this.#touch();
  }

  /** Throws BusyError when another process has taken the folder. To be called before anything is written there. */
  hold(): void {
    const now = read(this.#path);
    if (now === this.#text) return;
    const by = now === '' ? 'its lock is gone' : `${nameOf(readHolder(now))} has taken it over`;
    throw new BusyError(`run: ${dirname(this.#path)}: ${by}: stopped here, and nothing more was written`);
  }

  /** Removes the lock, if it is still this process's. */
  release(): void {
    clearInterval(this.#timer);
    closeSync(this.#file);
    if (read(this.#path) === this.#text) rmSync(this.#path, { force: true });
  }

  /** By its open file: once another has taken the folder, that is a file without a name. */
  #touch(): void {
    try {
      const time = Date.now() / 1000;
      futimesSync(this.#file, time, time);
      this.#touched = performance.now();
    } catch {
      // a disk that is full or gone: whoever writes the next step will say so
    }
  }
}

/**
 * Takes the lock of a folder. Throws BusyError when another process that is alive keeps it so many milliseconds, or
 * when one has it that cannot be seen from here: letIn() waits for those.
 */
export function lock(folder: string, patience = PATIENCE_MS): Lock {
  const path = join(folder, 'lock');
  const own = newHolder();
  const deadline = performance.now() + patience;
  for (;;) {
    if (take(path, own)) return new Lock(path, own);
    const held = look(path);
    const holder = readHolder(held.text);
    const state = stateOf(holder);
    if (state === 'gone') breakOpen(path, held);
    else if (state === 'alive' && holder.pid !== process.pid && performance.now() < deadline) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    } else throw atWork(folder, held.text);
  }
}

/**
 * Where a process has the folder that cannot be seen from here: throws BusyError as soon as that touches its lock, and
 * opens the lock when it has not for the time of a lease.
 */
export async function letIn(folder: string, notice: (text: string) => void): Promise<void> {
  const path = join(folder, 'lock');
  const seen = look(path);
  const holder = readHolder(seen.text);
  if (seen.text === '' || stateOf(holder) !== 'elsewhere') return;
  const lease = leaseMs();
  const began = performance.now();
  notice(`${folder}: ${nameOf(holder)} has it: waiting ${lease / 1000} s for a sign of life before it is taken over`);
  while (performance.now() - began < lease) {
    await sleep(Math.min(1000, lease / TOUCHES / 2));
    const now = look(path);
    if (now.text === '') return; // given back
    if (now.text !== seen.text || now.touched !== seen.touched) throw atWork(folder, now.text);
  }
  breakOpen(path, seen);
}

/** Whether a process is at work in a folder, or may be, where it cannot be seen from here. Changes nothing. */
export function isLocked(folder: string): boolean {
  const held = read(join(folder, 'lock'));
  return held !== '' && stateOf(readHolder(held)) !== 'gone';
}

/** REMIT_LEASE, in seconds, is for tests: every process that may want a folder has to go by the same. */
function leaseMs(): number {
  const text = process.env.REMIT_LEASE ?? String(LEASE_SECONDS);
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 86_400) return seconds * 1000;
  throw new ConfigError(`run: REMIT_LEASE=${text}: must be a number of seconds, more than 0 and at most 86400`);
}

function atWork(folder: string, held: string): BusyError {
  const who = nameOf(readHolder(held));
  return new BusyError(`run: ${folder}: ${who} is at work in it: wait for its end, or choose another --out`);
}

/**
 * Whether the lock was free. The file is written beside it first: it appears whole, and who finds it finds a name in
 * it.
 */
function take(path: string, own: string): boolean {
  const draft = temporaryName(path);
  try {
    writeFileSync(draft, own);
    linkSync(draft, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (NO_LINKS.has(code)) return takeWithoutLinks(path, own);
    throw new RemitError(`run: ${dirname(path)}: cannot be written: ${reason(error)}`, { cause: error });
  } finally {
    rmSync(draft, { force: true });
  }
}

/** What a disk answers that knows no second name for a file. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/**
 * The same in two steps: for a moment the file is there and empty, and who looks just then takes it for one that is
 * open.
 */
function takeWithoutLinks(path: string, own: string): boolean {
  try {
    writeFileSync(path, own, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new RemitError(`run: ${dirname(path)}: cannot be written: ${reason(error)}`, { cause: error });
  }
}

/** Removes a lock that was `held`, unless another process has taken it since, or its own has touched it. */
function breakOpen(path: string, held: Look): void {
  const aside = temporaryName(path);
  try {
    if (statSync(path).isDirectory()) {
      throw new RemitError(`run: ${path}: is a folder: the lock of a run is a file: remove it`);
    }
    renameSync(path, aside); // only one process can
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const now = look(aside);
  if (now.text !== held.text || now.touched !== held.touched) linkSync(aside, path);
  rmSync(aside, { force: true });
}

/** A lock as it is found: what it says, and when it was touched, by whatever clock. */
interface Look {
  readonly text: string;
  readonly touched: number;
}

function look(path: string): Look {
  return { text: read(path), touched: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // given back a moment ago
  }
}
