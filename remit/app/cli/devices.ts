// `remit-mini devices`: what can compute here, one line each. Read next: engine/webgpu/adapter.ts. The list is also
// that of doctor.ts.

import { availableParallelism, cpus } from 'node:os';
import { CpuBackend } from '../../../engine/cpu/backend.ts';
import { width } from '../../../engine/cpu/wasm/width.ts';
import type { Backend } from '../../../engine/backend.ts';
import { highest } from '../../../engine/extremes.ts';
import { openGpu, type Gpu } from '../../../engine/webgpu/adapter.ts';
import { WebGpuBackend } from '../../../engine/webgpu/backend.ts';
import { readArguments } from './arguments.ts';
import { EXIT } from './exit.ts';
import { hanging } from './layout.ts';
import { columns, print } from './terminal.ts';

export const help = `remit-mini devices

Lists what can compute here, and which --device takes it. --device auto, which is the default, takes a GPU if there is one, else the CPU.
Software is a driver that computes on the CPU: right, but slow; it is for trying the GPU programs on a machine without a GPU.

  REMIT_NO_WEBGPU=1    in the environment: as if the package webgpu were not installed
  REMIT_WIDE=0         the same: the CPU computes in vectors of 128 bits, to the same results
`;

/** One thing that computes, or could: `open` is absent when it cannot, and `about` then says why. */
export interface Device {
  readonly kind: 'cpu' | 'gpu' | 'software';
  readonly about: string;
  readonly gpu?: Gpu;
  open?(): Backend;
}

export async function run(argv: readonly string[]): Promise<number> {
  readArguments('devices', argv, {});
  const devices = await listDevices();
  const hasGpu = devices.some(({ kind, open }) => kind === 'gpu' && open);
  const flag = ({ kind, open }: Device): string => {
    if (!open) return '';
    if (kind === 'cpu') return hasGpu ? '--device cpu' : '--device auto, or cpu';
    if (kind === 'gpu') return '--device auto, or webgpu';
    return hasGpu ? 'not taken while there is a GPU' : '--device webgpu';
  };
  const longest = highest(devices.filter(({ open }) => open).map(({ about }) => about.length));
  const width = process.stdout.isTTY ? columns() : Infinity; // who reads a pipe reads lines
  for (const device of devices) {
    print(hanging(device.kind.padEnd(10), `${device.about.padEnd(longest + 3)}${flag(device)}`, width));
  }
  for (const { gpu } of devices) gpu?.device.destroy();
  return EXIT.ok;
}

/**
 * The CPU, the GPU, and the software adapter. Those of WebGPU are open: end with `gpu.device.destroy()` or the
 * backend's `close()`.
 */
export async function listDevices(): Promise<Device[]> {
  const gpu = await openGpu({ software: 'never' });
  // without a GPU: what --device webgpu takes
  const software = await openGpu({ software: typeof gpu === 'string' ? 'allowed' : 'only' });
  return [
    { kind: 'cpu', about: aboutCpu(), open: () => new CpuBackend() },
    device('gpu', gpu),
    device('software', software),
  ];
}

function aboutCpu(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown model';
  return `${model}, vectors of ${width().wide ? 256 : 128} bits, ${availableParallelism()} cores`;
}

function device(kind: Device['kind'], gpu: Gpu | string): Device {
  if (typeof gpu === 'string') return { kind, about: `none: ${gpu}` };
  return { kind, about: gpu.name, gpu, open: () => new WebGpuBackend(gpu.device, gpu) };
}
