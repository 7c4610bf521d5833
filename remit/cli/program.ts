// How this program was called, so that what it offers to go on with works when it is pasted. Read after: main.ts.

import { existsSync } from 'node:fs';
import { basename, delimiter, join, relative, sep } from 'node:path';

let words: readonly string[] = [];

/** What the command line said; main.ts tells. */
export function remember(argv: readonly string[]): void {
  words = argv;
}

export function commandLine(): readonly string[] {
  return words;
}

/** A command of this program, as a shell wants it. */
export function command(...argv: readonly string[]): string {
  return [...caller(), ...argv].map(quoted).join(' ');
}

/** The words before a command's: `remit-mini` where the shell finds that, `npx remit-mini`, or Node and the program's file. */
function caller(): string[] {
  const file = process.argv[1] ?? '', own = basename(file) === 'bin.js' || basename(file) === 'remit-mini';
  if (!own || onPath()) return ['remit-mini']; // of main() in somebody's script, no more is known
  const installed = file.split(sep).includes('node_modules');
  if (process.env.npm_command === 'exec' || installed) return ['npx', 'remit-mini'];
  const here = relative(process.cwd(), file);
  return ['node', here.startsWith('..') ? file : here];
}

/** npx and npm run put folders of their own in front of PATH, which the next shell does not have. */
function onPath(): boolean {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '' && !folder.split(sep).includes('node_modules') && !folder.includes(`${sep}_npx${sep}`));
  const names = process.platform === 'win32' ? ['remit-mini.cmd'] : ['remit-mini'];
  return folders.some((folder) => names.some((name) => existsSync(join(folder, name))));
}

/** As a shell wants it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
