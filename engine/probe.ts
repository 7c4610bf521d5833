// A kernel with its data on a backend: is what it makes right, and how long does it take? The one way in which doctor,
// tune and the benchmarks ask. Read after: backend.ts, kernels/kernel.ts. Read next: matmul-probe.ts.

import type { HostArray, Kernel } from '../kernels/kernel.ts';
import type { Backend, TensorStorage } from './backend.ts';
import { lowest } from './extremes.ts';

/** A kernel, what it is run on, and how. What it only writes may hold anything. */
export interface Work {
  readonly kernel: Kernel;
  readonly buffers: Readonly<Record<string, HostArray>>;
  readonly params: Readonly<Record<string, number>>;
}

/** What a binding must hold from element `from` on. */
export interface Expected {
  readonly binding: string;
  readonly from: number;
  readonly values: ArrayLike<number>;
}

export interface Difference {
  readonly binding: string;
  readonly index: number;
  readonly found: number;
  readonly expected: number;
}

export interface Verdict {
  /** The largest difference; Infinity where something is no number. */
  readonly worst: number;
  /** The first that is larger than it may be. */
  readonly first: Difference | undefined;
}

/** All that the reference makes of it, its sums in double precision. Leaves the work's buffers as they are. */
export function expectedOf({ kernel, buffers, params }: Work): Expected[] {
  const copies = Object.fromEntries(
    Object.entries(buffers).map(([name, values]) => [
      name,
      values instanceof Float32Array ? Float64Array.from(values) : values.slice(),
    ]),
  );
  kernel.reference(copies, params);
  return Object.entries(copies)
    .filter(([name]) => kernel.bindings[name] !== 'read')
    .map(([binding, values]) => ({ binding, from: 0, values }));
}

/** The largest magnitude that is expected. */
export function magnitude(expected: readonly Expected[]): number {
  let most = 0;
  for (const { values } of expected) {
    for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!));
  }
  return most;
}

/** Compares what was made with what was expected; `most` is the difference that rounding may make. */
export function judge(
  found: Readonly<Record<string, ArrayLike<number>>>,
  expected: readonly Expected[],
  most: number,
): Verdict {
  let worst = 0;
  let first: Difference | undefined;
  for (const { binding, from, values } of expected) {
    const made = found[binding]!;
    for (let i = 0; i < values.length; i++) {
      const difference = Math.abs(made[from + i]! - values[i]!);
      if (!(difference <= worst)) worst = Number.isNaN(difference) ? Infinity : difference;
      if (!(difference <= most)) {
        first ??= { binding, index: from + i, found: made[from + i]!, expected: values[i]! };
      }
    }
  }
  return { worst, first };
}

/** Holds memory of its backend until free(). */
export class Probe {
  readonly backend: Backend;
  readonly work: Work;
  readonly #storages: Readonly<Record<string, TensorStorage>>;
  readonly #last: TensorStorage;

  constructor(backend: Backend, work: Work) {
    this.backend = backend;
    this.work = work;
    const made = new Map<HostArray, TensorStorage>(); // an array that is bound twice is one storage
    for (const array of Object.values(work.buffers)) {
      if (!made.has(array)) made.set(array, backend.alloc(array.length, dtypeOf(array)));
    }
    this.#storages = Object.fromEntries(
      Object.entries(work.buffers).map(([name, array]) => [name, made.get(array)!]),
    );
    this.#last = backend.alloc(1, 'f32');
    backend.write(this.#last, [0]);
    this.#fill();
  }

  /** Runs it once on fresh data, by this kernel's program, and compares. Throws what the backend throws. */
  async check(expected: readonly Expected[], most: number, kernel = this.work.kernel): Promise<Verdict> {
    this.#fill();
    this.backend.dispatch(kernel, this.#storages, this.work.params);
    const found: Record<string, HostArray> = {};
    for (const { binding } of expected) found[binding] ??= await this.backend.read(this.#storages[binding]!);
    return judge(found, expected, most);
  }

  /** Milliseconds for `count` dispatches, one after another, all of them waited for. */
  async sample(count: number, kernel = this.work.kernel): Promise<number> {
    const start = performance.now();
    this.backend.beginStep(kernel); // so that commands are remembered
    for (let i = 0; i < count; i++) this.backend.dispatch(kernel, this.#storages, this.work.params);
    await this.backend.endStep();
    await this.backend.read(this.#last); // waits for everything before
    return performance.now() - start;
  }

  free(): void {
    for (const storage of new Set([...Object.values(this.#storages), this.#last])) this.backend.free(storage);
  }

  /** What is only written holds NaN before: what a program leaves out, shows. */
  #fill(): void {
    for (const [name, array] of Object.entries(this.work.buffers)) {
      const onlyWritten = this.work.kernel.bindings[name] === 'write' && dtypeOf(array) === 'f32';
      this.backend.write(this.#storages[name]!, onlyWritten ? new Float32Array(array.length).fill(NaN) : array);
    }
  }
}

/** How many units of work fill a sample of `sampleMs`, and the time of that many; at least one. */
export async function countFor(
  sample: (count: number) => Promise<number>,
  sampleMs: number,
  most = 5000,
): Promise<{ readonly count: number; readonly ms: number }> {
  let count = 1;
  let ms = lowest([await sample(1), await sample(1)]); // the first may be disturbed
  while (ms < sampleMs && count < most) {
    count = Math.min(most, Math.ceil(count * Math.min(10, (1.2 * sampleMs) / ms)));
    ms = await sample(count);
  }
  return { count, ms };
}

function dtypeOf(array: HostArray): 'f32' | 'i32' | 'u32' {
  return array instanceof Int32Array ? 'i32' : array instanceof Uint32Array ? 'u32' : 'f32';
}
