// The user's own text, from a .txt file, a .jsonl file (one JSON object per line, the text in one field), or a folder of those.
// Everything that can be wrong with such input is said in one line: which file, which line, what is the matter, what to do.
// Node only. Read next: text.ts.

import { lstatSync, readdirSync, readFileSync, realpathSync, statSync, type Stats } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { ConfigError, FormatError } from '../../engine/errors.ts';

/** Text of all files together, 256 MiB: a JavaScript string ends at 512 MiB, and tokens take four bytes for each of text. */
export const MAX_BYTES = 256 * 2 ** 20;

/**
 * The text of a file or folder; documents (files, and lines of .jsonl) are joined by a newline. A leading byte-order mark is dropped.
 * A folder is read with the folders inside it, in the order of the paths; files that are neither .txt nor .jsonl are passed over.
 * Throws ConfigError for a path that cannot be used, FormatError for contents that are not what the name says.
 */
export function readText(path: string, field = 'text', maxBytes = MAX_BYTES): string {
  const isFolder = stat(path).isDirectory();
  const files = isFolder ? filesIn(path) : [path];
  if (files.length === 0) throw new ConfigError(`data: ${path}: no .txt or .jsonl file in this folder`);
  if (!isFolder && !isText(path)) throw new ConfigError(`data: ${path}: must be a .txt file, a .jsonl file or a folder of those`);

  let bytes = 0;
  for (const file of files) {
    const entry = stat(file);
    if (!entry.isFile()) throw new ConfigError(`data: ${file}: is not a regular file`);
    bytes += entry.size;
  }
  if (bytes > maxBytes) throw new ConfigError(`data: ${path}: ${bytes} bytes of text: at most ${maxBytes} can be read: give a part of it`);

  const documents = files.flatMap((file) => (extname(file) === '.jsonl' ? jsonLines(file, field) : [decode(file)]));
  const text = documents.join('\n');
  if (text.trim() === '') throw new FormatError(`data: ${path}: is empty: there is no text to learn from`);
  return text;
}

const isText = (path: string) => ['.txt', '.jsonl'].includes(extname(path));

/**
 * Text files below a folder, sorted by path. A link that leads out of the folder is an error: a folder of data should hold its data.
 * A link that stays inside is passed over, since what it leads to is read anyway; so there are no circles either.
 */
function filesIn(root: string): string[] {
  const inside = realpathSync(root) + sep, found: string[] = [];
  const visit = (folder: string): void => {
    for (const name of attempt(folder, () => readdirSync(folder))) {
      const path = join(folder, name), entry = attempt(path, () => lstatSync(path));
      if (entry.isSymbolicLink()) {
        const target = attempt(path, () => realpathSync(path));
        if ((target + sep).startsWith(inside)) continue;
        throw new ConfigError(`data: ${path}: is a link to ${target}, outside the folder: copy the text in`);
      } else if (entry.isDirectory()) visit(path);
      else if (isText(path)) found.push(path);
    }
  };
  visit(root);
  const key = (path: string) => relative(root, path).split(sep).join('/');
  return found.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** The field of every line; blank lines are passed over. */
function jsonLines(file: string, field: string): string[] {
  return decode(file).split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const where = `data: ${file}:${index + 1}`, value = parse(line, where);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new FormatError(`${where}: must be a JSON object with a field "${field}"`);
    }
    const text: unknown = Object.hasOwn(value, field) ? (value as Record<string, unknown>)[field] : undefined;
    if (text === undefined) {
      throw new FormatError(`${where}: has no field "${field}": its fields are ${Object.keys(value).join(', ').slice(0, 100) || 'none'}`);
    }
    if (typeof text !== 'string') {
      throw new FormatError(`${where}: field "${field}" = ${JSON.stringify(text).slice(0, 40)}: must be a string`);
    }
    return [text];
  });
}

function parse(line: string, where: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new FormatError(`${where}: is not JSON: ${(error as Error).message.replaceAll(/\s+/g, ' ').slice(0, 100)}`);
  }
}

function decode(file: string): string {
  const bytes = attempt(file, () => readFileSync(file));
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new FormatError(`data: ${file}: is not UTF-8 text: convert it first, for example with iconv -t utf-8`);
  }
}

function stat(path: string): Stats {
  return attempt(path, () => statSync(path));
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ELOOP: 'a link that leads in a circle',
};

/** Runs a file operation; its failure becomes one line. */
function attempt<T>(path: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    throw new ConfigError(`data: ${path}: ${REASONS[code] ?? `cannot be read (${(error as Error).message})`}`);
  }
}
