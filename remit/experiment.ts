// An experiment of somebody's own, as values: what stands in the place of ours. A file exports one, and train and study
// take it (--experiment); what it leaves out stays as it is. The names in the settings are short for values that are
// here: an arm, a schedule, an advantage may be a function instead. Read after: arms.ts, phases/world.ts. Read next:
// app/run/experiment-file.ts.

import { ConfigError } from '../engine/errors.ts';
import {
  callable, checkArguments, checkOptions, checkValue, choice, isOptions, list, optional, real, such, text, type Rules,
} from '../engine/options.ts';
import { rng, type Rng } from '../engine/rng.ts';
import type { Transformer } from '../nn/transformer.ts';
import type { OwnOptimiser } from '../optim/optimiser.ts';
import type { OwnSchedule } from '../optim/schedule.ts';
import { referenceOf, type Arm, type ArmName, type OwnArm } from './arms.ts';
import { worldOf, type World } from './phases/world.ts';
import type { OwnAdvantage } from './rl/advantage.ts';
import type { Task } from './rl/task.ts';
import { aTokenizer, type Tokenizer } from './text/tokenizer.ts';
import { tinyWorldTokenizer } from './worlds/tiny/tokenizer.ts';
import { resolveConfig, type Config } from './settings/resolve.ts';
import type { Evaluation } from './worlds/tiny/evaluate.ts';

const PHASES = ['pretrain', 'midtrain', 'sft', 'rl'] as const;

/** Two arms of a study, whose models are compared after mid-training, paired by seed. */
export interface OwnContrast {
  readonly of: string;
  readonly less: string;
}

/** What somebody puts in the place of ours: arms, texts, rewards, schedules, tests, a tokenizer. */
export interface Experiment {
  readonly arms?: Readonly<Record<string, Arm | OwnArm>>;
  /** Other tokens than the tiny world's characters: then world() gives all parts, and evaluate() asks. */
  readonly tokenizer?: Tokenizer;
  /** What is learned from, in place of the tiny world's rows: any part of it. Rows are tokens of its tokenizer. */
  readonly world?: (config: Config, random: Rng) => Partial<World>;
  /** The questions and rewards of reinforcement learning. */
  readonly task?: (random: Rng, config: Config) => Task;
  readonly schedules?: Readonly<Partial<Record<(typeof PHASES)[number], OwnSchedule>>>;
  /** By phase, in place of AdamW: Muon with options of its own, or anything that updates the parameters. */
  readonly optimisers?: Readonly<Partial<Record<(typeof PHASES)[number], OwnOptimiser>>>;
  readonly advantage?: OwnAdvantage;
  /** How a model is tested, in place of the tiny world's held-out questions. */
  readonly evaluate?: (model: Transformer, config: Config) => Promise<Evaluation>;
  readonly contrasts?: readonly OwnContrast[];
}

const NAME = /^[a-z0-9][\w.+-]*$/i; // it becomes a folder's
const armRules: Rules<OwnArm> = {
  about: optional(text),
  loss: optional(callable<Arm>()),
  method: optional(choice(...(Object.keys(referenceOf) as ArmName[]))),
  settings: optional(such<Partial<Config['remit']>>('settings of remit: { epsilon: 0.1 }', isOptions)),
  guide: optional(choice('none', 'sft', 'rl')),
  steps: optional(real({ above: 0, to: 100 })),
};
const aContrast = such<OwnContrast>(
  'two arms: { of, less }',
  (value) =>
    isOptions(value) && Object.keys(value).sort().join() === 'less,of' && Object.values(value).every(text.accepts),
);
const rules: Rules<Experiment> = {
  arms: optional(such<NonNullable<Experiment['arms']>>('arms by name', isOptions)),
  tokenizer: optional(aTokenizer),
  world: optional(callable<NonNullable<Experiment['world']>>()),
  task: optional(callable<NonNullable<Experiment['task']>>()),
  schedules: optional(such<NonNullable<Experiment['schedules']>>('schedules by phase', isOptions)),
  optimisers: optional(such<NonNullable<Experiment['optimisers']>>('optimisers by phase', isOptions)),
  advantage: optional(callable<OwnAdvantage>()),
  evaluate: optional(callable<NonNullable<Experiment['evaluate']>>()),
  contrasts: optional(list('a list of contrasts', aContrast)) as Rules<Experiment>['contrasts'],
};
/** A function for any phase. */
const byPhase = Object.fromEntries(PHASES.map((phase) => [phase, optional(callable())])) as unknown as Rules<
  Partial<Record<(typeof PHASES)[number], never>>
>;

const defined = new WeakSet<object>();

/** The same, checked. Throws ConfigError for a part that is unknown, or not what it must be. */
export function defineExperiment(experiment: Experiment): Experiment {
  checkArguments('defineExperiment', arguments, { experiment: such('an experiment: { arms, task, ... }', isOptions) });
  checkOptions('defineExperiment', experiment, rules);
  for (const part of ['schedules', 'optimisers'] as const) {
    checkOptions<object>(`defineExperiment: ${part}`, experiment[part] ?? {}, byPhase);
  }
  for (const [name, arm] of Object.entries(experiment.arms ?? {})) checkArm(name, arm);
  const { tokenizer, world, evaluate } = experiment;
  if (tokenizer !== undefined && (world === undefined || evaluate === undefined)) {
    throw new ConfigError(
      'defineExperiment: tokenizer: the tiny world has tokens of its own: give world() and evaluate(), too',
    );
  }
  defined.add(experiment);
  return experiment;
}

export function isExperiment(value: unknown): value is Experiment {
  return typeof value === 'object' && value !== null && defined.has(value);
}

function checkArm(name: string, given: Arm | OwnArm): void {
  const where = `defineExperiment: arms: ${name}`;
  if (!NAME.test(name)) throw new ConfigError(`${where}: it names a folder: must be letters, digits and . + - _`);
  if (typeof given === 'function') return;
  const arm = checkOptions<OwnArm>(where, given, armRules);
  if ((arm.loss === undefined) === (arm.method === undefined)) {
    throw new ConfigError(`${where}: must have a loss of its own, or a method of ours: one of them`);
  }
  resolveConfig({ file: { path: where, values: { remit: arm.settings ?? {} } } });
  if (arm.method !== undefined && arm.guide !== undefined) {
    throw new ConfigError(`${where}: guide: ${arm.method} has its own: leave it out`);
  }
}

export function tokenizerOf({ tokenizer = tinyWorldTokenizer }: Experiment): Tokenizer {
  return tokenizer;
}

/** The arms of an experiment by name; a function alone is a loss. */
export function armsOf({ arms = {} }: Experiment): ReadonlyMap<string, OwnArm> {
  return new Map(
    Object.entries(arms).map(([name, arm]) => [name, typeof arm === 'function' ? { loss: arm } : arm]),
  );
}

/** What phases take as their settings: functions in place of names. For them alone: a run folder keeps the names. */
export function ownSettings(config: Config, { schedules = {}, optimisers = {}, advantage }: Experiment): Config {
  const scheduled = PHASES.map((phase) => [
    phase,
    {
      ...config[phase],
      ...(schedules[phase] && { schedule: schedules[phase] }),
      ...(optimisers[phase] && { optimiser: optimisers[phase] }),
    },
  ]);
  const own = { ...config, ...Object.fromEntries(scheduled) } as Config;
  return { ...own, rl: { ...own.rl, ...(advantage && { advantage }) } };
}

const aTree = such<Partial<World>>('parts of a world: { pretrain, midtrain, demonstrations, questions }', isOptions);

/** What the phases learn from: the tiny world's, but for what the experiment has. Random numbers follow from the seed. */
export function worldOfExperiment(config: Config, { tokenizer, world, task }: Experiment): World {
  const random = rng(config.seed).fold('experiment');
  const given = world && checkValue('experiment: what world() returned', world(config, random.fold('world')), aTree);
  const parts = { ...given, ...(task && { questions: task(random.fold('task'), config) }) };
  if (tokenizer === undefined) return { ...worldOf(config), ...parts };
  const missing = (['pretrain', 'midtrain', 'demonstrations', 'questions'] as const).find((part) => !(part in parts));
  if (missing === undefined) return parts as World;
  throw new ConfigError(
    `experiment: what world() returned: has no ${missing}: with a tokenizer of its own it must have all parts`,
  );
}
