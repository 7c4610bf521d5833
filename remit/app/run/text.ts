// The text of a run that goes on: known by its contents, wherever it lies now. Used by: remit/app/cli/train.ts, verify.ts.

import { existsSync } from 'node:fs';
import { ConfigError } from '../../../engine/errors.ts';
import { readText } from '../../text/files.ts';
import { sha256 } from './checkpoint.ts';
import { readEnvironment } from './environment.ts';
import { placesOf } from './sources.ts';

/**
 * Where the text of the run in a folder lies: at `path`, as its settings have it, or at a place that the run remembers.
 * A place whose contents are others is passed over for one with the same. Throws ConfigError when nothing is left of
 * any.
 */
export function findText(run: string, path: string, field: string): string {
  const places = [...new Set([path, ...placesOf(run, 'data')])];
  const there = places.filter((place) => existsSync(place));
  if (there.length === 0) {
    throw new ConfigError(
      `data: ${places.join(', ')}: no such file or folder: if the text was moved, say where it is with --data`,
    );
  }
  if (there.length === 1) return there[0]!;
  const hash = readEnvironment(run)?.data;
  return there.find((place) => sha256(readText(place, { field })) === hash) ?? there[0]!;
}
