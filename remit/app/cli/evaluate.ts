// `remit-mini evaluate`: tests a trained model on held-out questions of the tiny world. Read next:
// remit/worlds/tiny/evaluate.ts.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceKind } from '../../../engine/device.ts';
import { ConfigError } from '../../../engine/errors.ts';
import { chosenDevice, deviceFlag, readArguments, required, wholeNumber, type Arguments, type Flags } from './arguments.ts';
import { EXIT } from './exit.ts';
import { print } from './terminal.ts';

export const help = `remit-mini evaluate --model <path> [flags]

Tests a model of the tiny world on questions that no training row holds, and prints the scores per task; with --world,
on the questions of a world of your own; with --experiment, as that file does.

  --model <path>               a run folder, a checkpoint, or a Hugging Face folder
  --world <folder>             a world made of files: the questions are those of its eval.jsonl
  --experiment <file>          a file of your own that has evaluate(); it is told the settings of the run, or as they come
  --questions <n>              per task, 1 to 200 (default 200)
  --split <test | validation>  which questions (default test)
  --seed <n>                   seeds the samples; the questions are always the same (default 0)
  --device <name>              auto, cpu or webgpu: what computes; auto is a GPU if there is one, else the CPU (default auto)
  --threads <n>                threads of the CPU; one per core by default; results do not depend on it
  --json                       print JSON instead of a table
`;

const flags: Flags = {
  model: { type: 'string' },
  world: { type: 'string' },
  experiment: { type: 'string' },
  questions: { type: 'string' },
  split: { type: 'string' },
  seed: { type: 'string' },
  json: { type: 'boolean' },
  ...deviceFlag,
};

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('evaluate', argv, flags);
  const path = required('evaluate', args, 'model', 'give a run folder, a checkpoint, or a Hugging Face folder');
  const questions = wholeNumber('evaluate', args, 'questions', { min: 1, max: 200, fallback: 200 });
  const device = chosenDevice('evaluate', args);
  const seed = wholeNumber('evaluate', args, 'seed', { min: 0, max: 0xffff_ffff, fallback: 0 });
  const split = args.text('split') ?? 'test';
  if (split !== 'test' && split !== 'validation') {
    throw new ConfigError(`evaluate: --split ${split}: must be test or validation`);
  }

  const folder = args.text('world');
  const file = args.text('experiment');
  if (file !== undefined) return evaluateExperiment(args, { file, path, device });
  if (folder !== undefined) return evaluateWorld(args, { folder, path, device, seed });

  const [{ evaluate }, { evaluationTable }, { loadModel }, { checkWorldModel }] = await Promise.all([
    import('../../worlds/tiny/evaluate.ts'), import('./table.ts'), import('./load-model.ts'), import('./world-model.ts'),
  ]);
  const { model, tokenizer, source } = await loadModel(path, device);
  checkWorldModel(`evaluate: ${source}`, model, tokenizer);
  const evaluation = await evaluate(model, { questions, split, seed });
  print(
    args.has('json')
      ? JSON.stringify({ source, questions, split, seed, ...evaluation }, null, 2)
      : evaluationTable([{ name: split, evaluation }]),
  );
  return EXIT.ok;
}

/** Tests as the file of an experiment does. */
async function evaluateExperiment(
  args: Arguments,
  { file, path, device }: { file: string; path: string; device: DeviceKind },
): Promise<number> {
  const extra = ['world', 'questions', 'split', 'seed'].find((flag) => args.has(flag));
  if (extra !== undefined) {
    throw new ConfigError(`evaluate: --experiment --${extra}: the file says what is asked: leave --${extra} out`);
  }
  const [{ openExperiment }, { evaluationTable }, { loadModel }, { checkWorldModel }] = await Promise.all([
    import('../run/experiment-file.ts'), import('./table.ts'), import('./load-model.ts'), import('./world-model.ts'),
  ]);
  const [{ tokenizerOf }, { resolveConfig }, { readJsonFile }] = await Promise.all([
    import('../../experiment.ts'), import('../../settings/resolve.ts'), import('../../text/read.ts'),
  ]);
  const { experiment } = await openExperiment(file);
  if (experiment.evaluate === undefined) {
    throw new ConfigError(`evaluate: --experiment ${file}: has no evaluate(): leave it out`);
  }
  const { model, tokenizer, source } = await loadModel(path, device);
  checkWorldModel(`evaluate: ${source}`, model, tokenizer, tokenizerOf(experiment));
  const own = join(path, 'config.json');
  const isRun = existsSync(join(path, 'env.json')) && existsSync(own);
  const { config } = resolveConfig(isRun ? { file: { path: own, values: readJsonFile('evaluate', own) } } : {});
  const evaluation = await experiment.evaluate(model, config);
  print(
    args.has('json')
      ? JSON.stringify({ source, ...evaluation }, null, 2)
      : evaluationTable([{ name: 'test', evaluation }]),
  );
  return EXIT.ok;
}

/** Tests on the questions of a world of files. */
async function evaluateWorld(
  args: Arguments,
  { folder, path, device, seed }: { folder: string; path: string; device: DeviceKind; seed: number },
): Promise<number> {
  const extra = ['questions', 'split'].find((flag) => args.has(flag));
  if (extra !== undefined) {
    throw new ConfigError(`evaluate: --world --${extra}: all questions of eval.jsonl are asked: leave --${extra} out`);
  }
  const [{ evaluateFiles }, { filesTable }, { loadModel }, { checkFits, openWorld, tellLeaks }] = await Promise.all([
    import('../../worlds/files/evaluate.ts'), import('./files-table.ts'), import('./load-model.ts'),
    import('./world-files.ts'),
  ]);
  const { world } = await openWorld(folder);
  const { model, tokenizer, source } = await loadModel(path, device);
  checkFits(`evaluate: ${source}`, model, tokenizer, world);
  const heldOutSeen = tellLeaks(world);
  const evaluation = await evaluateFiles(model, world, seed);
  if (evaluation === undefined) throw new ConfigError(`evaluate: --world ${folder}: has no eval.jsonl: nothing to ask`);
  print(
    args.has('json')
      ? JSON.stringify({ source, world: world.name, seed, heldOutSeen, ...evaluation }, null, 2)
      : filesTable([{ name: world.name, evaluation }], world.cue),
  );
  return EXIT.ok;
}
