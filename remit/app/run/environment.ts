// What a run ran on: kept beside its results, because speed and the last bits depend on it. Used by: folder.ts,
// remit/app/cli/session.ts.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import { checkArguments, having, text } from '../../../engine/options.ts';
import { checkSameExperiment, type KeptExperiment } from './experiment-file.ts';
import { isPlan, planWords } from './plan.ts';

export type SourceName = 'init' | 'reference' | 'data';

/** By source: its place from the root, and from the run folder. */
export type Sources = Readonly<Partial<Record<SourceName, readonly [absolute: string, fromRun: string]>>>;

/** What env.json holds. */
export interface Environment {
  /** Version of remit-mini. */
  readonly version: string;
  /** `cpu`, or the name of the graphics adapter. */
  readonly device: string;
  readonly node: string;
  readonly v8: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cores: number;
  /** On the CPU: how wide its vectors were. No result depends on it. */
  readonly vectors?: string;
  readonly memoryGiB: number;
  /** The commit that the current folder is at, when it is a git checkout. */
  readonly commit?: string;
  /** SHA-256 of what it began with: the weights, those of the model that guides it, and the user's own text. */
  readonly start?: string;
  readonly reference?: string;
  readonly data?: string;
  /** Characters of that text. */
  readonly dataLength?: number;
  /** What the run is for (plan.ts), and where the things lay that it began with. */
  readonly plan?: string;
  /** Of a world of files: the phases that it has what they need for. */
  readonly phases?: readonly string[];
  readonly sources?: Sources;
  /** What the user put in the place of ours. */
  readonly experiment?: KeptExperiment;
}

/**
 * Whether a run that began in `before` can go on in `now`: throws ConfigError when it is another run, or began with
 * something else; tells of another device.
 */
export function checkSame(before: unknown, now: Environment, run: string, notice: (text: string) => void): void {
  const then = (before ?? {}) as Partial<Environment>;
  if (then.plan !== undefined && now.plan !== undefined && then.plan !== now.plan) {
    const way = isPlan(then.plan) ? `go on with it by ${planWords(then.plan)} --resume ${run}` : 'leave it alone';
    throw new ConfigError(`run: ${run}: is a run of ${then.plan}, not of ${now.plan}: ${way}, or choose another --out`);
  }
  for (const [part, name] of [
    ['start', 'another model (--init)'],
    ['reference', 'another guide (--reference)'],
    ['data', 'other text (--data)'],
  ] as const) {
    if (then[part] === now[part]) continue;
    const lengths =
      part === 'data' && then.dataLength !== undefined
        ? `: ${then.dataLength} characters then, ${now.dataLength} now`
        : '';
    const what = part === 'data' && now.phases !== undefined ? 'another world (--world)' : name;
    throw new ConfigError(`run: ${run}: began with ${what}${lengths}: bring that back, or choose another --out`);
  }
  checkSameExperiment(run, then.experiment, now.experiment);
  if (then.device !== now.device) {
    notice(`this run began on ${String(then.device)} and goes on on ${now.device}: the last bits will differ`);
  }
}

/** An argument that is an environment. */
export const anEnvironment = having<Environment>('what environment(version, device) gives', {
  version: text,
  device: text,
});

/** This machine, this Node and this commit, with the device that computes. Throws ConfigError for empty text. */
export function environment(version: string, device: string): Environment {
  checkArguments('environment', arguments, { version: text, device: text });
  const commit = currentCommit();
  return {
    version,
    device,
    node: process.versions.node,
    v8: process.versions.v8,
    platform: `${process.platform} ${release()} ${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    ...(commit === undefined ? {} : { commit }),
  };
}

function currentCommit(): string | undefined {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined; // no git, or no checkout
  }
}

/** What a run folder's env.json says; undefined when there is none, or it cannot be read: who needs it will say so. */
export function readEnvironment(run: string): Partial<Environment> | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(join(run, 'env.json'), 'utf8'));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
