// Whose folder is it? A new run gets one that is empty; a run that goes on gets its own, if its settings are still the
// same. Used by: folder.ts.

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import { checkArguments, choice, optional, string, text } from '../../../engine/options.ts';
import { differingSettings, resolveConfig, type Config, type SettingDifference } from '../../settings/resolve.ts';
import { show } from '../../settings/layers.ts';
import { settingsText } from '../../phases/checkpoint.ts';
import { readJsonFile } from '../../text/read.ts';
import { isNobodys } from './atomic.ts';
import { sha256 } from './checkpoint.ts';
import { reason } from './reason.ts';

/**
 * Whether a run may go on in a folder that holds one: no; it must; it does if there is one, and else begins; the
 * same in a folder that whoever started it has made, and that is not made again if it is gone.
 */
export type Resume = 'never' | 'required' | 'if-there' | 'in-place';

const claimArguments = {
  wanted: optional(string),
  name: text,
  resume: optional(choice('never', 'required', 'if-there', 'in-place')),
};

const SHOWN = 5; // differences in a message

/**
 * Makes the folder for a run: `wanted`, or without it the first free one of runs/<name>-1, runs/<name>-2, ...
 *
 * Throws ConfigError when `wanted` is a file, a folder that is not empty, or, if a run is to go on, one without a run.
 */
export function claimFolder(wanted: string | undefined, name: string, resume: Resume = 'never'): string {
  checkArguments('claimFolder', arguments, claimArguments);
  if (wanted === undefined) return firstFree(name);
  if (wanted.trim() === '') throw new ConfigError(`run: --out '${wanted}': must be the name of a folder`);
  const there = existsSync(wanted);
  if (there && !statSync(wanted).isDirectory()) {
    throw new ConfigError(
      `run: ${wanted}: is a file: ${resume === 'required' ? 'a run is a folder' : 'choose another --out'}`,
    );
  }
  if (there && existsSync(join(wanted, 'config.json')) && resume !== 'never') return wanted;
  if (resume === 'required') {
    throw new ConfigError(
      `run: ${wanted}: ${there ? 'holds no run' : 'no such folder'}: there is nothing to go on with`,
    );
  }
  if (there && attempt(wanted, () => readdirSync(wanted)).some((entry) => entry !== 'lock' && !isNobodys(entry))) {
    const way = existsSync(join(wanted, 'config.json')) ? `, or go on with it by --resume ${wanted}` : '';
    throw new ConfigError(`run: ${wanted}: exists and is not empty: choose another --out${way}`);
  }
  if (resume !== 'in-place') attempt(wanted, () => mkdirSync(wanted, { recursive: true }));
  return wanted;
}

/** Runs a file operation on a folder that was asked for; its failure becomes one line. */
function attempt<T>(folder: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    throw new ConfigError(`run: ${folder}: ${reason(error)}: choose another --out`, { cause: error });
  }
}

function firstFree(name: string): string {
  attempt('runs', () => mkdirSync('runs', { recursive: true }));
  for (let n = 1; ; n++) {
    const path = join('runs', `${name}-${n}`);
    try {
      mkdirSync(path); // fails when it exists: two runs that start at once get two folders
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new ConfigError(`run: ${path}: ${reason(error)}: choose another --out`, { cause: error });
      }
    }
  }
}

/**
 * SHA-256 of what a run is set to. Of values, not of text: order, spaces and line ends of a file do not count; nor does
 * where the user's text lies, whose contents have a hash of their own.
 */
export function hashOfSettings(config: Config): string {
  return sha256(settingsText(config));
}

/**
 * What checkpoints of the run in a folder may bear as the hash of their settings: that of the values in its config.json
 * and, for runs from before that was so, of the file. Undefined without a config.json. Throws ConfigError, showing the
 * difference, unless it says the same as `config`.
 */
export function storedSettings(folder: string, config: Config): ReadonlySet<string> | undefined {
  const path = join(folder, 'config.json');
  if (!existsSync(path)) return undefined;
  const theirs = resolveConfig({ file: { path, values: readJsonFile('run', path) } }).config;
  const differing = differingSettings(theirs, config).filter((difference) => !isPlace(difference));
  if (differing.length === 0) return new Set([hashOfSettings(theirs), sha256(readFileSync(path, 'utf8'))]);
  const shown = differing
    .slice(0, SHOWN)
    .map(({ name, before, now }) => `${name} is ${show(before)} there and ${show(now)} here`);
  if (differing.length > SHOWN) shown.push(`and ${differing.length - SHOWN} more`);
  throw new ConfigError(
    `run: ${folder}: has other settings: ${shown.join(', ')}: leave them out, or choose another --out`,
  );
}

/** The same text may lie elsewhere: its contents are compared (environment.ts). */
function isPlace({ name, before, now }: SettingDifference): boolean {
  return (name === 'data.path' || name === 'data.world') && before !== undefined && now !== undefined;
}
