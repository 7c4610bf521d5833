// The engine on the WebGPU of a real browser: every op, a training loop and generation, against the CPU backend in the
// same page. In Node the same backend runs on Dawn: ../webgpu, ../golden.test.ts.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  AdamW, backward, createDevice, generate, newModel, noGrad, ops, resolveConfig, rng, schedule, step, tensor,
  Transformer, world, type Tensor,
} from '../../index.ts';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { useBackend } from '../../engine/runtime.ts';
import { WebGpuBackend } from '../../engine/webgpu/backend.ts';
import { nextTokens } from '../../remit/phases/next-token.ts';
import { gpt2, llama } from '../nn/shapes.ts';
import { everyOp } from '../support/fill.ts';
import { compareOp } from '../support/parity.ts';

let gpu: WebGpuBackend;
const cpu = new CpuBackend();

beforeAll(async () => {
  gpu = await createDevice('webgpu') as WebGpuBackend;
});

afterAll(() => gpu.close());

test('the device is the WebGPU of this page', () => {
  expect(gpu).toBeInstanceOf(WebGpuBackend);
  expect(globalThis.process?.versions?.node).toBeUndefined();
  expect(gpu.name).toMatch(/^webgpu \(.*swiftshader.*\)$/i);
});

test('"auto" prefers the CPU to a software adapter, and says why', async () => {
  const notices: string[] = [];
  expect(await createDevice('auto', { notice: (why) => void notices.push(why) })).toBeInstanceOf(CpuBackend);
  expect(notices).toEqual([
    expect.stringMatching(/^the only adapter is .*swiftshader.*, which is a CPU pretending to be a GPU$/i),
  ]);
});

describe('tensors', () => {
  beforeEach(() => useBackend(gpu));

  test('add, multiply, reduce, reshape', async () => {
    const x = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
    expect(await x.add(1).mul(tensor([10, 0, -1])).read()).toEqual(Float32Array.of(20, 0, -4, 50, 0, -7));
    expect(await x.matmul(tensor([1, 0, 0, 1, 1, 1], [3, 2])).read()).toEqual(Float32Array.of(4, 5, 10, 11));
    expect(await x.sum({ axis: 0 }).read()).toEqual(Float32Array.of(5, 7, 9));
    expect(await ops.permute(x.reshape({ shape: [3, 2] }), { order: [1, 0] }).read()).toEqual(Float32Array.of(1, 3, 5, 2, 4, 6));
  });

  test('a warm step makes no buffer, no bind group and no pipeline, and submits once', async () => {
    const a = tensor(rng(0).normals(64), [8, 8]);
    const square = step(() => ops.softmax(a.matmul(a)).sum());
    for (let i = 0; i < 2; i++) await square();
    const { submits, ...made } = gpu.counters;
    await square();
    expect(gpu.counters).toEqual({ ...made, submits: submits + 1 });
  });
});

describe('every op, with its gradients, agrees with the CPU in double precision', () => {
  let worst = { error: 0, name: '' };

  test.each(everyOp.map((op) => [op.def.name, op] as const))('%s', async (name, op) => {
    const error = await compareOp(op, gpu);
    if (error > worst.error) worst = { error, name };
  });

  afterAll(() => {
    console.log(
      `worst relative error of an op in the browser on ${gpu.name}: ${worst.error.toExponential(1)} (${worst.name})`,
    );
  });
});

const STEPS = 10;
const BATCH = 8;

/**
 * Losses of a few steps on the tiny world, and what the model then says. The same on every backend, but for rounding.
 */
async function trained(
  backend: CpuBackend | WebGpuBackend,
  shape: typeof llama,
): Promise<{ losses: number[]; greedy: Int32Array; sampled: Int32Array }> {
  useBackend(backend);
  const {
    config: {
      pretrain: { corpus },
    },
  } = resolveConfig();
  const data = world.corpus(corpus, rng(3));
  const model = new Transformer({ ...shape, vocabulary: 70, context: world.ROW, width: 32, hidden: 48 }, rng(3));
  const optimiser = new AdamW(model.parameters);
  const rate = schedule({ kind: 'linear', peak: 0.01, steps: STEPS, warmup: 2 });
  const train = step((rows: Int32Array, i: number): Tensor => {
    const { inputs, targets } = nextTokens(rows, BATCH);
    const loss = ops.crossEntropy(model.forward(inputs), targets);
    model.parameters.clearGradients();
    backward(loss);
    optimiser.update(i, rate(i));
    return loss;
  });
  const losses: number[] = [];
  for (let i = 0; i < STEPS; i++) losses.push(await (await train(data.rows(i, BATCH), i)).item());

  const prompts = world.encode('^K3>2<1>^S1+1-1-');
  const options = { batch: 2, maxNew: 8, seed: rng(4) };
  const greedy = await generate(model, prompts, { ...options, temperature: 0 });
  const sampled = await generate(model, prompts, { ...options, temperature: 1 });
  return { losses, greedy, sampled };
}

test.each([
  ['Llama', { ...llama, kvHeads: 2 }],
  ['GPT-2', gpt2],
] as const)('a small %s trains and speaks as on the CPU', async (_, shape) => {
  const right = await trained(cpu, shape);
  const found = await trained(gpu, shape);
  expect(right.losses.at(-1)).toBeLessThan(right.losses[0]! - 0.3);
  found.losses.forEach((loss, i) => {
    // rounding, and ten steps of its growth
    expect(Math.abs(loss / right.losses[i]! - 1), `step ${i + 1}: ${loss}, not ${right.losses[i]}`).toBeLessThan(1e-5);
  });
  expect(found.greedy).toEqual(right.greedy);
  expect(found.sampled).toEqual(right.sampled); // random numbers are a function of the seed, on every backend
});

test('the same seed gives the same bits', async () => {
  expect(await trained(gpu, llama)).toEqual(await trained(gpu, llama));
});

test('a model of the default size answers', async () => {
  useBackend(gpu);
  const { config } = resolveConfig();
  const tokens = tensor(world.encode('^K3>2<1>3>1?'), [1, 12], 'i32');
  const logits = noGrad(() => newModel(config, 70).forward(tokens));
  expect(logits.shape).toEqual([1, 12, 70]);
  expect((await logits.read()).every(Number.isFinite)).toBe(true);
});
