// The CPU backend's memory in single precision: one WebAssembly memory, so that emitted kernels reach every tensor by
// address. Blocks are handed out at 64-byte steps, recycled by size, and returned by themselves when nobody holds them
// any more. Read after: backend.ts. Read next: reserve.ts.

import type { HostArray } from '../../kernels/kernel.ts';
import type { Backend } from '../backend.ts';
import { DeviceError } from '../errors.ts';
import { Forgotten } from '../forgotten.ts';
import type { DType } from '../shape.ts';
import { OwnedStorage } from '../storage.ts';
import { reserve } from './reserve.ts';

const PAGE = 65536;
const GROWTH = 256; // pages: 16 MiB at a time
// bytes that may be in use before anyone looks for forgotten ones, and that may come on top before the next look
const UNSWEPT = 2 ** 29;

const ARRAYS = { f32: Float32Array, i32: Int32Array, u32: Uint32Array } as const;

/** A stretch of the memory. Its array is made anew when the memory has grown under it. */
export class Block extends OwnedStorage {
  readonly address: number;
  readonly #memory: WebAssembly.Memory;
  #array: HostArray | null = null;

  constructor(memory: WebAssembly.Memory, address: number, size: number, dtype: DType, of: Backend | Block) {
    const isPart = of instanceof Block;
    super(isPart ? of.owner! : of, size, dtype, isPart ? of : null);
    this.#memory = memory;
    this.address = address;
  }

  get data(): HostArray {
    if (this.#array?.length !== this.size) {
      this.#array = new ARRAYS[this.dtype](this.#memory.buffer, this.address, this.size);
    }
    return this.#array;
  }
}

interface Stretch {
  readonly address: number;
  readonly bytes: number;
}

export class Heap {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly maximumPages: number;
  #top = 64; // address 0 stays unused
  readonly #free = new Map<number, number[]>(); // bytes -> addresses
  readonly #owner: Backend;
  readonly #forgotten = new Forgotten<Stretch>(({ address, bytes }) => this.#release(address, bytes));
  #used = 0; // bytes handed out and not come back
  #sweepAt = UNSWEPT;

  /** Shared memory where the platform has it (Node; isolated pages), so that workers can compute on it. */
  constructor(owner: Backend) {
    this.#owner = owner;
    this.shared = typeof SharedArrayBuffer !== 'undefined';
    const { memory, maximumPages } = reserve(GROWTH, this.shared);
    this.memory = memory;
    this.maximumPages = maximumPages;
  }

  alloc(size: number, dtype: DType): Block {
    const bytes = Math.ceil((size * 4) / 64) * 64;
    if (this.#used + bytes > this.#sweepAt) this.#sweep();
    const address = this.#take(bytes);
    this.#used += bytes;
    const block = new Block(this.memory, address, size, dtype, this.#owner);
    this.#forgotten.watch(block, { address, bytes });
    return block;
  }

  /** Elements offset..offset+size-1 of a block; the block lives as long as its part. */
  part(of: Block, offset: number, size: number): Block {
    return new Block(this.memory, of.address + 4 * offset, size, of.dtype, of);
  }

  free(block: Block): void {
    block.disown();
    this.#forgotten.release(block);
  }

  /** Looks for forgotten blocks, and sets when to look next: a program that holds much is not asked often. */
  #sweep(): void {
    this.#forgotten.sweep();
    this.#sweepAt = Math.max(UNSWEPT, 2 * this.#used);
  }

  #take(bytes: number): number {
    const again = (): number | undefined => this.#free.get(bytes)?.pop();
    let address = again() ?? this.#extend(bytes);
    if (address === undefined) {
      this.#sweep();
      address = again() ?? this.#extend(bytes);
    }
    if (address !== undefined) return address;
    const limit = `out of memory (limit ${this.maximumPages / 16384} GiB)`;
    throw new DeviceError(
      `cpu: ${bytes} bytes on top of ${this.#used} in use: ${limit}: put a loop's body in a step(), or use a smaller ` +
      'batch or model',
    );
  }

  /** Memory that was never used before; undefined when there is none left. */
  #extend(bytes: number): number | undefined {
    const address = this.#top;
    const end = address + bytes;
    const missing = Math.ceil((end - this.memory.buffer.byteLength) / PAGE);
    if (missing > 0) {
      try {
        this.memory.grow(Math.max(missing, GROWTH));
      } catch {
        return undefined;
      }
    }
    this.#top = end;
    return address;
  }

  #release(address: number, bytes: number): void {
    this.#used -= bytes;
    const list = this.#free.get(bytes);
    if (list) list.push(address);
    else this.#free.set(bytes, [address]);
  }
}
