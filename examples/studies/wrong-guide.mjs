// What if the guide was paid for the wrong thing? On a share of the questions, the same ones all the time, reinforcement
// learning pays 1 for a wrong answer and 0 for the right one. Change WRONG and run it again:
//   npx remit-mini study --experiment wrong-guide.mjs --arms remit.2,remit.5,kd.5,rho.6 --seeds 1-8 --light

import { defineExperiment, worldTask } from 'remit-mini';

const WRONG = 0.25;

function wronglyPaid(random) {
  const usual = worldTask(random);
  const luck = random.fold('wrong');
  return {
    ...usual,
    question(n) {
      const { prompt, reward } = usual.question(n);
      return { prompt, reward: luck.uniform(n) < WRONG ? (row) => 1 - reward(row) : reward };
    },
  };
}

export default defineExperiment({
  task: wronglyPaid,
  contrasts: [
    { of: 'remit.5', less: 'kd.5' },
    { of: 'remit.5', less: 'rho.6' },
  ],
});
