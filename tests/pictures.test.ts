// The pictures of the README and the chapters are what their script makes, and each is shown somewhere.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { pictures } from '../scripts/pictures.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, 'docs/pictures');
const made = pictures();

test('there are those alone', () => {
  expect(readdirSync(folder).sort()).toEqual([...made.keys()].sort());
});

test.each([...made])('%s: made anew it is the same (else: npm run pictures), and somewhere it is shown', (name, svg) => {
  expect(readFileSync(join(folder, name), 'utf8').replaceAll('\r', '')).toBe(svg);
  const chapters = readdirSync(join(root, 'docs')).filter((page) => page.endsWith('.md'));
  const pages = ['README.md', ...chapters.map((page) => join('docs', page))];
  const shown = pages.filter((page) => readFileSync(join(root, page), 'utf8').includes(`pictures/${name})`));
  expect(shown).not.toEqual([]);
});

test('the gains are read from the table of results, with their intervals', () => {
  expect(made.get('gains.svg')).toMatch(/remit\.2<[^]*2\.6[^]*remit\.5<[^]*5\.8[^]*kd\.5<[^]*7\.8/);
});
