// The WebGPU backend: the verbs of Backend on a GPUDevice. Dispatches are recorded and submitted step by step; only read() and endStep()
// wait. What goes wrong on the device (validation, a shader that does not compile, a lost device) is thrown at the next of those.
// Read after: recorder.ts, pipelines.ts. Read next: adapter.ts.

import type { HostArray, Kernel } from '../../kernels/kernel.ts';
import type { WgslProgram } from '../../kernels/wgsl.ts';
import type { Backend, Storage } from '../backend.ts';
import { DeviceError } from '../errors.ts';
import type { DType } from '../shape.ts';
import { Pipelines } from './pipelines.ts';
import { Recorder, type Binding } from './recorder.ts';

const ALIGNMENT = 256; // bytes: where a part of a buffer may begin
const STEPS_IN_FLIGHT = 3;
const READ_LIMIT_MS = 60_000; // a read that takes longer means a kernel that does not end

const ARRAYS = { f32: Float32Array, i32: Int32Array, u32: Uint32Array } as const;

class GpuStorage implements Storage, Binding {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
  readonly dtype: DType;
  /** Keeps the storage that this one is part of from being recycled. */
  readonly parent: GpuStorage | null;

  constructor(buffer: GPUBuffer, offset: number, size: number, dtype: DType, parent: GpuStorage | null = null) {
    this.buffer = buffer;
    this.offset = offset;
    this.size = size;
    this.dtype = dtype;
    this.parent = parent;
  }

  get bytes(): number {
    return bytesOf(this.size);
  }
}

export interface WebGpuOptions {
  readonly name: string;
  /** A CPU pretending to be a GPU. */
  readonly software: boolean;
  /** Which program runs where a kernel has two; by default the tiled one on real GPUs, the portable one on software adapters. */
  readonly prefer?: 'portable' | 'tiled';
}

export class WebGpuBackend implements Backend {
  readonly name: string;
  readonly software: boolean;
  readonly #tiled: boolean;
  readonly #device: GPUDevice;
  readonly #pipelines: Pipelines;
  readonly #recorder: Recorder;
  readonly #idle = new Map<number, GPUBuffer[]>(); // bytes -> buffers to use again
  readonly #forgotten = new FinalizationRegistry<GPUBuffer>((buffer) => this.#recycle(buffer));
  readonly #inFlight: Promise<unknown>[] = [];
  #buffersMade = 0;
  #fault: DeviceError | null = null;
  #closed = false;

  constructor(device: GPUDevice, { name, software, prefer = software ? 'portable' : 'tiled' }: WebGpuOptions) {
    this.name = `webgpu (${name})`;
    this.software = software;
    this.#tiled = prefer === 'tiled';
    this.#device = device;
    this.#pipelines = new Pipelines(device, (message) => this.#fail(message));
    this.#recorder = new Recorder(device);
    device.addEventListener('uncapturederror', (event) => {
      event.preventDefault();
      this.#fail(`webgpu: ${event.error.message.split('\n')[0]}`);
    });
    void device.lost.then(({ reason, message }) => {
      if (!this.#closed) this.#fail(`webgpu: the device was lost (${reason || 'unknown'}${message && `: ${message}`}): start again, or use --device cpu`);
    });
  }

  /** Counters for tests and benches: in a warm step only submits grow. */
  get counters(): { readonly buffers: number; readonly bindGroups: number; readonly pipelines: number; readonly submits: number } {
    return { buffers: this.#buffersMade, bindGroups: this.#recorder.groupsMade, pipelines: this.#pipelines.count, submits: this.#recorder.submits };
  }

  alloc(size: number, dtype: DType): GpuStorage {
    const bytes = bytesOf(size), buffer = this.#idle.get(bytes)?.pop() ?? this.#newBuffer(bytes), storage = new GpuStorage(buffer, 0, size, dtype);
    this.#forgotten.register(storage, buffer, storage);
    return storage;
  }

  view(of: Storage, offset: number, size: number): GpuStorage {
    const parent = of as GpuStorage, at = parent.offset + 4 * offset;
    if (at % ALIGNMENT) throw new Error(`internal: part of a buffer at ${at} bytes: must be a multiple of ${ALIGNMENT}`);
    return new GpuStorage(parent.buffer, at, size, parent.dtype, parent);
  }

  free(storage: Storage): void {
    this.#forgotten.unregister(storage);
    this.#recycle((storage as GpuStorage).buffer);
  }

  write(to: Storage, data: ArrayLike<number>): void {
    const { buffer, offset, dtype } = to as GpuStorage;
    if (this.#recorder.uses(buffer)) this.#recorder.flush(); // an upload is seen by commands that are submitted after it
    const Typed = ARRAYS[dtype], values = data instanceof Typed && !isShared(data) ? data : Typed.from(data);
    this.#device.queue.writeBuffer(buffer, offset, values as Float32Array<ArrayBuffer>);
  }

  dispatch<B extends string, P extends string>(kernel: Kernel<B, P>, buffers: Readonly<Record<B, Storage>>, params: Readonly<Record<P, number>>): void {
    const program = ((this.#tiled && kernel.wgslTiled) || kernel.wgsl) as WgslProgram<string, string> | undefined;
    if (!program) throw new DeviceError(`webgpu: kernel ${kernel.name} has no GPU program: use --device cpu`);
    const bindings = program.shader.bindings.map(({ name }) => buffers[name as B] as GpuStorage);
    this.#recorder.add(this.#pipelines.get(program, params), bindings, pack(program, params), program.grid(params));
  }

  async read(from: Storage): Promise<HostArray> {
    const { buffer, offset, bytes, size, dtype } = from as GpuStorage;
    this.#recorder.flush();
    const staging = this.#newBuffer(bytes, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    try {
      const encoder = this.#device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
      this.#device.queue.submit([encoder.finish()]);
      await this.#wait(staging.mapAsync(GPUMapMode.READ));
      return new ARRAYS[dtype](staging.getMappedRange().slice(0, 4 * size)); // a copy: the mapping ends with the buffer
    } finally {
      staging.destroy();
    }
  }

  beginStep(owner: object): void {
    this.#recorder.begin(owner);
  }

  async endStep(): Promise<void> {
    this.#recorder.end();
    this.#inFlight.push(this.#device.queue.onSubmittedWorkDone());
    if (this.#inFlight.length >= STEPS_IN_FLIGHT) await this.#wait(this.#inFlight.shift()!);
    if (this.#fault) throw this.#fault;
  }

  /** Waits for the device and gives it back. Leaving with work in flight can crash the process. */
  async close(): Promise<void> {
    this.#recorder.flush();
    await this.#device.queue.onSubmittedWorkDone();
    this.#closed = true;
    this.#device.destroy();
  }

  #newBuffer(bytes: number, usage: number = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST): GPUBuffer {
    const limit = Math.min(this.#device.limits.maxBufferSize, this.#device.limits.maxStorageBufferBindingSize);
    if (bytes > limit) throw new DeviceError(`webgpu: a tensor of ${bytes} bytes: this adapter holds at most ${limit} in one: use a smaller batch, or --device cpu`);
    if (usage & GPUBufferUsage.STORAGE) this.#buffersMade++;
    return this.#device.createBuffer({ size: bytes, usage });
  }

  #recycle(buffer: GPUBuffer): void {
    const list = this.#idle.get(buffer.size);
    if (list) list.push(buffer);
    else this.#idle.set(buffer.size, [buffer]);
  }

  async #wait(work: Promise<unknown>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new DeviceError(`webgpu: the device has not answered for ${READ_LIMIT_MS / 1000} s: a kernel may not end: use --device cpu`)), READ_LIMIT_MS);
    });
    try {
      await Promise.race([work, limit]);
    } catch (error) {
      throw this.#fault ?? (error instanceof DeviceError ? error : new DeviceError(`webgpu: ${(error as Error).message || 'the device was lost while it was read'}`));
    } finally {
      clearTimeout(timer);
    }
    if (this.#fault) throw this.#fault;
  }

  #fail(message: string): void {
    this.#fault ??= new DeviceError(message);
  }
}

/** Sizes of buffers and bindings are multiples of 16 bytes. */
function bytesOf(size: number): number {
  return Math.ceil((4 * size) / 16) * 16;
}

function isShared(data: ArrayLike<number>): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && (data as Float32Array).buffer instanceof SharedArrayBuffer;
}

const floats = new Float32Array(1), bits = new Uint32Array(floats.buffer);

/** Parameters as 32-bit words, in the order of the shader's struct. */
function pack({ shader }: WgslProgram<string, string>, params: Readonly<Record<string, number>>): Uint32Array {
  return Uint32Array.from(shader.params, ({ name, type }) => {
    const value = params[name]!;
    if (type !== 'f32') return value;
    floats[0] = value;
    return bits[0]!;
  });
}
