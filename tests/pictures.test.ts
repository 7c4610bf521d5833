// The pictures of the README and the chapters are what their script makes, and each is shown somewhere; so are those of
// the page, which are taken by hand.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { pictures } from '../scripts/pictures.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, 'docs/pictures');
const made = pictures();

/** The pages that show a picture. */
function shownIn(name: string): string[] {
  const chapters = readdirSync(join(root, 'docs')).filter((page) => page.endsWith('.md'));
  const pages = ['README.md', 'site/README.md', ...chapters.map((page) => join('docs', page))];
  return pages.filter((page) => readFileSync(join(root, page), 'utf8').includes(`pictures/${name})`));
}

test('there are those alone, and some of the page, each shown somewhere', () => {
  const there = readdirSync(folder).sort();
  expect(there.filter((name) => name.endsWith('.svg'))).toEqual([...made.keys()].sort());
  const taken = there.filter((name) => !name.endsWith('.svg'));
  expect(taken.every((name) => /^page-\w+\.png$/.test(name))).toBe(true);
  expect(taken.filter((name) => shownIn(name).length === 0)).toEqual([]);
});

test.each([...made])('%s: made anew it is the same (else: npm run pictures), and somewhere it is shown', (name, svg) => {
  expect(readFileSync(join(folder, name), 'utf8').replaceAll('\r', '')).toBe(svg);
  expect(shownIn(name)).not.toEqual([]);
});

test('the gains are read from the table of results, with their intervals', () => {
  expect(made.get('gains.svg')).toMatch(/remit\.2<[^]*2\.6[^]*remit\.5<[^]*5\.8[^]*kd\.5<[^]*7\.8/);
});
