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

import { anything, callable, checkArguments } from '../../engine/options.ts';
import { aTransformer, type Transformer } from '../../nn/transformer.ts';
import { referenceOf } from '../arms.ts';
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

export interface PostTrained {
  readonly sft: Transformer;
  readonly rl: Transformer;
}

/** Supervised fine-tuning, then reinforcement learning. `prefix` goes before the names of both stages. */
export async function postTrain(
  config: Config,
  world: World,
  base: Transformer,
  run: Run,
  { onStage, prefix = '' }: { readonly onStage: OnStage; readonly prefix?: string },
): Promise<PostTrained> {
  const tuned = await sft(config, world.demonstrations, base, run, `${prefix}sft`);
  await onStage(`${prefix}sft`, tuned);
  const trained = await rl(config, world.questions, tuned, run, `${prefix}rl`);
  await onStage(`${prefix}rl`, trained);
  return { sft: tuned, rl: trained };
}

/** The stage that turn n of the flywheel begins with: remit, remit2, remit3, ... */
export function turnName(turn: number): string {
  return turn === 1 ? 'remit' : `remit${turn}`;
}

const pipelineArguments = { config: anything, world: aWorld, model: aTransformer, run: aRun, onStage: callable() };

/**
 * Everything: the ordinary pipeline, then config.remit.iterations turns of the flywheel. `model` is pre-trained in
 * place.
 */
export async function pipeline(
  given: Config,
  world: World,
  model: Transformer,
  run: Run,
  onStage: OnStage,
): Promise<void> {
  checkArguments('pipeline', arguments, pipelineArguments);
  const config = checkConfig('pipeline', given);
  const base = await pretrain(config, world.pretrain, model, run);
  await onStage('pretrain', base);
  const vanilla = await midtrain(config, world.midtrain, base, run);
  await onStage('midtrain', vanilla);
  let guide = await postTrain(config, world, vanilla, run, { onStage });

  for (let turn = 1; turn <= config.remit.iterations; turn++) {
    const phase = turnName(turn);
    const reference = referenceOf[config.remit.arm] === 'sft' ? guide.sft : guide.rl;
    const guided = await midtrain(config, world.midtrain, base, run, { phase, reference });
    await onStage(phase, guided);
    guide = await postTrain(config, world, guided, run, { onStage, prefix: `${phase}-` });
  }
}
