// What is said, as a terminal shows it: control characters, words for a shell, text in so many columns.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { layout, wrap } from '../../remit/app/cli/layout.ts';
import { fitMarkdown } from '../../remit/app/cli/markdown.ts';
import { columns, print, printable, quoted, say } from '../../remit/app/cli/terminal.ts';

describe('control characters', () => {
  test('are shown as their codes; tabs, newlines and letters of any script stay', () => {
    expect(printable('a\u001b[31mb\u0007\u000e\r\u007f\u009b\u202e\u2028')).toBe(
      'a\\u001b[31mb\\u0007\\u000e\\u000d\\u007f\\u009b\\u202e\\u2028',
    );
    expect(printable('tab\tline\nÄ ж 漢 🙂 é')).toBe('tab\tline\nÄ ж 漢 🙂 é');
  });

  test('of no text whatever are left', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !/[^\P{Cc}\t\n]/u.test(printable(text))));
  });
});

test('a shell reads a quoted word as it was', () => {
  const words = [
    'plain', 'two words', "it's", '$HOME `x` "y" \\n', 'a\nb\tc', "\u001b[1m'\\", '#%23?ä', '\u202e\u0085', '',
  ];
  expect(
    execFileSync('bash', ['-c', `printf '%s\\0' ${words.map(quoted).join(' ')}`], {
      encoding: 'utf8',
      env: { LC_ALL: 'C.UTF-8' },
    })
      .split('\0')
      .slice(0, -1),
  ).toEqual(words);
});

describe('layout', () => {
  const text =
    'A paragraph of words\nthat goes on.\n\n  --one <n>   a meaning of several words\n              that goes on\n  ' +
    '--two       short\n\nThings:\n  last  meaning\n';

  test('fills paragraphs, and hangs what an item means below it', () => {
    expect(layout(text, 40).split('\n')).toEqual([
      'A paragraph of words that goes on.', '', '  --one <n>   a meaning of several words',
      '              that goes on', '  --two       short', '', 'Things:', '  last  meaning',
    ]);
    expect(layout(text, 34).split('\n')).toEqual([
      'A paragraph of words that goes on.', '', '  --one <n>', '      a meaning of several words', '      that goes on',
      '  --two', '      short', '', 'Things:', '  last  meaning',
    ]);
  });

  test('a terminal of no columns, of one, or of very many', () => {
    for (const width of [0, 1, 19, 20]) {
      expect(
        Math.max(
          ...layout(text, width)
            .split('\n')
            .map((line) => line.length),
        ),
      ).toBeLessThanOrEqual(20);
    }
    expect(layout('word '.repeat(100), 1e9).split('\n')[0]!.length).toBeLessThanOrEqual(120);
  });

  test('loses no word, and makes no line wider than asked for but for a long word', () => {
    const word = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom('a', 'b', '-') });
    fc.assert(fc.property(fc.array(word), fc.integer({ min: 1, max: 40 }), (words, width) => {
      const lines = wrap(words.join(' '), width);
      expect(lines.join(' ').split(' ').filter(Boolean)).toEqual(words);
      for (const line of lines) expect(line.length <= width || !line.includes(' ')).toBe(true);
    }));
  });
});

describe('a report in Markdown', () => {
  const report = [
    '# Title',
    'A paragraph of **several** words that is longer than the terminal is wide.',
    '| arm | cued | less vanilla | sampled | less vanilla |\n| --- | --- | --- | --- | --- |\n| vanilla | 1.0 ±0.1 | ' +
    ' | 2.0 ±0.1 |  |\n| remit.2 | 10.0 ±0.1 | +1.0 [-0.1, +2.1] | 2.0 ±0.1 | +0.0 [-0.1, +0.1] |',
  ].join('\n\n');

  test('as wide as there is room for', () => {
    expect(fitMarkdown(report, 80).split('\n')).toEqual([
      '# Title', '', 'A paragraph of several words that is longer than the terminal is wide.', '',
      'arm      cued       less vanilla       sampled   less vanilla',
      '-------  ---------  -----------------  --------  -----------------',
      'vanilla   1.0 ±0.1                     2.0 ±0.1',
      'remit.2  10.0 ±0.1  +1.0 [-0.1, +2.1]  2.0 ±0.1  +0.0 [-0.1, +0.1]',
    ]);
  });

  test('a table that is too wide comes in parts, none of which begins with a column that belongs to the one before', () => {
    expect(fitMarkdown(report, 40).split('\n').slice(5)).toEqual([
      'arm      cued       less vanilla', '-------  ---------  -----------------', 'vanilla   1.0 ±0.1',
      'remit.2  10.0 ±0.1  +1.0 [-0.1, +2.1]', '', 'arm      sampled   less vanilla',
      '-------  --------  -----------------', 'vanilla  2.0 ±0.1', 'remit.2  2.0 ±0.1  +0.0 [-0.1, +0.1]',
    ]);
  });
});

describe('on its way out', () => {
  const terminal = (isTTY: boolean, columnCount = 80): void => {
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
    Object.defineProperties(process.stdout, {
      isTTY: { value: isTTY, configurable: true },
      columns: { value: columnCount, configurable: true },
    });
  };
  const before = Object.getOwnPropertyDescriptors(process.stdout);
  const written: string[] = [];
  afterEach(() => {
    vi.restoreAllMocks();
    for (const name of ['isTTY', 'columns'] as const) {
      if (before[name]) Object.defineProperty(process.stdout, name, before[name]);
      else Reflect.deleteProperty(process.stdout, name);
    }
    written.length = 0;
  });

  test('a result is shown by a terminal, and raw in a pipe; what is said beside it never draws', () => {
    terminal(true);
    print('\u001b]0;title\u0007');
    terminal(false);
    print('\u001b]0;title\u0007');
    say('\u001b[2J');
    expect(written).toEqual(['\\u001b]0;title\\u0007\n', '\u001b]0;title\u0007\n', '\\u001b[2J\n']);
  });

  test.each([
    [true, 120, 120],
    [true, 0, 80],
    [true, 1, 1],
    [false, 120, 80],
  ])('a terminal (%j) of %i columns has %i', (isTTY, given, expected) => {
    terminal(isTTY, given);
    expect(columns()).toBe(expected);
  });

  test('there is one way: no command writes to stdout or stderr by itself', () => {
    const folder = new URL('../../remit/app/cli/', import.meta.url);
    const own = ['terminal.ts', 'streams.ts', 'bin.ts'];
    const direct = readdirSync(folder).filter(
      (name) =>
        !own.includes(name) &&
        /process\.std(out|err)\.write|console\./.test(readFileSync(new URL(name, folder), 'utf8')),
    );
    expect(direct).toEqual([]);
  });
});
