// The packed tarball, installed as anyone would, with what the registry has: versions of TypeScript, a linter of
// packages.
//   npm run test:soak package      needs the registry; npm's cache makes a second time fast

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { CONSUMERS, writeSources, typeErrors } from '../support/consumer.ts';
import { temporaryFolder } from '../support/temporary.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const scratch = temporaryFolder();
const npm = (cwd: string, ...args: string[]) =>
  execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
const tarball = join(scratch, npm(root, 'pack', '--ignore-scripts', '--silent', '--pack-destination', scratch));

/** An empty project with these packages, as npm is asked for them. */
function project(name: string, ...packages: string[]): string {
  const folder = join(scratch, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}');
  npm(folder, 'install', '--no-audit', '--no-fund', '--silent', '--prefer-offline', ...packages);
  return folder;
}

const consumer = project('consumer', '--omit=optional', tarball, '@types/node@20');
writeSources(consumer);

describe.each(['5.9', '6', '7'])('TypeScript %s', (version) => {
  const compiler = project(`typescript-${version}`, `typescript@${version}`);
  test.each(CONSUMERS)('$name: the declarations are right, with skipLibCheck off', (options) => {
    expect(typeErrors(join(compiler, 'node_modules/typescript/bin/tsc'), consumer, options)).toBe('');
  });
});

test('publint has nothing to say', () => {
  const folder = project('publint', 'publint');
  const { stdout, status } = spawnSync('npx', ['publint', '--strict', join(consumer, 'node_modules/remit-mini')], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(stdout).toContain('All good!');
  expect(status).toBe(0);
});

test('the program answers where npm links it, and the README\'s snippet prints what it says', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(npm(consumer, 'exec', '--', 'remit-mini', '--version')).toBe(version);
  const [, snippet, printed] = /```ts run\n(.*?\/\/ -> (.*?)\n)```/s.exec(
    readFileSync(join(root, 'README.md'), 'utf8'),
  )!;
  writeFileSync(join(consumer, 'snippet.mjs'), snippet!);
  expect(execFileSync(process.execPath, ['snippet.mjs'], { cwd: consumer, encoding: 'utf8' }).trim()).toBe(printed);
  expect(readdirSync(join(consumer, 'node_modules'))).not.toContain('webgpu'); // --omit=optional
});
