// What is measured on: the CPU, a GPU, or both, as --device says. Used by: command.ts.

import { availableParallelism } from 'node:os';
import type { Backend } from '../engine/backend.ts';
import { CpuBackend } from '../engine/cpu/backend.ts';
import { bitsOf } from '../engine/cpu/wasm/program-width.ts';
import { ConfigError, DeviceError } from '../engine/errors.ts';
import { didYouMean } from '../engine/nearest.ts';
import { openGpu } from '../engine/webgpu/adapter.ts';
import { WebGpuBackend } from '../engine/webgpu/backend.ts';
import type { Arguments } from '../remit/app/cli/arguments.ts';
import { say } from '../remit/app/cli/terminal.ts';
import { chosenThreads } from '../remit/app/cli/threads.ts';
import type { Loaded } from './own-kernel.ts';
import { aboutCpu, aboutGpu } from './record.ts';

/** A device, and what is to be said of it. */
export interface Opened {
  readonly backend: Backend;
  readonly about: Readonly<Record<string, unknown>>;
  readonly threads: number;
  readonly software: boolean;
  close(): Promise<void>;
}

/** Throws ConfigError for a name that is none, DeviceError where what was asked for is not there. */
export async function devicesOf(args: Arguments, loaded: Loaded | undefined): Promise<Opened[]> {
  const given = args.text('device')?.split(',');
  const known = ['cpu', 'webgpu'] as const;
  for (const name of given ?? []) {
    if (known.some((each) => each === name)) continue;
    throw new ConfigError(`bench: --device ${name}: must be of ${known.join(', ')}${didYouMean(name, known)}`);
  }
  if (loaded && given && (given.length > 1 || given[0] !== loaded.device)) {
    throw new ConfigError(`bench: --device ${given.join()}: ${loaded.name} runs on ${loaded.device}`);
  }
  const wanted = loaded ? [loaded.device] : given;
  const opened: Opened[] = [];
  if (wanted?.includes('cpu') ?? true) {
    for (const threads of threadCounts(args)) opened.push(openCpu(threads));
  }
  if (wanted?.includes('webgpu') ?? true) {
    const gpu = await openGpu({ software: wanted ? 'allowed' : 'never' });
    if (typeof gpu !== 'string') {
      const backend = new WebGpuBackend(gpu.device, gpu);
      const { software } = gpu;
      opened.push({ backend, about: aboutGpu(gpu), threads: 1, software, close: () => backend.close() });
    } else if (wanted) throw new DeviceError(`bench: webgpu: ${gpu}`);
  }
  return opened;
}

/** As --threads says, or with --scaling 1, 2, 4 ... up to that, or to all cores. */
function threadCounts(args: Arguments): number[] {
  if (!args.has('scaling')) return [chosenThreads() ?? 1];
  const most = chosenThreads() ?? availableParallelism();
  const powers = Array.from({ length: Math.ceil(Math.log2(most)) }, (_, i) => 2 ** i);
  return [...powers, most];
}

function openCpu(threads: number): Opened {
  const backend = new CpuBackend({ threads, notice: say });
  const about = aboutCpu(bitsOf(backend.width!));
  return { backend, about, threads, software: false, close: () => backend.close() };
}

/** Names a device in what is compared: figures of other devices, or other threads, are other figures. */
export function nameOf({ backend, about, threads }: Opened): string {
  if (backend instanceof WebGpuBackend) return backend.name;
  return `cpu (${String(about.processor)}, vectors of ${String(about.vectors)}, ${threads === 1 ? 'one thread' : `${threads} threads`})`;
}
