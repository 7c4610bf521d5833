// An op, said once: what it takes, its shape rule, its forward kernels, its backward in terms of other ops, and the
// cases it is tested on. Read after: tensor.ts, tape.ts. Read next: ops/matmul.ts.

import type { Backend } from './backend.ts';
import { describe } from './describe.ts';
import { ShapeError } from './errors.ts';
import { checker, type Rules } from './options.ts';
import { backend, isRecording } from './runtime.ts';
import { show, type DType, type Shape, type Spec } from './shape.ts';
import { record } from './tape.ts';
import { empty, Tensor, type Need } from './tensor.ts';

/** The result, then whatever backward needs saved. Only the result carries a gradient. */
export type Outputs<T> = readonly [T, ...T[]];

/**
 * The tensors that a function takes, by name and in order, each with its element type. The last name may stand for any
 * number: '...added'.
 */
export type Takes = Readonly<Record<string, DType | 'any'>>;

/** All that defineOp() needs to know of an op. */
export interface OpDef<In extends readonly Tensor[], A> {
  readonly name: string;
  /** What is given as an input must be such a tensor: { table: 'f32', ids: 'i32' }. */
  readonly takes: Takes;
  /** What each attribute may be; whatever is not named here is refused. */
  readonly attrs?: Rules<NoInfer<A>>;
  /** Shape rule: [result, ...saved], or throws a ShapeError that names the op and the shapes. */
  infer(inputs: { readonly [K in keyof In]: Spec }, attrs: A): Outputs<Spec>;
  /** True when the result is the first input's memory in another shape: nothing is computed. */
  readonly view?: boolean;
  forward(run: Backend['dispatch'], inputs: In, outputs: Outputs<Tensor>, attrs: A): void;
  /**
   * One gradient per input, null where there is none. `need(i, make)` skips the work when input i wants no gradient.
   */
  backward(
    grad: Tensor,
    saved: { readonly inputs: In; readonly outputs: Outputs<Tensor>; readonly attrs: A },
    need: Need,
  ): readonly (Tensor | null)[];
  /** What the property tests draw and shrink, and what the gradient check feeds. */
  readonly cases: Cases<A>;
}

/** The inputs that an op is tested on: drawn sizes, attributes, and how each input is filled. */
export interface Cases<A> {
  /** Ranges of the sizes that are drawn. */
  readonly dims: Readonly<Record<string, readonly [min: number, max: number]>>;
  readonly attrs?: readonly ((dims: Readonly<Record<string, number>>) => NoInfer<A>)[];
  inputs(dims: Readonly<Record<string, number>>, attrs: NoInfer<A>): readonly Fill[];
}

/** How to fill one input of a case. */
export interface Fill {
  readonly shape: Shape;
  readonly values: 'normal' | 'positive' | 'away from 0' | { readonly below: number };
}

/** An op as it is called: inputs, then attributes if it has any -> the result. */
export interface Op<In extends readonly Tensor[], A> {
  (...args: [...In] | [...In, A]): Tensor;
  /** All outputs: the result, then what is saved beside it (constants to the tape). */
  all(...args: [...In] | [...In, A]): Outputs<Tensor>;
  readonly def: OpDef<In, A>;
}

const NONE = {};

/**
 * Turns a definition into a function of tensors (and, last, an attributes object). What it is given is checked before
 * `infer` sees it.
 */
export function defineOp<In extends readonly Tensor[], A extends object>(def: OpDef<In, A>): Op<In, A> {
  const call = new Call(def.name, def.takes, def.attrs);
  const all = (...args: [...In] | [...In, A]): Outputs<Tensor> => {
    const count = call.check(args);
    const inputs = (args.length > count ? args.slice(0, count) : args) as unknown as In;
    const attrs = (args[count] ?? NONE) as A;
    const specs = def.infer(inputs as { readonly [K in keyof In]: Spec }, attrs);
    let outputs: Outputs<Tensor>;
    if (def.view) {
      const { storage, arena, range } = inputs[0]!;
      outputs = [new Tensor({ ...specs[0], range, storage, arena })];
    } else {
      outputs = specs.map(empty) as unknown as Outputs<Tensor>;
      def.forward(run, inputs, outputs, attrs);
    }
    if (!isRecording()) return outputs;
    const result = record(def.name, inputs, outputs[0], (grad, need) =>
      def.backward(grad, { inputs, outputs, attrs }, need),
    );
    return result === outputs[0] ? outputs : [result, ...outputs.slice(1)];
  };
  return Object.assign((...args: [...In] | [...In, A]) => all(...args)[0], { all, def });
}

/**
 * What every op and every function of tensors asks of its arguments: the tensors that it takes, each of its element
 * type, then perhaps an object of attributes, then nothing. Whose memory the tensors are, the backend asks.
 */
export class Call<A extends object> {
  readonly #where: string;
  readonly #names: readonly string[];
  readonly #types: readonly (DType | 'any')[];
  readonly #fixed: number; // tensors that must be there
  readonly #isVariadic: boolean;
  readonly #options: readonly string[];
  readonly #checkAttrs: (attrs: A | undefined) => void;

  constructor(where: string, takes: Takes, rules: Rules<A> = {} as Rules<A>) {
    this.#where = where;
    this.#names = Object.keys(takes);
    this.#types = Object.values(takes);
    this.#isVariadic = this.#names.at(-1)!.startsWith('...');
    this.#fixed = this.#names.length - +this.#isVariadic;
    this.#options = Object.keys(rules);
    this.#checkAttrs = checker(where, rules);
  }

  /**
   * How many of the arguments are tensors. Throws ShapeError, naming the argument, for what is no such tensor or is too
   * many, ConfigError for attributes.
   */
  check(args: ArrayLike<unknown>): number {
    let count = this.#fixed;
    if (this.#isVariadic) while (count < args.length - 1 || args[count] instanceof Tensor) count++;
    for (let i = 0; i < count; i++) {
      const given = args[i];
      const wanted = this.#types[Math.min(i, this.#types.length - 1)]!;
      if (!(given instanceof Tensor) || (given.dtype !== wanted && wanted !== 'any')) {
        throw this.#wrong(i, given, wanted);
      }
    }
    if (args.length > count && (args.length > count + 1 || args[count] instanceof Tensor)) {
      throw this.#tooMany(args[args.length - 1]);
    }
    this.#checkAttrs(args.length > count ? args[count] as A | undefined : undefined);
    return count;
  }

  #wrong(i: number, given: unknown, wanted: DType | 'any'): ShapeError {
    const name = i < this.#fixed ? this.#names[i]! : `${this.#names.at(-1)!.slice(3)}[${i - this.#fixed}]`;
    if (given instanceof Tensor) {
      return new ShapeError(`${this.#where}: ${name} ${show(given.shape)} ${given.dtype}: must be ${wanted}`);
    }
    const what = given === undefined ? `${name} is missing` : `${name} = ${describe(given)}`;
    return new ShapeError(`${this.#where}: ${what}: must be a tensor: make one with tensor() or variable()`);
  }

  #tooMany(given: unknown): ShapeError {
    const takes = this.#options.length > 0 ? [...this.#names, 'attributes'] : this.#names;
    return new ShapeError(`${this.#where}: ${describe(given)}: an argument too many: it takes ${takes.join(', ')}`);
  }
}

/** Dispatches on the current backend. */
export const run: Backend['dispatch'] = (kernel, buffers, params) => backend().dispatch(kernel, buffers, params);

/** Case inputs, by kind. */
export const normal = (...shape: number[]): Fill => ({ shape, values: 'normal' });

/** An input of a case: values above 0. */
export const positive = (...shape: number[]): Fill => ({ shape, values: 'positive' });

/** An input of a case: normal values that stay clear of 0, where a function has a kink. */
export const awayFrom0 = (...shape: number[]): Fill => ({ shape, values: 'away from 0' });

/** An input of a case: whole numbers from 0 to below - 1. */
export const integers = (below: number, ...shape: number[]): Fill => ({ shape, values: { below } });
