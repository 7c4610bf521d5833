// GPU memory: buffers that are used again when they come free, a ring of small ones to read through, and a budget for
// the sum of all, since a driver that runs out may take the process with it. Used by: backend.ts.

import { DeviceError } from '../errors.ts';

// bytes; larger ones are for whole checkpoints, and rare
const SMALLEST_STAGING = 256;
const LARGEST_KEPT = 1 << 20;

export interface BuffersOptions {
  /** The most that all buffers together may take. */
  readonly budgetBytes: number;
  /** Submits what is recorded: until then nothing that it uses may be destroyed. */
  readonly flush: () => void;
  /** Gives back what nobody holds any more. */
  readonly sweep: () => void;
}

export class Buffers {
  readonly #device: GPUDevice;
  readonly #budgetBytes: number;
  readonly #flush: () => void;
  readonly #sweep: () => void;
  readonly #idle = new Map<number, GPUBuffer[]>(); // bytes -> buffers to use again
  readonly #staging = new Map<number, GPUBuffer[]>();
  #bytes = 0;
  /** Buffers for tensors made so far, and for reading: constant in a warm step. */
  made = 0;
  madeForReading = 0;

  constructor(device: GPUDevice, { budgetBytes, flush, sweep }: BuffersOptions) {
    this.#device = device;
    this.#budgetBytes = budgetBytes;
    this.#flush = flush;
    this.#sweep = sweep;
  }

  /** Of all buffers that exist, in use or not. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A buffer for a tensor. Throws DeviceError when it is more than the adapter holds in one, or than is left of the
   * budget.
   */
  take(bytes: number): GPUBuffer {
    return (
      this.#idle.get(bytes)?.pop() ??
      this.#make(bytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST)
    );
  }

  giveBack(buffer: GPUBuffer): void {
    keep(this.#idle, buffer);
  }

  /** A buffer that the host can map, of `bytes` or more. */
  takeStaging(bytes: number): GPUBuffer {
    const size = Math.max(SMALLEST_STAGING, bytes > LARGEST_KEPT ? bytes : 2 ** Math.ceil(Math.log2(bytes)));
    return this.#staging.get(size)?.pop() ?? this.#make(size, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
  }

  /** Unmapped, or never to be used again. */
  giveBackStaging(buffer: GPUBuffer): void {
    if (buffer.size <= LARGEST_KEPT && buffer.mapState === 'unmapped') keep(this.#staging, buffer);
    else this.#destroy(buffer);
  }

  #make(bytes: number, usage: number): GPUBuffer {
    const limit = Math.min(this.#device.limits.maxBufferSize, this.#device.limits.maxStorageBufferBindingSize);
    if (bytes > limit) {
      throw new DeviceError(
        `webgpu: a tensor of ${bytes} bytes: this adapter holds at most ${limit} in one: use a smaller batch, or ` +
        '--device cpu',
      );
    }
    if (this.#bytes + bytes > this.#budgetBytes) {
      this.#sweep();
      this.#destroyIdle();
    }
    if (this.#bytes + bytes > this.#budgetBytes) {
      const budget = `the budget for GPU memory is ${this.#budgetBytes}`;
      throw new DeviceError(
        `webgpu: ${bytes} bytes more than the ${this.#bytes} in use: ${budget}: put a loop's body in a step(), use a ` +
        'smaller batch, or --device cpu',
      );
    }
    if (usage & GPUBufferUsage.STORAGE) this.made++;
    else this.madeForReading++;
    this.#bytes += bytes;
    return this.#device.createBuffer({ size: bytes, usage });
  }

  #destroyIdle(): void {
    this.#flush();
    for (const buffer of [...this.#idle.values(), ...this.#staging.values()].flat()) this.#destroy(buffer);
    this.#idle.clear();
    this.#staging.clear();
  }

  #destroy(buffer: GPUBuffer): void {
    this.#bytes -= buffer.size;
    buffer.destroy();
  }
}

function keep(lists: Map<number, GPUBuffer[]>, buffer: GPUBuffer): void {
  const list = lists.get(buffer.size);
  if (list) list.push(buffer);
  else lists.set(buffer.size, [buffer]);
}
