// Writes a file so that a reader, or a crash at any moment, finds the old file or the new one and never half of it:
// write beside it, flush to the disk, rename over. Used by: checkpoint.ts, folder.ts.

import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RemitError } from '../../engine/errors.ts';

/** Throws RemitError, with nothing left behind, when the file system refuses. */
export function writeAtomically(path: string, contents: Uint8Array | string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = openSync(temporary, 'w');
    try {
      writeFileSync(file, contents);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    flushFolder(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new RemitError(`${path}: cannot be written: ${(error as Error).message}`, { cause: error });
  }
}

/** Whether a file of this name is what writeAtomically() leaves when the process is killed. */
export const isHalfWritten = (name: string): boolean => /\.\d+\.tmp$/.test(name);

/** Removes such files from a folder. */
export function sweep(folder: string): void {
  for (const name of readdirSync(folder)) if (isHalfWritten(name)) rmSync(join(folder, name), { force: true });
}

/** Makes a folder, unless it is there, in one that is there: a folder that somebody removes in the meantime does not come back. */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Makes the rename itself last; Windows cannot open a folder, and needs no such thing. */
function flushFolder(path: string): void {
  if (process.platform === 'win32') return;
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
