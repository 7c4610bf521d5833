// Training on a world made of files: the whole pipeline with the flywheel, or one phase of it, as far as the files go;
// after each phase, a test on the questions of eval.jsonl. Read after: train-world.ts. Read next:
// remit/worlds/files/world.ts, what the phases learn from.

import { ConfigError } from '../../../engine/errors.ts';
import { rng } from '../../../engine/rng.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import type { OwnArm } from '../../arms.ts';
import { ownSettings } from '../../experiment.ts';
import type { Config } from '../../settings/resolve.ts';
import { midtrain } from '../../phases/midtrain.ts';
import { pipelineOfParts, stagesOf } from '../../phases/pipeline.ts';
import { pretrain } from '../../phases/pretrain.ts';
import { rl } from '../../phases/rl.ts';
import { sft } from '../../phases/sft.ts';
import { evaluateFiles } from '../../worlds/files/evaluate.ts';
import { partsOf, type FileWorld, type Parts } from '../../worlds/files/world.ts';
import { EVALUATION_VERSION, storedStages } from '../run/evaluation.ts';
import type { RunFolder } from '../run/folder.ts';
import { openModel } from '../run/model.ts';
import { phasesOf } from '../run/plan.ts';
import { openDevice } from './device.ts';
import { keptExperiment, refuseParts } from './experiment.ts';
import { filesTable } from './files-table.ts';
import { startFrom } from './init.ts';
import { command } from './program.ts';
import { inRunFolder } from './session.ts';
import type { TrainOptions } from './settings.ts';
import type { Stage } from './table.ts';
import { print, say } from './terminal.ts';
import { checkFits, openWorld, tellLeaks } from './world-files.ts';

/** The file that gives each part, for messages. */
const FILES = { pretrain: 'pretrain.txt', midtrain: 'midtrain.txt', sft: 'sft.jsonl', rl: 'rl.jsonl' } as const;

/** Resolves to the exit code; what was found is on stdout. `folder`: of the world. */
export async function trainFiles(
  { resolved, plan, init, reference, out, resume, check, device: chosen, experiment, arm }: TrainOptions,
  folder: string,
): Promise<number> {
  const { world, contents } = await openWorld(folder);
  refuseParts('train', experiment, folder);
  const phases = phasesHere(plan, world, resolved.config, arm);
  const leftOut = phasesOf(plan, resolved.config.remit.iterations).filter((phase) => !phases.includes(phase));
  const missing = Object.entries(FILES).filter(([part]) => world[part as keyof typeof FILES] === undefined);
  const lacks = `${folder} has no ${missing.map(([, file]) => file).join(', ')}`;
  if (phases.length === 0) throw new ConfigError(`train: ${leftOut.join(', ')}: ${lacks}: nothing can be trained`);

  const device = await openDevice(chosen ?? resolved.config.device);
  const { model: start, tokenizer, config, source } = startFrom(init, resolved, world.tokenizer);
  if (init !== undefined) checkFits(`train: --init ${init}`, start, tokenizer, world);
  if (config.model.context < world.context) {
    throw new ConfigError(
      `train: model.context = ${config.model.context}: rows of ${world.name} need ${world.context}`,
    );
  }
  const own = ownSettings(config, experiment?.experiment ?? {});
  const guide = reference === undefined ? undefined : openModel(reference);
  if (guide !== undefined) checkFits(`train: --reference ${reference}`, guide.model, guide.tokenizer, world);

  const session = {
    config,
    device,
    model: start,
    reference: guide?.model,
    tokenizer,
    out,
    resume,
    data: contents,
    name: world.name,
    check,
    plan,
    phases,
    sources: { init: source, reference: guide?.source, data: folder },
    experiment: keptExperiment({ experiment, arm }),
  };
  return inRunFolder(session, async (run) => {
    if (check === undefined && leftOut.length > 0) say(`left out: ${leftOut.join(', ')}: ${lacks}`);
    const heldOutSeen = check === undefined ? tellLeaks(world) : 0;
    const parts = partsOf(world, config.model.context, rng(config.seed).fold('corpus'));
    const stages: Stage[] = [];
    const before = storedStages(run.path);
    const test = async (name: string, model: Transformer): Promise<void> => {
      const evaluation = await evaluateFiles(model, world, config.seed);
      if (evaluation === undefined) return;
      stages.push({ name, evaluation });
      const rest = before.filter((stage) => stages.every((own) => own.name !== stage.name));
      run.report('evaluation', { version: EVALUATION_VERSION, world: world.name, stages: [...stages, ...rest] });
    };
    if (plan === 'everything') await pipelineOfParts(own, parts, start, run, { onStage: test, arm });
    else {
      if (init !== undefined) await test('start', start);
      await test(plan, await onePhase(plan, parts, run));
    }
    if (check !== undefined) return;
    if (stages.length > 0) print(filesTable(stages, world.cue));
    else say(`${folder} has no eval.jsonl: nothing was asked`);
    if (heldOutSeen > 0) say(`of the questions, ${heldOutSeen} are in the training data: their scores mean less`);
    const prompt = world.eval?.[0]?.prompt ?? world.rl?.[0]?.prompt ?? world.sft?.[0]?.prompt;
    if (prompt !== undefined) say(`next: ${command('sample', '--model', run.path, '--prompt', prompt)}`);
    say(`see it: ${command('view', run.path)}`);
  });

  function onePhase(phase: Exclude<Plan, 'everything'>, parts: Parts, run: RunFolder): Promise<Transformer> {
    switch (phase) {
      case 'pretrain': return pretrain(own, parts.pretrain!, start, run);
      case 'midtrain': return midtrain(own, parts.midtrain!, start, run);
      case 'sft': return sft(own, parts.demonstrations!, start, run);
      case 'rl': return rl(own, parts.questions!, start, run);
      case 'remit':
        return midtrain(own, parts.midtrain!, start, run, { phase, reference: guide!.model, loss: arm?.loss });
      default: return phase satisfies never;
    }
  }
}

type Plan = TrainOptions['plan'];

/** The phases of a plan that a world has what they need for. */
function phasesHere(plan: Plan, { pretrain, midtrain, sft, rl }: FileWorld, config: Config, arm?: OwnArm): string[] {
  const has = {
    pretrain: pretrain !== undefined,
    midtrain: midtrain !== undefined,
    demonstrations: sft !== undefined,
    questions: rl !== undefined,
  };
  if (plan === 'everything') return stagesOf(has, config, arm);
  const part = { pretrain, midtrain, remit: midtrain, sft, rl }[plan];
  return part === undefined ? [] : [plan];
}
