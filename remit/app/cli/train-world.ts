// Training on the tiny world: the whole pipeline with the flywheel, or one phase of it; after each phase, a test on
// held-out questions. Read next: remit/phases/pipeline.ts, the pipeline; comparison.ts and table.ts, what is printed.

import { ConfigError } from '../../../engine/errors.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import { tokenizerOf } from '../../experiment.ts';
import { evaluate } from '../../worlds/tiny/evaluate.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { midtrain } from '../../phases/midtrain.ts';
import { pretrain } from '../../phases/pretrain.ts';
import { pipeline } from '../../phases/pipeline.ts';
import { rl } from '../../phases/rl.ts';
import { sft } from '../../phases/sft.ts';
import { EVALUATION_VERSION, storedStages } from '../run/evaluation.ts';
import { openModel } from '../run/model.ts';
import { phasesOf, type Plan } from '../run/plan.ts';
import type { RunFolder } from '../run/folder.ts';
import { answersTable, ask, type Answers } from './answers.ts';
import { comparison } from './comparison.ts';
import { openDevice } from './device.ts';
import { forPhases, keptExperiment } from './experiment.ts';
import { startFrom } from './init.ts';
import { command } from './program.ts';
import { inRunFolder } from './session.ts';
import { evaluationTable, type Stage } from './table.ts';
import { columns, print, say } from './terminal.ts';
import type { TrainOptions } from './settings.ts';
import { checkWorldModel } from './world-model.ts';

/** One that may be tried on a model. */
const QUESTION = '^S1+1-1-4-4?';

/** Resolves to the exit code; what was found is on stdout. */
export async function trainWorld({
  resolved, plan, init, reference, out, resume, check, device: chosen, experiment, arm,
}: TrainOptions): Promise<number> {
  const device = await openDevice(chosen ?? resolved.config.device);
  const needed = tokenizerOf(experiment?.experiment ?? {});
  const { model: start, tokenizer, config, source } = startFrom(init, resolved, needed);
  if (init !== undefined) checkWorldModel(`train: --init ${init}`, start, tokenizer, needed);
  const guide = reference === undefined ? undefined : openReference(reference, start, needed);

  const session = {
    config,
    device,
    model: start,
    reference: guide?.model,
    tokenizer,
    out,
    resume,
    name: resolved.preset,
    check,
    plan,
    phases: phasesOf(plan, config.remit.iterations),
    sources: { init: source, reference: guide?.source },
    experiment: keptExperiment({ experiment, arm }),
  };
  return inRunFolder(session, async (folder) => {
    const { config: own, world } = forPhases(config, { experiment, arm });
    const evaluated = experiment?.experiment.evaluate ?? ((model) => evaluate(model, { ...config.evaluate, seed: config.seed }));
    const isTinyWorld = experiment?.experiment.tokenizer === undefined;
    const stages: Stage[] = [];
    const answers: Answers[] = [];
    const before = storedStages(folder.path);
    const test = async (name: string, model: Transformer): Promise<void> => {
      stages.push({ name, evaluation: await evaluated(model, config) });
      if (check === undefined && isTinyWorld) answers.push(await ask(name, model, config.evaluate));
      // of a run that was further: not lost on the way there
      const rest = before.filter((stage) => stages.every((own) => own.name !== stage.name));
      folder.report('evaluation', { version: EVALUATION_VERSION, ...config.evaluate, stages: [...stages, ...rest] });
    };
    if (plan === 'everything') {
      await pipeline(own, world, start, folder, { onStage: test, arm });
      if (check === undefined) tell(comparison(stages, config.remit, columns()));
      return;
    }
    if (init !== undefined) await test('start', start);
    await test(plan, await onePhase(plan, folder));
    if (check === undefined) tell(evaluationTable(stages));

    function tell(scores: string): void {
      print(isTinyWorld ? `${scores}\n\n${answersTable(answers, config.evaluate.split)}` : scores);
      say(`next: ${command('sample', '--model', folder.path, '--prompt', isTinyWorld ? QUESTION : '...')}`);
      say(`see it: ${command('view', folder.path)}`);
    }

    function onePhase(phase: Exclude<Plan, 'everything' | 'text'>, run: RunFolder): Promise<Transformer> {
      switch (phase) {
        case 'pretrain':
          return pretrain(own, world.pretrain, start, run);
        case 'midtrain':
          return midtrain(own, world.midtrain, start, run);
        case 'sft':
          return sft(own, world.demonstrations, start, run);
        case 'rl':
          return rl(own, world.questions, start, run);
        case 'remit':
          return midtrain(own, world.midtrain, start, run, { phase, reference: guide!.model, loss: arm?.loss });
        default:
          return phase satisfies never;
      }
    }
  });
}

/** Throws ConfigError when the model at `path` does not speak of the same tokens as `start`. */
function openReference(
  path: string,
  start: Transformer,
  needed: Tokenizer,
): { readonly model: Transformer; readonly source: string } {
  const { model, tokenizer, source } = openModel(path);
  checkWorldModel(`train: --reference ${path}`, model, tokenizer, needed);
  const [theirs, ours] = [model.config.vocabulary, start.config.vocabulary];
  if (theirs !== ours) {
    throw new ConfigError(
      `train: --reference ${path}: its vocabulary has ${theirs} tokens, that of the model ${ours}: must be the same`,
    );
  }
  return { model, source };
}
