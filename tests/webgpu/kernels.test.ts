// Every kernel on the GPU against its reference, one by one: nothing left out of an output, nothing written beyond it,
// inputs untouched, the same bits twice, and numbers within a tolerance: check-case.ts. The cases are in cases.ts.
// (Whole ops: ops.test.ts. The matrix product, compiled anew for every switch: matmul.test.ts.)

import { afterAll, expect, test } from 'vitest';
import { copyKernel, fillKernel } from '../../kernels/copy/copy.ts';
import { binaryKernels } from '../../kernels/elementwise/elementwise.ts';
import { kernels } from '../../kernels/index.ts';
import { checkCase } from '../support/check-case.ts';
import { describeGpu, everyCaseAsked, gpu } from '../support/gpu.ts';
import { everyCase } from './cases.ts';

const cases = everyCase();
const MANY = 16;

/** All on a GPU; on software, where each costs a compilation or a long wait, every second of many. */
function tried<T>(all: readonly T[]): readonly T[] {
  return gpu.software && !everyCaseAsked && all.length > MANY ? all.filter((_, i) => i % 2 === 0) : all;
}
const names = [...new Set(kernels.map(({ name }) => name))];

describeGpu('every kernel', () => {
  test('has a GPU program, and cases to try it on', () => {
    expect(names.length).toBeGreaterThan(50);
    expect(kernels.filter(({ wgsl }) => !wgsl).map(({ name }) => name)).toEqual([]);
    expect(names.filter((name) => !cases.some(({ kernel }) => kernel.name === name))).toEqual([]);
  });

  const worst = new Map<string, number>();

  test.each(names.filter((name) => name !== 'matmul'))('%s', async (name) => {
    for (const one of tried(cases.filter(({ kernel }) => kernel.name === name))) {
      const { complaints, error } = await checkCase(gpu, one);
      expect(complaints).toEqual([]);
      worst.set(name, Math.max(worst.get(name) ?? 0, error));
    }
  });

  // A grid has at most 65535 workgroups along an axis: beyond, it takes a second one.
  test('reaches every element of a tensor that needs more than 65535 workgroups', async () => {
    const n = 65535 * 64 + 130;
    const x = gpu.alloc(n, 'f32');
    const out = gpu.alloc(n, 'f32');
    const sum = gpu.alloc(n, 'f32');
    gpu.write(x, Float32Array.from({ length: n }, (_, i) => i % 1021));
    gpu.write(out, new Float32Array(n).fill(NaN));
    gpu.dispatch(copyKernel, { x, out }, { n });
    gpu.dispatch(fillKernel, { out: x }, { n, value: 3 });
    gpu.dispatch(
      binaryKernels.add,
      { a: x, b: out, out: sum },
      { d0: 1, d1: 1, d2: n / 5, d3: 5, a0: 0, a1: 0, a2: 5, a3: 1, b0: 0, b1: 0, b2: 5, b3: 1 },
    );
    expect((await gpu.read(sum)).findIndex((value, i) => value !== (i % 1021) + 3)).toBe(-1);
  });

  afterAll(async () => {
    const [name, error] = [...worst].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0]);
    console.log(
      `${cases.length} cases on ${gpu.name}; worst relative error of a kernel: ${error.toExponential(1)} (${name})`,
    );
    await gpu.close();
  });
});
