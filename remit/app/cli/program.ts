// This program as a file, and as what people type, so that what it offers to go on with works when it is pasted.
// Nothing here takes argv[1] for the program: main() may have been called by another. Read after: main.ts. Used by:
// study.ts, which starts the program again; session.ts.

import { realpathSync } from 'node:fs';
import { basename, delimiter, dirname, extname, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { quoted } from './terminal.ts';

const extension = extname(fileURLToPath(import.meta.url)); // .ts in the sources, .js where they are compiled

/** The program remit-mini of this package. */
const programPath = fileURLToPath(new URL(`../../cli/bin${extension}`, import.meta.url));

let words: readonly string[] = [];

/** What the command line said; main.ts tells. */
export function remember(argv: readonly string[]): void {
  words = argv;
}

export function commandLine(): readonly string[] {
  return words;
}

/**
 * What Node is given to run this program again: its own flags where they were meant for this program, then the path.
 */
export function programWords(): string[] {
  if (isProgram(process.argv[1])) return [...process.execArgv, programPath];
  return [...(extension === '.ts' ? loaders(process.execArgv) : []), programPath];
}

/** A command of this program, as a shell wants it. */
export function command(...argv: readonly string[]): string {
  return [...caller(), ...argv].map(quoted).join(' ');
}

/** The same for a script, which may run in any folder. */
export function commandAnywhere(...argv: readonly string[]): string {
  const words = caller();
  const named = words[0] === 'remit-mini' ? words : ['node', ...programWords()];
  return [...named, ...argv].map(quoted).join(' ');
}

/**
 * The words before a command's: `remit-mini` where the shell finds that, `npx remit-mini`, or Node and the program's
 * file.
 */
function caller(): string[] {
  const [, called = ''] = process.argv;
  const isNamed = basename(called) === 'remit-mini' && isProgram(called);
  if (isNamed && shellFolders().includes(dirname(called))) return ['remit-mini'];
  if (isNamed && (process.env.npm_command === 'exec' || called.split(sep).includes('node_modules'))) {
    return ['npx', 'remit-mini'];
  }
  const here = relative(cwd(), programPath);
  return ['node', ...programWords().slice(0, -1), here.startsWith('..') ? programPath : here];
}

/** Those of PATH but for the ones that npx and npm run put in front, which the next shell does not have. */
function shellFolders(): string[] {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !folder.split(sep).includes('node_modules') && !folder.includes(`${sep}_npx${sep}`));
}

/** Whether a path leads to this program, by whatever links. */
function isProgram(path: string | undefined): boolean {
  try {
    return path !== undefined && realpathSync(path) === realpathSync(programPath);
  } catch {
    return false;
  }
}

/** --import x, --require=x and the like. */
function loaders(flags: readonly string[]): string[] {
  const isLoader = (flag: string | undefined): boolean =>
    /^(-r|--(import|require|loader|experimental-loader))$/.test(flag ?? '');
  return flags.filter(
    (flag, i) =>
      isLoader(flag) || isLoader(flags[i - 1]) || /^--(import|require|loader|experimental-loader)=/.test(flag),
  );
}

function cwd(): string {
  try {
    return process.cwd();
  } catch { // it was removed
    return '/';
  }
}
