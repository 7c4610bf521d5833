// The lifetimes of a step's results: memory comes back in order, stale use is an error with a name, nothing grows, and
// poison shows kernels that leave gaps.

import { beforeEach, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { StepError } from '../../engine/errors.ts';
import { run } from '../../engine/op.ts';
import { affine, mul } from '../../engine/ops/arithmetic.ts';
import { matmul } from '../../engine/ops/matmul.ts';
import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import { sum } from '../../engine/ops/reduce.ts';
import { reshape } from '../../engine/ops/shape.ts';
import { rng } from '../../engine/rng.ts';
import { currentArena, isRecording, noGrad, useBackend } from '../../engine/runtime.ts';
import { keep, step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import { empty, tensor, variable, type Tensor } from '../../engine/tensor.ts';
import { defineKernel } from '../../kernels/kernel.ts';
import { Transformer } from '../../nn/transformer.ts';
import { AdamW } from '../../optim/adamw.ts';
import { caseOf, everyVariant, fillAll, largest, upload } from '../support/fill.ts';

let device: CpuBackend;

beforeEach(() => {
  device = new CpuBackend();
  useBackend(device);
});

const values = async (x: Tensor): Promise<number[]> => [...await x.read()];

test('a step stays with the device that it was first called on', async () => {
  const twice = step((x: number) => affine(tensor([x]), { factor: 2 }));
  expect(await values(await twice(3))).toEqual([6]);
  useBackend(new CpuBackend({ precision: 'f64' }));
  await expect(twice(4)).rejects.toThrow(
    new StepError('step: made on cpu, called on cpu-f64: make it anew, or free() it first'),
  );
  twice.free();
  expect(await values(await twice(5))).toEqual([10]);
});

describe('memory', () => {
  test('the second call gets the storages of the first, in order', async () => {
    const body = step((n: number) => {
      const a = tensor([n, n]);
      const b = mul(a, a);
      const c = affine(b, { offset: 1 });
      return [a, b, c].map((x) => x.storage);
    });
    const first = await body(1);
    const second = await body(2);
    expect(new Set(first).size).toBe(3);
    second.forEach((storage, i) => expect(storage).toBe(first[i]));
  });

  test('two steps do not share memory', async () => {
    const square = (): ((n: number) => Promise<Tensor>) => step((n: number) => mul(tensor([n]), tensor([n])));
    const [one, two] = [square(), square()];
    const x = await one(2);
    await two(3);
    expect(await values(x)).toEqual([4]);
  });

  test('what is made outside of a step lasts', async () => {
    const x = tensor([1, 2]);
    const body = step(() => mul(x, x));
    for (let i = 0; i < 3; i++) await body();
    expect(await values(x)).toEqual([1, 2]);
    expect(x.arena).toBeNull();
  });

  test('300 training steps leave the heap where it was', async () => {
    const model = new Transformer(
      {
        vocabulary: 11, context: 8, width: 8, layers: 1, heads: 2, kvHeads: 1, hidden: 12, norm: 'rms',
        positions: 'rotary', rotaryBase: 100, mlp: 'swiglu', bias: false, tied: false, epsilon: 1e-5,
      },
      rng(1),
    );
    const optimiser = new AdamW(model.parameters);
    const stream = rng(2).stream();
    const train = step((i: number) => {
      const tokens = (): Tensor => tensor(Int32Array.from({ length: 16 }, () => stream.int(11)), [2, 8], 'i32');
      const loss = crossEntropy(model.forward(tokens()), tokens());
      model.parameters.clearGradients();
      backward(loss);
      return { loss, norm: optimiser.update(i, 1e-3) };
    });
    for (let i = 0; i < 3; i++) await train(i);
    const before = top();
    for (let i = 3; i < 303; i++) await (await train(i)).loss.item();
    expect(top() - before).toBeLessThanOrEqual(PROBE * 4); // the first probe itself, unless it was collected
  });

  test('free() gives the memory back', async () => {
    const body = step(() => tensor(new Float32Array(4000)));
    const used = (await body()).storage;
    body.free();
    expect(device.alloc(used.size, 'f32').address).toBe((used as ReturnType<CpuBackend['alloc']>).address);
  });

  const PROBE = 16 * 1019; // a size that nothing else has, so that it comes from the top of the heap

  /** Where the heap ends. */
  function top(): number {
    return device.alloc(PROBE, 'f32').address!;
  }
});

describe('stale results', () => {
  const STALE =
    'step: tensor [2] made in call 1 used in call 2: return it from the step and read it before the next call, or ' +
    'copy it with keep()';
  const doubled = () => step((n: number) => affine(tensor([n, n]), { factor: 2 }));

  test('a result can be read until the next call', async () => {
    const body = doubled();
    const x = await body(3);
    expect(await values(x)).toEqual([6, 6]);
    expect(await values(affine(x, { offset: 1 }))).toEqual([7, 7]);
    const later = await body(4);
    expect(await values(later)).toEqual([8, 8]);
  });

  test('afterwards, reading it or computing with it is an error', async () => {
    const body = doubled();
    const x = await body(3);
    await body(4);
    await expect(x.read()).rejects.toThrow(new StepError(STALE));
    expect(() => affine(x, { factor: 2 })).toThrow(new StepError(STALE));
    expect(() => keep(x)).toThrow(new StepError(STALE));
    expect(() => x.stopGradient()).toThrow(new StepError(STALE));
    expect(() => reshape(x, { shape: [2, 1] })).toThrow(new StepError(STALE));
  });

  test('also inside the same step, and through a view', async () => {
    const seen: Tensor[] = [];
    const body = step(() => {
      if (seen[0]) return affine(seen[0], { factor: 2 });
      const x = tensor([1, 2, 3, 4], [2, 2]);
      seen.push(reshape(x, { shape: [4] }));
      return x;
    });
    await body();
    await expect(body()).rejects.toThrow(new StepError(STALE.replace('[2]', '[4]')));
  });

  test('and after free()', async () => {
    const body = doubled();
    const x = await body(3);
    body.free();
    await expect(x.read()).rejects.toThrow(new StepError(STALE));
    expect(await values(await body(5))).toEqual([10, 10]); // a freed step can be called again
  });

  test('keep() makes a copy that stays', async () => {
    const body = doubled();
    const kept = keep(await body(3));
    await body(4);
    expect(await values(kept)).toEqual([6, 6]);
    expect(kept).toMatchObject({ shape: [2], dtype: 'f32', arena: null, needsGrad: false });
    const whole = keep(tensor([-1, 5], [2], 'i32'));
    expect(await whole.read()).toEqual(Int32Array.of(-1, 5));
  });
});

describe('bodies', () => {
  test('arguments go in and any value comes out', async () => {
    const body = step((a: number, b: string) => ({ text: b.repeat(a), x: tensor([a]) }));
    const { text, x } = await body(2, 'ab');
    expect([text, await x.item()]).toEqual(['abab', 2]);
  });

  test('gradients are recorded in a step, even when it is called within noGrad', async () => {
    const x = variable([3]);
    const body = step(() => backward(mul(x, x)).of(x)!);
    expect(await values(await body())).toEqual([6]);
    expect(await values(await noGrad(() => body()))).toEqual([6]);
  });

  test('a step within a step is an error', async () => {
    const inner = step(() => tensor([1]));
    const outer = step(() => { void inner().catch((error: Error) => errors.push(error)); });
    const errors: Error[] = [];
    await outer();
    expect(errors).toEqual([
      new StepError('step: called inside another step: call it between steps, or inline its body'),
    ]);
  });

  test('an asynchronous body is an error', async () => {
    const body = step(async () => tensor([1]));
    await expect(body()).rejects.toThrow(
      new StepError('step: the body is asynchronous: await before or after the step, not inside'),
    );
    expect(currentArena()).toBeNull();
  });

  test('an asynchronous body that fails later does not end the process', async () => {
    const failures: unknown[] = [];
    const note = (error: unknown): void => void failures.push(error);
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection').on('unhandledRejection', note);
    try {
      await expect(step(async () => { throw new Error('later'); })()).rejects.toThrow(StepError);
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(failures).toEqual([]);
    } finally {
      process.off('unhandledRejection', note);
      for (const listener of others) process.on('unhandledRejection', listener);
    }
  });

  test('a body that throws leaves nothing behind, and can be called again', async () => {
    const body = step((bad: boolean) => {
      const x = tensor([1, 2]);
      if (bad) matmul(x, x);
      return x;
    });
    await expect(body(true)).rejects.toThrow('matmul: [2] x [2]: both need at least two axes');
    expect([currentArena(), isRecording()]).toEqual([null, true]);
    expect(await values(await body(false))).toEqual([1, 2]);
  });
});

describe('poison', () => {
  const gappy = defineKernel({
    name: 'gappy',
    bindings: { out: 'write' },
    params: ['n'],
    reference({ out }, { n }) {
      for (let i = 0; i < n; i++) if (i !== 3) out[i] = 1; // forgets one
    },
  });

  /** What a kernel leaves in memory that held other things before. */
  async function left(options: { poison?: boolean }): Promise<number[]> {
    const body = step((fill: boolean) => {
      if (fill) return affine(tensor([1, 2, 3, 4, 5]), { factor: 7 });
      const input = tensor([0, 0, 0, 0, 0]);
      const out = empty({ shape: [5], dtype: 'f32' });
      run(gappy, { out: out.storage }, { n: 5 });
      return mul(out, affine(input, { offset: 1 }));
    }, options);
    await body(true);
    return values(await body(false));
  }

  test('shows a kernel that does not write its whole output', async () => {
    expect(await left({ poison: true })).toEqual([1, 1, 1, NaN, 1]);
    expect((await left({ poison: false }))[3]).toBe(28); // without it, an old value passes for a result
  });

  test('is switched on by REMIT_POISON=1', async () => {
    const before = process.env['REMIT_POISON'];
    process.env['REMIT_POISON'] = '1';
    try {
      expect((await left({}))[3]).toBeNaN();
      expect((await left({ poison: false }))[3]).toBe(28);
    } finally {
      if (before === undefined) delete process.env['REMIT_POISON'];
      else process.env['REMIT_POISON'] = before;
    }
  });

  test.each(everyVariant)('$title: result and gradients are the same in poisoned memory', async ({ op, variant }) => {
    const { fills, attrs } = caseOf(op, variant, largest(op));
    const inputs = fillAll(fills, 5);
    const body = (poison: boolean) => step(() => {
      const leaves = inputs.map((input) =>
        input.dtype === 'f32' ? variable(input.values, input.shape) : upload(input),
      );
      const [result, ...saved] = op.all(...leaves, attrs);
      const gradients = backward(sum(mul(result, result)));
      return [result, ...saved, ...leaves.flatMap((leaf) => gradients.of(leaf) ?? [])];
    }, { poison });
    const [clean, poisoned] = [await body(false)(), await body(true)()];
    expect(poisoned.length).toBe(clean.length);
    for (const [i, x] of poisoned.entries()) {
      const found = await values(x);
      expect(found.every(Number.isFinite)).toBe(true);
      expect(found).toEqual(await values(clean[i]!));
    }
  });
});
