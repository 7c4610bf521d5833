// The CPU backend's verbs; and, on a backend with the rules of a GPU, that everything which training and generation
// dispatch obeys them.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { DeviceError } from '../../engine/errors.ts';
import { mul } from '../../engine/ops/arithmetic.ts';
import { crossEntropy, logProb } from '../../engine/ops/cross-entropy.ts';
import { sum } from '../../engine/ops/reduce.ts';
import { rng } from '../../engine/rng.ts';
import { useBackend } from '../../engine/runtime.ts';
import type { DType } from '../../engine/shape.ts';
import { step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, type Tensor } from '../../engine/tensor.ts';
import { copyKernel, fillKernel } from '../../kernels/copy/copy.ts';
import { binaryKernels, unaryKernels } from '../../kernels/elementwise/elementwise.ts';
import { generate } from '../../nn/generate.ts';
import { Transformer, type TransformerConfig } from '../../nn/transformer.ts';
import { AdamW } from '../../optim/adamw.ts';
import { gpt2, llama } from '../nn/shapes.ts';
import { StrictBackend } from '../support/backends.ts';

afterEach(() => vi.restoreAllMocks());

describe.each(['f32', 'f64'] as const)('memory in %s', (precision) => {
  const device = new CpuBackend({ precision });

  test.each<[DType, number[]]>([
    ['f32', [1, -2.5, 1e30]],
    ['i32', [1, -2, 2147483647]],
    ['u32', [1, 2, 4294967295]],
  ])('%s comes back as it went in', async (dtype, values) => {
    const storage = device.alloc(3, dtype);
    device.write(storage, values);
    expect([...(await device.read(storage))]).toEqual(
      precision === 'f32' && dtype === 'f32' ? values.map(Math.fround) : values,
    );
    expect([storage.size, storage.dtype]).toEqual([3, dtype]);
  });

  test('real numbers have the precision that was asked for', async () => {
    const storage = device.alloc(1, 'f32');
    device.write(storage, [0.1]);
    expect((await device.read(storage))[0]).toBe(precision === 'f32' ? Math.fround(0.1) : 0.1);
  });

  test('a short write leaves the rest', async () => {
    const storage = device.alloc(4, 'f32');
    device.write(storage, [1, 2, 3, 4]);
    device.write(storage, [9]);
    expect([...await device.read(storage)]).toEqual([9, 2, 3, 4]);
  });

  test('a view, and a view of it, share memory with the whole', async () => {
    const whole = device.alloc(6, 'i32');
    device.write(whole, [0, 1, 2, 3, 4, 5]);
    const middle = device.view(whole, 1, 4);
    const last = device.view(middle, 2, 2);
    expect([[...await device.read(middle)], [...await device.read(last)]]).toEqual([[1, 2, 3, 4], [3, 4]]);
    expect([middle.dtype, middle.size, last.size]).toEqual(['i32', 4, 2]);
    device.write(last, [8, 9]);
    expect([...await device.read(whole)]).toEqual([0, 1, 2, 8, 9, 5]);
  });

  test('what is read is a copy that belongs to the reader', async () => {
    const storage = device.alloc(2, 'f32');
    device.write(storage, [1, 2]);
    const read = await device.read(storage);
    read[0] = 7;
    device.write(storage, [3, 4]);
    expect([...read]).toEqual([7, 2]);
    expect(read.buffer).toBeInstanceOf(ArrayBuffer); // unshared: it can be posted, hashed and written to files
  });
});

describe('the heap', () => {
  type Block = ReturnType<CpuBackend['alloc']>;

  test('storages do not overlap and begin at multiples of 64 bytes', async () => {
    const device = new CpuBackend();
    const all = [1, 16, 17, 100, 3].map((size) => device.alloc(size, 'f32'));
    all.forEach((storage, i) => device.write(storage, new Float32Array(storage.size).fill(i)));
    for (const [i, storage] of all.entries()) {
      expect(storage.address! % 64).toBe(0);
      expect(new Set(await device.read(storage))).toEqual(new Set([i]));
    }
  });

  test('freed memory is handed out again, to storages of its size', () => {
    const device = new CpuBackend();
    const used = device.alloc(100, 'f32');
    device.free(used);
    expect(device.alloc(5000, 'f32').address).not.toBe(used.address);
    expect(device.alloc(100, 'i32').address).toBe(used.address);
    expect(device.alloc(100, 'f32').address).not.toBe(used.address);
  });

  test('values stay when the memory grows under them', async () => {
    const device = new CpuBackend();
    const first = device.alloc(3, 'f32');
    const part = device.view(first, 1, 2);
    device.write(first, [1, 2, 3]);
    // 64 MiB
    const grow = vi.spyOn(WebAssembly.Memory.prototype, 'grow');
    const big = device.alloc(2 ** 24, 'f32');
    expect(grow).toHaveBeenCalled();
    device.write(device.view(big, 2 ** 24 - 1, 1), [5]);
    expect((await device.read(device.view(big, 2 ** 24 - 1, 1)))[0]).toBe(5);
    device.write(part, [8, 9]);
    expect([...await device.read(first)]).toEqual([1, 8, 9]);
  });

  test('more than there can be is an error, after which it still works', async () => {
    const device = new CpuBackend();
    const first = device.alloc(16, 'f32');
    const message =
      `cpu: ${2 ** 33} bytes on top of ${first.address!} in use: out of memory (limit 4 GiB): put a loop's body in a ` +
      'step(), or use a smaller batch or model';
    expect(() => device.alloc(2 ** 31, 'f32')).toThrow(new DeviceError(message));
    const next = device.alloc(16, 'f32');
    device.write(next, [1]);
    expect((await device.read(next))[0]).toBe(1);
  });

  test('memory that nobody holds is used again; memory that a view holds is not', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const device = new CpuBackend();
    const held = device.view(device.alloc(SIZE, 'f32'), 0, 4);
    device.write(held, [1, 2, 3, 4]);
    let top = 0;
    for (let i = 0; i < 40; i++) {
      device.write(device.alloc(SIZE, 'f32'), [9, 9, 9, 9]);
      collect();
      await new Promise((resolve) => setImmediate(resolve)); // when finalisers run
      top = Math.max(top, (device.alloc(SIZE, 'f32') as Block).address!);
    }
    expect(top).toBeLessThan(10 * 4 * SIZE); // 80 were handed out
    expect([...await device.read(held)]).toEqual([1, 2, 3, 4]);
  });

  const SIZE = 2 ** 16;
});

describe('dispatch', () => {
  test('runs the WASM program where there is one, the reference where not or when told, and counts', async () => {
    const found: Record<string, unknown>[] = [];
    for (const device of [new CpuBackend(), new CpuBackend({ wasm: false }), new CpuBackend({ precision: 'f64' })]) {
      const [x, out] = [device.alloc(4, 'f32'), device.alloc(4, 'f32')];
      device.write(x, [1, 2, 3, 4]);
      const flat = { d0: 1, d1: 1, d2: 1, d3: 4, a0: 0, a1: 0, a2: 0, a3: 1, b0: 0, b1: 0, b2: 0, b3: 1 };
      device.dispatch(binaryKernels.add, { a: x, b: x, out }, flat);
      device.dispatch(unaryKernels.square, { x: out, out: x }, { n: 4 });
      device.dispatch(unaryKernels.square, { x, out }, { n: 4 });
      device.dispatch(unaryKernels.log, { x: out, out: x }, { n: 4 });
      expect([...await device.read(out)]).toEqual([16, 256, 1296, 4096]);
      found.push({ name: device.name, ...Object.fromEntries(device.calls) });
    }
    const log = { wasm: 0, reference: 1 };
    const references = { add: { wasm: 0, reference: 1 }, square: { wasm: 0, reference: 2 }, log };
    expect(found).toEqual([
      { name: 'cpu', add: { wasm: 1, reference: 0 }, square: { wasm: 2, reference: 0 }, log },
      { name: 'cpu', ...references },
      { name: 'cpu-f64', ...references },
    ]);
  });

  test('steps let the event loop breathe', async () => {
    useBackend(new CpuBackend());
    const body = step(() => tensor([1]));
    let turns = 0;
    let going = true;
    const turn = (): void => { turns++; if (going) setTimeout(turn, 1); };
    setTimeout(turn, 1);
    for (const start = performance.now(); performance.now() - start < 300;) await body();
    going = false;
    expect(turns).toBeGreaterThan(1); // a signal would have been heard
  });
});

const BATCH = 2;
const T = 7;

/** Three training steps; returns the losses. */
async function train(config: TransformerConfig): Promise<{ model: Transformer; losses: number[] }> {
  const model = new Transformer(config, rng(1));
  const optimiser = new AdamW(model.parameters);
  const stream = rng(2).stream();
  const rows = (): Int32Array => Int32Array.from({ length: BATCH * T }, () => stream.int(config.vocabulary));
  const body = step((x: Int32Array, y: Int32Array, i: number) => {
    const loss = crossEntropy(model.forward(tensor(x, [BATCH, T], 'i32')), tensor(y, [BATCH, T], 'i32'));
    model.parameters.clearGradients();
    backward(loss);
    return { loss, norm: optimiser.update(i, 1e-2) };
  });
  const [x, y] = [rows(), rows()];
  const losses: number[] = [];
  for (let i = 0; i < 3; i++) losses.push(await (await body(x, y, i)).loss.item());
  body.free();
  optimiser.free();
  return { model, losses };
}

const models: readonly (readonly [string, TransformerConfig])[] = [
  ['a Llama', { ...llama, kvHeads: 2 }], ['a GPT-2', gpt2], ['a Llama with a tied head', { ...llama, tied: true }],
];

describe("a GPU's rules, checked at every dispatch", () => {
  test.each(models)('%s trains and generates within them', async (_, config) => {
    const device = new StrictBackend();
    useBackend(device);
    const { model, losses } = await train(config);
    const trained = device.checked;
    expect(losses[2]!).toBeLessThan(losses[0]!);
    expect(trained).toBeGreaterThan(100);
    const copy = model.clone();
    const prompts = Int32Array.of(1, 2, 3, 4, 5, 6);
    const tokens = await generate(copy, prompts, {
      batch: 2,
      maxNew: 4,
      temperature: 1,
      topK: 5,
      seed: rng(3),
      force: 2,
      stop: 1,
    });
    expect(tokens.length).toBe(2 * 7);
    copy.parameters.free();
    expect(device.checked).toBeGreaterThan(trained + 50);
  });

  test('a dispatch that breaks them is an error', () => {
    const device = new StrictBackend();
    const whole = device.alloc(256, 'f32');
    const x = device.alloc(64, 'f32');
    const [first, second] = [device.view(whole, 0, 64), device.view(whole, 64, 64)];
    const copy = (from: typeof x, out: typeof x): void => device.dispatch(copyKernel, { x: from, out }, { n: 64 });
    copy(x, first);
    expect(() => copy(x, x)).toThrow('strict: copy: writes out, which shares its buffer with x');
    expect(() => copy(first, second)).toThrow('strict: copy: writes out, which shares its buffer with x');
    expect(() => copy(whole, device.view(first, 0, 8))).toThrow(
      'strict: copy: writes out, which shares its buffer with x',
    );
    expect(() => device.view(whole, 5, 8)).toThrow('strict: view from element 5: must be a multiple of 64');
    expect(() => device.view(whole, 128, 200)).toThrow('strict: view of elements 128 to 328: the storage has 256');
    expect(() => device.dispatch(fillKernel, { out: x }, { n: NaN, value: 0 })).toThrow('strict: fill: n is NaN');
    expect(() => device.dispatch(copyKernel, { out: x } as never, { n: 1 })).toThrow(
      'strict: copy: binds out: needs x,out',
    );
    device.free(whole);
    expect(() => copy(x, second)).toThrow('strict: copy.out: the storage was freed');
    expect(() => device.free(whole)).toThrow('strict: free: the storage was freed');
  });
});

describe('training, generation and scoring on the CPU', () => {
  test.each(models)('%s: run no reference', async (_, config) => {
    const device = new CpuBackend();
    useBackend(device);
    const { model } = await train(config);
    const prompts = Int32Array.of(1, 2, 3, 4, 5, 6);
    for (const temperature of [0, 1]) {
      await generate(model, prompts, { batch: 2, maxNew: 4, temperature, topK: 5, seed: rng(3), force: 2, stop: 1 });
    }
    const tokens = (): Tensor => tensor(prompts, [2, 3], 'i32');
    const scores = logProb(model.forward(tokens()), tokens());
    backward(sum(mul(scores, scores)));
    await scores.read();
    model.clone().parameters.free();
    // two numbers
    expect([...device.calls].filter(([, { reference }]) => reference > 0).map(([kernel]) => kernel)).toEqual([
      'biasCorrection',
    ]);
    expect(device.calls.size).toBeGreaterThan(20);
  });

  test.each(models)('%s: WASM and references agree', async (_, config) => {
    const losses: number[][] = [];
    for (const wasm of [true, false]) {
      useBackend(new CpuBackend({ wasm }));
      losses.push((await train(config)).losses);
    }
    // float32 sums against sums in double precision
    losses[0]!.forEach((loss, i) => expect(Math.abs(loss - losses[1]![i]!)).toBeLessThan(1e-5));
  });
});
