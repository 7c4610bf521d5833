// Chooses where to compute.
// Read after: backend.ts. Read next: cpu/backend.ts, webgpu/adapter.ts.

import './methods.ts';
import type { Backend } from './backend.ts';
import { CpuBackend } from './cpu/backend.ts';
import { defaultThreads, threadCount } from './cpu/threads.ts';
import { describe } from './describe.ts';
import { DeviceError } from './errors.ts';
import { anything, callable, checkArguments, checkOptions, optional, such, type Rules } from './options.ts';
import { useBackend } from './runtime.ts';
import { mayHaveGpu, openGpu, type Gpu } from './webgpu/adapter.ts';
import type { Tuned } from './webgpu/variants.ts';

/** What createDevice() is asked for. */
export type DeviceKind = 'auto' | 'cpu' | 'webgpu';

/** A GPU: its backend, in words that need no types of WebGPU's. */
export interface WebGpuDevice extends Backend {
  /** Whether it is really the CPU: right, and slow. */
  readonly software: boolean;
  /** Bytes of GPU memory that tensors hold, recycled ones included. */
  readonly bytes: number;
  /** Gives all of it back. */
  close(): Promise<void>;
}

/** What createDevice() is told. */
export interface DeviceOptions {
  /** Threads of the CPU, this one included; one per core unless given. Results do not depend on it. */
  readonly threads?: number;
  /**
   * Told why, when 'auto' looked for a GPU and came back with the CPU, and when that has fewer threads than were asked
   * for.
   */
  readonly notice?: (why: string) => void;
  /**
   * The most bytes of GPU memory to use; more is refused with DeviceError. Default: three quarters of the machine's for
   * a software adapter, else no limit.
   */
  readonly budgetBytes?: number;
  /** Which programs proved fastest on the adapter of this key (Gpu.key); undefined if nobody measured. */
  readonly tuned?: (adapter: string) => Tuned | undefined;
}

const rules: Rules<DeviceOptions> = {
  threads: optional(threadCount),
  notice: optional(callable('a function, told why')),
  budgetBytes: optional(such('a number of bytes above 0', (value) => typeof value === 'number' && value > 0)),
  tuned: optional(callable('a function of the adapter\'s key')),
};

/**
 * Makes a device and makes it current. 'auto' takes a real GPU if there is one, else the CPU. 'webgpu' takes any
 * adapter, also one that is really the CPU (to try the shaders; it is slow). Throws DeviceError when 'webgpu' finds
 * none and for a kind that is none of these, ConfigError for an unknown option.
 */
export function createDevice(kind: 'cpu', options?: DeviceOptions): Promise<CpuBackend>;
export function createDevice(kind: 'webgpu', options?: DeviceOptions): Promise<WebGpuDevice>;
export function createDevice(kind?: DeviceKind, options?: DeviceOptions): Promise<Backend>;
export async function createDevice(kind: DeviceKind = 'auto', options: DeviceOptions = {}): Promise<Backend> {
  checkArguments('createDevice', arguments, { kind: anything, options: anything });
  const device = await open(kind, checkOptions('createDevice', options, rules));
  useBackend(device);
  return device;
}

async function open(kind: DeviceKind, options: DeviceOptions): Promise<Backend> {
  const { threads = defaultThreads(), notice } = options;
  const cpu = (): Backend => new CpuBackend({ threads, ...(notice && { notice }) });
  switch (kind) {
    case 'cpu':
      return cpu();
    case 'webgpu': {
      const gpu = await openGpu({ software: 'allowed' });
      if (typeof gpu === 'string') throw new DeviceError(`device: webgpu: ${gpu}; or use --device cpu`);
      return webgpu(gpu, options);
    }
    case 'auto': {
      if (!(await mayHaveGpu())) return cpu();
      const gpu = await openGpu({ software: 'never' });
      if (typeof gpu !== 'string') return webgpu(gpu, options);
      notice?.(gpu);
      return cpu();
    }
    default:
      throw new DeviceError(
        `device: ${typeof kind === 'string' ? kind : describe(kind satisfies never)}: must be auto, cpu or webgpu`,
      );
  }
}

/** The backend is loaded where there is a GPU: it brings the text of every shader along. */
async function webgpu(gpu: Gpu, { tuned, budgetBytes }: DeviceOptions): Promise<Backend> {
  const { WebGpuBackend } = await import('./webgpu/backend.ts');
  const found = tuned?.(gpu.key);
  return new WebGpuBackend(gpu.device, {
    ...gpu,
    ...(found && { tuned: found }),
    ...(budgetBytes !== undefined && { budgetBytes }),
  });
}
