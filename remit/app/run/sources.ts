// Where the things lie that a run began with: its first model, its guide, its text. A run goes on from another folder,
// or after both were moved, because each place is kept twice: from the root of the disk, and as seen from the run
// folder. What is found there counts only when its contents are the same (environment.ts has their hashes). Used by:
// remit/app/cli/train.ts, remit/app/cli/verify.ts.

import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { readEnvironment, type SourceName, type Sources } from './environment.ts';

/** For env.json. `given`: paths as they were typed. */
export function noteSources(run: string, given: Readonly<Partial<Record<SourceName, string | undefined>>>): Sources {
  const known = Object.entries(given).filter((entry): entry is [SourceName, string] => entry[1] !== undefined);
  return Object.fromEntries(
    known.map(([name, path]) => [name, [resolve(path), relative(resolve(run), resolve(path))]]),
  );
}

/**
 * The places to look at for a source of the run in a folder, the likeliest first; none when it began without it, or
 * before this was kept.
 */
export function placesOf(run: string, name: SourceName): string[] {
  const kept: unknown = readEnvironment(run)?.sources?.[name];
  if (!Array.isArray(kept) || !kept.every((place) => typeof place === 'string')) return [];
  const [absolute, fromRun] = kept as [string, string];
  return [...new Set([absolute, join(resolve(run), fromRun)])];
}

/** The one of them that is there, else the first; undefined without any. */
export function findSource(run: string, name: SourceName): string | undefined {
  const places = placesOf(run, name);
  return places.find((place) => existsSync(place)) ?? places[0];
}

/** Where the world of files of the run in a folder lies: where it lay, or at `folder`, as its settings have it. */
export function findWorld(run: string, folder: string): string {
  return existsSync(folder) ? folder : (findSource(run, 'data') ?? folder);
}
