// Numbers are never handed to a function one argument each: at some hundred thousand of them, the stack ends, and with
// it the program.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { highest, lowest } from '../engine/extremes.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SPREAD =
  /(?:Math\.(?:max|min|hypot)|\.(?:push|unshift|concat|splice|of)|String\.from(?:CharCode|CodePoint))\((?:[^(){}]*,\s*)?\.\.\.|\.apply\(/;

/** Lines that spread something into a function that takes any number of arguments. */
function spreads(text: string): string[] {
  return text.split('\n').filter((line) => SPREAD.test(line) && !/^\s*(?:\/\/|\*|\/\*)/.test(line));
}

test('no source spreads data into arguments', () => {
  const folders = ['kernels', 'engine', 'nn', 'optim', 'remit', 'bench', 'scripts'];
  const inside = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const files = [
    ...inside.filter((name) => /\.(?:ts|mjs)$/.test(name) && !name.endsWith('generated.ts')),
    'index.ts',
    'node.ts',
  ];
  expect(files.length).toBeGreaterThan(100);
  expect(
    files.flatMap((name) => spreads(readFileSync(join(root, name), 'utf8')).map((line) => `${name}: ${line.trim()}`)),
  ).toEqual([]);
});

test('the reader of sources sees a spread', () => {
  const bad = [
    'Math.max(...x)', 'a.push(...b.map(f))', 'Math.min(0, ...x)', 'String.fromCharCode(...bytes)', 'f.apply(null, x)',
  ];
  expect(bad.map((line) => spreads(line).length)).toEqual([1, 1, 1, 1, 1]);
  expect(spreads('[...x]\n// Math.max(...x)\nf({ ...x })\nMath.max(a, b)')).toEqual([]);
});

test('the extremes of a million numbers, of none, and with one that is none', () => {
  const many = Float32Array.from({ length: 1_000_000 }, (_, i) => (i * 7919) % 1_000_003);
  expect([lowest(many), highest(many)]).toEqual([
    many.reduce((a, b) => Math.min(a, b)),
    many.reduce((a, b) => Math.max(a, b)),
  ]);
  expect([lowest([]), highest([])]).toEqual([Infinity, -Infinity]);
  expect([lowest([1, NaN, 0]), highest([1, NaN, 0])]).toEqual([NaN, NaN]);
});
