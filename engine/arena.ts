// Step-owned memory. A step hands out storages in a fixed order and rewinds at its next call, so op number i gets the
// same memory every time: nothing is allocated in a warm step, and nobody has to dispose of anything.
// Read after: backend.ts. Read next: step.ts.

import type { Backend, TensorStorage } from './backend.ts';
import type { DType } from './shape.ts';

/** Storages of one size class, in the order in which they are handed out. */
interface List {
  readonly size: number;
  readonly storages: TensorStorage[];
  next: number;
}

/** Storages by size class, handed out in order and recycled all at once. */
export class Arena {
  /**
   * Number of the present call of the step that owns this arena. Tensors remember theirs, so that stale use is caught.
   */
  generation = 0;
  readonly backend: Backend;
  readonly #poison: boolean;
  readonly #lists = new Map<string, List>(); // by type and size class
  // by size: the same lists
  readonly #listOf: Readonly<Record<DType, Map<number, List>>> = { f32: new Map(), i32: new Map(), u32: new Map() };

  constructor(backend: Backend, poison: boolean) {
    this.backend = backend;
    this.#poison = poison;
  }

  alloc(size: number, dtype: DType): TensorStorage {
    const list = this.#listOf[dtype].get(size) ?? this.#find(size, dtype);
    const storage = (list.storages[list.next] ??= this.backend.alloc(list.size, dtype));
    list.next++;
    if (this.#poison) this.backend.write(storage, poisonOf(list.size, dtype));
    return storage;
  }

  /** Recycles everything: the next alloc starts from the first storage again. */
  rewind(): void {
    this.generation++;
    for (const list of this.#lists.values()) list.next = 0;
  }

  /** Gives all memory back. */
  free(): void {
    this.generation++;
    for (const list of this.#lists.values()) for (const storage of list.storages) this.backend.free(storage);
    for (const lists of [this.#lists, ...Object.values(this.#listOf)]) lists.clear();
  }

  #find(size: number, dtype: DType): List {
    const rounded = sizeClass(size);
    const key = `${dtype}${rounded}`;
    const list = this.#lists.get(key) ?? { size: rounded, storages: [], next: 0 };
    this.#lists.set(key, list);
    this.#listOf[dtype].set(size, list);
    return list;
  }
}

/**
 * Rounds up to one of four sizes per octave (at least 16), so that nearby sizes share memory and at most a quarter is
 * wasted.
 */
export function sizeClass(size: number): number {
  if (size <= 16) return 16;
  const quarter = 2 ** (Math.floor(Math.log2(size - 1)) - 2);
  return Math.ceil(size / quarter) * quarter;
}

/** What unwritten memory holds in poison mode: NaN, or an index far out of any range. */
function poisonOf(size: number, dtype: DType): ArrayLike<number> {
  return dtype === 'f32' ? new Float32Array(size).fill(NaN) : new Int32Array(size).fill(0x7fffffff);
}
