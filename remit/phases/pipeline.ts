// The paper's figure as a program. Training runs one way: pre-train, mid-train, post-train. ReMiT closes the loop: the
// RL model that this made anyway guides mid-training when it is done again, from the same pre-trained model; and the RL
// model of the better base guides the next turn.
//
//   pretrain -> midtrain -> sft -> rl                  the ordinary pipeline
//      |                            |
//      +-----> remit <--------------+                  turn 1: mid-training again, guided by that RL model
//      |         +---> remit-sft -> remit-rl
//      +-----> remit2 <----------------+               turn 2, and so on
//
// Source: arXiv 2602.03075, figure 1. Read after: midtrain.ts, sft.ts, rl.ts. Read next: ../weights.ts, the method
// itself.

import { anything, callable, checkArguments, having, isOptions, optional, such } from '../../engine/options.ts';
import { aTransformer, type Transformer } from '../../nn/transformer.ts';
import { guideOfArm, referenceOf, type OwnArm } from '../arms.ts';
import { checkConfig, type Config } from '../settings/resolve.ts';
import { aWorld, type World } from './world.ts';
import { midtrain } from './midtrain.ts';
import { pretrain } from './pretrain.ts';
import { rl } from './rl.ts';
import { aRun, type Run } from './run.ts';
import { sft } from './sft.ts';

/**
 * Told of every finished stage, in order: `pretrain`, `midtrain`, `sft`, `rl`, `remit`, `remit-sft`, `remit-rl`,
 * `remit2`, ...
 */
export type OnStage = (name: string, model: Transformer) => Promise<void>;

/** What post-training made, where the world has what it takes. */
export interface PostTrained {
  readonly sft?: Transformer;
  readonly rl?: Transformer;
}

/** Supervised fine-tuning, then reinforcement learning. `prefix` goes before the names of both stages. */
export async function postTrain(
  config: Config,
  { demonstrations, questions }: Partial<World>,
  base: Transformer,
  run: Run,
  { onStage, prefix = '' }: { readonly onStage: OnStage; readonly prefix?: string },
): Promise<PostTrained> {
  const made: { sft?: Transformer; rl?: Transformer } = {};
  if (demonstrations !== undefined) {
    made.sft = await sft(config, demonstrations, base, run, `${prefix}sft`);
    await onStage(`${prefix}sft`, made.sft);
  }
  if (questions !== undefined) {
    made.rl = await rl(config, questions, made.sft ?? base, run, `${prefix}rl`);
    await onStage(`${prefix}rl`, made.rl);
  }
  return made;
}

/** The stage that turn n of the flywheel begins with: remit, remit2, remit3, ... */
export function turnName(turn: number): string {
  return turn === 1 ? 'remit' : `remit${turn}`;
}

export interface Stages {
  readonly onStage: OnStage;
  /** How the flywheel mid-trains, in place of what config.remit.arm names. */
  readonly arm?: OwnArm | undefined;
}

const stagesRule = having<Stages>('{ onStage }, and perhaps { arm }', {
  onStage: callable(),
  arm: optional(such('an arm: { loss, guide }', isOptions)),
});
const pipelineArguments = { config: anything, world: aWorld, model: aTransformer, run: aRun, stages: stagesRule };

/**
 * Everything: the ordinary pipeline, then config.remit.iterations turns of the flywheel. `model` is pre-trained in
 * place.
 */
export async function pipeline(
  given: Config,
  world: World,
  model: Transformer,
  run: Run,
  stages: Stages,
): Promise<void> {
  checkArguments('pipeline', arguments, pipelineArguments);
  await pipelineOfParts(checkConfig('pipeline', given), world, model, run, stages);
}

/**
 * The same for a world that may lack a part: what needs it is left out, the next phase goes on from the model before
 * it, and without text to mid-train on, or the model that the arm looks at, the flywheel does not turn.
 */
export async function pipelineOfParts(
  config: Config,
  world: Partial<World>,
  model: Transformer,
  run: Run,
  { onStage, arm }: Stages,
): Promise<void> {
  if (world.pretrain !== undefined) await onStage('pretrain', await pretrain(config, world.pretrain, model, run));
  const vanilla = world.midtrain && (await midtrain(config, world.midtrain, model, run));
  if (vanilla !== undefined) await onStage('midtrain', vanilla);
  let guide = await postTrain(config, world, vanilla ?? model, run, { onStage });
  if (world.midtrain === undefined) return;

  const needs = arm ? guideOfArm(arm) : referenceOf[config.remit.arm];
  for (let turn = 1; turn <= config.remit.iterations; turn++) {
    const phase = turnName(turn);
    const reference = needs === 'none' ? model : needs === 'sft' ? guide.sft : guide.rl;
    if (reference === undefined) return;
    const guided = await midtrain(config, world.midtrain, model, run, { phase, reference, loss: arm?.loss });
    await onStage(phase, guided);
    guide = await postTrain(config, world, guided, run, { onStage, prefix: `${phase}-` });
  }
}

/** The stages that pipelineOfParts() goes through with the parts that a world has, in order. */
export function stagesOf(has: Readonly<Record<keyof World, boolean>>, { remit }: Config, arm?: OwnArm): string[] {
  const post = [...(has.demonstrations ? ['sft'] : []), ...(has.questions ? ['rl'] : [])];
  const needs = arm ? guideOfArm(arm) : referenceOf[remit.arm];
  const isTurning = has.midtrain && (needs === 'none' || post.includes(needs));
  const turns = Array.from({ length: isTurning ? remit.iterations : 0 }, (_, i) => turnName(i + 1));
  return [
    ...(has.pretrain ? ['pretrain'] : []),
    ...(has.midtrain ? ['midtrain'] : []),
    ...post,
    ...turns.flatMap((name) => [name, ...post.map((phase) => `${name}-${phase}`)]),
  ];
}
