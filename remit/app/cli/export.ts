// `remit-mini export`: writes a trained model, or the curves of its training, as other programs read it. Read next:
// remit/app/interop/huggingface.ts; export-curves.ts.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import { chosenDevice, deviceFlag, readArguments, type Flags } from './arguments.ts';
import { EXIT } from './exit.ts';
import { print, say } from './terminal.ts';

export const help = `remit-mini export <run> [flags]

Writes a model in the Hugging Face layout of Llama: config.json, model.safetensors, tokenizer.json. From a Hugging Face folder,
tokenizer files, generation_config.json and special tokens are carried over as they are.

With --format csv or tensorboard: every number of every step, of a run or of all cells of a study.

  <run>                     a run folder or a checkpoint; for curves, a run or a study
  --format <name>           huggingface (default), csv or tensorboard
  --device <name>           auto, cpu or webgpu: what holds the model meanwhile; the file is the same (default auto)
  --out <folder>            where to; <run>/huggingface by default; a folder that is not empty is refused. For curves
      <run>/metrics.csv and <run>/tensorboard, which are written anew
`;

const flags: Flags = { format: { type: 'string' }, out: { type: 'string' }, ...deviceFlag };

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('export', argv, flags, 1);
  const path = args.positionals[0];
  if (path === undefined) throw new ConfigError('export: which model? Give a run folder or a checkpoint');
  const format = args.text('format') ?? 'huggingface';
  if (format === 'csv' || format === 'tensorboard') {
    if (args.has('device')) throw new ConfigError(`export: --device: nothing is computed for ${format}: leave it out`);
    const { exportCurves } = await import('./export-curves.ts');
    return exportCurves(path, format, args.text('out'));
  }
  if (format !== 'huggingface') {
    throw new ConfigError(`export: --format ${format}: must be huggingface, csv or tensorboard`);
  }
  const device = chosenDevice('export', args);

  const [{ exportHuggingFace }, { isModelFolder, readCompanions, writeFolder }, { loadModel }] = await Promise.all([
    import('../interop/huggingface.ts'), import('../interop/folder.ts'), import('./load-model.ts'),
  ]);
  const { model, tokenizer, source } = await loadModel(path, device);
  const out = args.text('out') ?? defaultFolder(path);
  const { carried, left = [] } = isModelFolder(source) ? readCompanions(source) : {};
  const files = await exportHuggingFace(model, tokenizer, carried);
  writeFolder(out, files);
  say(`${source} -> ${out}`);
  if (carried !== undefined && carried.files.size > 0) {
    say(`carried over as they are: ${[...carried.files.keys()].join(', ')}`);
  }
  if (left.length > 0) say(`not carried over: ${left.join(', ')}`);
  print([...files.keys()].map((name) => join(out, name)).join('\n'));
  return EXIT.ok;
}

function defaultFolder(path: string): string {
  if (statSync(path).isDirectory()) return join(path, 'huggingface');
  throw new ConfigError(`export: ${path}: is a file: say where to with --out <folder>`);
}
