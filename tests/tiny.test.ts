// What a visitor tries first, through the front door: a gradient, an optimiser step, a little training on the tiny
// world, a sample. All of it in under two seconds.

import { beforeAll, expect, test } from 'vitest';
import {
  AdamW, backward, createDevice, generate, newModel, ops, Parameters, pretrain, quietRun, resolveConfig, rng,
  ShapeError, step, StepError, tensor, tinyWorldTokenizer, variable, world, type StepRecord,
} from '../index.ts';

beforeAll(async () => {
  await createDevice('cpu');
});

test('tensors add, multiply and reduce', async () => {
  const x = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
  expect(await x.add(1).mul(tensor([10, 0, -1])).read()).toEqual(Float32Array.of(20, 0, -4, 50, 0, -7));
  expect(await x.matmul(tensor([1, 0, 0, 1, 1, 1], [3, 2])).read()).toEqual(Float32Array.of(4, 5, 10, 11));
  expect(await x.mean().item()).toBe(3.5);
  expect(await x.sum({ axis: 0 }).read()).toEqual(Float32Array.of(5, 7, 9));
  expect(x.reshape({ shape: [3, -1] }).shape).toEqual([3, 2]);
});

test('what does not fit is said in one line', () => {
  expect(() => tensor([1, 2, 3, 4, 5, 6], [2, 3]).matmul(tensor(Array(20).fill(0), [4, 5])))
    .toThrow(new ShapeError('matmul: [2,3] x [4,5]: inner dimensions 3 and 4 differ'));
});

test('backward() finds a gradient', async () => {
  const x = variable([1, 2, 3]);
  const y = variable([4]);
  const gradients = backward(x.mul(x).mul(y).sum()); // x² y
  expect(await gradients.of(x)!.read()).toEqual(Float32Array.of(8, 16, 24));
  expect(await gradients.of(y)!.read()).toEqual(Float32Array.of(14));
});

test('a step recycles its memory, and says so when a result is used too late', async () => {
  const double = step((x: number) => tensor([x]).mul(2));
  const first = await double(1);
  expect(await first.item()).toBe(2);
  const second = await double(5);
  expect(await second.item()).toBe(10);
  expect(() => first.storage).toThrow(
    new StepError(
      'step: tensor [1] made in call 1 used in call 2: return it from the step and read it before the next call, or ' +
      'copy it with keep()',
    ),
  );
});

test('an optimiser finds the line through points', async () => {
  const parameters = new Parameters();
  const [slope, offset] = ['slope', 'offset'].map((name) =>
    parameters.declare({ name, shape: [1, 1], initial: { constant: 0 } }),
  );
  parameters.allocate(rng(1));
  const optimiser = new AdamW(parameters, { weightDecay: 0 });
  const xs = [-2, -1, 0, 1, 2];
  const train = step((i: number) => {
    const error = tensor(xs).mul(slope!.tensor).add(offset!.tensor).sub(tensor(xs.map((x) => 3 * x - 1)));
    const loss = ops.square(error).mean();
    parameters.clearGradients();
    backward(loss);
    optimiser.update(i, 0.1 * (1 - i / 200));
    return loss;
  });
  let loss = NaN;
  for (let i = 0; i < 200; i++) loss = await (await train(i)).item();
  expect(loss).toBeLessThan(1e-4);
  expect(await slope!.tensor.item()).toBeCloseTo(3, 1);
  expect(await offset!.tensor.item()).toBeCloseTo(-1, 1);
});

test('the tiny world: a few steps lower the loss, and the model continues a question', async () => {
  const { config } = resolveConfig({ preset: 'short', flags: [['pretrain.steps', '25']] });
  const losses: number[] = [];
  const run = { ...quietRun, log: ({ loss }: StepRecord) => void losses.push(loss) };
  const rows = world.corpus(config.pretrain.corpus, rng(config.seed));
  const model = await pretrain(config, rows, newModel(config, tinyWorldTokenizer.vocabulary), run);
  expect(losses[0]).toBeCloseTo(Math.log(70), 1);
  expect(losses.at(-1)).toBeLessThan(3.3);

  const prompt = '^K3>2<1>3>1?';
  const tokens = await generate(model, world.encode(prompt), {
    batch: 1,
    maxNew: 12,
    temperature: 1,
    force: world.encode('[')[0]!,
    seed: rng(2),
  });
  const text = world.decode(tokens);
  expect(text.startsWith(`${prompt}[`)).toBe(true);
  expect(text).toHaveLength(world.ROW);
});
