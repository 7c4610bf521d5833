// An experiment of your own: a way of mid-training, a reward, a schedule, a comparison. Run it in a folder where
// remit-mini is installed: npx remit-mini train --experiment experiment.mjs
//                          npx remit-mini study --experiment experiment.mjs --seeds 1-5

import { defineExperiment, noGrad, ops, worldTask } from 'remit-mini';

/** w = log(1 + e^gap) / log 2: 1 where both models agree, and nothing is clipped. */
function softplus({ batch: { targets }, logits, guide }) {
  const [logProb, reference] = noGrad(() => [ops.logProb(logits, targets), ops.logProb(guide(), targets)]);
  const weights = noGrad(() => {
    const gap = ops.sub(reference, logProb);
    const one = ops.affine(gap, { factor: 0, offset: 1 });
    return ops.affine(ops.log(ops.add(one, ops.exp(gap))), { factor: 1 / Math.LN2 });
  });
  return { loss: ops.weightedCrossEntropy(logits, targets, weights), weights, logProb, reference };
}

/** The tiny world's questions, but an answer that thinks at length is worth a little less. */
function briefly(random) {
  const usual = worldTask(random);
  const length = (row) => row.indexOf(usual.stop, 12) - 12;
  return {
    ...usual,
    question(n) {
      const { prompt, reward } = usual.question(n);
      return { prompt, reward: (row) => reward(row) - 0.01 * Math.max(0, length(row)) };
    },
  };
}

export default defineExperiment({
  arms: {
    softplus: { loss: softplus, about: 'weights by softplus of the gap' },
    'kd.3': { method: 'kd', settings: { distil: 0.3 }, about: 'a third of distillation' },
  },
  task: briefly,
  schedules: { midtrain: (step, { steps, rate }) => rate * (1 - step / steps) ** 2 },
  contrasts: [{ of: 'softplus', less: 'remit.2' }],
});
