import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError, FormatError } from '../../../engine/errors.ts';
import { readText, type TextOptions } from '../../../remit/text/files.ts';

const root = mkdtempSync(join(tmpdir(), 'remit-files-'));
let folder = '';
let count = 0;
beforeEach(() => mkdirSync(folder = join(root, String(count++))));
afterAll(() => rmSync(root, { recursive: true }));

/** Writes a file into the test's folder and gives its path. */
function put(name: string, contents: string | Uint8Array): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
  return path;
}

/** The whole message, and its class. */
function refusal(path: string, Class: typeof ConfigError, problem: string, options?: TextOptions): void {
  expect(() => readText(path, options)).toThrow(new Class(`data: ${problem}`));
}

describe('readText', () => {
  test('reads a .txt file as it is', () => {
    expect(readText(put('a.txt', 'é\r\n 😀\n'))).toBe('é\r\n 😀\n');
  });

  test('drops a byte-order mark', () => {
    expect(readText(put('a.txt', '\uFEFFtext'))).toBe('text');
    expect(readText(put('a.jsonl', '\uFEFF{"text":"text"}'))).toBe('text');
  });

  test('reads a field of every line of a .jsonl file, passing over blank lines', () => {
    const path = put('a.jsonl', '{"text":"one","body":"x"}\r\n\n  \n{"text":"two\\n","body":"y"}');
    expect(readText(path)).toBe('one\ntwo\n');
    expect(readText(path, { field: 'body' })).toBe('x\ny');
  });

  test('reads a folder and those in it in the order of their paths, passing over other files', () => {
    put('b.txt', 'second');
    put('a/z.jsonl', '{"text":"first"}');
    put('c/d/e.txt', 'third');
    put('README.md', 'not data');
    expect(readText(folder)).toBe('first\nsecond\nthird');
    expect(readText(`${folder}/`)).toBe('first\nsecond\nthird');
  });

  test('follows a link that was named, and passes over links within a folder', () => {
    const path = put('data/a.txt', 'text');
    symlinkSync(path, join(folder, 'link.txt'));
    symlinkSync(join(folder, 'data'), join(folder, 'data/circle'));
    symlinkSync(path, join(folder, 'data/again.txt'));
    expect(readText(join(folder, 'link.txt'))).toBe('text');
    expect(readText(join(folder, 'data'))).toBe('text');
  });

  test('refuses a link out of the folder', () => {
    const outside = put('secret.txt', 'text');
    const sibling = put('data-2/b.txt', 'text');
    put('data/a.txt', 'text');
    for (const target of [outside, sibling, dirname(sibling)]) {
      const link = join(folder, 'data/link.txt');
      symlinkSync(target, link);
      refusal(
        join(folder, 'data'),
        ConfigError,
        `${link}: is a link to ${target}, outside the folder: copy the text in`,
      );
      rmSync(link);
    }
  });

  test('refuses a path that is not there, also at the end of a link', () => {
    refusal(join(folder, 'none.txt'), ConfigError, `${folder}/none.txt: no such file or folder`);
    symlinkSync(join(folder, 'none.txt'), join(folder, 'link.txt'));
    refusal(folder, ConfigError, `${folder}/link.txt: no such file or folder`);
    symlinkSync(join(folder, 'loop.txt'), join(folder, 'loop.txt'));
    refusal(join(folder, 'loop.txt'), ConfigError, `${folder}/loop.txt: a link that leads in a circle`);
  });

  test('refuses other kinds of file', () => {
    const path = put('a.csv', 'text');
    refusal(path, ConfigError, `${path}: must be a .txt file, a .jsonl file or a folder of those`);
    refusal(folder, ConfigError, `${folder}: no .txt or .jsonl file in this folder`);
  });

  test.skipIf(process.platform === 'win32')(
    'refuses a pipe without waiting for it (Windows has none among its files)',
    () => {
      const path = join(folder, 'pipe.txt');
      execFileSync('mkfifo', [path]);
      refusal(path, ConfigError, `${path}: is not a regular file`);
    },
  );

  test('refuses more text than fits, counted over all files', () => {
    put('a.txt', '12345');
    put('b.txt', '123456');
    refusal(folder, ConfigError, `${folder}: 11 bytes of text: at most 10 can be read: give a part of it`, {
      maxBytes: 10,
    });
    expect(readText(folder, { maxBytes: 11 })).toHaveLength(12);
  });

  test('refuses a file without text', () => {
    for (const [name, contents] of [
      ['a.txt', ''],
      ['b.txt', ' \n'],
      ['c.jsonl', '\n'],
      ['d.jsonl', '{"text":""}'],
      ['e.txt', '\uFEFF'],
    ] as const) {
      const path = put(name, contents);
      refusal(path, FormatError, `${path}: is empty: there is no text to learn from`);
    }
  });

  test('refuses bytes that are not UTF-8, and says which is the first', () => {
    const rest = 'is not UTF-8 text: convert it first, for example with iconv -t utf-8';
    const bytes = (...parts: (string | number)[]) =>
      Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))));
    for (const [contents, at] of [
      [bytes('a', 0xe9, 'b'), 'byte 2 (line 1) is 0x62'], // a character of three bytes began, and does not go on
      [bytes('é\n😀\n', 0xff), 'byte 8 (line 3) is 0xff'],
      [bytes(0x80, 'a'), 'byte 0 (line 1) is 0x80'],
      [bytes('a', 0xf0, 0x9f), 'ends at byte 3 within a character'],
      [bytes('x'.repeat(100_000), 0xc0, 0xaf), 'byte 100000 (line 1) is 0xc0'],
    ] as const) {
      for (const name of ['a.txt', 'a.jsonl']) {
        const path = put(name, contents);
        refusal(path, FormatError, `${path}: ${at}: ${rest}`);
      }
    }
  });

  test('refuses UTF-16 and UTF-32 by their mark, and what holds NUL bytes', () => {
    for (const [mark, name] of [
      [[0xff, 0xfe, 0x61, 0], 'UTF-16'],
      [[0xfe, 0xff, 0, 0x61], 'UTF-16'],
      [[0xff, 0xfe, 0, 0], 'UTF-32'],
      [[0, 0, 0xfe, 0xff], 'UTF-32'],
    ] as const) {
      const path = put('a.txt', Uint8Array.from(mark));
      refusal(path, FormatError, `${path}: is ${name}: convert it first: iconv -f ${name} -t utf-8`);
    }
    const path = put('b.txt', Uint8Array.of(0x61, 0, 0x62, 0));
    refusal(
      path,
      FormatError,
      `${path}: byte 1 is NUL: is no text: a binary file, or UTF-16 without a mark, which iconv -f utf-16le -t utf-8 ` +
      'converts',
    );
  });

  test('names file, line and fault of a .jsonl file', () => {
    const first = '{"text":"fine"}\n\n';
    const bad = (line: string) => put('a.jsonl', first + line);
    const where = `${folder}/a.jsonl:3`;
    refusal(bad('[1]'), FormatError, `${where}: must be a JSON object with a field "text"`);
    refusal(bad('null'), FormatError, `${where}: must be a JSON object with a field "text"`);
    refusal(bad('{"title":"x","body":"y"}'), FormatError, `${where}: has no field "text": its fields are title, body`);
    refusal(bad('{}'), FormatError, `${where}: has no field "text": its fields are none`);
    refusal(bad('{"text":["x"]}'), FormatError, `${where}: field "text" = ["x"]: must be a string`);
    refusal(bad('{"text":null}'), FormatError, `${where}: field "text" = null: must be a string`);
    expect(() => readText(bad('{"text":'))).toThrow(FormatError);
    expect(() => readText(bad('{"text":'))).toThrow(`data: ${where}: is not JSON: `);
    expect(() => readText(put('a.jsonl', '{"text":"x"}'), { field: 'toString' })).toThrow(
      'has no field "toString": its fields are text',
    );
  });

  test('refuses packed files, and those that Git LFS has not brought yet', () => {
    for (const [name, begin] of [
      ['gzip', [0x1f, 0x8b, 8]],
      ['zip', [0x50, 0x4b, 3, 4]],
      ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
    ] as const) {
      const path = put('a.txt', Uint8Array.from(begin));
      refusal(path, FormatError, `${path}: is a ${name} archive: unpack it first`);
    }
    const path = put('b.txt', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n');
    refusal(path, FormatError, `${path}: stands for a file that is not here: get it with git lfs pull`);
  });

  test('refuses what JSON.parse lets pass: a field twice, half of a character, nesting without end', () => {
    const path = put('a.jsonl', '{"text":"one","text":"two"}');
    refusal(path, FormatError, `${path}:1: has "text" twice`);
    put('a.jsonl', '{"text":"a\\ud83d"}');
    refusal(
      path,
      FormatError,
      `${path}:1: field "text": half of a surrogate pair (an escape such as \\ud83d alone): is no Unicode text`,
    );
    put('a.jsonl', `{"text":"x","deep":${'['.repeat(200_000)}${']'.repeat(200_000)}}`);
    refusal(path, FormatError, `${path}:1: is nested deeper than 100 levels`);
    put('a.jsonl', '{"text":"\\"text\\":1","body":"{\\"text\\":","t\\u0065xt2":"\\\\"}');
    expect(readText(path)).toBe('"text":1');
  });

  test('knows extensions in capitals', () => {
    put('B.TXT', 'one');
    put('C.JsonL', '{"text":"two"}');
    put('d.txt', 'three');
    expect(readText(folder)).toBe('one\ntwo\nthree');
    expect(readText(join(folder, 'C.JsonL'))).toBe('two');
  });

  test('passes over what is hidden, empty or no text in a folder, and names it', () => {
    const told: string[] = [];
    for (const name of [
      '.git/a.txt', '.ipynb_checkpoints/b.txt', '._c.txt', 'notes.md', 'none.txt', 'c.txt', 'd/.e.txt',
    ]) {
      put(name, name === 'none.txt' ? '' : name);
    }
    expect(readText(folder, { notice: (line) => told.push(line) })).toBe('c.txt');
    const names = [
      '._c.txt (hidden)', '.git (hidden)', '.ipynb_checkpoints (hidden)', 'd/.e.txt (hidden)', 'none.txt (empty)',
      'notes.md (neither .txt nor .jsonl)',
    ];
    expect(told).toEqual([`data: ${folder}: not read: ${names.join(', ')}`]);
    expect(readText(join(folder, '.git'))).toBe('.git/a.txt'); // what was named is read
    expect(readText(join(folder, 'd/.e.txt'))).toBe('d/.e.txt');
  });

  test('names eight of the files that it passes over, and counts the others', () => {
    put('a.txt', 'text');
    for (let i = 10; i < 30; i++) put(`${i}.csv`, '');
    const told: string[] = [];
    readText(folder, { notice: (line) => told.push(line) });
    expect(told[0]).toMatch(/not read: 10\.csv .*, 17\.csv \(neither .txt nor .jsonl\), and 12 more$/);
  });

  test('reads what a link in the folder leads to, if nothing else does', () => {
    put('.cache/blob', 'linked');
    put('.cache/more/x.txt', 'hidden');
    put('b.txt', 'plain');
    symlinkSync(join(folder, '.cache/blob'), join(folder, 'a.txt'));
    symlinkSync(join(folder, '.cache/blob'), join(folder, 'a2.txt'));
    symlinkSync(join(folder, '.cache/more'), join(folder, 'more'));
    const told: string[] = [];
    expect(readText(folder, { notice: (line) => told.push(line) })).toBe('linked\nplain');
    expect(told[0]).toContain('more (a link to a hidden folder)');
  });

  test('keeps line ends of Windows, and says so', () => {
    const told: string[] = [];
    const path = put('a.txt', 'one\r\ntwo');
    expect(readText(path, { notice: (line) => told.push(line) })).toBe('one\r\ntwo');
    expect(told).toEqual([`data: ${path}: has line ends of Windows: each is learned as two characters, CR and LF`]);
  });

  test('byte order marks of files that were put one behind the other', () => {
    const told: string[] = [];
    expect(readText(put('a.jsonl', '\uFEFF{"text":"one"}\n\uFEFF{"text":"two"}'))).toBe('one\ntwo');
    const path = put('a.txt', '\uFEFFone\uFEFFtwo');
    expect(readText(path, { notice: (line) => told.push(line) })).toBe('one\uFEFFtwo');
    expect(told).toEqual([`data: ${path}: has byte order marks within the text: each is learned as a character`]);
  });

  test.runIf(process.platform === 'linux')('a file name that is not UTF-8 is named (only Linux has them)', () => {
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.of(0xff), Buffer.from('.txt')]), 'x');
    refusal(folder, ConfigError, `${folder}/\ufffd.txt: gone, or a name that is not UTF-8: rename it`);
  });

  test('sorts by code units, whatever the locale', () => {
    for (const name of ['b.txt', 'B.txt', 'ä.txt', 'a/z.txt', 'a-z.txt', '10.txt', '9.txt']) put(name, name);
    expect(readText(folder).split('\n')).toEqual(['10.txt', '9.txt', 'B.txt', 'a-z.txt', 'a/z.txt', 'b.txt', 'ä.txt']);
  });

  test('a folder named like a file is a folder', () => {
    put('x.txt/a.txt', 'inside');
    expect(readText(folder)).toBe('inside');
    expect(readText(join(folder, 'x.txt'))).toBe('inside');
  });

  test('control characters of a file name are escaped in messages', () => {
    const path = put('a\n\u001b[31m.csv', 'x');
    expect(() => readText(path)).toThrow(
      new ConfigError(
        `data: ${folder}/a\\u000a\\u001b[31m.csv: must be a .txt file, a .jsonl file or a folder of those`,
      ),
    );
    expect(() => readText(path)).toThrow(/a\\u000a\\u001b\[31m/);
  });

  test.each([
    ['a.txt', (n: number) => 'x'.repeat(n)],
    ['a.jsonl', (n: number) => `{"text":"${'x'.repeat(n)}"}`],
  ] as const)('one line of 50 MB in %s is read', (name, contents) => {
    expect(readText(put(name, contents(50e6)))).toHaveLength(50e6);
  });

  test('refuses options that it does not have', () => {
    const path = put('a.txt', 'x');
    expect(() => readText(path, 'body' as never)).toThrow(ConfigError);
    expect(() => readText(path, { feild: 'x' } as never)).toThrow(
      'readText: feild: no such option: did you mean field?',
    );
    expect(() => readText('')).toThrow(ConfigError);
  });
});
