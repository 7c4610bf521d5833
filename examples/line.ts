// A line through points: two numbers learned by gradient descent, and nothing else. Run it in a folder where remit-mini is
// installed: npx tsx line.ts.

import { AdamW, backward, createDevice, Parameters, randn, rng, step, tensor } from 'remit-mini';
import { Linear } from 'remit-mini/nn';

await createDevice('cpu');

// y = 3 x - 2, and noise
const xs = Array.from({ length: 50 }, (_, i) => i / 25 - 1);
const noise = [...await randn([50], rng(1)).read()];
const ys = xs.map((x, i) => 3 * x - 2 + 0.05 * noise[i]!);

const parameters = new Parameters();
const line = new Linear(parameters, { in: 1, out: { line: 1 }, deviation: 0, bias: true });
parameters.allocate(rng(0));
const optimiser = new AdamW(parameters, { weightDecay: 0 });

const train = step((i: number) => {
  const error = line.forward(tensor(xs, [50, 1])).sub(tensor(ys, [50, 1]));
  const loss = error.mul(error).sum().mul(1 / 50); // the mean square
  parameters.clearGradients();
  backward(loss);
  optimiser.update(i, 0.05);
  return loss;
});

for (let i = 0; i < 300; i++) {
  const loss = await train(i);
  if (i % 100 === 0) console.log(`step ${i}: ${(await loss.item()).toFixed(4)}`);
}
const [slope, height] = [...(await parameters.toHost()).values()].map(({ data }) => data[0]!);
console.log(`y = ${slope!.toFixed(1)} x ${height! < 0 ? '-' : '+'} ${Math.abs(height!).toFixed(1)}`);
