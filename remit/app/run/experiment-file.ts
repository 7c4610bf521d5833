// An experiment from a file: `export default defineExperiment({ ... })` in a .mjs, or a .ts where Node reads those. What
// goes wrong in it is told with its line. A run keeps the file's text, and goes on with the same text alone. Read after:
// remit/experiment.ts. Used by: remit/app/cli/train.ts, study.ts.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe } from '../../../engine/describe.ts';
import { ConfigError, DeviceError, DivergedError } from '../../../engine/errors.ts';
import { armsOf, isExperiment, type Experiment } from '../../experiment.ts';
import { sha256 } from './checkpoint.ts';

export interface ExperimentFile {
  /** As it was given. */
  readonly path: string;
  readonly source: string;
  readonly experiment: Experiment;
}

/** What a folder keeps of it: a run in env.json, a study in experiment.json. */
export interface KeptExperiment {
  /** From the root of the disk. */
  readonly path: string;
  readonly sha256: string;
  readonly source: string;
  /** With which of its arms the flywheel turns, if with one. */
  readonly arm?: string;
}

export function keptOf({ path, source }: ExperimentFile, arm?: string): KeptExperiment {
  return { path: resolve(path), sha256: sha256(source), source, ...(arm !== undefined && { arm }) };
}

/** Throws ConfigError, beginning with the file, when it cannot be loaded or exports no experiment. */
export async function openExperiment(path: string): Promise<ExperimentFile> {
  const file = resolve(path);
  if (!existsSync(file)) throw new ConfigError(`experiment: ${path}: no such file`);
  const source = readFileSync(file, 'utf8');
  let loaded: { readonly default?: unknown };
  try {
    loaded = await import(pathToFileURL(file).href);
  } catch (error) {
    throw new ConfigError(whyNotLoaded(path, file, error as Error), { cause: error });
  }
  const found = loaded.default;
  if (isExperiment(found)) return { path, source, experiment: guarded(found, path, file) };
  const way = 'must be export default defineExperiment({ ... }), of the remit-mini that is run here';
  throw new ConfigError(`experiment: ${path}: exports ${found === undefined ? 'nothing by default' : 'something else'}: ${way}`);
}

/** Throws ConfigError, with the first line that differs, unless what `folder` began with is what there is now. */
export function checkSameExperiment(
  folder: string,
  before: KeptExperiment | undefined,
  now: KeptExperiment | undefined,
): void {
  const way = 'bring that back, or choose another --out';
  if (before === undefined && now === undefined) return;
  if (before === undefined) throw new ConfigError(`experiment: ${folder}: began without one: leave --experiment out`);
  if (now === undefined) throw new ConfigError(`experiment: ${folder}: began with ${before.path}: ${way}`);
  if (before.arm !== now.arm) {
    throw new ConfigError(`experiment: ${folder}: began with arm ${before.arm}, not with ${now.arm}: ${way}`);
  }
  if (before.source === now.source) return;
  const [then, today] = [before.source.split('\n'), now.source.split('\n')];
  const longer = then.length > today.length ? then : today;
  const at = longer.findIndex((_, i) => then[i] !== today[i]);
  const from = Math.max(0, [...(then[at] ?? '')].findIndex((character, i) => character !== today[at]?.[i]) - BEFORE);
  const words = (text: string | undefined): string => (text === undefined ? 'no such line' : describe(text.slice(from)));
  throw new ConfigError(
    `experiment: ${now.path}:${at + 1}: was changed since ${folder} began: ${words(then[at])} then, ` +
    `${words(today[at])} now: ${way}`,
  );
}

function whyNotLoaded(path: string, file: string, error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return `experiment: ${path}: Node ${process.versions.node} reads no TypeScript: take Node 22.18 or newer, or write a .mjs`;
  }
  if (error instanceof SyntaxError) {
    // what the engine says of a file that it cannot read has no line, but for node --check
    const { stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' });
    const line = /:(\d+)\s*$/m.exec(stderr.split('\n')[0] ?? '')?.[1];
    return `experiment: ${path}${line === undefined ? '' : `:${line}`}: ${error.message}`;
  }
  return messageOf(path, file, error);
}

/** `experiment: mine.mjs:12: ...`: the innermost of its lines that the error came through. */
function messageOf(path: string, file: string, error: Error): string {
  const places = [pathToFileURL(file).href, file];
  const frame = error.stack?.split('\n').find((line) => places.some((place) => line.includes(`${place}:`)));
  const line = frame === undefined ? undefined : /:(\d+):\d+\)?$/.exec(frame.trim())?.[1];
  return `experiment: ${path}${line === undefined ? '' : `:${line}`}: ${error.message.split('\n')[0]}`;
}

const BEFORE = 12; // characters of a line before the first that differs

type Callable = (...args: never[]) => unknown;

/** The same with functions whose errors name the file and the line; what ends a run for other reasons passes. */
function guarded(experiment: Experiment, path: string, file: string): Experiment {
  const told = (error: unknown): unknown => {
    const isOurs = error instanceof DeviceError || error instanceof DivergedError;
    if (isOurs || !(error instanceof Error) || error.message.startsWith('experiment: ')) return error;
    return new ConfigError(messageOf(path, file, error), { cause: error });
  };
  const guard = <F extends Callable>(own: F): F =>
    ((...args: never[]) => {
      try {
        const result = own(...args);
        return result instanceof Promise ? result.catch((error: unknown) => Promise.reject(told(error))) : result;
      } catch (error) {
        throw told(error);
      }
    }) as F;
  const functions = Object.entries(experiment).map(([name, value]) => [
    name,
    typeof value === 'function' ? guard(value as Callable) : (value as unknown),
  ]);
  const arms = [...armsOf(experiment)].map(([name, arm]) => [
    name,
    { ...arm, ...(arm.loss && { loss: guard(arm.loss) }) },
  ]);
  const guarded = (functions: object = {}): object =>
    Object.fromEntries(Object.entries(functions).map(([phase, own]) => [phase, guard(own)]));
  return {
    ...(Object.fromEntries(functions) as Experiment),
    arms: Object.fromEntries(arms) as NonNullable<Experiment['arms']>,
    schedules: guarded(experiment.schedules),
    optimisers: guarded(experiment.optimisers),
  };
}
