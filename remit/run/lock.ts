// One process at a time writes a run folder. The file `lock` names it; when that process is gone, however it went, the lock is open.
// Used by: folder.ts.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../engine/errors.ts';

const PATIENCE_MS = 3000; // the process before may be on its way out

/** Takes the lock of a folder; returns what gives it back. Throws ConfigError when another process that is alive keeps it. */
export function lock(folder: string): () => void {
  const path = join(folder, 'lock'), own = `${process.pid} ${startOf(process.pid)}\n`, deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      writeFileSync(path, own, { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [pid = 0, start = ''] = read(path).split(/\s/).map((word, i) => (i === 0 ? Number(word) : word)) as [number?, string?];
    if (!isAlive(pid, start)) rmSync(path, { force: true });
    else if (pid !== process.pid && performance.now() < deadline) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    else throw new ConfigError(`run: ${folder}: process ${pid} is at work in it: wait for its end, or choose another --out`);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // given back a moment ago
  }
}

/** A number is given to a new process when the old one is gone: the time that it started tells them apart, where that can be seen. */
function isAlive(pid: number, start: string): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return startOf(pid) === start;
}

/** When a process started, in ticks since the machine did; empty where there is no /proc. */
function startOf(pid: number): string {
  const stat = read(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''; // field 22; the second one, in brackets, may hold anything
}
