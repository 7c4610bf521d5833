// backward(): graphs that fork and join, views, repeated use, what is recorded and what is not.

import { beforeAll, describe, expect, test, vi } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { ShapeError, StepError } from '../../engine/errors.ts';
import { add, affine, mul, sub } from '../../engine/ops/arithmetic.ts';
import { matmul } from '../../engine/ops/matmul.ts';
import { reshape } from '../../engine/ops/shape.ts';
import { sum } from '../../engine/ops/reduce.ts';
import { exp } from '../../engine/ops/unary.ts';
import '../../engine/methods.ts';
import { backend, isRecording, noGrad, useBackend, withBackend } from '../../engine/runtime.ts';
import { step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import { Tensor, tensor, variable } from '../../engine/tensor.ts';

beforeAll(() => useBackend(new CpuBackend({ precision: 'f64' })));

const values = async (x: Tensor | undefined): Promise<number[]> => [...await x!.read()];

describe('graphs', () => {
  test('a diamond adds both branches: d(x² + 3x) = 2x + 3', async () => {
    const x = variable([2, 5]);
    const y = add(mul(x, x), affine(x, { factor: 3 }));
    expect(await values(backward(sum(y)).of(x))).toEqual([7, 13]);
  });

  test('a branch of a branch waits for all of its users', async () => {
    // x⁵ + x²
    const x = variable([2]);
    const a = mul(x, x);
    const b = mul(a, x);
    const c = add(mul(b, a), a);
    expect(await values(backward(c).of(x))).toEqual([5 * 16 + 2 * 2]);
  });

  test('an older tensor used late, and a younger one early, come in the right order', async () => {
    const x = variable([3]);
    const old = mul(x, x);
    let y = x;
    for (let i = 0; i < 5; i++) y = affine(y, { factor: 2 });
    expect(await values(backward(mul(y, old)).of(x))).toEqual([32 * 3 * 9]); // 32 x³
  });

  test('a chain of ten thousand ops does not overflow the stack', async () => {
    const x = variable([1]);
    let y: Tensor = x;
    for (let i = 0; i < 10_000; i++) y = affine(y, { offset: 1e-4 });
    expect(await values(backward(y).of(x))).toEqual([1]);
  });

  test('a graph whose paths double at every level is walked once per op', async () => {
    const x = variable([1]);
    let y: Tensor = x;
    for (let i = 0; i < 40; i++) y = add(y, y); // 2^40 paths
    expect(await values(backward(y).of(x))).toEqual([2 ** 40]);
  });

  test('one gradient that reaches two tensors is not added to in place', async () => {
    const x = variable([1, 2]);
    const y = variable([3, 4]);
    const g = backward(sum(add(add(x, y), x))); // both inputs of the inner add get the very same gradient
    expect([await values(g.of(x)), await values(g.of(y))]).toEqual([[2, 2], [1, 1]]);
  });

  test('the seed is not changed', async () => {
    const x = variable([1, 2]);
    const seed = tensor([5, 7]);
    expect(await values(backward(add(x, x), seed).of(x))).toEqual([10, 14]);
    expect(await values(seed)).toEqual([5, 7]);
  });

  test('reshaped views pass their gradient on', async () => {
    const x = variable([1, 2, 3, 4]);
    const m = reshape(x, { shape: [2, 2] });
    const g = backward(add(sum(matmul(m, m)), sum(x)));
    expect(g.of(x)!.shape).toEqual([4]);
    expect(await values(g.of(x))).toEqual([3 + 4 + 1, 7 + 4 + 1, 3 + 6 + 1, 7 + 6 + 1]); // column sums by row sums
  });
});

describe('what comes back', () => {
  test('gradients of leaves and of everything between', async () => {
    const x = variable([2]);
    const y = mul(x, x);
    const z = exp(affine(y, { factor: 0 }));
    const g = backward(mul(y, z));
    expect([await values(g.of(y)), await values(g.of(x))]).toEqual([[1], [4]]);
  });

  test('the loss of itself is 1, also when it is a leaf', async () => {
    const x = variable([3], []);
    const loss = mul(x, x);
    expect(await values(backward(loss).of(loss))).toEqual([1]);
    expect(await values(backward(x).of(x))).toEqual([1]);
  });

  test('nothing for what the loss does not depend on, and for constants', () => {
    const x = variable([2]);
    const other = variable([3]);
    const constant = tensor([4]);
    const unused = mul(other, other);
    const g = backward(mul(x, constant));
    expect([g.of(other), g.of(unused), g.of(constant)]).toEqual([undefined, undefined, undefined]);
  });

  test('a loss of constants has no gradients and is no error', () => {
    const x = tensor([1]);
    expect(backward(mul(x, x)).of(x)).toBeUndefined();
  });

  test('the same graph can be walked twice', async () => {
    const x = variable([3]);
    const loss = mul(x, x);
    expect([await values(backward(loss).of(x)), await values(backward(loss).of(x))]).toEqual([[6], [6]]);
  });

  test('a size-1 loss of any shape will do; a seed scales it', async () => {
    const x = variable([3], [1, 1]);
    expect(await values(backward(mul(x, x)).of(x))).toEqual([6]);
    expect(await values(backward(mul(x, x), tensor([0.5], [1, 1])).of(x))).toEqual([3]);
  });
});

describe('parameters', () => {
  /** A leaf with a slot. */
  function parameter(held: number[]): Tensor {
    const { storage, shape, dtype } = tensor([2, 3]);
    return new Tensor({ shape, dtype, storage, needsGrad: true, gradient: tensor(held) });
  }

  test('gradients are added to what the slot holds, once per use', async () => {
    const w = parameter([100, 200]);
    const g = backward(sum(add(mul(w, w), w)));
    expect(await values(g.of(w))).toEqual([105, 207]);
    expect(g.of(w)).toBe(w.gradient);
  });

  test('a parameter that is not used keeps its slot as it is', async () => {
    const w = parameter([1, 2]);
    const x = variable([1]);
    backward(mul(x, x));
    expect(await values(w.gradient!)).toEqual([1, 2]);
  });
});

describe('recording', () => {
  test('results of constants have no node, those of variables do', () => {
    const x = tensor([1]);
    const v = variable([1]);
    expect(add(x, x)).toMatchObject({ node: null, needsGrad: false });
    expect(add(x, v)).toMatchObject({ node: { name: 'add' }, needsGrad: true });
  });

  test('noGrad records nothing, and ends with its body', () => {
    const v = variable([1]);
    expect(noGrad(() => mul(v, v))).toMatchObject({ node: null, needsGrad: false });
    expect(() => noGrad(() => { throw new Error('inside'); })).toThrow('inside');
    expect(isRecording()).toBe(true);
    expect(mul(v, v).node).not.toBeNull();
  });

  test('an asynchronous body of noGrad is unrecorded until it ends, and nothing else is', async () => {
    const seen: [where: string, recording: boolean][] = [];
    const note = (where: string): void => void seen.push([where, isRecording()]);
    const body = (name: string, ms: number) => noGrad(async () => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      note(name);
      void step(() => note(`a step of ${name}`))();
      note(name);
    });
    const both = [body('short', 1), body('long', 20)];
    note('between');
    await both[0];
    note('after the short one');
    await both[1];
    note('after both');
    expect(seen).toEqual([
      ['between', true], ['short', false], ['a step of short', true], ['short', false], ['after the short one', true],
      ['long', false], ['a step of long', true], ['long', false], ['after both', true],
    ]);
  });

  test('where asynchronous work cannot be followed, an asynchronous body is refused', async () => {
    vi.stubGlobal('process', undefined);
    const { Scope } = await import('../../engine/scope.ts');
    const scope = new Scope();
    try {
      expect([scope.enter(() => 3), scope.follow(), scope.isInside, scope.leave(() => 4)]).toEqual([
        3,
        false,
        false,
        4,
      ]);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  test('noGrad in a step, and a device for a call, have no asynchronous body', async () => {
    const inner = step(() => noGrad(async () => Promise.reject(new Error('its own affair'))));
    await expect(inner()).rejects.toThrow(
      new StepError('noGrad: the body is asynchronous: await before or after the noGrad, not inside'),
    );
    const message = 'withBackend: the body is asynchronous: await before or after the withBackend, not inside';
    expect(() => withBackend(backend(), async () => 1)).toThrow(new StepError(message));
    expect(isRecording()).toBe(true);
  });

  test('backward records nothing itself', () => {
    // it is 1 y, by an op on y
    const x = variable([3]);
    const y = variable([4]);
    const g = backward(mul(x, y)).of(x)!;
    expect(g.node).toBeNull();
    expect(isRecording()).toBe(true);
  });
});

describe('errors', () => {
  test('a loss that is no scalar needs a seed of its shape', () => {
    const x = variable([1, 2, 3]);
    expect(() => backward(x)).toThrow(
      new ShapeError('backward: loss [3]: must be a scalar, or come with a seed of its shape'),
    );
    expect(() => backward(sub(x, x), tensor([1, 2]))).toThrow(
      new ShapeError('backward: seed [2] for [3]: shapes differ'),
    );
  });
});
