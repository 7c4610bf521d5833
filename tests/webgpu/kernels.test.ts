// Every kernel on the GPU against its reference, one by one: nothing left out of an output, nothing written beyond it, inputs untouched,
// the same bits twice, and numbers within a tolerance. The cases are in cases.ts. (Whole ops: ops.test.ts.)

import { afterAll, expect, test } from 'vitest';
import type { Storage } from '../../engine/backend.ts';
import { copyKernel, fillKernel } from '../../kernels/copy/copy.ts';
import { binaryKernels } from '../../kernels/elementwise/elementwise.ts';
import { kernels } from '../../kernels/index.ts';
import type { HostArray } from '../../kernels/kernel.ts';
import { describeGpu, gpu } from '../support/gpu.ts';
import { everyCase, type Case } from './cases.ts';

const GUARD = 16; // elements after each buffer's end
const MARK = 77777;

const cases = everyCase();
const names = [...new Set(kernels.map(({ name }) => name))];

describeGpu('every kernel', () => {
  test('has a GPU program, and cases to try it on', () => {
    expect(names.length).toBeGreaterThan(50);
    expect(kernels.filter(({ wgsl }) => !wgsl).map(({ name }) => name)).toEqual([]);
    expect(names.filter((name) => !cases.some(({ kernel }) => kernel.name === name))).toEqual([]);
  });

  const worst = new Map<string, number>();

  test.each(names)('%s', async (name) => {
    for (const one of cases.filter(({ kernel }) => kernel.name === name).flatMap(eachProgram)) {
      const label = `${name} ${JSON.stringify(one.params)}`, expected = referenceOf(one), first = await onGpu(one), second = await onGpu(one);
      for (const [binding, values] of Object.entries(first)) {
        const guard = values.subarray(values.length - GUARD), found = values.subarray(0, values.length - GUARD);
        expect(guard.every((value) => value === MARK), `${label}: nothing beyond ${binding}`).toBe(true);
        expect(sameBits(second[binding]!, values), `${label}: ${binding} the same twice`).toBe(true);
        if (one.kernel.bindings[binding] === 'read') expect(sameBits(found, one.buffers[binding]!), `${label}: ${binding} as it was`).toBe(true);
        first[binding] = found;
      }
      for (const [binding, values] of Object.entries(expected)) {
        const error = errorOf(first[binding]!, values, one.scale);
        if (error > one.tolerance && one.isAsGood?.(expected, first)) continue;
        worst.set(name, Math.max(worst.get(name) ?? 0, error));
        expect(error, `${label}: ${binding}`).toBeLessThanOrEqual(one.tolerance);
      }
    }
  });

  // A grid has at most 65535 workgroups along an axis: beyond, it takes a second one.
  test('reaches every element of a tensor that needs more than 65535 workgroups', async () => {
    const n = 65535 * 64 + 130, x = gpu.alloc(n, 'f32'), out = gpu.alloc(n, 'f32'), sum = gpu.alloc(n, 'f32');
    gpu.write(x, Float32Array.from({ length: n }, (_, i) => i % 1021));
    gpu.write(out, new Float32Array(n).fill(NaN));
    gpu.dispatch(copyKernel, { x, out }, { n });
    gpu.dispatch(fillKernel, { out: x }, { n, value: 3 });
    gpu.dispatch(binaryKernels.add, { a: x, b: out, out: sum }, { d0: 1, d1: 1, d2: n / 5, d3: 5, a0: 0, a1: 0, a2: 5, a3: 1, b0: 0, b1: 0, b2: 5, b3: 1 });
    expect((await gpu.read(sum)).findIndex((value, i) => value !== (i % 1021) + 3)).toBe(-1);
  });

  afterAll(async () => {
    const [name, error] = [...worst].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0]);
    console.log(`${cases.length} cases on ${gpu.name}; worst relative error of a kernel: ${error.toExponential(1)} (${name})`);
    await gpu.close();
  });
});

/** The case for each of the kernel's GPU programs that this adapter can run. */
function eachProgram(one: Case): Case[] {
  const { wgsl, variants } = one.kernel, isLong = gpu.name.includes('llvmpipe') && one.params.D! >= 32; // it compiles a head of 64, unrolled, for minutes
  const programs = [wgsl!, ...Object.values(variants ?? {})].filter((program) => gpu.canRun(program, one.params) && !(isLong && program === variants?.workgroup));
  return programs.map((program) => ({ ...one, kernel: { ...one.kernel, wgsl: program, variants: {} } }));
}

/** What the kernel's reference makes of a case, in double precision. */
function referenceOf({ kernel, buffers, params }: Case): Record<string, HostArray> {
  const copies = Object.fromEntries(Object.entries(buffers).map(([name, values]) => [name, values instanceof Float32Array ? Float64Array.from(values) : values.slice()]));
  kernel.reference(copies, params);
  return Object.fromEntries(Object.entries(copies).filter(([name]) => kernel.bindings[name] !== 'read'));
}

/** All buffers after a run on the GPU, each with its guard. */
async function onGpu({ kernel, buffers, params }: Case): Promise<Record<string, HostArray>> {
  const storages: Record<string, Storage> = {}, results: Record<string, HostArray> = {};
  for (const [name, values] of Object.entries(buffers)) {
    const guarded = new (values.constructor as Float32ArrayConstructor)(values.length + GUARD).fill(MARK);
    guarded.set(values);
    storages[name] = gpu.alloc(guarded.length, values instanceof Int32Array ? 'i32' : values instanceof Uint32Array ? 'u32' : 'f32');
    gpu.write(storages[name], guarded);
  }
  gpu.dispatch(kernel, storages, params);
  for (const [name, storage] of Object.entries(storages)) results[name] = await gpu.read(storage);
  for (const storage of Object.values(storages)) gpu.free(storage);
  return results;
}

/** The largest difference, relative to the largest right value (or `least`); integers must agree. */
function errorOf(found: HostArray, right: HostArray, least = 0): number {
  if (!(right instanceof Float64Array)) return found.every((value, i) => value === right[i]) ? 0 : Infinity;
  const scale = right.reduce((largest, value) => Math.max(largest, Math.abs(value)), Math.max(least, 1e-30));
  return right.reduce((largest, value, i) => {
    const error = Math.abs(found[i]! - value) / scale;
    return error <= largest ? largest : Number.isNaN(error) ? Infinity : error;
  }, 0);
}

function sameBits(a: HostArray, b: HostArray): boolean {
  return Buffer.compare(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), new Uint8Array(b.buffer, b.byteOffset, b.byteLength)) === 0;
}
