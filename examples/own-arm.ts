// A way of mid-training of your own: weights by the gap to the RL model, as in ReMiT, but softplus in place of the clipped
// sigmoid: nothing is clipped, and a token that the guide doubts is never quite forgotten. Run it in a folder where
// remit-mini is installed: npx tsx own-arm.ts.

import {
  createDevice, evaluate, midtrain, newModel, noGrad, ops, pretrain, quietRun, resolveConfig, rl, sft, tinyWorldTokenizer,
  worldOf, type Arm,
} from 'remit-mini';

/** w = log(1 + e^gap) / log 2: 1 where both models agree. */
const softWeights: Arm = ({ batch: { targets }, logits, guide }) => {
  const [logProb, reference] = noGrad(() => [ops.logProb(logits, targets), ops.logProb(guide(), targets)] as const);
  const weights = noGrad(() => {
    const gap = ops.sub(reference, logProb);
    const one = ops.affine(gap, { factor: 0, offset: 1 });
    return ops.affine(ops.log(ops.add(one, ops.exp(gap))), { factor: 1 / Math.LN2 });
  });
  return { loss: ops.weightedCrossEntropy(logits, targets, weights), weights, logProb, reference };
};

await createDevice('cpu');
const { config } = resolveConfig({ preset: 'short' });
const world = worldOf(config);
const base = await pretrain(config, world.pretrain, newModel(config, tinyWorldTokenizer.vocabulary), quietRun);
const tuned = await sft(config, world.demonstrations, base, quietRun);
const reference = await rl(config, world.questions, tuned, quietRun);

const plain = await midtrain(config, world.midtrain, base, quietRun);
const mine = await midtrain(config, world.midtrain, base, quietRun, { phase: 'mine', reference, loss: softWeights });
for (const [name, model] of Object.entries({ plain, mine })) {
  const { thinkRate } = await evaluate(model, { questions: 20, split: 'test', seed: 0 });
  console.log(`${name}: thinks first in ${(100 * thinkRate).toFixed(1)}% of its answers`);
}
