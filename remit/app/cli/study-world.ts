// A study on a world made of files: all of its parts must be there, since arms are guided by an RL model and compared by
// the questions of eval.jsonl. Used by: study.ts, study-cells.ts.

import { resolve } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import type { Config } from '../../settings/resolve.ts';
import type { ReadWorld } from '../../worlds/files/read.ts';
import { openWorld, tellLeaks } from './world-files.ts';

/** The world of a study; undefined for the tiny one. Throws ConfigError where a part is missing. */
export async function worldOfStudy({ data }: Config): Promise<ReadWorld | undefined> {
  if (data.world === undefined) return undefined;
  const opened = await openWorld(data.world);
  const { pretrain, midtrain, sft, rl, eval: questions } = opened.world;
  const parts = Object.entries({ pretrain, midtrain, sft, rl, eval: questions });
  const missing = parts.filter(([, part]) => part === undefined).map(([name]) => name);
  if (missing.length === 0) return opened;
  throw new ConfigError(`study: --world ${data.world}: has no ${missing.join(', ')}: a study needs every part of a world`);
}

/** Once, when a study is planned. */
export function tellWorld(opened: ReadWorld | undefined): void {
  if (opened !== undefined) tellLeaks(opened.world);
}

/** Where a study looks for its world, from wherever its cells are run. */
export function withPlace(config: Config): Config {
  const { data } = config;
  return data.world === undefined ? config : { ...config, data: { ...data, world: resolve(data.world) } };
}
