// What `remit-mini tune` found out, kept between runs in the user's cache folder, for each adapter and driver: which program is the fastest
// at which shape. A file that cannot be used is as good as none: nothing depends on it but speed.
// Used by: tune.ts, device.ts. Read next: engine/webgpu/variants.ts.

import { mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Tuned } from '../../engine/webgpu/variants.ts';
import { writeAtomically } from '../run/atomic.ts';

/** Adapter (Gpu.key) -> shape -> name of a program. */
const format = z.object({ version: z.literal(1), adapters: z.record(z.string(), z.record(z.string(), z.string())) });

/** $XDG_CACHE_HOME/remit-mini/tune.json, or ~/.cache/remit-mini/tune.json. */
export function tuningPath(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'remit-mini', 'tune.json');
}

/** What was measured on this adapter, if anything. Warns, in one line on stderr, of a file that is there and of no use. */
export function readTuning(adapter: string): Tuned | undefined {
  const { adapters } = read();
  return Object.hasOwn(adapters, adapter) ? adapters[adapter] : undefined;
}

/** Adds to what is known of an adapter; a newer result replaces an older one. Throws the file system's error. */
export function writeTuning(adapter: string, tuned: Tuned): void {
  const path = tuningPath(), { adapters } = read();
  const all = { version: 1, adapters: { ...adapters, [adapter]: { ...adapters[adapter], ...tuned } } };
  mkdirSync(dirname(path), { recursive: true });
  writeAtomically(path, `${JSON.stringify(all, null, 2)}\n`);
}

function read(): z.infer<typeof format> {
  const path = tuningPath();
  try {
    return format.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') process.stderr.write(`tune: ${path}: ${code ? `cannot be read (${code})` : 'is damaged'}: ignored: remit-mini tune makes it anew\n`);
    return { version: 1, adapters: {} };
  }
}
