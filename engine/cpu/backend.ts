// The CPU backend. In single precision a kernel's WASM program runs where it has one, else its reference; in double
// precision (for gradient checks) the references run on Float64Arrays.
// Read after: ../backend.ts. Read next: wasm/compile.ts, kernels/matmul.

import type { HostArray, Kernel } from '../../kernels/kernel.ts';
import { kernelsWithWasm } from '../../kernels/index.ts';
import type { Backend, TensorStorage } from '../backend.ts';
import type { DType } from '../shape.ts';
import { checkValue } from '../options.ts';
import { checkFree, checkOwner, checkPart, checkRequest, checkWrite, OwnedStorage, refuse } from '../storage.ts';
import { Heap, type Block } from './memory.ts';
import type { WasmRunner } from '../../kernels/wasm/program.ts';
import { compileKernels, type CompiledKernels } from './wasm/compile.ts';
import type { ProgramWidth } from './wasm/width.ts';
import { startWorkers, threadCount } from './threads.ts';

export interface CpuOptions {
  /** 'f32' to work in, 'f64' to check gradients in. */
  readonly precision?: 'f32' | 'f64';
  /** false runs every kernel's reference, to compare with. */
  readonly wasm?: boolean;
  /**
   * Threads to compute on, the calling one included; 1 unless given, and where memory cannot be shared. Results do not
   * depend on it.
   */
  readonly threads?: number;
  /** Told why, when fewer threads than that could be started. */
  readonly notice?: (why: string) => void;
}

/** How often each kernel ran, and as what. */
export interface KernelCalls {
  wasm: number;
  reference: number;
}

/** What a storage of this backend is: host memory, with an address when it lies in the shared WASM memory. */
interface CpuStorage extends TensorStorage {
  readonly data: HostArray;
  readonly address?: number;
}

/** ... when it does not. */
class HostStorage extends OwnedStorage {
  readonly data: HostArray;

  constructor(owner: Backend, dtype: DType, data: HostArray, parent: HostStorage | null = null) {
    super(owner, data.length, dtype, parent);
    this.data = data;
  }
}

const BREATH_MS = 50; // the event loop gets a turn this often, or signals would never arrive

export class CpuBackend implements Backend {
  readonly name: string;
  readonly calls = new Map<string, KernelCalls>();
  /** How wide the vectors of its programs are, where it has any. */
  readonly width: ProgramWidth | undefined;
  readonly #heap: Heap | null;
  readonly #programs: ReadonlyMap<Kernel, WasmRunner>;
  readonly #kept: Block[] = []; // what the programs hold by address alone
  #scratch: Block | null = null;
  #lastBreath = 0;
  #stopWorkers: () => Promise<void> = async () => {};

  constructor({ precision = 'f32', wasm = true, threads = 1, notice }: CpuOptions = {}) {
    checkValue('cpu: threads', threads, threadCount);
    this.name = precision === 'f32' ? 'cpu' : 'cpu-f64';
    this.#heap = precision === 'f32' ? new Heap(this) : null;
    const compiled = this.#heap && wasm ? this.#compile(this.#heap, threads, notice) : undefined;
    this.#programs = compiled?.runners ?? new Map();
    this.width = compiled?.width;
  }

  alloc(size: number, dtype: DType): CpuStorage {
    checkRequest(this, size, dtype);
    if (this.#heap) return this.#heap.alloc(size, dtype);
    return new HostStorage(
      this,
      dtype,
      dtype === 'f32' ? new Float64Array(size) : dtype === 'i32' ? new Int32Array(size) : new Uint32Array(size),
    );
  }

  view(of: TensorStorage, offset: number, size: number): CpuStorage {
    checkPart(this, of, offset, size);
    if (this.#heap) return this.#heap.part(of as Block, offset, size);
    const whole = of as HostStorage;
    return new HostStorage(this, whole.dtype, whole.data.subarray(offset, offset + size), whole);
  }

  free(storage: TensorStorage): void {
    checkFree(this, storage);
    if (this.#heap) this.#heap.free(storage as Block);
    else (storage as HostStorage).disown();
  }

  write(to: TensorStorage, data: ArrayLike<number>): void {
    checkWrite(this, to, data);
    (to as CpuStorage).data.set(data);
  }

  dispatch<B extends string, P extends string>(
    kernel: Kernel<B, P>,
    buffers: Readonly<Record<B, TensorStorage>>,
    params: Readonly<Record<P, number>>,
  ): void {
    const program = this.#programs.get(kernel);
    if (program) program(this.#pick(kernel, buffers, addressOf), params);
    else kernel.reference(this.#pick(kernel, buffers, dataOf), params);
    this.#count(kernel.name, program ? 'wasm' : 'reference');
  }

  async read(from: TensorStorage): Promise<HostArray> {
    checkOwner(this, from, 'read');
    return (from as CpuStorage).data.slice(); // of shared memory, slice() makes an unshared copy
  }

  beginStep(): void {}

  async endStep(): Promise<void> {
    if (performance.now() - this.#lastBreath < BREATH_MS) return;
    await new Promise<void>((resolve) => (globalThis.setImmediate ?? setTimeout)(() => resolve()));
    this.#lastBreath = performance.now();
  }

  /** Compiles the programs; other threads are started when there is work for them. */
  #compile(heap: Heap, wanted: number, notice?: (why: string) => void): CompiledKernels {
    const { memory, shared, maximumPages } = heap;
    const threads = shared ? wanted : 1;
    return compileKernels(
      kernelsWithWasm,
      {
        memory,
        shared,
        maximumPages,
        threads,
        onShare: (compiled) => (this.#stopWorkers = startWorkers(threads, memory, compiled, notice)),
        scratch: (bytes) => this.#scratchAt(bytes),
      },
      (bytes) => this.#forever(bytes),
    );
  }

  /** Ends the other threads. What is dispatched afterwards, this one computes alone. */
  async close(): Promise<void> {
    await this.#stopWorkers();
  }

  #count(name: string, how: keyof KernelCalls): void {
    let calls = this.calls.get(name);
    if (!calls) this.calls.set(name, (calls = { wasm: 0, reference: 0 }));
    calls[how]++;
  }

  #forever(bytes: number): number {
    const block = this.#heap!.alloc(bytes / 4, 'i32');
    this.#kept.push(block);
    return block.address;
  }

  #scratchAt(bytes: number): number {
    if (!this.#scratch || this.#scratch.size * 4 < bytes) {
      this.#scratch = this.#heap!.alloc(Math.ceil(bytes / 4), 'f32');
    }
    return this.#scratch.address;
  }

  /** The same record with each storage replaced by what a program wants of it. */
  #pick<B extends string, T>(
    kernel: Kernel<B>,
    buffers: Readonly<Record<B, TensorStorage>>,
    of: (storage: CpuStorage) => T,
  ): Record<B, T> {
    const picked = {} as Record<B, T>;
    for (const name in kernel.bindings) {
      const storage = buffers[name];
      if (storage?.owner !== this) refuse(this, storage, `${kernel.name}: ${name}`);
      picked[name] = of(storage as CpuStorage);
    }
    return picked;
  }
}

const addressOf = (storage: CpuStorage): number => storage.address!;
const dataOf = (storage: CpuStorage): HostArray => storage.data;
