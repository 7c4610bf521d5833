// Training on the tiny world: the whole pipeline with the flywheel, or one phase of it; after each phase, a test on held-out questions.
// Read next: remit/phases/remit.ts, the pipeline; comparison.ts and table.ts, what is printed.

import { ConfigError } from '../../engine/errors.ts';
import type { Transformer } from '../../nn/transformer.ts';
import { tinyWorldTokenizer } from '../data/tokenizer.ts';
import { evaluate } from '../phases/evaluate.ts';
import { midtrain } from '../phases/midtrain.ts';
import { pretrain } from '../phases/pretrain.ts';
import { remit } from '../phases/remit.ts';
import { rl } from '../phases/rl.ts';
import { sft } from '../phases/sft.ts';
import { worldOf } from '../phases/world.ts';
import { openModel } from '../run/model.ts';
import type { RunFolder } from '../run/folder.ts';
import { comparison } from './comparison.ts';
import { openDevice } from './device.ts';
import { startFrom } from './init.ts';
import { inRunFolder } from './session.ts';
import { evaluationTable, type Stage } from './table.ts';
import type { Plan, TrainOptions } from './train.ts';
import { checkWorldModel } from './world-model.ts';

/** Resolves to the exit code; what was found is on stdout. */
export async function trainWorld({ resolved, plan, init, reference, out, resume }: TrainOptions): Promise<number> {
  const device = await openDevice(resolved.config.device);
  const { model: start, tokenizer, config } = startFrom(init, resolved, tinyWorldTokenizer);
  if (init !== undefined) checkWorldModel(`train: --init ${init}`, start, tokenizer);
  const guide = reference === undefined ? undefined : openReference(reference, start);

  return inRunFolder({ config, device, model: start, reference: guide, tokenizer, out, resume, name: resolved.preset }, async (folder) => {
    const world = worldOf(config), stages: Stage[] = [];
    const test = async (name: string, model: Transformer): Promise<void> => {
      stages.push({ name, evaluation: await evaluate(model, { ...config.evaluate, seed: config.seed }) });
      folder.report('evaluation', { ...config.evaluate, stages });
    };
    if (plan === 'everything') {
      await remit(config, world, start, folder, test);
      process.stdout.write(`${comparison(stages, config.remit)}\n`);
      return;
    }
    if (init !== undefined) await test('start', start);
    await test(plan, await onePhase(plan, folder));
    process.stdout.write(`${evaluationTable(stages)}\n`);

    function onePhase(phase: Exclude<Plan, 'everything'>, run: RunFolder): Promise<Transformer> {
      switch (phase) {
        case 'pretrain': return pretrain(config, world.pretrain, start, run);
        case 'midtrain': return midtrain(config, world.midtrain, start, run);
        case 'sft': return sft(config, world.demonstrations, start, run);
        case 'rl': return rl(config, world.questions, start, run);
        case 'remit': return midtrain(config, world.midtrain, start, run, { phase, reference: guide! });
        default: return phase satisfies never;
      }
    }
  });
}

/** Throws ConfigError when the model at `path` does not speak of the same tokens as `start`. */
function openReference(path: string, start: Transformer): Transformer {
  const { model, tokenizer } = openModel(path);
  checkWorldModel(`train: --reference ${path}`, model, tokenizer);
  const [theirs, ours] = [model.config.vocabulary, start.config.vocabulary];
  if (theirs !== ours) throw new ConfigError(`train: --reference ${path}: its vocabulary has ${theirs} tokens, that of the model ${ours}: must be the same`);
  return model;
}
