// Makes a checkout ready to run: installs when node_modules is missing or older than the lockfile,
// builds when dist/ is missing or older than any source. Runs before `npm test`, `npm run train` and `npm run bench`,
// so that a fresh clone needs no other command. Uses Node alone, since nothing else may be there yet.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = [
  'index.ts', 'node.ts', 'kernels', 'engine', 'nn', 'optim', 'remit', 'package.json', 'tsconfig.json',
  'tsconfig.build.json',
];

checkNode();
if (changed('node_modules/.package-lock.json') < changed('package-lock.json')) npm('ci', '--no-audit', '--no-fund');
if (changed('dist/remit/cli/bin.js') < sources.map(newest).reduce((a, b) => Math.max(a, b))) {
  npm('run', '--silent', 'build');
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(`remit-mini: Node ${process.versions.node}: needs 20.19 or newer: see https://nodejs.org`);
  process.exit(1);
}

/** When a path last changed, in ms; 0 if it is not there. */
function changed(path) {
  const full = join(root, path);
  return existsSync(full) ? statSync(full).mtimeMs : 0;
}

/** When anything below a path last changed. A folder's own time tells of files that were removed. */
function newest(path) {
  const full = join(root, path);
  if (!existsSync(full)) return 0;
  const below = statSync(full).isDirectory() ? readdirSync(full).map((name) => newest(join(path, name))) : [];
  return Math.max(changed(path), ...below);
}

/** Runs the npm that runs this script, or else the one on the path. */
function npm(...args) {
  const self = process.env.npm_execpath;
  const options = { cwd: root, stdio: 'inherit' };
  const { status } = self === undefined
    ? spawnSync('npm', args, { ...options, shell: process.platform === 'win32' })
    : spawnSync(process.execPath, [self, ...args], options);
  if (status !== 0) process.exit(status ?? 1);
}
