import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError, FormatError } from '../../../engine/errors.ts';
import { readText } from '../../../remit/data/files.ts';

const root = mkdtempSync(join(tmpdir(), 'remit-files-'));
let folder = '', count = 0;
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
function refusal(path: string, Class: typeof ConfigError, problem: string, ...more: [field?: string, maxBytes?: number]): void {
  expect(() => readText(path, ...more)).toThrow(new Class(`data: ${problem}`));
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
    expect(readText(path, 'body')).toBe('x\ny');
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
    const outside = put('secret.txt', 'text'), sibling = put('data-2/b.txt', 'text');
    put('data/a.txt', 'text');
    for (const target of [outside, sibling, dirname(sibling)]) {
      const link = join(folder, 'data/link.txt');
      symlinkSync(target, link);
      refusal(join(folder, 'data'), ConfigError, `${link}: is a link to ${target}, outside the folder: copy the text in`);
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

  test.skipIf(process.platform === 'win32')('refuses a pipe without waiting for it (Windows has none among its files)', () => {
    const path = join(folder, 'pipe.txt');
    execFileSync('mkfifo', [path]);
    refusal(path, ConfigError, `${path}: is not a regular file`);
  });

  test('refuses more text than fits, counted over all files', () => {
    put('a.txt', '12345');
    put('b.txt', '123456');
    refusal(folder, ConfigError, `${folder}: 11 bytes of text: at most 10 can be read: give a part of it`, 'text', 10);
    expect(readText(folder, 'text', 11)).toHaveLength(12);
  });

  test('refuses a file without text', () => {
    for (const [name, contents] of [['a.txt', ''], ['b.txt', ' \n'], ['c.jsonl', '\n'], ['d.jsonl', '{"text":""}'], ['e.txt', '\uFEFF']] as const) {
      const path = put(name, contents);
      refusal(path, FormatError, `${path}: is empty: there is no text to learn from`);
    }
  });

  test('refuses bytes that are not UTF-8', () => {
    const latin = put('a.txt', Uint8Array.of(0x61, 0xe9, 0x62)), utf16 = put('b.jsonl', Uint8Array.of(0xff, 0xfe, 0x7b, 0));
    for (const path of [latin, utf16]) refusal(path, FormatError, `${path}: is not UTF-8 text: convert it first, for example with iconv -t utf-8`);
  });

  test('names file, line and fault of a .jsonl file', () => {
    const first = '{"text":"fine"}\n\n';
    const bad = (line: string) => put('a.jsonl', first + line), where = `${folder}/a.jsonl:3`;
    refusal(bad('[1]'), FormatError, `${where}: must be a JSON object with a field "text"`);
    refusal(bad('null'), FormatError, `${where}: must be a JSON object with a field "text"`);
    refusal(bad('{"title":"x","body":"y"}'), FormatError, `${where}: has no field "text": its fields are title, body`);
    refusal(bad('{}'), FormatError, `${where}: has no field "text": its fields are none`);
    refusal(bad('{"text":["x"]}'), FormatError, `${where}: field "text" = ["x"]: must be a string`);
    refusal(bad('{"text":null}'), FormatError, `${where}: field "text" = null: must be a string`);
    expect(() => readText(bad('{"text":'))).toThrow(FormatError);
    expect(() => readText(bad('{"text":'))).toThrow(`data: ${where}: is not JSON: `);
    expect(() => readText(put('a.jsonl', '{"text":"x"}'), 'toString')).toThrow('has no field "toString": its fields are text');
  });
});
