// The WebGPU backend: the verbs of Backend on a GPUDevice. Dispatches are recorded and submitted step by step; only
// read() and endStep() wait. What goes wrong on the device (validation, a shader that does not compile, a lost device)
// is thrown at the next of those. Read after: recorder.ts, pipelines.ts. Read next: adapter.ts.

import type { HostArray, Kernel } from '../../kernels/kernel.ts';
import type { WgslProgram } from '../../kernels/wgsl.ts';
import type { Backend, TensorStorage } from '../backend.ts';
import { DeviceError } from '../errors.ts';
import { Forgotten } from '../forgotten.ts';
import type { DType } from '../shape.ts';
import { checkFree, checkOwner, checkPart, checkRequest, checkWrite, OwnedStorage, refuse } from '../storage.ts';
import { Buffers } from './buffers.ts';
import { Pipelines } from './pipelines.ts';
import { Profiler, type Spent } from './profiler.ts';
import { Recorder, type Binding } from './recorder.ts';
import { abilitiesOf, canRun, Variants, type AdapterKind, type Tuned } from './variants.ts';

const ALIGNMENT = 256; // bytes: where a part of a buffer may begin
const STEPS_IN_FLIGHT = 3;
// of the time that a step is expected to take on a software adapter; its growth from call to call
const NAP = 0.8;
const SHORTEST_NAP_MS = 2;
const SLOWER = 1.05;
const WAIT_LIMIT_MS = 60_000;

const ARRAYS = { f32: Float32Array, i32: Int32Array, u32: Uint32Array } as const;

class GpuStorage extends OwnedStorage {
  readonly binding: Binding;

  /** `place` in a buffer: which, and from which byte. */
  constructor(
    owner: Backend,
    place: Omit<Binding, 'bytes'>,
    size: number,
    dtype: DType,
    parent: GpuStorage | null = null,
  ) {
    super(owner, size, dtype, parent);
    this.binding = { ...place, bytes: bytesOf(size) };
  }
}

export interface WebGpuOptions {
  readonly name: string;
  /** A CPU pretending to be a GPU. */
  readonly software: boolean;
  /**
   * Which kind of GPU it is, for kernels with several programs. Default: software, or a GPU that nothing is known of.
   */
  readonly kind?: AdapterKind;
  /** Which of them proved fastest at which shape, as measured by `remit-mini tune`. */
  readonly tuned?: Tuned;
  /** The most bytes that all buffers together may take. Default: no limit, which leaves it to the driver to say no. */
  readonly budgetBytes?: number;
  /**
   * How long the device may take to answer, in milliseconds; longer means a kernel that does not end. Default: a
   * minute.
   */
  readonly waitLimitMs?: number;
}

export class WebGpuBackend implements Backend {
  readonly name: string;
  readonly software: boolean;
  readonly #variants: Variants;
  readonly #waitLimitMs: number;
  readonly #device: GPUDevice;
  readonly #pipelines: Pipelines;
  readonly #recorder: Recorder;
  readonly #buffers: Buffers;
  readonly #forgotten = new Forgotten<GPUBuffer>((buffer) => this.#buffers.giveBack(buffer));
  readonly #inFlight: Promise<unknown>[] = [];
  readonly #expectedMs = new WeakMap<object, number>(); // a step's last call, on a software adapter
  #step: object = this;
  #fault: DeviceError | null = null;
  #closed = false;

  constructor(device: GPUDevice, options: WebGpuOptions) {
    const {
      name,
      software,
      kind = software ? 'software' : 'integrated',
      tuned,
      budgetBytes = Infinity,
      waitLimitMs = WAIT_LIMIT_MS,
    } = options;
    const abilities = abilitiesOf(device);
    const notes = [tuned && 'tuned', abilities.has('subgroup-matrix') && 'products in half precision'].filter(Boolean);
    this.name = `webgpu (${[name, ...notes].join(', ')})`; // a run's env.json holds it: these change the bits
    this.software = software;
    this.#variants = new Variants(kind, tuned, abilities);
    this.#waitLimitMs = waitLimitMs;
    this.#device = device;
    this.#pipelines = new Pipelines(device, (message) => this.#fail(message, { isCause: true }));
    this.#recorder = new Recorder(device);
    this.#buffers = new Buffers(device, {
      budgetBytes,
      flush: () => this.#recorder.flush(),
      sweep: () => this.#forgotten.sweep(),
    });
    device.addEventListener('uncapturederror', (event) => {
      event.preventDefault();
      this.#fail(`webgpu: ${event.error.message.split('\n')[0]}`);
    });
    void device.lost.then(({ reason, message }) => {
      this.#fail(
        `webgpu: the device was lost (${reason || 'unknown'}${message && `: ${message}`}): start again, or use --device cpu`,
      );
    });
  }

  /** Counters for tests and benches: in a warm step only submits grow. */
  get counters(): {
    readonly buffers: number;
    readonly forReading: number;
    readonly bindGroups: number;
    readonly pipelines: number;
    readonly submits: number;
  } {
    const { made: buffers, madeForReading: forReading } = this.#buffers;
    return {
      buffers,
      forReading,
      bindGroups: this.#recorder.groupsMade,
      pipelines: this.#pipelines.count,
      submits: this.#recorder.submits,
    };
  }

  /** Whether this adapter has what a program needs, and the program is right at these sizes, if any are given. */
  canRun(
    program: Pick<WgslProgram<string, string>, 'needs' | 'fits'>,
    params?: Readonly<Record<string, number>>,
  ): boolean {
    return canRun(program, abilitiesOf(this.#device), params);
  }

  /** The name of the program that runs a kernel at these sizes. */
  chosen(kernel: Kernel, params: Readonly<Record<string, number>>): string {
    return this.#variants.nameOf(kernel, params);
  }

  /** Bytes of GPU memory that tensors hold, recycled ones included. */
  get bytes(): number {
    return this.#buffers.bytes;
  }

  alloc(size: number, dtype: DType): GpuStorage {
    this.#check();
    checkRequest(this, size, dtype);
    const buffer = this.#buffers.take(bytesOf(size));
    const storage = new GpuStorage(this, { buffer, offset: 0 }, size, dtype);
    this.#forgotten.watch(storage, buffer);
    return storage;
  }

  view(of: TensorStorage, offset: number, size: number): GpuStorage {
    checkPart(this, of, offset, size);
    const parent = of as GpuStorage;
    const { buffer } = parent.binding;
    const at = parent.binding.offset + 4 * offset;
    if (at % ALIGNMENT) {
      throw new Error(`internal: part of a buffer at ${at} bytes: must be a multiple of ${ALIGNMENT}`);
    }
    return new GpuStorage(this, { buffer, offset: at }, size, parent.dtype, parent);
  }

  free(storage: TensorStorage): void {
    checkFree(this, storage);
    (storage as GpuStorage).disown();
    this.#forgotten.release(storage);
  }

  write(to: TensorStorage, data: ArrayLike<number>): void {
    this.#check();
    checkWrite(this, to, data);
    const {
      binding: { buffer, offset },
      dtype,
    } = to as GpuStorage;
    // an upload is seen by commands that are submitted after it
    if (this.#recorder.uses(buffer)) this.#recorder.flush();
    const Typed = ARRAYS[dtype];
    const values = data instanceof Typed && !isShared(data) ? data : new Typed(data);
    this.#device.queue.writeBuffer(buffer, offset, values as Float32Array<ArrayBuffer>);
  }

  dispatch<B extends string, P extends string>(
    kernel: Kernel<B, P>,
    buffers: Readonly<Record<B, TensorStorage>>,
    params: Readonly<Record<P, number>>,
  ): void {
    this.#check();
    const program = this.#variants.programOf(kernel, params);
    if (!program) throw new DeviceError(`webgpu: kernel ${kernel.name} has no GPU program: use --device cpu`);
    const bindings = program.shader.bindings.map(({ name }) => {
      const storage = buffers[name as B];
      if (storage?.owner !== this) refuse(this, storage, `${kernel.name}: ${name}`);
      return (storage as GpuStorage).binding;
    });
    this.#recorder.add(this.#pipelines.get(program, params), bindings, pack(program, params), program.grid(params));
  }

  async read(from: TensorStorage): Promise<HostArray> {
    this.#check();
    checkOwner(this, from, 'read');
    const {
      binding: { buffer, offset, bytes },
      size,
      dtype,
    } = from as GpuStorage;
    this.#recorder.flush();
    const staging = this.#buffers.takeStaging(bytes);
    try {
      const encoder = this.#device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
      this.#device.queue.submit([encoder.finish()]);
      await this.#wait(staging.mapAsync(GPUMapMode.READ, 0, bytes));
      // a copy: the mapping ends here
      const values = new ARRAYS[dtype](staging.getMappedRange(0, bytes).slice(0, 4 * size));
      staging.unmap();
      return values;
    } finally {
      this.#buffers.giveBackStaging(staging);
    }
  }

  beginStep(owner: object): void {
    this.#step = owner;
    this.#recorder.begin(owner);
  }

  async endStep(): Promise<void> {
    this.#check();
    this.#recorder.end();
    if (this.software) return this.#sleepThrough(this.#step);
    const done = this.#device.queue.onSubmittedWorkDone();
    done.catch(() => {}); // a device that was lost says so in #wait
    this.#inFlight.push(done);
    await this.#wait(this.#inFlight.length >= STEPS_IN_FLIGHT ? this.#inFlight.shift() : undefined);
  }

  /** Whether the adapter has a clock that can be read, which a profile takes. */
  get hasClock(): boolean {
    return this.#device.features.has('timestamp-query');
  }

  /** From now on, times every dispatch. Throws DeviceError where the adapter has no clock that can be read. */
  startProfile(): void {
    if (!this.hasClock) {
      throw new DeviceError(`${this.name}: this adapter has no timestamps, so dispatches cannot be timed`);
    }
    this.#recorder.flush();
    this.#recorder.profiler = new Profiler(this.#device);
  }

  /** GPU milliseconds and calls by program (its file and variant) since startProfile(), the longest first. */
  async endProfile(): Promise<ReadonlyMap<string, Readonly<Spent>>> {
    const { profiler } = this.#recorder;
    if (!profiler) throw new Error('internal: endProfile() without startProfile()');
    this.#recorder.flush();
    this.#recorder.profiler = null;
    await this.#wait(this.#device.queue.onSubmittedWorkDone());
    return profiler.end();
  }

  /**
   * Waits for the device and gives it back. Leaving with work in flight can crash the process. What went wrong before
   * is not told again.
   */
  async close(): Promise<void> {
    this.#recorder.flush();
    await this.#wait(this.#device.queue.onSubmittedWorkDone()).catch(() => {});
    this.#fault = new DeviceError('webgpu: this device was closed: open another with createDevice()');
    this.#closed = true;
    this.#device.destroy();
  }

  /**
   * Waits for a step. In Node, a promise of Dawn's that is pending keeps a core busy with asking, which a software
   * adapter computes on: so sleep first.
   */
  async #sleepThrough(step: object): Promise<void> {
    const start = performance.now();
    const expected = this.#expectedMs.get(step);
    const nap = NAP * (expected ?? 0);
    if (nap >= SHORTEST_NAP_MS) await new Promise((resolve) => setTimeout(resolve, nap));
    await this.#wait(this.#device.queue.onSubmittedWorkDone());
    this.#expectedMs.set(step, Math.min(performance.now() - start, SLOWER * (expected ?? Infinity)));
  }

  /** Waits for work, if there is any, and for the verdict on new pipelines; throws what went wrong until then. */
  async #wait(work?: Promise<unknown>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const limit = new Promise<never>((_, reject) => {
      const message =
        `webgpu: no answer from the device for ${this.#waitLimitMs / 1000} s: a kernel may not end: use --device cpu`;
      timer = setTimeout(() => reject(new DeviceError(message)), this.#waitLimitMs);
    });
    try {
      await Promise.race([Promise.all([work, this.#pipelines.checked]), limit]);
    } catch (error) {
      if (error instanceof DeviceError) throw error;
      this.#fail(`webgpu: ${(error as Error).message || 'the device was lost while it was read'}`);
    } finally {
      clearTimeout(timer);
    }
    this.#check();
  }

  #check(): void {
    if (this.#fault) throw this.#fault;
  }

  /** The first fault counts, or the one that caused the others. */
  #fail(message: string, { isCause = false } = {}): void {
    if (!this.#closed && (isCause || !this.#fault)) this.#fault = new DeviceError(message);
  }
}

/** Sizes of buffers and bindings are multiples of 16 bytes. */
function bytesOf(size: number): number {
  return Math.ceil((4 * size) / 16) * 16;
}

function isShared(data: ArrayLike<number>): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && (data as Float32Array).buffer instanceof SharedArrayBuffer;
}

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

/** Parameters as 32-bit words, in the order of the shader's struct. */
function pack({ shader }: WgslProgram<string, string>, params: Readonly<Record<string, number>>): Uint32Array {
  const words = new Uint32Array(shader.params.length);
  for (let i = 0; i < words.length; i++) {
    const { name, type } = shader.params[i]!;
    const value = params[name]!;
    if (type === 'f32') {
      floats[0] = value;
      words[i] = bits[0]!;
    } else {
      words[i] = value;
    }
  }
  return words;
}
