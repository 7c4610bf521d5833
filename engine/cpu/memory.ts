// The CPU backend's memory in single precision: one WebAssembly memory, so that emitted kernels reach every tensor by address.
// Blocks are handed out at 64-byte steps, recycled by size, and returned by themselves when nobody holds them any more.

import type { HostArray } from '../../kernels/kernel.ts';
import type { DType } from '../shape.ts';
import { DeviceError } from '../errors.ts';
import { reserve } from './reserve.ts';

const PAGE = 65536;
const GROWTH = 256; // pages: 16 MiB at a time

const ARRAYS = { f32: Float32Array, i32: Int32Array, u32: Uint32Array } as const;

/** A stretch of the memory. Its array is made anew when the memory has grown under it. */
export class Block {
  readonly address: number;
  readonly size: number;
  readonly dtype: DType;
  /** Keeps the block that this one is part of from being recycled. */
  readonly parent: Block | null;
  readonly #memory: WebAssembly.Memory;
  #array: HostArray | null = null;

  constructor(memory: WebAssembly.Memory, address: number, size: number, dtype: DType, parent: Block | null = null) {
    this.#memory = memory;
    this.address = address;
    this.size = size;
    this.dtype = dtype;
    this.parent = parent;
  }

  get data(): HostArray {
    if (this.#array?.length !== this.size) this.#array = new ARRAYS[this.dtype](this.#memory.buffer, this.address, this.size);
    return this.#array;
  }
}

export class Heap {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly maximumPages: number;
  #top = 64; // address 0 stays unused
  readonly #free = new Map<number, number[]>(); // bytes -> addresses
  readonly #forgotten = new FinalizationRegistry<{ address: number; bytes: number }>(({ address, bytes }) => this.#release(address, bytes));

  /** Shared memory where the platform has it (Node; isolated pages), so that workers can compute on it. */
  constructor() {
    this.shared = typeof SharedArrayBuffer !== 'undefined';
    const { memory, maximumPages } = reserve(GROWTH, this.shared);
    this.memory = memory;
    this.maximumPages = maximumPages;
  }

  alloc(size: number, dtype: DType): Block {
    const bytes = Math.ceil((size * 4) / 64) * 64;
    const address = this.#free.get(bytes)?.pop() ?? this.#extend(bytes);
    const block = new Block(this.memory, address, size, dtype);
    this.#forgotten.register(block, { address, bytes }, block);
    return block;
  }

  /** Elements offset..offset+size-1 of a block; the block lives as long as its part. */
  part(of: Block, offset: number, size: number): Block {
    return new Block(this.memory, of.address + 4 * offset, size, of.dtype, of);
  }

  free(block: Block): void {
    this.#forgotten.unregister(block);
    this.#release(block.address, Math.ceil((block.size * 4) / 64) * 64);
  }

  #extend(bytes: number): number {
    const address = this.#top, end = address + bytes, missing = Math.ceil((end - this.memory.buffer.byteLength) / PAGE);
    if (missing > 0) {
      try {
        this.memory.grow(Math.max(missing, GROWTH));
      } catch {
        throw new DeviceError(`cpu: ${bytes} bytes on top of ${address}: out of memory (limit ${this.maximumPages / 16384} GiB): use a smaller batch or model`);
      }
    }
    this.#top = end;
    return address;
  }

  #release(address: number, bytes: number): void {
    const list = this.#free.get(bytes);
    if (list) list.push(address);
    else this.#free.set(bytes, [address]);
  }
}
