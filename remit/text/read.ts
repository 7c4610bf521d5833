// Files of others from disk: the one reader behind --data, --config and model folders. What cannot be read ends in one
// line. Node only. Read after: decode.ts. Read next: files.ts.

import { readFileSync, statSync } from 'node:fs';
import { ConfigError, FormatError } from '../../engine/errors.ts';
import { decodeJson, decodeText } from './decode.ts';

/** The most that a JSON file may hold, 64 MiB: the largest tokenizer.json in use has some 20. */
export const MAX_JSON_BYTES = 64 * 2 ** 20;

export interface ReadOptions {
  /** The most bytes to take; no limit unless given. */
  readonly most?: number;
  /** Whether a pipe will do, as in `--config <(...)` and `--data /dev/stdin`: it is read to its end. */
  readonly pipes?: boolean;
}

/**
 * The bytes of a regular file. `where` begins the message: `data`, `config`. Throws ConfigError when there is none at
 * `path`, it cannot be read, or it is longer than `most`; FormatError when it only stands for what Git LFS would bring.
 */
export function readBytes(
  where: string,
  path: string,
  { most = Infinity, pipes = false }: ReadOptions = {},
): Uint8Array {
  const entry = attempt(where, path, () => statSync(path), 'no such file');
  if (entry.isDirectory()) throw new ConfigError(`${where}: ${path}: is a folder: give a file`);
  if (!entry.isFile() && !(pipes && entry.isFIFO())) throw new ConfigError(`${where}: ${path}: is not a regular file`);
  checkLength(where, path, entry.size, most);
  const bytes = attempt(where, path, () => readFileSync(path));
  checkLength(where, path, bytes.length, most); // of a pipe, and of a file that grew meanwhile
  if (
    bytes.length < LONGEST_POINTER &&
    bytes.toString('latin1').startsWith('version https://git-lfs.github.com/spec/')
  ) {
    throw new FormatError(`${where}: ${path}: stands for a file that is not here: get it with git lfs pull`);
  }
  return bytes;
}

function checkLength(where: string, path: string, length: number, most: number): void {
  if (length > most) throw new ConfigError(`${where}: ${path}: has ${length} bytes: at most ${most} can be read`);
}

const LONGEST_POINTER = 1024; // bytes, as Git LFS says

/** A file of UTF-8 text, without its byte order mark. Throws as readBytes() does, and FormatError for any other. */
export function readTextFile(where: string, path: string, options?: ReadOptions): string {
  return decodeText(readBytes(where, path, options), `${where}: ${path}`);
}

/** A file or pipe of JSON. Throws as readBytes() does, and FormatError when it is not JSON, or repeats a key. */
export function readJsonFile(where: string, path: string, most = MAX_JSON_BYTES): unknown {
  const bytes = readBytes(where, path, { most, pipes: true });
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
    throw new ConfigError(
      `${where}: ${path}: ${code === 'ENOENT' ? missing : (REASONS[code] ?? `cannot be read (${(error as Error).message})`)}`,
    );
  }
}
