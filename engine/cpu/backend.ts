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
import { compileKernels, type Compiled, type CompiledKernels } from './wasm/compile.ts';
import type { ProgramWidth } from './wasm/program-width.ts';
import { startWorkers, threadCount } from './threads.ts';

/** How the CPU computes; each has a default. */
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

/** The CPU: WebAssembly with threads, or, in double precision, the references. */
export class CpuBackend implements Backend {
  readonly name: string;
  readonly calls = new Map<string, KernelCalls>();
  /** How wide the vectors of its programs are, where it has any. */
  readonly width: ProgramWidth | undefined;
  readonly #heap: Heap | null;
  readonly #programs: ReadonlyMap<Kernel, WasmRunner>;
  #own: ReadonlyMap<Kernel, WasmRunner> = new Map(); // programs of kernels that are somebody else's
  readonly #kept: Block[] = []; // what the programs hold by address alone
  #scratch: Block | null = null;
  #lastBreath = 0;
  readonly #stop = new Map<'ours' | 'own', () => Promise<void>>(); // what ends the other threads
  readonly #options: { readonly wasm: boolean; readonly threads: number; readonly notice: CpuOptions['notice'] };

  constructor({ precision = 'f32', wasm = true, threads = 1, notice }: CpuOptions = {}) {
    checkValue('cpu: threads', threads, threadCount);
    this.#options = { wasm, threads, notice };
    this.name = precision === 'f32' ? 'cpu' : 'cpu-f64';
    this.#heap = precision === 'f32' ? new Heap(this) : null;
    const compiled = this.#heap && wasm ? this.#compile(this.#heap, 'ours', kernelsWithWasm) : undefined;
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
    const program = this.#programs.get(kernel) ?? (kernel.wasm && this.#ownProgram(kernel));
    if (program) program(this.#pick(kernel, buffers, addressOf), params);
    else kernel.reference(this.#pick(kernel, buffers, dataOf), params);
    this.#count(kernel.name, program ? 'wasm' : 'reference');
  }

  async read(from: TensorStorage): Promise<HostArray> {
    return this.peek(from);
  }

  peek(from: TensorStorage): HostArray {
    checkOwner(this, from, 'read');
    return (from as CpuStorage).data.slice(); // of shared memory, slice() makes an unshared copy
  }

  beginStep(): void {}

  async endStep(): Promise<void> {
    if (performance.now() - this.#lastBreath < BREATH_MS) return;
    await new Promise<void>((resolve) => (globalThis.setImmediate ?? setTimeout)(() => resolve()));
    this.#lastBreath = performance.now();
  }

  /** Compiles programs; other threads are started when there is work for them. */
  #compile(heap: Heap, whose: 'ours' | 'own', kernels: readonly Kernel[]): CompiledKernels {
    const { memory, shared, maximumPages } = heap;
    const { threads, notice } = this.#options;
    const options = {
      memory,
      shared,
      maximumPages,
      threads: shared ? threads : 1,
      onShare: (compiled: Compiled) => {
        this.#stop.set(whose, startWorkers(threads, memory, compiled, notice));
      },
      scratch: (bytes: number) => this.#scratchAt(bytes),
      ...(whose === 'own' && { wide: false }), // no self-check knows at which sizes to try them
    };
    return compileKernels(kernels, options, (bytes) => this.#forever(bytes));
  }

  /** A kernel that is not ours is compiled when it first comes, with those that came before it. */
  #ownProgram(kernel: Kernel): WasmRunner | undefined {
    const known = this.#own.get(kernel);
    if (known || !this.#heap || !this.#options.wasm) return known;
    void this.#stop.get('own')?.(); // its threads know the others only
    this.#own = this.#compile(this.#heap, 'own', [...this.#own.keys(), kernel]).runners;
    return this.#own.get(kernel);
  }

  /** Ends the other threads. What is dispatched afterwards, this one computes alone. */
  async close(): Promise<void> {
    await Promise.all([...this.#stop.values()].map((stop) => stop()));
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
