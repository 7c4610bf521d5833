// What a warm step may cost, by the backend's counters: one submit, nothing made. And that remembering commands never
// changes results: branches, uploads in between, many dispatches.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TensorStorage } from '../../engine/backend.ts';
import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import { rng } from '../../engine/rng.ts';
import { noGrad, useBackend } from '../../engine/runtime.ts';
import { step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, type Tensor } from '../../engine/tensor.ts';
import { copyKernel } from '../../kernels/copy/copy.ts';
import { affineKernel, binaryKernels, unaryKernels } from '../../kernels/elementwise/elementwise.ts';
import { Transformer } from '../../nn/transformer.ts';
import { AdamW } from '../../optim/adamw.ts';
import { llama } from '../nn/shapes.ts';
import { describeGpu, gpu } from '../support/gpu.ts';

const B = 3;
const T = 7;
const N = 5;
const MOST_PER_LAYER = 22;

/** What a call adds to the counters. */
async function costOf(call: () => Promise<unknown>): Promise<typeof gpu.counters> {
  const before = gpu.counters;
  await call();
  const after = gpu.counters;
  return Object.fromEntries(
    Object.entries(after).map(([name, count]) => [name, count - before[name as keyof typeof before]]),
  ) as typeof before;
}

const warm = { buffers: 0, forReading: 0, bindGroups: 0, pipelines: 0, submits: 1 };

/** A step that trains a model of the Llama kind on random rows. */
function trainingStep(layers: number): (i: number) => Promise<Tensor> {
  const model = new Transformer({ ...llama, layers }, rng(1));
  const optimiser = new AdamW(model.parameters);
  return step((i: number) => {
    const stream = rng(2).at(i).stream();
    const tokens = (): Tensor =>
      tensor(
        Int32Array.from({ length: B * T }, () => stream.int(llama.vocabulary)),
        [B, T],
        'i32',
      );
    const loss = crossEntropy(model.forward(tokens()), tokens());
    model.parameters.clearGradients();
    backward(loss);
    optimiser.update(i, 1e-3);
    return loss;
  });
}

/** Dispatches of a call, by kernel. */
async function dispatchesOf(call: () => Promise<unknown>): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const { dispatch } = gpu;
  gpu.dispatch = (kernel, buffers, params) => {
    found.set(kernel.name, (found.get(kernel.name) ?? 0) + 1);
    dispatch.call(gpu, kernel, buffers, params);
  };
  await call();
  gpu.dispatch = dispatch;
  return found;
}

function storage(values: readonly number[]): TensorStorage {
  const made = gpu.alloc(values.length, 'f32');
  gpu.write(made, values);
  return made;
}

const read = async (from: TensorStorage): Promise<number[]> => [...(await gpu.read(from))];
const plus = (x: TensorStorage, out: TensorStorage, offset: number): void =>
  gpu.dispatch(affineKernel, { x, out }, { n: N, factor: 1, offset });
const copied = (x: TensorStorage, out: TensorStorage): void => gpu.dispatch(copyKernel, { x, out }, { n: N });

describeGpu('a warm step', () => {
  beforeAll(() => useBackend(gpu));

  test('of training makes no buffer, bind group or pipeline, and submits once', async () => {
    const train = trainingStep(2);
    const costs = [];
    for (let i = 0; i < 5; i++) costs.push(await costOf(() => train(i)));
    expect(costs[0]!.bindGroups).toBeGreaterThan(50); // the counters do count
    expect(costs[0]!.buffers).toBeGreaterThan(50);
    expect(costs.slice(2)).toEqual([warm, warm, warm]);
  });

  test('of decoding makes none either', async () => {
    const model = new Transformer(llama, rng(1));
    const state = model.decodeState(B);
    const decode = step((position: number) =>
      noGrad(() => model.decode(tensor(new Int32Array(B).fill(position), [B, 1], 'i32'), state, position)),
    );
    const costs = [];
    for (let position = 0; position < 5; position++) costs.push(await costOf(() => decode(position)));
    expect(costs[0]!.bindGroups).toBeGreaterThan(10);
    expect(costs.slice(2)).toEqual([warm, warm, warm]);
  });

  test(`of training takes at most ${MOST_PER_LAYER} dispatches per layer`, async () => {
    const [two, three] = [await dispatchesOf(() => trainingStep(2)(0)), await dispatchesOf(() => trainingStep(3)(0))];
    const layer = [...three]
      .map(([name, count]) => [name, count - (two.get(name) ?? 0)] as const)
      .filter(([, count]) => count > 0);
    const total = layer.reduce((sum, [, count]) => sum + count, 0);
    const kinds = layer.map(([name, count]) => `${name} ${count}`).join(', ');
    const rest = [...two.values()].reduce((a, b) => a + b) - 2 * total;
    console.log(`a layer: ${total} dispatches: ${kinds}; the rest of the step: ${rest}`);
    expect(total).toBeGreaterThan(15); // forward and backward of attention and MLP
    expect(total).toBeLessThanOrEqual(MOST_PER_LAYER);
  });

  test('and reading what it made, makes no buffer either', async () => {
    const run = step(() => tensor([1, 2, 3, 4, 5]).storage);
    const costs = [];
    for (let i = 0; i < 4; i++) {
      costs.push(await costOf(async () => Promise.all([read(await run()), read(await run())])));
    }
    // on a GPU the first read may have ended before the second begins: one buffer will do until they overlap
    expect(costs.map(({ forReading }) => forReading).reduce((sum, some) => sum + some)).toBeLessThanOrEqual(2);
    expect(costs.slice(2).map(({ buffers }) => buffers)).toEqual([0, 0]);
  });

  test('that takes another branch is right, and warm again afterwards', async () => {
    const run = step((bend: boolean, values: readonly number[]) => {
      const x = tensor(values).storage;
      const y = gpu.alloc(N, 'f32');
      const out = gpu.alloc(N, 'f32');
      if (bend) gpu.dispatch(unaryKernels.square, { x, out: y }, { n: N });
      else plus(x, y, 100);
      plus(y, out, 1);
      return { out, y };
    });
    const inputs = [1, 2, 3, 4, 5];
    const straight = inputs.map((v) => v + 101);
    const bent = inputs.map((v) => v * v + 1);
    for (const bend of [false, false, true, false, true, true]) {
      const { out, y } = await run(bend, inputs);
      expect(await read(out)).toEqual(bend ? bent : straight);
      for (const used of [out, y]) gpu.free(used);
    }
    const train = trainingStep(1);
    const other = step((i: number) => tensor([i, i, i, i, i]).storage);
    for (let i = 0; i < 3; i++) await train(i);
    await other(0);
    expect(await costOf(() => train(3))).toEqual(warm); // another step in between does not cool it
  });

  test('that grows and shrinks is right', async () => {
    const run = step((count: number) => {
      const x = tensor([0, 0, 0, 0, 0]).storage;
      let from = x;
      let to: TensorStorage = gpu.alloc(N, 'f32');
      for (let i = 0; i < count; i++) {
        plus(from, to, i);
        [from, to] = [to, from];
      }
      return from;
    });
    for (const count of [1, 300, 7, 601, 601, 2]) {
      expect((await read(await run(count)))[0]).toBe((count * (count - 1)) / 2);
    }
  });
});

describeGpu('uploads', () => {
  test('are seen by dispatches after them, not by those before', async () => {
    const x = storage([1, 1, 1, 1, 1]);
    const [first, second] = [gpu.alloc(N, 'f32'), gpu.alloc(N, 'f32')];
    copied(x, first);
    gpu.write(x, [2, 2, 2, 2, 2]);
    copied(x, second);
    expect([(await read(first))[0], (await read(second))[0]]).toEqual([1, 2]);
  });

  test('... in the middle of a step too, call after call', async () => {
    const x = storage([0, 0, 0, 0, 0]);
    const outs = [0, 1, 2].map(() => gpu.alloc(N, 'f32'));
    const run = step((base: number) => outs.forEach((out, i) => {
      gpu.write(x, new Array<number>(N).fill(base + i));
      plus(x, out, base);
    }));
    for (const base of [10, 20, 20]) {
      await run(base);
      for (const [i, out] of outs.entries()) expect(await read(out)).toEqual(new Array(N).fill(2 * base + i));
    }
  });

  test('... to what a pending command writes', async () => {
    const x = storage([1, 1, 1, 1, 1]);
    const out = gpu.alloc(N, 'f32');
    copied(x, out);
    gpu.write(out, [7, 8]);
    expect(await read(out)).toEqual([7, 8, 1, 1, 1]);
  });

  test('... and to memory that was freed while a pending command used it', async () => {
    const x = storage([1, 1, 1, 1, 1]);
    const out = gpu.alloc(N, 'f32');
    copied(x, out);
    gpu.free(x);
    const again = storage([9, 9, 9, 9, 9]); // the same memory
    expect(await read(out)).toEqual([1, 1, 1, 1, 1]);
    expect(await read(again)).toEqual([9, 9, 9, 9, 9]);
  });

  test('between two calls of a step are seen by the second', async () => {
    const x = storage([1, 1, 1, 1, 1]);
    const run = step(() => {
      const out = gpu.alloc(N, 'f32');
      plus(x, out, 0.5);
      return out;
    });
    const first = await run();
    gpu.write(x, [2, 2, 2, 2, 2]);
    const second = await run();
    expect([(await read(first))[0], (await read(second))[0]]).toEqual([1.5, 2.5]);
  });
});

describeGpu('many dispatches', () => {
  const COUNT = 1300;

  /** offsets 0 .. COUNT-1 summed, each by a dispatch with parameters of its own. */
  function summed(): TensorStorage {
    let from = storage([0, 0, 0, 0, 0]);
    let to: TensorStorage = gpu.alloc(N, 'f32');
    for (let i = 0; i < COUNT; i++) {
      plus(from, to, i);
      [from, to] = [to, from];
    }
    return from;
  }

  test('outside of a step keep their parameters apart', async () => {
    for (let round = 0; round < 2; round++) {
      expect(await read(summed())).toEqual(new Array(N).fill((COUNT * (COUNT - 1)) / 2));
    }
  });

  test('inside of a step too, and the step is warm afterwards', async () => {
    const x = storage([0, 0, 0, 0, 0]);
    const out = gpu.alloc(N, 'f32');
    const one = storage([1, 1, 1, 1, 1]);
    const flat = { d0: 1, d1: 1, d2: 1, d3: N, a0: 0, a1: 0, a2: 0, a3: 1, b0: 0, b1: 0, b2: 0, b3: 1 };
    const run = step((start: number) => {
      plus(x, out, start);
      for (let i = 0; i < COUNT; i++) {
        gpu.dispatch(binaryKernels.add, { a: out, b: one, out: x }, flat);
        plus(x, out, i % 2);
      }
      gpu.write(x, [0, 0, 0, 0, 0]);
    });
    const costs = [];
    for (const start of [0, 1000, 2000]) {
      costs.push(await costOf(() => run(start)));
      expect(await read(out)).toEqual(new Array(N).fill(start + COUNT + (COUNT >> 1)));
    }
    expect(costs.at(-1)).toEqual(warm);
  });

  test('outside of a step hold no memory once they are done', async () => {
    await read(summed());
    const { buffers } = gpu.counters;
    for (let i = 0; i < 5; i++) {
      const [x, out] = [storage([i, i, i, i, i]), gpu.alloc(N, 'f32')];
      plus(x, out, 1);
      expect((await read(out))[0]).toBe(i + 1);
      for (const used of [x, out]) gpu.free(used);
    }
    expect(gpu.counters.buffers - buffers).toBeLessThanOrEqual(2);
  });

  test('outside of a step do not keep memory that nobody holds', async () => {
    const size = 1234;
    const held: TensorStorage[] = [];
    for (let i = 0; i < 100; i++) plus(storage(new Array<number>(size).fill(i)), gpu.alloc(size, 'f32'), 1);
    await read(storage([0]));
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const wasForgotten = async (): Promise<boolean> => {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 10)); // finalisers run between tasks
      const { buffers } = gpu.counters;
      held.push(gpu.alloc(size, 'f32'));
      return gpu.counters.buffers === buffers; // it came from the pool
    };
    let tries = 0;
    while (!(await wasForgotten()) && tries < 100) tries++;
    expect(tries).toBeLessThan(100);
  });

  afterAll(() => gpu.close());
});
