// A WebGPU backend for tests: whatever adapter there is, SwiftShader at the least. Where there is none a suite is
// skipped with the reason, unless REMIT_REQUIRE_WEBGPU=1, which makes that a failure.

import { describe } from 'vitest';
import type { Backend } from '../../engine/backend.ts';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { openGpu } from '../../engine/webgpu/adapter.ts';
import { WebGpuBackend } from '../../engine/webgpu/backend.ts';

const found = await openGpu({ software: 'allowed' });
if (typeof found === 'string' && process.env.REMIT_REQUIRE_WEBGPU === '1') {
  throw new Error(`REMIT_REQUIRE_WEBGPU=1, but ${found}`);
}

/** Whether every case is wanted on a software adapter too, where some of many stand for all; never in a browser. */
export const everyCaseAsked = globalThis.process?.env.REMIT_EVERY_CASE === '1';

/** One per test file: a process should not hold more than one device. */
export const gpu: WebGpuBackend =
  typeof found === 'string' ? (undefined as unknown as WebGpuBackend) : new WebGpuBackend(found.device, found);

/** The backends that whole-model suites run on, as names for describe.each(). */
export const places: readonly ('f32' | 'f64' | 'webgpu')[] = ['f32', 'f64', ...(gpu ? ['webgpu' as const] : [])];

export function backendAt(place: (typeof places)[number]): Backend {
  return place === 'webgpu' ? gpu : new CpuBackend({ precision: place });
}

/** describe(), or a skipped one that says why. */
export const describeGpu = (name: string, body: () => void): void => {
  if (typeof found === 'string') describe.skip(`${name} (no WebGPU: ${found})`, body);
  else describe(`${name} on ${found.name}`, body);
};
