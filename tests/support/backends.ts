// The CPU backend with the rules of WebGPU: what runs on it can be bound on a GPU.
// A dispatch may not bind a buffer both to read and to write, parts of one buffer included; it may write two parts of a
// buffer that do not overlap. Parts begin at multiples of 256 bytes; there are at most eight buffers; and nothing that
// was freed may be used.

import { CpuBackend } from '../../engine/cpu/backend.ts';
import type { Backend, TensorStorage } from '../../engine/backend.ts';
import { backend, useBackend } from '../../engine/runtime.ts';
import type { Kernel } from '../../kernels/kernel.ts';

// elements
const MOST_BINDINGS = 8;
const ALIGNMENT = 64;

export class StrictBackend extends CpuBackend {
  /** Dispatches that were looked at. */
  checked = 0;
  readonly #whole = new WeakMap<TensorStorage, TensorStorage>(); // part -> the storage it was cut from
  readonly #start = new WeakMap<TensorStorage, number>(); // part -> its first element there
  readonly #freed = new WeakSet<TensorStorage>();

  override view(of: TensorStorage, offset: number, size: number): ReturnType<CpuBackend['view']> {
    if (offset % ALIGNMENT !== 0) {
      throw new Error(`strict: view from element ${offset}: must be a multiple of ${ALIGNMENT}`);
    }
    if (offset + size > of.size) {
      throw new Error(`strict: view of elements ${offset} to ${offset + size}: the storage has ${of.size}`);
    }
    const part = super.view(of, offset, size);
    this.#whole.set(part, this.#wholeOf(of));
    this.#start.set(part, (this.#start.get(of) ?? 0) + offset);
    return part;
  }

  override free(storage: TensorStorage): void {
    this.#use('free', storage);
    this.#freed.add(storage);
    super.free(storage);
  }

  override write(to: TensorStorage, data: ArrayLike<number>): void {
    this.#use('write', to);
    super.write(to, data);
  }

  override async read(from: TensorStorage): ReturnType<CpuBackend['read']> {
    this.#use('read', from);
    return super.read(from);
  }

  override dispatch<B extends string, P extends string>(
    kernel: Kernel<B, P>,
    buffers: Readonly<Record<B, TensorStorage>>,
    params: Readonly<Record<P, number>>,
  ): void {
    this.checked++;
    const bound = Object.entries<TensorStorage>(buffers);
    const declared = Object.keys(kernel.bindings);
    const fail = (what: string): never => {
      throw new Error(`strict: ${kernel.name}: ${what}`);
    };
    if (String(bound.map(([name]) => name).sort()) !== String([...declared].sort())) {
      fail(`binds ${bound.map(([name]) => name)}: needs ${declared}`);
    }
    if (bound.length > MOST_BINDINGS) fail(`binds ${bound.length} buffers: WebGPU promises ${MOST_BINDINGS}`);
    for (const name of kernel.params) if (!Number.isFinite(params[name])) fail(`${name} is ${params[name]}`);
    for (const [name, storage] of bound) {
      this.#use(`${kernel.name}.${name}`, storage);
      if (kernel.bindings[name as B] === 'read') continue;
      const other = bound.find(
        ([also, its]) =>
          also !== name &&
          this.#wholeOf(its) === this.#wholeOf(storage) &&
          (kernel.bindings[also as B] === 'read' || this.#overlap(storage, its)),
      );
      if (other) fail(`writes ${name}, which shares its buffer with ${other[0]}`);
    }
    super.dispatch(kernel, buffers, params);
  }

  #wholeOf(storage: TensorStorage): TensorStorage {
    return this.#whole.get(storage) ?? storage;
  }

  #overlap(a: TensorStorage, b: TensorStorage): boolean {
    const [from, its] = [this.#start.get(a) ?? 0, this.#start.get(b) ?? 0];
    return from < its + b.size && its < from + a.size;
  }

  #use(where: string, storage: TensorStorage): void {
    if (this.#freed.has(this.#wholeOf(storage))) throw new Error(`strict: ${where}: the storage was freed`);
  }
}

/** Makes a backend current for the length of an asynchronous test: nothing else runs meanwhile. */
export async function onBackend<T>(next: Backend, body: () => Promise<T>): Promise<T> {
  const before = currentBackend();
  useBackend(next);
  try {
    return await body();
  } finally {
    if (before) useBackend(before);
  }
}

function currentBackend(): Backend | null {
  try {
    return backend();
  } catch {
    return null; // none yet
  }
}
