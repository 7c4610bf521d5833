// A tensor is a shape and some memory. Everything is contiguous and row-major.
// Ops are free functions (ops/index.ts); methods.ts adds the few methods that make arithmetic readable.
// Read after: shape.ts, backend.ts. Read next: tape.ts, op.ts.

import type { HostArray } from '../kernels/kernel.ts';
import type { Arena } from './arena.ts';
import type { TensorStorage } from './backend.ts';
import { describe } from './describe.ts';
import { ShapeError, StepError } from './errors.ts';
import { fromHost, type Numbers } from './host.ts';
import { anything, checkArguments, instance, type Rule } from './options.ts';
import { allocate, backend, currentArena } from './runtime.ts';
import { showTensor } from './show-tensor.ts';
import { dtypes, rangeOf, show, sizeOf, type DType, type Range, type Shape, type Spec } from './shape.ts';

/** One op that was run. Ids grow with time, so a node's inputs always have smaller ids. */
export interface TapeNode {
  readonly id: number;
  readonly name: string;
  readonly inputs: readonly Tensor[];
  backward(grad: Tensor, need: Need): readonly (Tensor | null)[];
}

/**
 * Makes the gradient of input i unless nobody wants it. When the input is a parameter, `into` is its slot of the flat
 * gradient buffer: an op that can add to it does so and returns it, which saves a pass; the others ignore it.
 */
export type Need = (input: number, make: (into: Tensor | undefined) => Tensor) => Tensor | null;

/** What a tensor is made of, for who has the memory already. */
export interface TensorOptions extends Spec {
  readonly storage: TensorStorage;
  readonly needsGrad?: boolean;
  readonly node?: TapeNode | null;
  /** Where backward() adds this leaf's gradient: a slot of the flat gradient buffer. */
  readonly gradient?: Tensor | null;
  /** The step memory that holds it; null for memory that lasts. Default: that of the running step. */
  readonly arena?: Arena | null;
}

/** A shape and some memory, row-major, on the device that was current when it was made. */
export class Tensor implements Spec {
  readonly shape: Shape;
  /** Number of elements. */
  readonly size: number;
  readonly dtype: DType;
  readonly range: Range | undefined;
  readonly needsGrad: boolean;
  readonly node: TapeNode | null;
  readonly gradient: Tensor | null;
  readonly arena: Arena | null;
  readonly #storage: TensorStorage;
  readonly #born: number;

  /**
   * Tensors are made by tensor(), variable() and ops; this is for those who have memory of their own. Throws ShapeError
   * when it is too small.
   */
  constructor(options: TensorOptions) {
    if (!Array.isArray(options?.shape)) {
      throw new ShapeError(`new Tensor: ${describe(options)}: make tensors with tensor() or variable()`);
    }
    const {
      shape, dtype, range, storage, needsGrad = false, node = null, gradient = null, arena = currentArena(),
    } = options;
    this.shape = shape;
    this.size = sizeOf(shape);
    if (!(storage?.size >= this.size)) {
      throw new ShapeError(`new Tensor: ${show(shape)} in memory of ${storage?.size} elements: needs ${this.size}`);
    }
    this.dtype = dtype;
    this.range = range;
    this.#storage = storage;
    this.needsGrad = needsGrad;
    this.node = node;
    this.gradient = gradient;
    this.arena = arena;
    this.#born = arena?.generation ?? 0;
  }

  /** The memory. Throws StepError when the step that owned it has begun again. */
  get storage(): TensorStorage {
    if (this.arena && this.arena.generation !== this.#born) {
      throw new StepError(
        `step: tensor ${show(this.shape)} made in call ${this.#born} used in call ${this.arena.generation}: ` +
          'return it from the step and read it before the next call, or copy it with keep()',
      );
    }
    return this.#storage;
  }

  /** A copy of the values on the host, row-major. */
  async read(): Promise<HostArray> {
    return (await backend().read(this.storage)).slice(0, this.size);
  }

  /** The value of a one-element tensor. */
  async item(): Promise<number> {
    if (this.size !== 1) {
      throw new ShapeError(`item: ${show(this.shape)}: has ${this.size} elements, item() reads tensors of one`);
    }
    return (await this.read())[0]!;
  }

  /** What console.log shows in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return showTensor(this);
  }

  /** The same values as a constant: no gradient flows through. */
  stopGradient(): Tensor {
    return new Tensor({ shape: this.shape, dtype: this.dtype, storage: this.storage, arena: this.arena });
  }
}

/** What an argument that is a tensor must be. */
export const aTensor: Rule<Tensor> = instance('a tensor: make one with tensor() or variable()', Tensor);

/**
 * Numbers from the host as a tensor: f32 unless said. A flat list is row-major and may come with a shape; of nested
 * ones the shape is worked out: tensor([[1, 2], [3, 4]]) is [2,2]. Throws ShapeError for what is no number, and for
 * rows of unlike lengths.
 */
export function tensor(values: Numbers, shape?: Shape, dtype: DType = 'f32'): Tensor {
  checkArguments('tensor', arguments, { values: anything, shape: anything, dtype: anything });
  if (!dtypes.includes(dtype)) {
    throw new ShapeError(`tensor: dtype ${describe(dtype)}: must be one of ${dtypes.join(', ')}`);
  }
  return upload('tensor', values, shape, { dtype });
}

/** Memory for a result of the running step, or for whoever holds it outside of one. */
export function empty({ shape, dtype }: Spec): Tensor {
  return new Tensor({ shape, dtype, storage: allocate(shape, dtype) });
}

/** A leaf that wants its gradient: read it with backward(loss).of(leaf). Always f32; values as tensor() takes them. */
export function variable(values: Numbers, shape?: Shape): Tensor {
  checkArguments('variable', arguments, { values: anything, shape: anything });
  return upload('variable', values, shape, { dtype: 'f32', needsGrad: true });
}

function upload(
  where: string,
  given: Numbers,
  wanted: Shape | undefined,
  kind: { readonly dtype: DType; readonly needsGrad?: boolean },
): Tensor {
  const { values, shape } = fromHost(where, given, wanted, kind.dtype);
  const storage = allocate(shape, kind.dtype);
  backend().write(storage, values);
  return new Tensor({ shape, storage, ...kind, ...(kind.dtype !== 'f32' && { range: rangeOf(values) }) });
}
