// What a study can choose its arms from: ours, those of an experiment of somebody's own, and the points of a grid.
// Read after: arms.ts, grid.ts. Used by: ledger.ts, remit/app/cli/study.ts.

import { ConfigError } from '../../../engine/errors.ts';
import { didYouMean } from '../../../engine/nearest.ts';
import { armsOf } from '../../experiment.ts';
import type { Config } from '../../settings/resolve.ts';
import type { ExperimentFile } from '../run/experiment-file.ts';
import { STUDY_ARMS, vanillaOf, type StudyArm } from './arms.ts';
import { armOfSettings, gridArms, type Grid } from './grid.ts';
import type { Contrast } from './protocol.ts';

export interface Offer {
  readonly arms: readonly StudyArm[];
  /** Compared after mid-training, beside what the protocol compares. */
  readonly contrasts: readonly Contrast[];
  readonly experiment?: ExperimentFile | undefined;
}

/** Throws ConfigError for an arm of the experiment with a name of ours, a contrast of an unknown arm, a wrong grid. */
export function offerOf(config: Config, experiment: ExperimentFile | undefined, grid: Grid | undefined): Offer {
  const own = experiment === undefined ? [] : ownArms(experiment);
  const plain = [...STUDY_ARMS, ...own];
  if (grid === undefined) return { arms: plain, contrasts: contrastsOf(experiment, plain), experiment };
  const multiplied = armsNamed(grid.of, [...plain, armOfSettings(config)]).filter(({ name }) => name !== 'vanilla');
  const arms = gridArms(grid.axes, multiplied, config);
  return { arms, contrasts: variantContrasts(arms), experiment };
}

/** The vanilla arm of each variant over that of the first, which is what a grid without arms is about. */
function variantContrasts(arms: readonly StudyArm[]): Contrast[] {
  const [first, ...others] = arms.filter((arm) => arm.name === vanillaOf(arm)).map(({ name }) => name);
  return others.flatMap((of) =>
    (['midtrain', 'rl'] as const).map((stage) => ({
      title: `${of} over ${first}, ${stage}`, of: { arm: of, stage }, less: { arm: first!, stage },
    })),
  );
}

function ownArms({ path, experiment }: ExperimentFile): StudyArm[] {
  return [...armsOf(experiment)].map(([name, { about, method = 'remit', ...arm }]) => {
    if (STUDY_ARMS.some((known) => known.name === name) || ['base', 'analysis'].includes(name)) {
      throw new ConfigError(`study: ${path}: arm ${name}: a name of ours: give it another`);
    }
    return { name, about: about ?? `of ${path}`, method, ...arm };
  });
}

function contrastsOf(file: ExperimentFile | undefined, arms: readonly StudyArm[]): Contrast[] {
  return (file?.experiment.contrasts ?? []).map(({ of, less }) => {
    armsNamed([of, less], arms);
    const stage = 'midtrain';
    return { title: `${of} over ${less}`, of: { arm: of, stage }, less: { arm: less, stage } };
  });
}

/** Arms by name, in the order of `arms`. Throws ConfigError for a name that none has. */
export function armsNamed(names: readonly string[], arms: readonly StudyArm[]): StudyArm[] {
  const known = [...new Set(arms.map(({ name }) => name))];
  const wrong = names.find((name) => !known.includes(name));
  if (wrong !== undefined) {
    throw new ConfigError(`study: --arms ${wrong}: no such arm: there are ${known.join(', ')}${didYouMean(wrong, known)}`);
  }
  return known.filter((name) => names.includes(name)).map((name) => arms.find((arm) => arm.name === name)!);
}
