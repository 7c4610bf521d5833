// Whose folder is it? A new run gets one that is empty; a run that goes on gets its own, if its settings are still the same.
// Used by: folder.ts.

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, FormatError } from '../../engine/errors.ts';
import { resolveConfig, type Config } from '../config/config.ts';
import { layerFromTree, show } from '../config/layers.ts';
import { isHalfWritten } from './atomic.ts';

/**
 * Whether a run may go on in a folder that holds one: no; it must; it does if there is one, and else begins; the
 * same in a folder that whoever started it has made, and that is not made again if it is gone.
 */
export type Resume = 'never' | 'required' | 'if-there' | 'in-place';

const SHOWN = 5; // differences in a message

/**
 * Makes the folder for a run: `wanted`, or without it the first free one of runs/<name>-1, runs/<name>-2, ...
 *
 * Throws ConfigError when `wanted` is a file, a folder that is not empty, or, if a run is to go on, one without a run.
 */
export function claimFolder(wanted: string | undefined, name: string, resume: Resume = 'never'): string {
  if (wanted === undefined) return firstFree(name);
  const there = existsSync(wanted);
  if (there && !statSync(wanted).isDirectory()) throw new ConfigError(`run: ${wanted}: is a file: choose another --out`);
  if (there && existsSync(join(wanted, 'config.json')) && resume !== 'never') return wanted;
  if (resume === 'required') throw new ConfigError(`run: ${wanted}: ${there ? 'holds no run' : 'no such folder'}: there is nothing to go on with`);
  if (there && readdirSync(wanted).some((entry) => entry !== 'lock' && !isHalfWritten(entry))) {
    const way = existsSync(join(wanted, 'config.json')) ? `go on with it by --resume ${wanted}` : 'remove it';
    throw new ConfigError(`run: ${wanted}: exists and is not empty: choose another --out, or ${way}`);
  }
  if (resume !== 'in-place') mkdirSync(wanted, { recursive: true });
  return wanted;
}

function firstFree(name: string): string {
  mkdirSync('runs', { recursive: true });
  for (let n = 1; ; n++) {
    const path = join('runs', `${name}-${n}`);
    try {
      mkdirSync(path); // fails when it exists: two runs that start at once get two folders
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** The text of the folder's config.json, undefined without one. Throws ConfigError, showing the difference, unless it says the same as `config`. */
export function storedConfig(folder: string, config: Config): string | undefined {
  const path = join(folder, 'config.json');
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8'), values = readJson(path);
  const [theirs, ours] = [resolveConfig({ file: { path, values } }).config, config].map((tree) => layerFromTree(path, tree).values) as [Map<string, unknown>, Map<string, unknown>];
  const names = [...new Set([...theirs.keys(), ...ours.keys()])].filter((name) => theirs.get(name) !== ours.get(name));
  if (names.length === 0) return text;
  const shown = names.slice(0, SHOWN).map((name) => `${name} is ${show(theirs.get(name))} there and ${show(ours.get(name))} here`);
  throw new ConfigError(`run: ${folder}: has other settings: ${shown.join(', ')}${names.length > SHOWN ? `, and ${names.length - SHOWN} more` : ''}: leave them out, or choose another --out`);
}

/** A file that writeAtomically() wrote into a run folder. Throws FormatError when it is not JSON any more. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new FormatError(`run: ${path}: is not JSON: the folder was damaged`);
  }
}
