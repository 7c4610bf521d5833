// A tensor is a shape and some memory. Everything is contiguous and row-major.
// Ops are free functions (ops/index.ts); methods.ts adds the few methods that make arithmetic readable.
// Read after: shape.ts, backend.ts. Read next: op.ts, tape.ts.

import type { HostArray } from '../kernels/kernel.ts';
import type { Arena } from './arena.ts';
import type { Storage } from './backend.ts';
import { ShapeError, StepError } from './errors.ts';
import { allocate, backend, currentArena } from './runtime.ts';
import { checkShape, rangeOf, show, sizeOf, type DType, type Range, type Shape, type Spec } from './shape.ts';
import type { TapeNode } from './tape.ts';

export interface TensorOptions extends Spec {
  readonly storage: Storage;
  readonly needsGrad?: boolean;
  readonly node?: TapeNode | null;
  /** Where backward() adds this leaf's gradient: a slot of the flat gradient buffer. */
  readonly gradient?: Tensor | null;
  /** The step memory that holds it; null for memory that lasts. Default: that of the running step. */
  readonly arena?: Arena | null;
}

export class Tensor implements Spec {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly range: Range | undefined;
  readonly needsGrad: boolean;
  readonly node: TapeNode | null;
  readonly gradient: Tensor | null;
  readonly arena: Arena | null;
  readonly #storage: Storage;
  readonly #born: number;

  constructor({ shape, dtype, range, storage, needsGrad = false, node = null, gradient = null, arena = currentArena() }: TensorOptions) {
    this.shape = shape;
    this.dtype = dtype;
    this.range = range;
    this.#storage = storage;
    this.needsGrad = needsGrad;
    this.node = node;
    this.gradient = gradient;
    this.arena = arena;
    this.#born = arena?.generation ?? 0;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  /** The memory. Throws StepError when the step that owned it has begun again. */
  get storage(): Storage {
    if (this.arena && this.arena.generation !== this.#born) {
      throw new StepError(`step: tensor ${show(this.shape)} made in call ${this.#born} used in call ${this.arena.generation}: ` +
        'return it from the step and read it before the next call, or copy it with keep()');
    }
    return this.#storage;
  }

  /** A copy of the values on the host, row-major. */
  async read(): Promise<HostArray> {
    return (await backend().read(this.storage)).slice(0, this.size);
  }

  /** The value of a one-element tensor. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new ShapeError(`item: ${show(this.shape)}: has ${this.size} elements, item() reads tensors of one`);
    return (await this.read())[0]!;
  }

  /** The same values as a constant: no gradient flows through. */
  stopGradient(): Tensor {
    return new Tensor({ shape: this.shape, dtype: this.dtype, storage: this.storage, arena: this.arena });
  }
}

/** Numbers from the host as a tensor: values are row-major; dtype f32 unless said. */
export function tensor(values: ArrayLike<number>, shape: Shape = [values.length], dtype: DType = 'f32'): Tensor {
  checkShape('tensor', shape);
  if (values.length !== sizeOf(shape)) throw new ShapeError(`tensor: ${values.length} values for ${show(shape)}: needs ${sizeOf(shape)}`);
  const storage = allocate(shape, dtype);
  backend().write(storage, values);
  return new Tensor({ shape, dtype, storage, ...(dtype !== 'f32' && { range: rangeOf(values) }) });
}

/** Memory for a result of the running step, or for whoever holds it outside of one. */
export function empty({ shape, dtype }: Spec): Tensor {
  return new Tensor({ shape, dtype, storage: allocate(shape, dtype) });
}

/** A leaf that wants its gradient: read it with backward(loss).of(leaf). */
export function variable(values: ArrayLike<number>, shape: Shape = [values.length]): Tensor {
  const { storage, arena } = tensor(values, shape);
  return new Tensor({ shape, dtype: 'f32', storage, arena, needsGrad: true });
}
