// Tensors: made from host values, read back, combined by methods; and the errors of each.

import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { createDevice } from '../../engine/device.ts';
import { DeviceError, RemitError, ShapeError } from '../../engine/errors.ts';
import * as ops from '../../engine/ops/index.ts';
import { backend, useBackend } from '../../engine/runtime.ts';
import { backward } from '../../engine/tape.ts';
import { empty, Tensor, tensor, variable } from '../../engine/tensor.ts';

// Runs before anything made a device: each test file has a process of its own.
const early = (() => {
  try {
    return tensor([1]);
  } catch (error) {
    return error;
  }
})();

test('before there is a device, everything says how to get one', () => {
  expect(early).toBeInstanceOf(DeviceError);
  expect(early).toBeInstanceOf(RemitError);
  expect((early as Error).message).toBe('engine: no device yet: call `await createDevice()` first');
  expect((early as Error).name).toBe('DeviceError');
});

describe('with a device', () => {
  beforeAll(() => useBackend(new CpuBackend()));

  const values = async (x: Tensor): Promise<number[]> => [...await x.read()];

  test('createDevice makes a device and makes it current', async () => {
    const device = await createDevice('cpu');
    expect(backend()).toBe(device);
    expect(device.name).toBe('cpu');
  });

  test('values come back as they went in', async () => {
    expect(await values(tensor([1, 2.5, -3]))).toEqual([1, 2.5, -3]);
    expect(await tensor([1, 2.5]).read()).toBeInstanceOf(Float32Array);
    expect(await tensor([1, -2], [2], 'i32').read()).toEqual(Int32Array.of(1, -2));
    expect(await tensor([1, 4294967295], [2], 'u32').read()).toEqual(Uint32Array.of(1, 4294967295));
    expect(await tensor([7], []).item()).toBe(7);
  });

  test('what was read is a copy', async () => {
    const x = tensor([1, 2]);
    const read = await x.read();
    read[0] = 9;
    expect(await values(x)).toEqual([1, 2]);
  });

  test('shape and size', () => {
    const x = tensor(new Float32Array(24), [2, 3, 4]);
    expect([x.shape, x.size, x.dtype, x.needsGrad]).toEqual([[2, 3, 4], 24, 'f32', false]);
    expect(tensor([1, 2, 3]).shape).toEqual([3]);
    expect(empty({ shape: [5], dtype: 'i32' }).dtype).toBe('i32');
    expect(variable([1, 2], [2, 1])).toMatchObject({ shape: [2, 1], needsGrad: true, node: null });
  });

  test.each([
    [() => tensor([1, 2, 3], [2, 2]), 'tensor: 3 values for [2,2]: needs 4'],
    [() => tensor([], [0]), 'tensor: [0]: every size must be a whole number of at least 1'],
    [() => tensor([]), 'tensor: [0]: every size must be a whole number of at least 1'],
    [() => tensor([1, 2, 3], [1.5, 2]), 'tensor: [1.5,2]: every size must be a whole number of at least 1'],
    [() => variable([1], [2]), 'variable: 1 values for [2]: needs 2'],
  ])('values that do not fit their shape: %#', (make, message) => {
    expect(make).toThrow(new ShapeError(message));
  });

  test('item() is for one element', async () => {
    await expect(tensor([1, 2, 3], [3, 1]).item()).rejects.toThrow(
      new ShapeError('item: [3,1]: has 3 elements, item() reads tensors of one'),
    );
    expect(await tensor([5], [1, 1]).item()).toBe(5);
  });

  test('methods with tensors and with numbers', async () => {
    const x = tensor([1, 2, 3, 4], [2, 2]);
    const y = tensor([10, 20]);
    expect(await values(x.add(y))).toEqual([11, 22, 13, 24]);
    expect(await values(x.sub(y))).toEqual([-9, -18, -7, -16]);
    expect(await values(x.mul(y))).toEqual([10, 40, 30, 80]);
    expect(await values(y.div(x))).toEqual([10, 10, 10 / 3, 5].map(Math.fround));
    expect(await values(x.add(1).sub(3).mul(4).div(2))).toEqual([-2, 0, 2, 4]);
    expect(await values(x.neg())).toEqual([-1, -2, -3, -4]);
    expect(await values(x.matmul(x))).toEqual([7, 10, 15, 22]);
    expect(x.reshape({ shape: [4, -1] }).shape).toEqual([4, 1]);
    expect([await x.sum().item(), await x.mean().item()]).toEqual([10, 2.5]);
    expect([await values(x.sum({ axis: 0 })), await values(x.mean({ axis: -1 }))]).toEqual([[4, 6], [1.5, 3.5]]);
    expect([await x.max().item(), await values(x.max({ axis: 0 }))]).toEqual([4, [3, 4]]);
  });

  test.each(['exp', 'log', 'sqrt', 'square', 'tanh', 'relu', 'sigmoid'] as const)('%s, a method and an op', async (f) => {
    const x = tensor([1, -2, 3], [3]).mul(f === 'log' || f === 'sqrt' ? tensor([1, -1, 1]) : 1);
    expect(await values(x[f]())).toEqual(await values(ops[f](x)));
    expect(() => (x[f] as (...given: unknown[]) => Tensor)({}, 1)).toThrow(f);
  });

  test('stopGradient has the values and lets no gradient through', async () => {
    const x = variable([2, 3]);
    const y = x.mul(x);
    const stopped = y.stopGradient();
    expect(await values(stopped)).toEqual([4, 9]);
    expect(stopped).toMatchObject({ needsGrad: false, node: null });
    expect(await values(backward(x.mul(stopped).sum()).of(x)!)).toEqual([4, 9]); // and not 3 x²
  });
});
