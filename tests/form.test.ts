// The form of the sources: how long lines are, and how large files. The rest of it is oxlint's: .oxlintrc.json.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const folders = ['engine', 'kernels', 'nn', 'optim', 'remit', 'bench', 'site', 'tests', 'scripts'];
const made = ['kernels/generated.ts', 'kernels/generated-sources.ts']; // by scripts/embed-wgsl.mjs

const files = folders.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs|wgsl)$/.test(name))
    .map((name) => join(folder, name).replaceAll('\\', '/')),
).filter((name) => !made.includes(name));

/** `file:line` of every line with more than this many characters. */
function linesOver(columns: number): string[] {
  return files.flatMap((name) =>
    readFileSync(join(root, name), 'utf8')
      .split(/\r?\n/)
      .flatMap((line, i) => ([...line].length > columns ? [`${name}:${i + 1}`] : [])),
  );
}

test('no line has over 140 columns, and one in two hundred at most has over 120', () => {
  const lines = files.reduce((total, name) => total + readFileSync(join(root, name), 'utf8').split('\n').length, 0);
  expect(files.length).toBeGreaterThan(200);
  expect(linesOver(140)).toEqual([]);
  expect(linesOver(120).length / lines).toBeLessThan(0.005);
});

test('nothing large, and nothing made elsewhere, is kept with the sources', ({ skip }) => {
  const { status, stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' });
  if (status !== 0) return skip('no clone of git');
  const kept = stdout.split('\0').filter((name) => name !== '');
  expect(kept.length).toBeGreaterThan(300);
  expect(kept.filter((name) => (statSync(join(root, name), { throwIfNoEntry: false })?.size ?? 0) > 2 ** 20)).toEqual([]);
  expect(kept.filter((name) => /\.(whl|tgz|gz|zip|log)$/.test(name))).toEqual([]);
});
