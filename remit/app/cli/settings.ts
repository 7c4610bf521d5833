// What a command line says about a run: its settings, from flags and a file, and what train makes of the rest.
// Used by: train.ts, train-world.ts, train-text.ts, study.ts, tune.ts, verify.ts. Read next: ../../settings/resolve.ts.

import { existsSync } from 'node:fs';
import { ConfigError, FormatError } from '../../../engine/errors.ts';
import type { StepRecord } from '../../phases/run.ts';
import { resolveConfig, type Config, type Resolved, type Sources } from '../../settings/resolve.ts';
import { settings } from '../../settings/schema.ts';
import { readJsonFile } from '../../text/read.ts';
import type { Resume } from '../run/claim.ts';
import type { ChosenArm } from './experiment.ts';
import type { ExperimentFile } from '../run/experiment-file.ts';
import type { Plan } from '../run/plan.ts';
import type { Arguments, Flags } from './arguments.ts';

export interface TrainOptions {
  readonly resolved: Resolved;
  readonly plan: Exclude<Plan, 'text'>;
  readonly init: string | undefined;
  readonly reference: string | undefined;
  /** What the user put in the place of ours, and the arm of it that the flywheel turns with. */
  readonly experiment?: ExperimentFile | undefined;
  readonly arm?: ChosenArm | undefined;
  readonly out: string | undefined;
  readonly resume: Resume;
  /** Of a run that checks another one (verify.ts): shown each step; nothing is printed. */
  readonly check?: (record: StepRecord) => void;
  /** In place of the one that the settings name. */
  readonly device?: Config['device'];
}

/** The flags that say settings, for readSettings(). */
export const settingFlags: Flags = {
  ...Object.fromEntries([...settings.keys()].map((name) => [name, { type: 'string' }])),
  preset: { type: 'string' },
  config: { type: 'string' },
  set: { type: 'string', multiple: true },
  data: { type: 'string' },
  world: { type: 'string' },
  tokenizer: { type: 'string' },
  vocabulary: { type: 'string' },
};

/**
 * `defaultFile`: the settings of a run that goes on; `world`: those that a world of files asks for. Throws ConfigError.
 */
export function readSettings(
  command: string,
  args: Arguments,
  defaultFile?: string,
  world?: NonNullable<Sources['world']>,
): Resolved {
  const preset = args.text('preset');
  const path = args.text('config') ?? (defaultFile !== undefined && existsSync(defaultFile) ? defaultFile : undefined);
  return resolveConfig({
    ...(preset === undefined ? {} : { preset }),
    ...(path === undefined ? {} : { file: { path, values: readConfig(path) } }),
    ...(world === undefined ? {} : { world }),
    flags: args.given.flatMap(([flag, text]) => toSetting(command, flag, text)),
  });
}

/** The setting that a flag stands for, in the order of the command line; none for flags of the command itself. */
function toSetting(command: string, flag: string, text: string): [name: string, text: string][] {
  if (settings.has(flag)) return [[flag, text]];
  if (flag === 'data') return [['data.path', text]];
  if (['world', 'tokenizer', 'vocabulary'].includes(flag)) return [[`data.${flag}`, text]];
  if (flag === 'iterations' && command === 'train') return [['remit.iterations', text]];
  if (flag !== 'set') return [];
  const equals = text.indexOf('=');
  if (equals < 1) {
    throw new ConfigError(`${command}: --set ${text}: must be <setting>=<value>, as in --set model.width=128`);
  }
  return [[text.slice(0, equals), text.slice(equals + 1)]];
}

const MAX_CONFIG_BYTES = 2 ** 20; // no configuration of this program is longer

/** What is wrong with settings, and with a file of them, is a fault of usage. */
function readConfig(path: string): unknown {
  try {
    return readJsonFile('config', path, MAX_CONFIG_BYTES);
  } catch (error) {
    throw error instanceof FormatError ? new ConfigError(error.message) : error;
  }
}
