// One case of a kernel, by each of its GPU programs, against the kernel's reference: nothing left out of an output,
// nothing written beyond it, inputs untouched, the same bits twice, and numbers within the case's tolerance.
// Used by: webgpu/kernels.test.ts, and bench/gpu.bench.ts on cards that no test has seen.

import type { TensorStorage } from '../../engine/backend.ts';
import type { WebGpuBackend } from '../../engine/webgpu/backend.ts';
import type { HostArray } from '../../kernels/kernel.ts';
import type { Case } from '../webgpu/cases.ts';

const GUARD = 16; // elements after each buffer's end
const MARK = 77777;

export interface Verdict {
  /** What is wrong; empty when all is well. */
  readonly complaints: readonly string[];
  /** The largest, relative to the largest right value. */
  readonly error: number;
  /** Programs that ran. */
  readonly programs: number;
}

/** Throws what the backend throws. */
export async function checkCase(gpu: WebGpuBackend, one: Case): Promise<Verdict> {
  const complaints: string[] = [];
  const expected = referenceOf(one);
  const programs = programsOf(gpu, one);
  let worst = 0;
  for (const [program, kernel] of programs) {
    const label = `${kernel.name} ${JSON.stringify(one.params)}, ${program}`;
    const mine = { ...one, kernel };
    const first = await onGpu(gpu, mine);
    const second = await onGpu(gpu, mine);
    for (const [binding, values] of Object.entries(first)) {
      const guard = values.subarray(values.length - GUARD);
      const found = values.subarray(0, values.length - GUARD);
      if (!guard.every((value) => value === MARK)) complaints.push(`${label}: writes beyond ${binding}`);
      if (!sameBits(second[binding]!, values)) complaints.push(`${label}: ${binding} is another the second time`);
      if (kernel.bindings[binding] === 'read' && !sameBits(found, one.buffers[binding]!)) {
        complaints.push(`${label}: writes to ${binding}`);
      }
      first[binding] = found;
    }
    for (const [binding, values] of Object.entries(expected)) {
      const error = errorOf(first[binding]!, values, one.scale);
      if (error > one.tolerance && one.isAsGood?.(expected, first)) continue;
      worst = Math.max(worst, error);
      if (!(error <= one.tolerance)) {
        complaints.push(`${label}: ${binding} is off by ${error.toExponential(1)}, more than ${one.tolerance}`);
      }
    }
  }
  return { complaints, error: worst, programs: programs.length };
}

/** Each of the kernel's GPU programs that this adapter can run at the case's sizes, as a kernel of its own. */
function programsOf(gpu: WebGpuBackend, { kernel, params }: Case): [name: string, Case['kernel']][] {
  const { wgsl, variants } = kernel;
  const isLong = gpu.name.includes('llvmpipe') && params.D! >= 32; // it compiles a head of 64, unrolled, for minutes
  return Object.entries({ portable: wgsl!, ...variants })
    .filter(([name, program]) => gpu.canRun(program, params) && !(isLong && name === 'workgroup'))
    .map(([name, program]) => [name, { ...kernel, wgsl: program, variants: {} }]);
}

/** What the kernel's reference makes of a case, in double precision. */
function referenceOf({ kernel, buffers, params }: Case): Record<string, HostArray> {
  const copies = Object.fromEntries(
    Object.entries(buffers).map(([name, values]) => [
      name,
      values instanceof Float32Array ? Float64Array.from(values) : values.slice(),
    ]),
  );
  kernel.reference(copies, params);
  return Object.fromEntries(Object.entries(copies).filter(([name]) => kernel.bindings[name] !== 'read'));
}

/** All buffers after a run on the GPU, each with its guard. */
async function onGpu(gpu: WebGpuBackend, { kernel, buffers, params }: Case): Promise<Record<string, HostArray>> {
  const storages: Record<string, TensorStorage> = {};
  const results: Record<string, HostArray> = {};
  for (const [name, values] of Object.entries(buffers)) {
    const guarded = new (values.constructor as Float32ArrayConstructor)(values.length + GUARD).fill(MARK);
    guarded.set(values);
    storages[name] = gpu.alloc(
      guarded.length,
      values instanceof Int32Array ? 'i32' : values instanceof Uint32Array ? 'u32' : 'f32',
    );
    gpu.write(storages[name], guarded);
  }
  gpu.dispatch(kernel, storages, params);
  for (const [name, storage] of Object.entries(storages)) results[name] = await gpu.read(storage);
  for (const storage of Object.values(storages)) gpu.free(storage);
  return results;
}

/** The largest difference, relative to the largest right value (or `least`); integers must agree. */
export function errorOf(found: HostArray, right: HostArray, least = 0): number {
  if (!(right instanceof Float64Array)) return found.every((value, i) => value === right[i]) ? 0 : Infinity;
  const finite = right.filter((value) => Number.isFinite(value)); // what is infinite must be so
  const scale = finite.reduce((largest, value) => Math.max(largest, Math.abs(value)), Math.max(least, 1e-30));
  return right.reduce((largest, value, i) => {
    const error = found[i] === value ? 0 : Math.abs(found[i]! - value) / scale;
    return error <= largest ? largest : Number.isNaN(error) ? Infinity : error;
  }, 0);
}

function sameBits(a: HostArray, b: HostArray): boolean {
  return (
    Buffer.compare(
      new Uint8Array(a.buffer, a.byteOffset, a.byteLength),
      new Uint8Array(b.buffer, b.byteOffset, b.byteLength),
    ) === 0
  );
}
