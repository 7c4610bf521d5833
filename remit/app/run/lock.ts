// One process at a time writes a run folder. The file `lock` names it; when that process is gone, however it went, the
// lock is open. Used by: folder.ts.

import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError, RemitError } from '../../../engine/errors.ts';
import { reason } from './reason.ts';

const PATIENCE_MS = 3000; // the process before may be on its way out

/**
 * Takes the lock of a folder; returns what gives it back. Throws ConfigError when another process that is alive keeps
 * it so many milliseconds.
 */
export function lock(folder: string, patience = PATIENCE_MS): () => void {
  const path = join(folder, 'lock');
  const own = `${process.pid} ${statOf(process.pid).start}\n`;
  const deadline = performance.now() + patience;
  for (;;) {
    if (take(path, own)) return () => giveBack(path, own);
    const held = read(path);
    const [pid = 0, start = ''] = held.split(/\s/).map((word, i) => (i === 0 ? Number(word) : word)) as [
      number?,
      string?,
    ];
    if (!isAlive(pid, start)) breakOpen(path, held);
    else if (pid !== process.pid && performance.now() < deadline) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    } else {
      throw new ConfigError(
        `run: ${folder}: process ${pid} is at work in it: wait for its end, or choose another --out`,
      );
    }
  }
}

/**
 * Whether the lock was free. The file is written beside it first: it appears whole, and who finds it finds a name in
 * it.
 */
function take(path: string, own: string): boolean {
  const draft = `${path}.${process.pid}.tmp`;
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

/** Removes the lock, if it is still this process's. */
function giveBack(path: string, own: string): void {
  if (read(path) === own) rmSync(path, { force: true });
}

/** Whether a process that is alive is at work in a folder. Changes nothing. */
export function isLocked(folder: string): boolean {
  const [pid, start] = read(join(folder, 'lock')).split(/\s/) as [string, string?];
  return isAlive(Number(pid), start ?? '');
}

/** Removes a lock that held `held`, unless another process has taken it since. */
function breakOpen(path: string, held: string): void {
  const aside = `${path}.${process.pid}.tmp`;
  try {
    if (statSync(path).isDirectory()) {
      throw new RemitError(`run: ${path}: is a folder: the lock of a run is a file: remove it`);
    }
    renameSync(path, aside); // only one process can
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (read(aside) !== held) linkSync(aside, path);
  rmSync(aside, { force: true });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // given back a moment ago
  }
}

/**
 * A number is given to a new process when the old one is gone: the time that it started tells them apart, where that
 * can be seen.
 */
function isAlive(pid: number, start: string): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const there = statOf(pid);
  return there.start === start && there.state !== 'Z'; // ended, but nobody has asked how: without an init, that lasts
}

/** The state of a process, and when it started, in ticks since the machine did; empty where there is no /proc. */
function statOf(pid: number): { readonly state: string; readonly start: string } {
  // from the third; the second, in brackets, may hold anything
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0]!, start: fields[19] ?? '' };
}
