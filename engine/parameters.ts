// Parameters lie flat: one buffer of values, one of gradients, each tensor a named slot of both. So AdamW is one dispatch, clearing
// the gradients one fill, a checkpoint one read, and freezing a reference model one copy.
// Modules declare what they need in their constructors; the outermost one allocates. Names are those of the Hugging Face layout;
// a slot may hold several of them side by side (q, k, v), so that kernels read them packed.
// Read after: tensor.ts. Read next: nn/linear.ts, optim/adamw.ts.

import { copyKernel, fillKernel } from '../kernels/copy/copy.ts';
import type { Storage } from './backend.ts';
import { FormatError } from './errors.ts';
import type { Rng } from './rng.ts';
import { backend } from './runtime.ts';
import { sameShape, show, sizeOf, type Shape } from './shape.ts';
import { Tensor } from './tensor.ts';

const ALIGNMENT = 64; // elements: 256 bytes, the offset that WebGPU bindings need

/** Values from the host: a tensor of a checkpoint. */
export interface HostTensor {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

/** One name in the outside world: rows of a slot. */
export interface Part {
  readonly name: string;
  readonly shape: Shape;
  /** Initial values: normal with this deviation, or this constant. Each name draws from a stream of its own. */
  readonly initial: { readonly deviation: number } | { readonly constant: number };
}

/** A declared parameter. Its tensor exists once Parameters.allocate() has run. */
export interface Parameter {
  readonly shape: Shape;
  readonly parts: readonly Part[];
  /** Values, with the gradient slot attached. */
  readonly tensor: Tensor;
}

export interface FlatBuffers {
  readonly values: Storage;
  readonly gradients: Storage;
  /** Elements in each, alignment gaps included (they stay 0). */
  readonly size: number;
  /** The first `decayed` elements are matrices, which weight decay shrinks; the rest are gains and biases. */
  readonly decayed: number;
}

interface Slot extends Parameter {
  offset: number;
  tensor: Tensor;
}

export class Parameters {
  readonly #slots: Slot[] = [];
  #flat: FlatBuffers | null = null;

  /** Number of parameters, without gaps. */
  get count(): number {
    return this.#slots.reduce((total, slot) => total + sizeOf(slot.shape), 0);
  }

  get flat(): FlatBuffers {
    if (!this.#flat) throw new Error('internal: parameters used before allocate()');
    return this.#flat;
  }

  /** Reserves a slot. Several parts are stacked along their first axis. */
  declare(...parts: readonly [Part, ...Part[]]): Parameter {
    const [first] = parts, rows = parts.reduce((total, part) => total + part.shape[0]!, 0);
    const slot = { shape: [rows, ...first.shape.slice(1)], parts, offset: 0 } as unknown as Slot;
    this.#slots.push(slot);
    return slot;
  }

  /** Allocates the flat buffers on the current backend, matrices first, and draws the initial values (none without `rng`: to be loaded). */
  allocate(rng?: Rng): void {
    const isMatrix = (slot: Slot): boolean => slot.shape.length > 1;
    let size = 0, decayed = 0;
    for (const slot of [...this.#slots.filter(isMatrix), ...this.#slots.filter((s) => !isMatrix(s))]) {
      slot.offset = size;
      size += Math.ceil(sizeOf(slot.shape) / ALIGNMENT) * ALIGNMENT;
      if (isMatrix(slot)) decayed = size;
    }
    const [values, gradients] = [backend().alloc(size, 'f32'), backend().alloc(size, 'f32')];
    this.#flat = { values, gradients, size, decayed };
    this.clearGradients();
    backend().write(values, rng ? this.#initial(size, rng) : new Float64Array(size));
    for (const slot of this.#slots) {
      const part = (of: Storage): Storage => backend().view(of, slot.offset, sizeOf(slot.shape));
      const gradient = new Tensor({ shape: slot.shape, dtype: 'f32', storage: part(gradients), arena: null });
      slot.tensor = new Tensor({ shape: slot.shape, dtype: 'f32', storage: part(values), arena: null, needsGrad: true, gradient });
    }
  }

  /** Sets every gradient to 0. */
  clearGradients(): void {
    backend().dispatch(fillKernel, { out: this.flat.gradients }, { n: this.flat.size, value: 0 });
  }

  /** Takes over the values of parameters declared alike. */
  copyFrom(other: Parameters): void {
    backend().dispatch(copyKernel, { x: other.flat.values, out: this.flat.values }, { n: this.flat.size });
  }

  /** Names and shapes as the outside world knows them, in order of declaration. */
  entries(): readonly { readonly name: string; readonly shape: Shape }[] {
    return this.#slots.flatMap(({ parts }) => parts.map(({ name, shape }) => ({ name, shape })));
  }

  /** Host copies, by name, of the values or of another buffer laid out like them. */
  async toHost(of: Storage = this.flat.values): Promise<Map<string, { shape: Shape; data: Float32Array }>> {
    const all = await backend().read(of);
    return new Map([...this.#placed()].map(({ part: { name, shape }, offset }) => [name, { shape, data: Float32Array.from(all.subarray(offset, offset + sizeOf(shape))) }]));
  }

  /** Host copies of the gradients, by name. */
  gradientsToHost(): Promise<Map<string, { shape: Shape; data: Float32Array }>> {
    return this.toHost(this.flat.gradients);
  }

  /**
   * Replaces all values, or all of another buffer laid out like them. Throws FormatError, naming `where`, unless exactly the declared names
   * come with their shapes.
   */
  load(tensors: ReadonlyMap<string, HostTensor>, where: string, into: Storage = this.flat.values): void {
    const values = new Float64Array(this.flat.size), known = new Set<string>();
    for (const { part, offset } of this.#placed()) {
      const given = tensors.get(part.name);
      if (!given) throw new FormatError(`${where}: has no tensor "${part.name}" ${show(part.shape)}`);
      if (!sameShape(given.shape, part.shape)) throw new FormatError(`${where}: tensor "${part.name}" is ${show(given.shape)}: the model needs ${show(part.shape)}`);
      values.set(given.data, offset);
      known.add(part.name);
    }
    const extra = [...tensors.keys()].find((name) => !known.has(name));
    if (extra !== undefined) throw new FormatError(`${where}: has a tensor "${extra}" that the model does not`);
    backend().write(into, values);
  }

  /** Gives the memory back. */
  free(): void {
    backend().free(this.flat.values);
    backend().free(this.flat.gradients);
    this.#flat = null;
  }

  /** Every part with its place in the flat buffers. */
  *#placed(): Generator<{ part: Part; offset: number }> {
    for (const slot of this.#slots) {
      let offset = slot.offset;
      for (const part of slot.parts) {
        yield { part, offset };
        offset += sizeOf(part.shape);
      }
    }
  }

  #initial(size: number, rng: Rng): Float64Array {
    const values = new Float64Array(size);
    for (const { part: { name, shape, initial }, offset } of this.#placed()) {
      const count = sizeOf(shape);
      if ('constant' in initial) values.fill(initial.constant, offset, offset + count);
      else values.set(rng.fold(name).normals(count, initial.deviation), offset);
    }
    return values;
  }
}
