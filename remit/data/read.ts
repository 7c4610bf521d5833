// Files of others from disk: the one reader behind --data, --config and model folders. What cannot be read ends in one line.
// Node only. Read after: decode.ts. Read next: files.ts.

import { readFileSync, statSync } from 'node:fs';
import { ConfigError, FormatError } from '../../engine/errors.ts';
import { decodeJson, decodeText } from './decode.ts';

/** The most that a JSON file may hold, 64 MiB: the largest tokenizer.json in use has some 20. */
export const MAX_JSON_BYTES = 64 * 2 ** 20;

/**
 * The bytes of a regular file. `where` begins the message: `data`, `config`. Throws ConfigError when there is none at `path`, it cannot be
 * read, or it is longer than `most`; FormatError when it only stands for the file that Git LFS would bring.
 */
export function readBytes(where: string, path: string, most = Infinity): Uint8Array {
  const entry = attempt(where, path, () => statSync(path), 'no such file');
  if (entry.isDirectory()) throw new ConfigError(`${where}: ${path}: is a folder: give a file`);
  if (!entry.isFile()) throw new ConfigError(`${where}: ${path}: is not a regular file`); // a pipe would be waited for
  if (entry.size > most) throw new ConfigError(`${where}: ${path}: has ${entry.size} bytes: at most ${most} can be read`);
  const bytes = attempt(where, path, () => readFileSync(path));
  if (bytes.length < LONGEST_POINTER && bytes.toString('latin1').startsWith('version https://git-lfs.github.com/spec/')) {
    throw new FormatError(`${where}: ${path}: stands for a file that is not here: get it with git lfs pull`);
  }
  return bytes;
}

const LONGEST_POINTER = 1024; // bytes, as Git LFS says

/** A file of UTF-8 text, without its byte order mark. Throws as readBytes() does, and FormatError when it is no such text. */
export function readTextFile(where: string, path: string, most?: number): string {
  return decodeText(readBytes(where, path, most), `${where}: ${path}`);
}

/** A file of JSON. Throws as readBytes() does, and FormatError when it is not JSON, or repeats a key. */
export function readJsonFile(where: string, path: string, most = MAX_JSON_BYTES): unknown {
  const bytes = readBytes(where, path, most);
  if (bytes.length === 0) throw new FormatError(`${where}: ${path}: is empty`);
  return decodeJson(bytes, `${where}: ${path}`);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTDIR: 'no such file or folder: a part of the path is a file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ELOOP: 'a link that leads in a circle',
  ENAMETOOLONG: 'a name that is too long',
  ERR_INVALID_ARG_VALUE: 'no such file or folder: a name holds no NUL',
};

/** Runs a file operation; its failure becomes one line. `missing`: what to say when there is nothing. */
export function attempt<T>(where: string, path: string, operation: () => T, missing = 'no such file or folder'): T {
  try {
    return operation();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    throw new ConfigError(`${where}: ${path}: ${code === 'ENOENT' ? missing : REASONS[code] ?? `cannot be read (${(error as Error).message})`}`);
  }
}
