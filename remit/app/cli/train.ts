// `remit-mini train`: reads the settings, then trains on the tiny world or on your own text.
// Read next: train-world.ts, train-text.ts; remit/settings/schema.ts for the settings.

import { join } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import { presetsHelp, printConfig, settingsHelp, usualSettingsHelp } from './settings-help.ts';
import { didYouMean } from '../../../engine/nearest.ts';
import { checkRead } from '../../settings/reads.ts';
import { settings } from '../../settings/schema.ts';
import { isPlan, PHASES, type Plan } from '../run/plan.ts';
import { readEnvironment } from '../run/environment.ts';
import { findSource, findWorld } from '../run/sources.ts';
import { findText } from '../run/text.ts';
import { readArguments, required, type Arguments, type Flags } from './arguments.ts';
import { EXIT } from './exit.ts';
import { chosenExperiment, withArm } from './experiment.ts';
import { readSettings, settingFlags, type TrainOptions } from './settings.ts';
import { chooseLog } from './live-log.ts';
import { print } from './terminal.ts';

const flagsHelp = `remit-mini train [pretrain | midtrain | sft | rl | remit] [flags]

Without a phase, everything: pre-trains, mid-trains and post-trains (SFT, RL) a small transformer on the tiny world, then mid-trains it
again guided by the RL model (ReMiT) and post-trains that; tests every stage and compares them. With a phase, that phase alone: midtrain,
sft and rl go on from the model of --init; remit mid-trains it guided by the model of --reference.
Everything about the run is kept in its folder.

  --preset <name>        where to start from, see below
  --config <file.json>   settings from a file, for example the config.json of another run
  --set <name>=<value>   one setting; may be repeated; --<setting> <value> says the same
  --data <path>          train on your own text instead: a .txt or .jsonl file, or a folder of them
  --tokenizer <name>     of your own text: bytes (default); a tokenizer.json; or bpe, learned from it, of --vocabulary <n> tokens
  --world <folder>       train on a world of your own, made of files: see docs/a-world-of-your-own.md
  --experiment <file>    arms, tasks, schedules of your own; --arm <name>: which
  --init <path>          start from a trained model: a run folder, a checkpoint, or a Hugging Face folder
  --reference <path>     train remit: the model that guides, for example the checkpoint rl.safetensors of a run
  --iterations <n>       turns of the flywheel (default 1); the same as --remit.iterations
  --threads <n>          threads of the CPU; one per core by default; results do not depend on it
  --out <folder>         where the run goes; runs/<preset>-<number> by default
  --log tensorboard      also for TensorBoard, while it trains
  --resume <folder>      go on with the run there, from its newest checkpoint; --out <folder> --resume: if there is one, else begin
  --print-config         show every setting and where it came from, and stop

Presets:
${presetsHelp()}
`;

export const help = `${flagsHelp}
Settings, of ${settings.size} (defaults < preset < file < flags):
${usualSettingsHelp()}

  --help all             shows all settings
`;

export const helpAll = `${flagsHelp}
Settings (defaults < preset < file < flags).

${settingsHelp()}
`;

const flags: Flags = {
  ...settingFlags,
  init: { type: 'string' },
  reference: { type: 'string' },
  experiment: { type: 'string' },
  arm: { type: 'string' },
  iterations: { type: 'string' },
  out: { type: 'string' },
  resume: { type: 'string' },
  log: { type: 'string' },
  'print-config': { type: 'boolean' },
};

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('train', resumeWithValue(argv), flags, 1);
  chooseLog('train', args);
  const place = choosePlace(args);
  const begun = place.resume === 'never' || place.out === undefined ? undefined : place.out;
  const plan = choosePlan(args.positionals[0], place.resume === 'required' ? place.out : undefined);
  const file = place.resume === 'required' ? join(place.out, 'config.json') : undefined;
  const without = readSettings('train', args, file);
  const { world } = without.config.data;
  const folder = world === undefined || begun === undefined || args.has('world') ? world : findWorld(begun, world);
  const asked = folder === undefined ? without : readSettings('train', args, file, await settingsOf(folder));
  const chosen = await chosenExperiment(args, begun);
  const resolved = withArm(asked, chosen.arm);
  if (args.has('print-config')) {
    print(printConfig(resolved));
    return EXIT.ok;
  }
  const source = (name: 'init' | 'reference'): string | undefined =>
    args.text(name) ?? (begun === undefined ? undefined : findSource(begun, name));
  const options = { resolved, plan, init: source('init'), reference: source('reference'), ...chosen, ...place };
  const { path } = resolved.config.data;
  if (path !== undefined && plan !== 'everything' && plan !== 'pretrain') {
    throw new ConfigError(
      `train ${plan}: --data: your own text is for pretrain: use train pretrain, with --init to go on from a model`,
    );
  }
  if (chosen.experiment !== undefined && path !== undefined) {
    throw new ConfigError('train: --experiment: is about all phases, and --data is for pretrain: leave one out');
  }
  checkModels(options);
  checkRead(resolved, { reader: path === undefined ? plan : 'text' });
  if (folder !== undefined) return (await import('./train-files.ts')).trainFiles(options, folder);
  if (path === undefined) return (await import('./train-world.ts')).trainWorld(options);
  const { trainText } = await import('./train-text.ts');
  return trainText(
    options,
    begun === undefined || args.has('data') ? path : findText(begun, path, resolved.config.data.field),
  );
}

/** What a world of files asks for. */
async function settingsOf(folder: string): Promise<{ name: string; values: unknown }> {
  const { world, settings } = await (await import('../../worlds/files/read.ts')).readWorld(folder);
  return { name: world.name, values: settings };
}

/** What the command line names, or else what the run in `begun` is for. */
function choosePlan(word: string | undefined, begun: string | undefined): Exclude<Plan, 'text'> {
  if (word !== undefined) return namedPhase(word);
  const plan = begun === undefined ? undefined : readEnvironment(begun)?.plan;
  return isPlan(plan) && plan !== 'text' ? plan : 'everything';
}

function namedPhase(word: string): (typeof PHASES)[number] {
  const phase = PHASES.find((name) => name === word);
  if (phase === undefined) {
    throw new ConfigError(`train: ${word}: no such phase: there are ${PHASES.join(', ')}${didYouMean(word, PHASES)}`);
  }
  return phase;
}

/** Throws ConfigError when a phase lacks a model to start from or to be guided by, or has one that it would not use. */
function checkModels({ plan, init, reference }: TrainOptions): void {
  if (plan !== 'everything' && plan !== 'pretrain' && init === undefined) {
    throw new ConfigError(`train ${plan}: needs a model to start from: give --init <run folder>`);
  }
  if (plan === 'remit' && reference === undefined) {
    throw new ConfigError(
      'train remit: needs a model to be guided by: give --reference <run folder>/checkpoints/rl.safetensors',
    );
  }
  if (plan !== 'remit' && reference !== undefined) {
    throw new ConfigError(`train: --reference ${reference}: only train remit is guided by a model: leave it out`);
  }
}

/** `--resume` without a folder, which node:util does not know, becomes `--resume=`. */
function resumeWithValue(argv: readonly string[]): string[] {
  return argv.map((word, i) => (word === '--resume' && (argv[i + 1] ?? '--').startsWith('--') ? '--resume=' : word));
}

/** Where the run goes, and whether it may be there already. */
function choosePlace(
  args: Arguments,
): { out: string; resume: 'required' } | { out: string | undefined; resume: 'never' | 'if-there' } {
  const out = args.text('out');
  const folder = args.text('resume');
  if (folder === undefined) return { out, resume: 'never' };
  if (folder === '') {
    return { out: out ?? required('train', args, 'resume', 'which run? Give its folder'), resume: 'if-there' };
  }
  if (out !== undefined) {
    throw new ConfigError(`train: --out ${out} --resume ${folder}: a run goes on in its own folder: leave --out out`);
  }
  return { out: folder, resume: 'required' };
}
