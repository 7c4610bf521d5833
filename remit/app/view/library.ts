// What a viewer may show: the runs and studies in the folders that it was given, and the runs of those studies. Nothing
// else of this machine has an address. Read next: pages.ts, server.ts.

import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { overviews, type Overview } from '../run/overview.ts';

export interface Entry extends Overview {
  /** Where it is asked for: its place among the folders that were given. */
  readonly name: string;
  /** A run of a study: the name of that. */
  readonly within?: string;
}

/** As the folders are now, the newest first, each study before its runs. */
export function libraryOf(folders: readonly string[]): Entry[] {
  return folders.filter((folder) => existsSync(folder)).flatMap((folder) => {
    const above = basename(resolve(folder));
    return overviews(folder).toReversed().flatMap((found): Entry[] => {
      const isItself = resolve(found.path) === resolve(folder);
      const entry = { ...found, name: isItself ? above : `${above}/${basename(found.path)}` };
      return found.kind === 'study' ? [entry, ...runsOf(entry)] : [entry];
    });
  });
}

function runsOf(study: Entry): Entry[] {
  const seeds = readdirSync(study.path).filter((name) => /^seed-\d+$/.test(name));
  const numbered = seeds.sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));
  return numbered.flatMap((seed) =>
    overviews(join(study.path, seed)).map((run) => ({
      ...run,
      name: `${study.name}/${seed}/${basename(run.path)}`,
      within: study.name,
    })),
  );
}
