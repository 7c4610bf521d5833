// Parameters lie flat: one buffer of values, one of gradients, each tensor a named slot of both. So AdamW is one
// dispatch, clearing the gradients one fill, a checkpoint one read, and freezing a reference model one copy.
// Modules declare what they need in their constructors; the outermost one allocates. Names are those of the Hugging
// Face layout; a slot may hold several of them side by side (q, k, v), so that kernels read them packed.
// Read after: tensor.ts. Read next: nn/linear.ts, optim/adamw.ts.

import { copyKernel, fillKernel } from '../kernels/copy/copy.ts';
import type { TensorStorage } from './backend.ts';
import { describe } from './describe.ts';
import { ConfigError, FormatError, ShapeError, StepError } from './errors.ts';
import { anything, checkArguments, checkOptions, instance, optional, real, such, text, type Rules } from './options.ts';
import { Rng } from './rng.ts';
import { backend } from './runtime.ts';
import { checkShape, sameShape, show, sizeOf, type Shape } from './shape.ts';
import { Tensor } from './tensor.ts';

/** Of a parameter's place. */
export const ALIGNMENT = 64; // elements: 256 bytes, the offset that WebGPU bindings need

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

/** A declared parameter. Its tensor exists once Parameters.allocate() has run: StepError before. */
export interface Parameter {
  readonly shape: Shape;
  readonly parts: readonly Part[];
  /** Where it lies in the flat buffers, in elements. */
  readonly offset: number;
  /** Values, with the gradient slot attached. */
  readonly tensor: Tensor;
}

export interface FlatBuffers {
  readonly values: TensorStorage;
  readonly gradients: TensorStorage;
  /** Elements in each, alignment gaps included (they stay 0). */
  readonly size: number;
  /** The first `decayed` elements are matrices, which weight decay shrinks; the rest are gains and biases. */
  readonly decayed: number;
}

const initialValues = such<Part['initial']>('{ deviation } or { constant }, of one finite number', (value) => {
  const [[name, number] = [], ...more] = Object.entries(value ?? {});
  return more.length === 0 && real().accepts(number) && (name === 'constant' || (name === 'deviation' && number >= 0));
});

const partRules: Rules<Part> = { name: text, shape: such('a list of sizes', Array.isArray), initial: initialValues };

class Slot implements Parameter {
  readonly shape: Shape;
  readonly parts: readonly Part[];
  offset = 0;
  #tensor: Tensor | null = null;

  constructor(shape: Shape, parts: readonly Part[]) {
    this.shape = shape;
    this.parts = parts;
  }

  get tensor(): Tensor {
    if (!this.#tensor) throw new StepError(`parameters: "${this.parts[0]!.name}": used before allocate()`);
    return this.#tensor;
  }

  set tensor(tensor: Tensor) {
    this.#tensor = tensor;
  }
}

/** The parameters of a model as slots of two flat buffers, values and gradients: declare(), then allocate(). */
export class Parameters {
  readonly #slots: Slot[] = [];
  #flat: FlatBuffers | null = null;

  /** Number of parameters, without gaps. */
  get count(): number {
    return this.#slots.reduce((total, slot) => total + sizeOf(slot.shape), 0);
  }

  /** What was declared, in the order of memory once that is allocated. */
  get declared(): readonly Parameter[] {
    return this.#slots.toSorted((a, b) => a.offset - b.offset);
  }

  get flat(): FlatBuffers {
    if (!this.#flat) throw new StepError('parameters: used before allocate(), or after free()');
    return this.#flat;
  }

  /**
   * Reserves a slot. Several parts are stacked along their first axis. Throws ConfigError for a name that is taken and
   * after allocate(), ShapeError for parts that cannot be stacked.
   */
  declare(...parts: readonly [Part, ...Part[]]): Parameter {
    if (this.#flat) {
      throw new ConfigError(`declare: ${describe(parts[0]?.name)}: allocate() has run: declare everything before it`);
    }
    if (parts.length === 0) throw new ConfigError('declare: nothing: needs at least one part');
    const [first] = parts;
    const taken = new Set(this.entries().map(({ name }) => name));
    for (const part of parts) {
      const { name, shape } = checkOptions('declare', part, partRules);
      checkShape(`declare: "${name}"`, shape);
      if (taken.has(name)) {
        throw new ConfigError(`declare: "${name}": there is a parameter of this name: each needs its own`);
      }
      taken.add(name);
      const stackable = parts.length === 1 || (shape.length > 0 && sameShape(shape.slice(1), first.shape.slice(1)));
      if (!stackable) {
        throw new ShapeError(
          `declare: "${name}" ${show(shape)} beside "${first.name}" ${show(first.shape)}: all but the first size ` +
          'must agree',
        );
      }
    }
    const rows = parts.reduce((total, part) => total + (part.shape[0] ?? 1), 0);
    const slot = new Slot(parts.length === 1 ? [...first.shape] : [rows, ...first.shape.slice(1)], parts);
    this.#slots.push(slot);
    return slot;
  }

  /**
   * Allocates the flat buffers on the current backend, matrices first, and draws the initial values (none without
   * `rng`: to be loaded). Throws ConfigError when nothing was declared, or when there is memory already.
   */
  allocate(rng?: Rng): void {
    checkArguments('allocate', arguments, { rng: optional(instance('a key, as rng(seed) makes', Rng)) });
    if (this.#flat) throw new ConfigError('allocate: there is memory already: free() it first');
    if (this.#slots.length === 0) throw new ConfigError('allocate: nothing was declared');
    const isMatrix = (slot: Slot): boolean => slot.shape.length > 1;
    let size = 0;
    let decayed = 0;
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
      const part = (of: TensorStorage): TensorStorage => backend().view(of, slot.offset, sizeOf(slot.shape));
      const gradient = new Tensor({ shape: slot.shape, dtype: 'f32', storage: part(gradients), arena: null });
      slot.tensor = new Tensor({
        shape: slot.shape,
        dtype: 'f32',
        storage: part(values),
        arena: null,
        needsGrad: true,
        gradient,
      });
    }
  }

  /** Sets every gradient to 0. */
  clearGradients(): void {
    backend().dispatch(fillKernel, { out: this.flat.gradients }, { n: this.flat.size, value: 0 });
  }

  /** Takes over the values of parameters declared alike; ConfigError otherwise. */
  copyFrom(other: Parameters): void {
    checkArguments('copyFrom', arguments, { other: instance('Parameters', Parameters) });
    const [mine, its] = [this.entries(), other.entries()];
    const at = mine.findIndex(({ name, shape }, i) => its[i]?.name !== name || !sameShape(its[i].shape, shape));
    if (at >= 0 || its.length > mine.length) {
      const [here, there] = [mine[at], its[at < 0 ? mine.length : at]].map((entry) =>
        entry ? `"${entry.name}" ${show(entry.shape)}` : 'nothing',
      );
      throw new ConfigError(`copyFrom: ${there} for ${here}: both must be declared alike`);
    }
    backend().dispatch(copyKernel, { x: other.flat.values, out: this.flat.values }, { n: this.flat.size });
  }

  /** Names and shapes as the outside world knows them, in order of declaration. */
  entries(): readonly { readonly name: string; readonly shape: Shape }[] {
    return this.#slots.flatMap(({ parts }) => parts.map(({ name, shape }) => ({ name, shape })));
  }

  /** Host copies, by name, of the values or of another buffer laid out like them. */
  async toHost(of: TensorStorage = this.flat.values): Promise<Map<string, { shape: Shape; data: Float32Array }>> {
    const all = await backend().read(of);
    return new Map(
      [...this.#placed()].map(({ part: { name, shape }, offset }) => [
        name,
        { shape, data: Float32Array.from(all.subarray(offset, offset + sizeOf(shape))) },
      ]),
    );
  }

  /** Host copies of the gradients, by name. */
  gradientsToHost(): Promise<Map<string, { shape: Shape; data: Float32Array }>> {
    return this.toHost(this.flat.gradients);
  }

  /**
   * Replaces all values, or all of another buffer laid out like them. Throws FormatError, naming `where`, unless
   * exactly the declared names come with their shapes.
   */
  load(tensors: ReadonlyMap<string, HostTensor>, where: string, into: TensorStorage = this.flat.values): void {
    checkArguments('load', arguments, {
      tensors: such('a Map of tensors by name', isMap),
      where: text,
      into: anything,
    });
    const values = new Float64Array(this.flat.size);
    const known = new Set<string>();
    for (const { part, offset } of this.#placed()) {
      const given = tensors.get(part.name);
      if (!given) throw new FormatError(`${where}: has no tensor "${part.name}" ${show(part.shape)}`);
      if (!Array.isArray(given.shape) || !sameShape(given.shape, part.shape)) {
        throw new FormatError(
          `${where}: tensor "${part.name}" is ${describe(given.shape)}: the model needs ${show(part.shape)}`,
        );
      }
      if (given.data?.length !== sizeOf(part.shape)) {
        throw new FormatError(
          `${where}: tensor "${part.name}" has ${given.data?.length} values: ${show(part.shape)} needs ` +
          `${sizeOf(part.shape)}`,
        );
      }
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

/** Of any realm. */
function isMap(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object Map]';
}
