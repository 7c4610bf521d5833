// All that the command line says, on its way out: results on stdout, the rest on stderr. What a model or a file made up
// is shown on a terminal, never obeyed by it. Used by: every command. Read next: layout.ts, how text is fitted into the
// terminal.

import { oneLine } from '../../../engine/errors.ts';

/** Results, as they are; on a terminal, as printable() shows them. */
export function print(text: string): void {
  process.stdout.write(`${process.stdout.isTTY ? printable(text) : text}\n`);
}

/** What is not a result. */
export function say(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}

/** The text with each control character, but tabs and newlines, as its code: \u001b. */
export function printable(text: string): string {
  return text.replaceAll(/[^\t\n]+/g, oneLine);
}

const USUAL = 80;

/** Columns of the terminal that results go to; 80 where there is none, or one that does not know. */
export function columns(): number {
  return (process.stdout.isTTY && process.stdout.columns) || USUAL;
}

/** A word as a shell wants it. */
export function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (printable(word) === word && !word.includes('\n')) return `'${word.replaceAll("'", "'\\''")}'`;
  const coded = oneLine(word.replaceAll(/['\\]/g, '\\$&'));
  return `$'${coded}'`;
}
