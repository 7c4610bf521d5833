// Training on the tiny world: pre-training, mid-training, or one after the other; after each, a test on held-out questions.
// Read next: remit/phases/pretrain.ts, midtrain.ts, evaluate.ts.

import { rng } from '../../engine/rng.ts';
import { corpus } from '../data/world.ts';
import { tinyWorldTokenizer } from '../data/tokenizer.ts';
import { evaluate } from '../phases/evaluate.ts';
import { midtrain } from '../phases/midtrain.ts';
import { pretrain } from '../phases/pretrain.ts';
import { openDevice } from './device.ts';
import { startFrom } from './init.ts';
import { inRunFolder } from './session.ts';
import { evaluationTable, type Stage } from './table.ts';
import type { TrainOptions } from './train.ts';
import { checkWorldModel } from './world-model.ts';

/** Resolves to the exit code; the table is on stdout. */
export async function trainWorld({ resolved, plan, init, out, resume }: TrainOptions): Promise<number> {
  const device = await openDevice(resolved.config.device);
  const { model: start, tokenizer, config } = startFrom(init, resolved, tinyWorldTokenizer);
  if (init !== undefined) checkWorldModel(`train: --init ${init}`, start, tokenizer);

  return inRunFolder({ config, device, model: start, tokenizer, out, resume, name: resolved.preset }, async (folder) => {
    const rows = (phase: 'pretrain' | 'midtrain') => corpus(config[phase].corpus, rng(config.seed).fold('corpus').fold(phase));
    const stages: Stage[] = [];
    const test = async (name: string): Promise<void> => {
      stages.push({ name, evaluation: await evaluate(model, { ...config.evaluate, seed: config.seed }) });
    };

    let model = start;
    if (plan[0] === 'midtrain') await test('start');
    for (const phase of plan) {
      model = await (phase === 'pretrain' ? pretrain : midtrain)(config, rows(phase), model, folder);
      await test(phase);
    }
    folder.report('evaluation', { ...config.evaluate, stages });
    process.stdout.write(`${evaluationTable(stages)}\n`);
  });
}
