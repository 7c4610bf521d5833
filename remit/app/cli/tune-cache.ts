// What `remit-mini tune` found out, kept between runs in the user's cache folder, for each adapter and driver: which
// program is the fastest at which shape. A file that cannot be used is as good as none: nothing depends on it but
// speed. Used by: tune.ts, device.ts. Read next: engine/webgpu/variants.ts.

import { mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import type { Tuned } from '../../../engine/webgpu/variants.ts';
import { RemitError } from '../../../engine/errors.ts';
import { writeAtomically } from '../run/atomic.ts';
import { say } from './terminal.ts';

/** Adapter (Gpu.key) -> shape -> name of a program. */
const format = z.object({ version: z.literal(1), adapters: z.record(z.string(), z.record(z.string(), z.string())) });

/**
 * $XDG_CACHE_HOME/remit-mini/tune.json, or ~/.cache/remit-mini/tune.json. Throws RemitError for a user without a home.
 */
export function tuningPath(): string {
  const { XDG_CACHE_HOME: given = '' } = process.env;
  try {
    // a relative one is to be ignored, as XDG says
    return join(isAbsolute(given) ? given : join(homedir(), '.cache'), 'remit-mini', 'tune.json');
  } catch (error) {
    throw new RemitError(
      `tune: this user has no home folder to keep results in: set XDG_CACHE_HOME: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/**
 * What was measured on this adapter, if anything. Warns, in one line on stderr, of a file that is there and of no use.
 */
export function readTuning(adapter: string): Tuned | undefined {
  const { adapters } = read();
  return Object.hasOwn(adapters, adapter) ? adapters[adapter] : undefined;
}

/**
 * Adds to what is known of an adapter; a newer result replaces an older one. Returns where that is. Throws RemitError
 * when it cannot be kept.
 */
export function writeTuning(adapter: string, tuned: Tuned): string {
  const path = tuningPath();
  const { adapters } = read();
  const all = { version: 1, adapters: { ...adapters, [adapter]: { ...adapters[adapter], ...tuned } } };
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw new RemitError(
      `tune: ${dirname(path)}: cannot be made: ${(error as Error).message}: set XDG_CACHE_HOME to a folder that can ` +
      'be written',
      { cause: error },
    );
  }
  writeAtomically(path, `${JSON.stringify(all, null, 2)}\n`);
  return path;
}

function read(): z.infer<typeof format> {
  const nothing = { version: 1, adapters: {} } as const;
  let path = '';
  try {
    path = tuningPath();
    return format.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (path !== '' && code !== 'ENOENT') {
      say(`tune: ${path}: ${code ? `cannot be read (${code})` : 'is damaged'}: ignored: remit-mini tune makes it anew`);
    }
    return nothing;
  }
}
