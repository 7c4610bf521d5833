// The user's own text, from a .txt file, a .jsonl file (one JSON object per line, the text in one field), or a folder
// of those. Everything that can be wrong with such input is said in one line: which file, which line, what is the
// matter, what to do. What counts as text, and which files of a folder are read, stands in docs/files.md. Node only.
// Read after: read.ts. Read next: text.ts.

import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { ConfigError, FormatError, oneLine } from '../../engine/errors.ts';
import { parseJson } from '../../engine/json.ts';
import {
  anything, callable, checkArguments, checkOptions, optional, text as someText, whole, type Rules,
} from '../../engine/options.ts';
import { attempt, readTextFile } from './read.ts';

/**
 * Text of all files together, 256 MiB: a JavaScript string ends at 512 MiB, and tokens take four bytes for each of
 * text.
 */
export const MAX_BYTES = 256 * 2 ** 20;

export interface TextOptions {
  /** The field of each line of .jsonl that holds the text; `text` unless given. */
  readonly field?: string | undefined;
  /** The most bytes that all files together may have; 256 MiB unless given. */
  readonly maxBytes?: number | undefined;
  /** Told, in one line each, what of a folder is not read, and what in the text is not as it looks. */
  readonly notice?: ((text: string) => void) | undefined;
}

const RULES: Rules<TextOptions> = {
  field: optional(someText, 'text'),
  maxBytes: optional(whole({ min: 1 }), MAX_BYTES),
  notice: optional(callable('a function of a line')),
};

/**
 * The text of a file or folder; documents (files, and lines of .jsonl) are joined by a newline. A leading byte order
 * mark is dropped; all else is kept, line ends of Windows too, which the notice tells of. A folder is read with the
 * folders inside it, in the order of the paths; files that are hidden or empty, or neither .txt nor .jsonl, are passed
 * over, and the notice names them. Throws ConfigError for a path that cannot be used, FormatError for contents that are
 * not what the name says.
 */
export function readText(path: string, options: TextOptions = {}): string {
  checkArguments('readText', arguments, { path: someText, options: anything });
  const { field, maxBytes, notice } = checkOptions<TextOptions>('readText', options, RULES);
  const isFolder = stat(path).isDirectory();
  const { files, passed } = isFolder ? filesIn(path) : { files: [path], passed: [] };
  if (!isFolder && !isText(path)) {
    throw new ConfigError(`data: ${path}: must be a .txt file, a .jsonl file or a folder of those`);
  }
  if (passed.length > 0) notice?.(`data: ${oneLine(path)}: not read: ${shortList(passed)}`);
  if (files.length === 0) throw new ConfigError(`data: ${path}: no .txt or .jsonl file in this folder`);

  let bytes = 0;
  for (const file of files) {
    const entry = stat(file);
    if (!entry.isFile()) throw new ConfigError(`data: ${file}: is not a regular file`);
    bytes += entry.size;
  }
  if (bytes > maxBytes!) {
    throw new ConfigError(`data: ${path}: ${bytes} bytes of text: at most ${maxBytes} can be read: give a part of it`);
  }

  const documents = files.flatMap((file) => (isLines(file) ? jsonLines(file, field!) : [readTextFile('data', file)]));
  const text = documents.join('\n');
  if (text.trim() === '') throw new FormatError(`data: ${path}: is empty: there is no text to learn from`);
  if (text.includes('\ufeff')) {
    notice?.(`data: ${oneLine(path)}: has byte order marks within the text: each is learned as a character`);
  }
  if (text.includes('\r\n')) {
    notice?.(`data: ${oneLine(path)}: has line ends of Windows: each is learned as two characters, CR and LF`);
  }
  return text;
}

/** The rows of a file: the lines of .txt that are not blank; the field of each line of .jsonl. Throws as readText(). */
export function readRows(path: string, field = 'text'): string[] {
  checkArguments('readRows', arguments, { path: someText, field: optional(someText) });
  if (!isText(path)) throw new ConfigError(`data: ${path}: must be a .txt or a .jsonl file`);
  if (isLines(path)) return jsonLines(path, field);
  return readTextFile('data', path).split(/\r?\n/).filter((line) => line.trim() !== '');
}

const isText = (path: string) => ['.txt', '.jsonl'].includes(extname(path).toLowerCase());
const isLines = (path: string) => extname(path).toLowerCase() === '.jsonl';
const isHidden = (name: string) => name.startsWith('.');

interface Found {
  readonly files: string[];
  /** What is not read, and why: `.git (hidden)`. */
  readonly passed: string[];
}

/**
 * Text files below a folder, sorted by path, the same everywhere. A link that leads out of the folder is an error: a
 * folder of data should hold its data. A link that stays inside is followed to a file that is not read anyway; links to
 * folders are not, so there are no circles.
 */
function filesIn(root: string): Found {
  const inside = attempt('data', root, () => realpathSync(root)) + sep;
  const files: string[] = [];
  const links: { path: string; target: string }[] = [];
  const passed: string[] = [];
  const key = (path: string) => relative(root, path).split(sep).join('/');
  const pass = (path: string, why: string) => passed.push(`${key(path)} (${why})`);

  const visit = (folder: string): void => {
    for (const name of attempt('data', folder, () => readdirSync(folder))) {
      const path = join(folder, name);
      if (isHidden(name)) {
        pass(path, 'hidden');
        continue;
      }
      const entry = attempt('data', path, () => lstatSync(path), 'gone, or a name that is not UTF-8: rename it');
      if (entry.isSymbolicLink()) links.push({ path, target: targetOf(path, inside) });
      else if (entry.isDirectory()) visit(path);
      else if (!isText(path)) pass(path, 'neither .txt nor .jsonl');
      else if (entry.isFile() && entry.size === 0) pass(path, 'empty');
      else files.push(path);
    }
  };
  visit(root);

  const byPath = (a: string, b: string) => (key(a) < key(b) ? -1 : 1);
  const read = new Set(files.map((file) => realpathSync(file)));
  for (const { path, target } of links.sort((a, b) => byPath(a.path, b.path))) {
    if (read.has(target)) continue;
    if (statSync(target).isDirectory()) {
      const visible = !relative(inside, target).split(sep).some(isHidden);
      if (!visible) pass(path, 'a link to a hidden folder');
    } else if (isText(path)) {
      read.add(target);
      files.push(path);
    } else {
      pass(path, 'neither .txt nor .jsonl');
    }
  }
  return { files: files.sort(byPath), passed: passed.sort() };
}

/**
 * Where a link ends. Throws ConfigError unless that is in the folder, which `inside` names with a separator at its end.
 */
function targetOf(path: string, inside: string): string {
  const target = attempt('data', path, () => realpathSync(path));
  if ((target + sep).startsWith(inside)) return target;
  throw new ConfigError(`data: ${path}: is a link to ${target}, outside the folder: copy the text in`);
}

const SHOWN = 8;

function shortList(names: readonly string[]): string {
  const rest = names.length - SHOWN;
  return names.slice(0, SHOWN).map(oneLine).join(', ') + (rest > 0 ? `, and ${rest} more` : '');
}

/** The field of every line; blank lines are passed over. */
function jsonLines(file: string, field: string): string[] {
  return readTextFile('data', file).split('\n').flatMap((written, index) => {
    const line = written.replace(/^\ufeff/, ''); // of a file that was put behind another
    if (line.trim() === '') return [];
    const where = `data: ${file}:${index + 1}`;
    const value = parseJson(line, (why) => {
      throw new FormatError(`${where}: ${why}`);
    });
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new FormatError(`${where}: must be a JSON object with a field "${field}"`);
    }
    const text: unknown = Object.hasOwn(value, field) ? (value as Record<string, unknown>)[field] : undefined;
    if (text === undefined) {
      throw new FormatError(
        `${where}: has no field "${field}": its fields are ${Object.keys(value).join(', ').slice(0, 100) || 'none'}`,
      );
    }
    if (typeof text !== 'string') {
      throw new FormatError(`${where}: field "${field}" = ${JSON.stringify(text).slice(0, 40)}: must be a string`);
    }
    if (line.includes('\\u') && /\p{Surrogate}/u.test(text)) { // only an escape can say half of a character
      throw new FormatError(
        `${where}: field "${field}": half of a surrogate pair (an escape such as \\ud83d alone): is no Unicode text`,
      );
    }
    return [text];
  });
}

function stat(path: string) {
  return attempt('data', path, () => statSync(path));
}
