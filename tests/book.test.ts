// What a reader may rely on: each chapter says what it takes and ends with an exercise whose outcome is told, and
// every public name has a comment.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8').replaceAll('\r', '');
const chapters = readdirSync(join(root, 'docs')).filter((name) => /^0[1-9]-\w+\.md$/.test(name)).sort();

describe('chapters', () => {
  test('are numbered without a gap, by their names and their titles', () => {
    expect(chapters.map((name) => Number(name.slice(0, 2)))).toEqual(chapters.map((_, i) => i + 1));
    for (const [i, name] of chapters.entries()) expect(read(`docs/${name}`)).toMatch(new RegExp(`^# ${i + 1}\\. `));
  });

  test.each(chapters)('%s says what it takes, and its exercise has an answer', (name) => {
    const text = read(`docs/${name}`);
    const [title] = /^# (.*)$/m.exec(text)!.slice(1);
    expect(text).toMatch(/^Takes [^]*?\. Open \[/m);
    expect(text).toContain('**Exercise.**');
    const answer = read('docs/answers.md').split(/^## /m).find((part) => part.startsWith(`${title}\n`));
    expect(answer?.length).toBeGreaterThan(200);
  });
});

/** The sentences of a chapter: no code, tables, pictures or targets of links; an item of a list is by itself. */
function sentencesOf(text: string): string[] {
  const prose = text.replace(/```[^]*?```/g, '').replace(/\]\([^)]*\)/g, ']');
  const paragraphs = prose.split(/\n\s*\n|\n(?=\s*(?:[-*|#!]|\d+\.) )/).filter((part) => !/^\s*[|#!]/.test(part));
  return paragraphs.flatMap((part) => part.trim().split(/(?<=[.?!][)*_]*)\s+/));
}

test('part one has no sentence over thirty words', () => {
  const partOne = chapters.slice(0, 7).flatMap((name) => sentencesOf(read(`docs/${name}`)));
  expect(partOne.length).toBeGreaterThan(400);
  expect(partOne.filter((sentence) => sentence.split(/\s+/).filter((word) => /\w/.test(word)).length > 30)).toEqual([]);
});

const entrances = ['index.ts', 'node.ts', 'engine.ts', 'kernels.ts', 'nn.ts', 'remit/app/plot/index.ts'];
const declaration = String.raw`^export (?:declare |abstract |async )*(?:const|function|class|interface|type) `;

/** What a file hands on from others, and what it declares itself: file and name. */
function exportsOf(file: string): [string, string][] {
  const source = read(file);
  const from = (target: string): string => join(dirname(file), target);
  const named = [...source.matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)'/gm)].flatMap(([, names, target]) =>
    names!.split(',').map((name) => name.trim().replace(/^type /, '')).filter(Boolean)
      .flatMap((name) => exportsOf(from(target!)).filter(([, known]) => known === name)));
  const all = [...source.matchAll(/^export \*(?: as \w+)? from '([^']+)'/gm)].flatMap(([, target]) => exportsOf(from(target!)));
  const own = [...source.matchAll(new RegExp(`${declaration}(\\w+)`, 'gm'))].map(([, name]): [string, string] => [file, name!]);
  return [...own, ...named, ...all];
}

test('every public name has a comment that says what it is', () => {
  const found = new Set(entrances.flatMap(exportsOf).map((pair) => pair.join(' ')));
  expect(found.size).toBeGreaterThan(300);
  const bare = [...found].filter((pair) => {
    const [file, name] = pair.split(' ') as [string, string];
    return !new RegExp(`\\*/\n${declaration.slice(1)}${name}\\b`).test(read(file));
  });
  expect(bare).toEqual([]);
});

test('the first comment of every source says where to read on', () => {
  const folders = ['engine', 'kernels', 'nn', 'optim', 'remit'];
  const sources = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.startsWith('generated'))
      .map((name) => join(folder, name)),
  );
  const silent = sources.filter((path) => {
    const [header = ''] = /^(?:(?:\/\/|#!).*\n)+/.exec(read(path)) ?? [];
    const words = header.replaceAll(/\n\/\/ ?/g, ' ');
    return !/\b[Rr]ead\b|\bUsed by\b|\b[Ss]ee\b|\bare in\b/.test(words);
  });
  expect(sources.length).toBeGreaterThan(250);
  expect(silent).toEqual([]);
});
