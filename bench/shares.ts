// Where a training step's time goes, kernel by kernel: by the GPU's own clock where it has one, on the CPU by the host's.
// Read after: contenders.ts. Used by: command.ts.

import type { Backend } from '../engine/backend.ts';
import { WebGpuBackend } from '../engine/webgpu/backend.ts';
import { stepContender } from './contenders.ts';

/** A model's step; milliseconds a step, largest first. */
export interface Shares {
  readonly name: string;
  readonly kernels: readonly { readonly kernel: string; readonly ms: number }[];
}

const STEPS = 10;
const ABOVE = 'above the kernels'; // tensors, the tape, the optimiser's bookkeeping

/** Of each model; none where the device has no clock that can be read. */
export async function sharesOf(backend: Backend, models: readonly string[]): Promise<Shares[]> {
  if (backend instanceof WebGpuBackend && !backend.hasClock) return [];
  const found: Shares[] = [];
  for (const name of models) {
    const spent = await spentIn(backend, name);
    const kernels = [...spent].map(([kernel, ms]) => ({ kernel, ms: ms / STEPS })).sort((a, b) => b.ms - a.ms);
    found.push({ name, kernels });
  }
  return found;
}

async function spentIn(backend: Backend, name: string): Promise<Map<string, number>> {
  const step = stepContender(backend, name);
  await step.sample(2);
  const spent = backend instanceof WebGpuBackend ? await profiled(backend, step) : await clocked(backend, step);
  step.free();
  return spent;
}

type Step = ReturnType<typeof stepContender>;

async function profiled(backend: WebGpuBackend, step: Step): Promise<Map<string, number>> {
  backend.startProfile();
  await step.sample(STEPS);
  return new Map([...(await backend.endProfile())].map(([program, { ms }]) => [program, ms]));
}

/** A dispatch on the CPU is done when it returns. */
async function clocked(backend: Backend, step: Step): Promise<Map<string, number>> {
  const spent = new Map<string, number>();
  const { dispatch } = backend;
  backend.dispatch = (kernel, buffers, params) => {
    const start = performance.now();
    dispatch.call(backend, kernel, buffers, params);
    spent.set(kernel.name, (spent.get(kernel.name) ?? 0) + performance.now() - start);
  };
  const total = await step.sample(STEPS);
  backend.dispatch = dispatch;
  const inKernels = [...spent.values()].reduce((sum, ms) => sum + ms, 0);
  return spent.set(ABOVE, total - inKernels);
}
