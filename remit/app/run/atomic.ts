// Writes a file so that a reader, or a crash at any moment, finds the old file or the new one and never half of it:
// write beside it, flush to the disk, rename over. Used by: checkpoint.ts, folder.ts.

import {
  closeSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { randomInt } from 'node:crypto';
import { dirname, join } from 'node:path';
import { RemitError } from '../../../engine/errors.ts';
import { reason } from './reason.ts';

const MARK = randomInt(2 ** 47); // no process number: two containers may write one folder, each as process 1

/** Where this process writes what shall be `path`. */
export const temporaryName = (path: string): string => `${path}.${MARK}.tmp`;

/** A text may come in parts. Throws RemitError, with nothing left behind, when the file system refuses. */
export function writeAtomically(path: string, contents: Uint8Array | string | Generator<string>): void {
  const temporary = temporaryName(path);
  try {
    const file = openSync(temporary, 'w');
    try {
      const whole = typeof contents === 'string' || contents instanceof Uint8Array;
      for (const part of whole ? [contents] : contents) writeFileSync(file, part);
      flush(file, path);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    flushFolder(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new RemitError(`${path}: cannot be written: ${reason(error)}`, { cause: error });
  }
}

/** Whether a file of this name is what writeAtomically() leaves when the process is killed. */
export const isHalfWritten = (name: string): boolean => /\.\d+\.tmp$/.test(name);

/**
 * Whether a file of this name is nobody's work: it does not make a folder anybody's. `.nfs...` is what a network disk
 * keeps of a removed file.
 */
export const isNobodys = (name: string): boolean =>
  isHalfWritten(name) || /^\.nfs[0-9a-f]+$/i.test(name) || name === '.DS_Store';

/** Removes half-written files from a folder. */
export function sweep(folder: string): void {
  for (const name of readdirSync(folder)) if (isHalfWritten(name)) rmSync(join(folder, name), { force: true });
}

/**
 * Makes a folder, unless it is there, in one that is there: a folder that somebody removes in the meantime does not
 * come back.
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const there = (error as NodeJS.ErrnoException).code === 'EEXIST';
    if (there && statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
    throw new RemitError(
      `${path}: cannot be made: ${there ? 'is a file: a folder of this name is needed' : reason(error)}`,
      { cause: error },
    );
  }
}

/** Makes the rename itself last; Windows cannot open a folder, and needs no such thing. */
function flushFolder(path: string): void {
  if (process.platform === 'win32') return;
  const folder = openSync(path, 'r');
  try {
    flush(folder, path);
  } finally {
    closeSync(folder);
  }
}

/**
 * What a network or shared disk answers when it does not know fsync; anything else, EIO above all, is a fault of the
 * disk.
 */
// the last is that of node --permission
const NO_FSYNC: ReadonlySet<string | undefined> = new Set([
  'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EPERM', 'ERR_ACCESS_DENIED',
]);

let tell: ((text: string) => void) | undefined = (text) => void process.stderr.write(`${text}\n`);

/** Who is told, once in a process, that this disk cannot be made to write at once; on stderr unless set. */
export function onUnflushed(notice: (text: string) => void): void {
  if (tell !== undefined) tell = notice;
}

/**
 * Returns once a file or folder is on the disk, or, where the disk cannot say so, when it was handed over. Throws what
 * fsync throws.
 */
export function flush(file: number, path: string): void {
  try {
    fsyncSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!NO_FSYNC.has(code)) throw error;
    tell?.(`${path}: this disk cannot flush (${code}): after a power cut, the last checkpoints may be missing`);
    tell = undefined;
  }
}
