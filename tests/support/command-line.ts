// Runs the command line: as a process of its own, straight from the sources, or, much faster, inside the test's.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { main } from '../../remit/app/cli/main.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** As it was built, unless sources have changed since: from these it takes a second longer to start. */
const program = isBuilt()
  ? [join(root, 'dist/remit/cli/bin.js')]
  : ['--import', import.meta.resolve('tsx'), join(root, 'remit/cli/bin.ts')];

const ownCache = {
  XDG_CACHE_HOME: join(root, 'node_modules/.cache/tests'), // rather than what the user has tuned
  TSX_TSCONFIG_PATH: join(root, 'tsconfig.json'), // else tsx looks for one where the process starts
};

function isBuilt(): boolean {
  const built = join(root, 'dist/remit/cli/bin.js');
  if (!existsSync(built)) return false;
  const since = statSync(built).mtimeMs;
  const folders = ['kernels', 'engine', 'nn', 'optim', 'remit', 'bench'];
  const below = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(root, folder, name)),
  );
  return below.every((path) => statSync(path).mtimeMs <= since);
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Waits for the end. `cwd` is where relative paths start. */
export function remitMini(
  args: readonly string[],
  { cwd = root, env = {} }: { cwd?: string; env?: Record<string, string> } = {},
): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...program, ...args], {
    cwd,
    encoding: 'utf8',
    env: { ...ownCache, ...process.env, ...env },
  });
  return { code: status, stdout, stderr };
}

/** Starts it, for a test that sends signals. */
export function startRemitMini(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [...program, ...args], { cwd: root, env: { ...ownCache, ...process.env } });
}

/** The same without a process. */
export async function inProcess(args: readonly string[]): Promise<Outcome> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += String(text);
      return true;
    }),
  );
  try {
    return { code: await main(args), ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
