// A network of two layers that tells the two arms of a spiral apart, with an op of its own between them. Run it in a folder
// where remit-mini is installed: npx tsx spiral.ts [cpu | webgpu].

import { AdamW } from 'remit-mini';
import { backward, createDevice, ops, Parameters, rng, step, tensor } from 'remit-mini/engine';
import { Linear } from 'remit-mini/nn';
import { softplus } from './softplus.ts';

const POINTS = 200;
const WIDTH = 64;

await createDevice(process.argv[2] === 'webgpu' ? 'webgpu' : 'cpu');

// half of the points on either arm, which turn round each other
const arm = Int32Array.from({ length: POINTS }, (_, i) => i % 2);
const points = Float32Array.from({ length: 2 * POINTS }, (_, k) => {
  const i = Math.floor(k / 2);
  const radius = i / POINTS;
  const angle = 6 * radius + Math.PI * arm[i]!;
  return radius * (k % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
});

const parameters = new Parameters();
const hidden = new Linear(parameters, { in: 2, out: { hidden: WIDTH }, deviation: 2, bias: true });
const middle = new Linear(parameters, { in: WIDTH, out: { middle: WIDTH }, deviation: 0.2, bias: true });
const output = new Linear(parameters, { in: WIDTH, out: { output: 2 }, deviation: 0.1, bias: true });
parameters.allocate(rng(0));
const optimiser = new AdamW(parameters, { weightDecay: 0 });

const train = step((i: number) => {
  const x = tensor(points, [POINTS, 2]);
  const first = softplus(hidden.forward(x), { sharpness: 4 });
  const second = softplus(middle.forward(first), { sharpness: 4 });
  const logits = output.forward(second); // [POINTS,2]
  const loss = ops.crossEntropy(logits, tensor(arm, [POINTS], 'i32'));
  backward(loss);
  optimiser.update(i, 0.002);
  return loss;
});

const STEPS = Number(process.argv[3] ?? 400);
let last = Infinity;
for (let i = 0; i < STEPS; i++) {
  last = await (await train(i)).item();
  if (i === 0 || i === STEPS - 1) console.log(`loss at step ${i + 1}: ${last.toFixed(4)}`);
}
train.free();
