// --experiment: a file of somebody's own, and which of its arms the flywheel turns with. Used by: train.ts, verify.ts.
// Read next: ../run/experiment-file.ts, ../../experiment.ts.

import { ConfigError } from '../../../engine/errors.ts';
import { didYouMean } from '../../../engine/nearest.ts';
import type { OwnArm } from '../../arms.ts';
import { armsOf, ownSettings, worldOfExperiment, type Experiment } from '../../experiment.ts';
import type { World } from '../../phases/world.ts';
import type { Config, Resolved } from '../../settings/resolve.ts';
import { readEnvironment } from '../run/environment.ts';
import { keptOf, openExperiment, type ExperimentFile, type KeptExperiment } from '../run/experiment-file.ts';
import type { Arguments } from './arguments.ts';

export type ChosenArm = OwnArm & { readonly name: string };

export interface Chosen {
  readonly experiment?: ExperimentFile | undefined;
  readonly arm?: ChosenArm | undefined;
}

/** What --experiment and --arm name, or else what the run in `begun` began with. Throws ConfigError. */
export async function chosenExperiment(args: Arguments, begun: string | undefined): Promise<Chosen> {
  const kept = begun === undefined ? undefined : readEnvironment(begun)?.experiment;
  const path = args.text('experiment') ?? kept?.path;
  const wanted = args.text('arm');
  if (path === undefined) {
    if (wanted !== undefined) throw new ConfigError(`train: --arm ${wanted}: is of an experiment: give --experiment`);
    return {};
  }
  const experiment = await openExperiment(path);
  const arms = armsOf(experiment.experiment);
  const name = wanted ?? kept?.arm ?? [...arms.keys()][0];
  if (name === undefined) return { experiment };
  const own = arms.get(name);
  if (own !== undefined) return { experiment, arm: { ...own, name } };
  const known = [...arms.keys()];
  throw new ConfigError(`train: --arm ${name}: ${path} has ${known.join(', ') || 'no arms'}${didYouMean(name, known)}`);
}

/** The settings, with those of an arm that is a method of ours. */
export function withArm(resolved: Resolved, arm: ChosenArm | undefined): Resolved {
  if (arm?.method === undefined) return resolved;
  const { config } = resolved;
  return { ...resolved, config: { ...config, remit: { ...config.remit, ...arm.settings, arm: arm.method } } };
}

export function keptExperiment({ experiment, arm }: Chosen): KeptExperiment | undefined {
  return experiment && keptOf(experiment, arm?.name);
}

/** Throws ConfigError where an experiment has what a world of files gives. */
export function refuseParts(command: string, file: ExperimentFile | undefined, folder: string | undefined): void {
  const part = (['world', 'task', 'evaluate'] as const).find((name) => file?.experiment[name] !== undefined);
  if (folder === undefined || part === undefined) return;
  throw new ConfigError(`${command}: ${file!.path}: has ${part}(), which --world ${folder} gives: leave one of them out`);
}

/** What the phases take: settings with functions in place of names, and what is learned from. */
export function forPhases(config: Config, chosen: Chosen): { readonly config: Config; readonly world: World } {
  const experiment: Experiment = chosen.experiment?.experiment ?? {};
  return { config: ownSettings(config, experiment), world: worldOfExperiment(config, experiment) };
}
