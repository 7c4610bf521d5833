// GPU time by program. The GPU's clock can be read only where a pass begins and ends, so while a profile is taken every
// dispatch has a pass of its own: a few microseconds more each, and no overlap between dispatches, so the sum is an
// upper bound of the step. Used by: recorder.ts, while one is set. Shown by: remit-mini bench step --device webgpu.

const CAPACITY = 2048; // passes that one set of queries times: WebGPU allows 4096 queries
const STAMP = 8; // bytes: a u64 of nanoseconds

export interface Spent {
  calls: number;
  ms: number;
}

export class Profiler {
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet;
  readonly #names: string[] = []; // of the passes not yet resolved
  readonly #pending: Promise<void>[] = [];
  readonly #spent = new Map<string, Spent>();

  /** The device must have the feature timestamp-query. */
  constructor(device: GPUDevice) {
    this.#device = device;
    this.#queries = device.createQuerySet({ label: 'profile', type: 'timestamp', count: 2 * CAPACITY });
  }

  get isFull(): boolean {
    return this.#names.length === CAPACITY;
  }

  /** Describes a pass that is timed under this name. Not when full. */
  pass(name: string): GPUComputePassDescriptor {
    const first = 2 * (this.#names.push(name) - 1);
    return {
      timestampWrites: { querySet: this.#queries, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 },
    };
  }

  /** Ends and submits a command buffer whose passes are those since the last call. */
  submit(encoder: GPUCommandEncoder): void {
    const names = this.#names.splice(0);
    const bytes = 2 * STAMP * names.length;
    const { COPY_SRC, COPY_DST, QUERY_RESOLVE, MAP_READ } = GPUBufferUsage;
    const stamps = this.#device.createBuffer({ size: bytes, usage: QUERY_RESOLVE | COPY_SRC });
    const staging = this.#device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST });
    encoder.resolveQuerySet(this.#queries, 0, 2 * names.length, stamps, 0);
    encoder.copyBufferToBuffer(stamps, 0, staging, 0, bytes);
    this.#device.queue.submit([encoder.finish()]);
    const read = staging
      .mapAsync(GPUMapMode.READ)
      .then(() => this.#add(names, new BigUint64Array(staging.getMappedRange())))
      .finally(() => {
        stamps.destroy();
        staging.destroy();
      });
    read.catch(() => {}); // told by end()
    this.#pending.push(read);
  }

  /** Program -> calls and milliseconds, the longest first. */
  async end(): Promise<ReadonlyMap<string, Readonly<Spent>>> {
    await Promise.all(this.#pending);
    this.#queries.destroy();
    return new Map([...this.#spent].sort(([, a], [, b]) => b.ms - a.ms));
  }

  #add(names: readonly string[], stamps: BigUint64Array): void {
    names.forEach((name, i) => {
      let spent = this.#spent.get(name);
      if (!spent) this.#spent.set(name, (spent = { calls: 0, ms: 0 }));
      spent.calls++;
      // a GPU that changes its clock may step back
      spent.ms += Math.max(0, Number(stamps[2 * i + 1]! - stamps[2 * i]!)) / 1e6;
    });
  }
}
