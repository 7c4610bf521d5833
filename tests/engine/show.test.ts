// What a tensor looks like in a console, and tensors that need no list of numbers.

import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { ShapeError } from '../../engine/errors.ts';
import { ones, randn, zeros } from '../../engine/make.ts';
import { affine } from '../../engine/ops/arithmetic.ts';
import { rng } from '../../engine/rng.ts';
import { useBackend } from '../../engine/runtime.ts';
import { step } from '../../engine/step.ts';
import { tensor } from '../../engine/tensor.ts';
import { backendAt, describeGpu } from '../support/gpu.ts';

describe('on the CPU', () => {
  test('kind, shape and values', () => {
    useBackend(new CpuBackend());
    expect(inspect(tensor([[1, 2.5], [1 / 3, -4]]))).toBe('Tensor f32 [2,2] [[1, 2.5], [0.3333, -4]]');
    expect(inspect(tensor([3], [], 'i32'))).toBe('Tensor i32 [] 3');
    expect(inspect(zeros([2, 9]))).toBe('Tensor f32 [2,9] [[0, 0, 0, 0, 0, 0, ...], [0, 0, 0, 0, 0, 0, ...]]');
  });

  test('a result of a step that was called again says so, and does not throw', async () => {
    useBackend(new CpuBackend());
    const double = step((x: number) => affine(tensor([x]), { factor: 2 }));
    const first = await double(1);
    expect(inspect(first)).toBe('Tensor f32 [1] [2]');
    await double(2);
    expect(inspect(first)).toMatch(/^Tensor f32 \[1\], stale: /);
  });
});

describeGpu('on a GPU', () => {
  test('how to see the values', () => {
    useBackend(backendAt('webgpu'));
    expect(inspect(ones([2]))).toBe('Tensor f32 [2], values by await read()');
  });
});

test('zeros, ones and normal numbers', async () => {
  useBackend(new CpuBackend());
  expect([...await zeros([2, 2], 'i32').read()]).toEqual([0, 0, 0, 0]);
  expect([...await ones([3]).read()]).toEqual([1, 1, 1]);
  expect([...await randn([2, 3], rng(1)).read()]).toEqual([...Float32Array.from(rng(1).normals(6))]);
  expect(() => zeros([2, -1])).toThrow(ShapeError);
  expect(() => randn([1.5], rng(1))).toThrow(ShapeError);
});
