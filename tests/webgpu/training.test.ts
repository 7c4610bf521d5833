// Training on WebGPU: the loss goes where the CPU's goes, twice gives the same bits, and a long run needs no more of
// anything.

import { afterAll, expect, test } from 'vitest';
import type { Backend } from '../../engine/backend.ts';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import { rng } from '../../engine/rng.ts';
import { useBackend } from '../../engine/runtime.ts';
import { step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import { Transformer, type TransformerConfig } from '../../nn/transformer.ts';
import { AdamW } from '../../optim/adamw.ts';
import { nextTokens } from '../../remit/phases/next-token.ts';
import { corpus } from '../../remit/worlds/tiny/index.ts';
import { resolveConfig } from '../../remit/settings/resolve.ts';
import { llama } from '../nn/shapes.ts';
import { describeGpu, gpu } from '../support/gpu.ts';

const { config } = resolveConfig({ flags: [] });
const tinyWorld: TransformerConfig = { ...config.model, vocabulary: 70 };
const data = corpus(config.pretrain.corpus, rng(1).fold('pretrain'));

interface Outcome {
  readonly losses: readonly number[];
  /** Gradient norms before clipping. */
  readonly norms: readonly number[];
  readonly weights: readonly Float32Array[];
}

/** Trains a fresh model on the tiny world's rows; `watch` is called after each step. */
async function train(
  backend: Backend,
  shape: TransformerConfig,
  { steps, batch, watch = () => {} }: { steps: number; batch: number; watch?: (i: number) => void },
): Promise<Outcome> {
  useBackend(backend);
  const model = new Transformer(shape, rng(1));
  const optimiser = new AdamW(model.parameters);
  const losses: number[] = [];
  const norms: number[] = [];
  const run = step((rows: Int32Array, i: number) => {
    const { inputs, targets } = nextTokens(rows, batch);
    const loss = crossEntropy(model.forward(inputs), targets);
    model.parameters.clearGradients();
    backward(loss);
    return { loss, norm: optimiser.update(i, 2e-3) };
  });
  for (let i = 0; i < steps; i++) {
    const { loss, norm } = await run(data.rows(i, batch), i);
    losses.push(await loss.item());
    norms.push(await norm.item());
    watch(i);
  }
  const weights = [...(await model.parameters.toHost()).values()].map(({ data: values }) => values);
  run.free();
  optimiser.free();
  model.parameters.free();
  return { losses, norms, weights };
}

/** The largest |a - b| / |b|. */
function apart(a: readonly number[], b: readonly number[]): number {
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]!) / Math.abs(b[i]!)));
}

describeGpu('training', () => {
  test('follows the CPU for 20 steps of the tiny world\'s model, and gives the same bits twice', async () => {
    const options = { steps: 20, batch: 4 };
    const cpu = await train(new CpuBackend(), tinyWorld, options);
    const first = await train(gpu, tinyWorld, options);
    const second = await train(gpu, tinyWorld, options);
    console.log(
      `WebGPU from the CPU over ${options.steps} steps: losses ${apart(first.losses, cpu.losses).toExponential(1)}, ` +
      `gradient norms ${apart(first.norms, cpu.norms).toExponential(1)}`,
    );
    expect(cpu.losses.at(-1)!).toBeLessThan(0.9 * cpu.losses[0]!); // it does learn
    expect(apart(first.losses, cpu.losses)).toBeLessThan(1e-3); // float32 in another order, grown by 20 steps
    expect(apart(first.norms, cpu.norms)).toBeLessThan(1e-2);
    expect(second).toEqual(first);
  });

  test('for 100 steps makes nothing after the first few, and holds no more memory', async () => {
    const counters: (typeof gpu.counters)[] = [];
    const shape = { ...llama, vocabulary: 70, context: 24, layers: 1 };
    const { losses } = await train(gpu, shape, { steps: 100, batch: 2, watch: () => counters.push(gpu.counters) });
    const [early, late] = [counters[2]!, counters.at(-1)!];
    expect({ ...late, submits: 0 }).toEqual({ ...early, submits: 0 });
    expect(early.buffers).toBeGreaterThan(20); // buffers are never given up: none made means that as many are in use
    expect(losses.every(Number.isFinite)).toBe(true);

    await train(gpu, shape, { steps: 3, batch: 2 });
    expect(gpu.counters.buffers).toBe(late.buffers); // the next model takes the memory that this one gave back
  });

  afterAll(() => gpu.close());
});
