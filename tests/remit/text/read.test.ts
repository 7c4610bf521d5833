// One reader for every file that a command is given: the same file is taken, or refused in the same words, wherever it
// is asked for. The policy, line by line: docs/files.md.

import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError, FormatError } from '../../../engine/errors.ts';
import { writeSafetensors } from '../../../engine/safetensors.ts';
import { readBytes, readJsonFile, readTextFile } from '../../../remit/text/read.ts';
import { inProcess } from '../../support/command-line.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const scratch = temporaryFolder();
let count = 0;

function put(name: string, contents: string | Uint8Array): string {
  const folder = join(scratch, String(count++));
  mkdirSync(folder);
  writeFileSync(join(folder, name), contents);
  return join(folder, name);
}

const utf16 = (text: string) => Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from(text, 'utf16le')]);

/**
 * Each way to hand a file over: its name, the command, how its message begins, and the exit code for contents that are
 * wrong.
 */
const ways: readonly [name: string, args: (path: string) => string[], where: string, code: number][] = [
  ['settings.json', (path) => ['train', '--config', path, '--print-config'], 'config', 2],
  ['tokens.json', (path) => ['score', '--model', 'x', '--data', path], 'score', 4],
  ['text.txt', (path) => ['train', '--data', path], 'data', 4],
  ['text.jsonl', (path) => ['train', '--data', path], 'data', 4],
];

describe.each(ways)('%s', (name, args, where, code) => {
  const isJson = name.endsWith('.json');

  test.each<[string, string | Uint8Array, string]>([
    ['UTF-16', utf16('{}'), 'is UTF-16: convert it first: iconv -f UTF-16 -t utf-8'],
    ['UTF-16 without a mark', Buffer.from('{}', 'utf16le'), 'byte 1 is NUL: is no text'],
    ['Latin-1', Buffer.from('{"a":"\xe9"}', 'latin1'), 'byte 7 (line 1) is 0x22: is not UTF-8 text'],
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8, 0), 'is a gzip archive: unpack it first'],
    [
      'Git LFS',
      'version https://git-lfs.github.com/spec/v1\nsize 1\n',
      'stands for a file that is not here: get it with git lfs pull',
    ],
    ['nothing', '', 'is empty'],
  ])('refuses %s', async (_what, contents, message) => {
    const path = put(name, contents);
    const outcome = await inProcess(args(path));
    expect(outcome.stderr.startsWith(`error: ${where}: ${path}: ${message}`), outcome.stderr).toBe(true);
    expect(outcome).toMatchObject({ code, stdout: '' });
  });

  test.runIf(isJson)('refuses a key twice, endless nesting, and what is not JSON', async () => {
    for (const [contents, message] of [
      ['{"seed":1,"seed":2}', 'has "seed" twice'],
      ['['.repeat(101) + ']'.repeat(101), 'is nested deeper than 100 levels'],
      ['{', 'is not JSON: '],
    ]) {
      const path = put(name, contents!);
      expect((await inProcess(args(path))).stderr.startsWith(`error: ${where}: ${path}: ${message}`)).toBe(true);
    }
  });

  test('refuses what is no file in one line', async () => {
    const file = put(name, 'x');
    const loop = join(scratch, `loop-${name}`);
    symlinkSync(loop, loop);
    const wrong = async (path: string) => (await inProcess(args(path))).stderr;
    expect(await wrong(join(scratch, 'none', name))).toMatch(/: no such file( or folder)?\n$/);
    expect(await wrong(join(file, name))).toMatch(/: no such file or folder: a part of the path is a file\n$/);
    expect(await wrong(loop)).toMatch(/: a link that leads in a circle\n$/);
    expect(await wrong(join(scratch, `${'x'.repeat(300)}${name}`))).toMatch(/: a name that is too long\n$/);
  });
});

test('a byte order mark and line ends of Windows are no part of settings', async () => {
  const path = put('settings.json', '\uFEFF{\r\n  "seed": 3\r\n}\r\n');
  expect(await inProcess(['train', '--config', path, '--print-config'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/seed +3 /),
  });
});

test('a byte order mark is no part of tokens', async () => {
  const path = put('tokens.json', '\uFEFF{"tokens":\r\n[[1, 2]]}');
  // the file was fine
  expect((await inProcess(['score', '--model', join(scratch, 'none'), '--data', path])).stderr).toMatch(
    /^error: model: /,
  );
});

describe('on disk', () => {
  test('a folder, a pipe and a file that is too long are refused', () => {
    expect(() => readBytes('config', scratch)).toThrow(new ConfigError(`config: ${scratch}: is a folder: give a file`));
    const path = put('a.json', '12345');
    expect(() => readBytes('config', path, { most: 4 })).toThrow(
      new ConfigError(`config: ${path}: has 5 bytes: at most 4 can be read`),
    );
    expect(readBytes('config', path, { most: 5 })).toHaveLength(5);
  });

  test.skipIf(process.platform === 'win32')(
    'a pipe of JSON is read to its end, one of text not waited for (Windows has none among its files)',
    () => {
      const pipe = join(scratch, 'pipe.json');
      execFileSync('mkfifo', [pipe]);
      spawn('sh', ['-c', `printf '{"a":1}' > "${pipe}"`], { stdio: 'ignore' });
      expect(readJsonFile('config', pipe)).toEqual({ a: 1 });
      spawn('sh', ['-c', `printf '{"a":1}' > "${pipe}"`], { stdio: 'ignore' });
      expect(() => readJsonFile('config', pipe, 6)).toThrow(
        new ConfigError(`config: ${pipe}: has 7 bytes: at most 6 can be read`),
      );
      expect(() => readTextFile('data', pipe)).toThrow(new ConfigError(`data: ${pipe}: is not a regular file`));
      expect(() => readJsonFile('config', '/dev/null')).toThrow(
        new ConfigError('config: /dev/null: is not a regular file'),
      );
    },
  );

  test.skipIf(process.platform === 'win32' || process.getuid?.() === 0)(
    'a file without permission is named (root may read anything; Windows asks otherwise)',
    () => {
      const path = put('a.json', '{}');
      chmodSync(path, 0);
      expect(() => readJsonFile('config', path)).toThrow(new ConfigError(`config: ${path}: permission denied`));
    },
  );

  test('control characters of a text are kept', () => {
    expect(readTextFile('data', put('a.txt', 'a\u001b[31m\u0007\tb\fc\u007f'))).toBe('a\u001b[31m\u0007\tb\fc\u007f');
  });

  test('only one byte order mark is dropped, and only at the beginning', () => {
    expect(readTextFile('data', put('a.txt', '\uFEFF\uFEFFa\uFEFF'))).toBe('\uFEFFa\uFEFF');
  });

  test('a name with control characters is escaped in the message', () => {
    expect(() => readTextFile('data', join(scratch, 'a\nb\u001b[2J\u202e.txt'))).toThrow(
      /a\\u000ab\\u001b\[2J\\u202e\.txt: no such file$/,
    );
  });
});

describe('a model folder', () => {
  const config = {
    model_type: 'llama', vocab_size: 5, hidden_size: 4, intermediate_size: 3, num_hidden_layers: 1,
    num_attention_heads: 2,
  };

  async function opening(files: Record<string, string | Uint8Array>): Promise<string> {
    const folder = join(scratch, String(count++));
    mkdirSync(folder);
    for (const [name, contents] of Object.entries({ 'model.safetensors': writeSafetensors([]), ...files })) {
      writeFileSync(join(folder, name), contents);
    }
    const { stderr } = await inProcess(['sample', '--model', folder, '--prompt', 'x']);
    return stderr.replaceAll(folder, 'F');
  }

  test('is read with a byte order mark and line ends of Windows', async () => {
    expect(
      await opening({ 'config.json': `\uFEFF${JSON.stringify(config, null, 2).replaceAll('\n', '\r\n')}` }),
    ).toMatch(/^error: huggingface: F: has no tensor/);
  });

  test.each<[string, string | Uint8Array, string]>([
    ['UTF-16', utf16('{}'), 'error: huggingface: F/config.json: is UTF-16'],
    ['a key twice', '{"vocab_size":5,"vocab_size":6}', 'error: huggingface: F/config.json: has "vocab_size" twice'],
    [
      'endless nesting',
      `{"hidden_act":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
      'error: huggingface: F/config.json: is nested deeper than 100 levels',
    ],
    ['an error page', '<!DOCTYPE html>', 'error: huggingface: F/config.json: is not JSON: '],
    ['a list', '[]', 'error: huggingface: F/config.json: is not a JSON object'],
  ])('with a config.json that is %s', async (_what, contents, message) => {
    const stderr = await opening({ 'config.json': contents });
    expect(stderr.startsWith(message), stderr).toBe(true);
    expect(stderr.split('\n')).toHaveLength(2);
  });

  test('with weights that are something else', async () => {
    const good = { 'config.json': JSON.stringify(config) };
    expect(await opening({ ...good, 'model.safetensors': '<!DOCTYPE html><html>' })).toMatch(
      /not a safetensors file\n$/,
    );
    expect(await opening({ ...good, 'model.safetensors': 'PK\u0003\u0004rest of it' })).toMatch(
      /^error: safetensors: F\/model\.safetensors: .*\n$/,
    );
    expect(await opening({ ...good, 'model.safetensors': '' })).toMatch(/only 0 bytes long: not a safetensors file\n$/);
  });
});

test('errors of contents and of paths are of two kinds', () => {
  expect(() => readJsonFile('x', put('a.json', '{'))).toThrow(FormatError);
  expect(() => readJsonFile('x', join(scratch, 'none'))).toThrow(ConfigError);
});
