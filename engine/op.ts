// An op, said once: its shape rule, its forward kernels, its backward in terms of other ops, and the cases it is tested on.
// Read after: tensor.ts. Read next: tape.ts, ops/matmul.ts.

import type { Backend } from './backend.ts';
import { backend, isRecording } from './runtime.ts';
import type { Shape, Spec } from './shape.ts';
import { record, type Need } from './tape.ts';
import { empty, Tensor } from './tensor.ts';

/** The result, then whatever backward needs saved. Only the result carries a gradient. */
export type Outputs<T> = readonly [T, ...T[]];

export interface OpDef<In extends readonly Tensor[], A> {
  readonly name: string;
  /** Shape rule: [result, ...saved], or throws a ShapeError that names the op and the shapes. */
  infer(inputs: { readonly [K in keyof In]: Spec }, attrs: A): Outputs<Spec>;
  /** True when the result is the first input's memory in another shape: nothing is computed. */
  readonly view?: boolean;
  forward(run: Backend['dispatch'], inputs: In, outputs: Outputs<Tensor>, attrs: A): void;
  /** One gradient per input, null where there is none. `need(i, make)` skips the work when input i wants no gradient. */
  backward(grad: Tensor, saved: { readonly inputs: In; readonly outputs: Outputs<Tensor>; readonly attrs: A }, need: Need): readonly (Tensor | null)[];
  /** What the property tests draw and shrink, and what the gradient check feeds. */
  readonly cases: Cases<A>;
}

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

export interface Op<In extends readonly Tensor[], A> {
  (...args: [...In] | [...In, A]): Tensor;
  /** All outputs: the result, then what is saved beside it (constants to the tape). */
  all(...args: [...In] | [...In, A]): Outputs<Tensor>;
  readonly def: OpDef<In, A>;
}

/** Turns a definition into a function of tensors (and, last, an attributes object). */
export function defineOp<In extends readonly Tensor[], A extends object>(def: OpDef<In, A>): Op<In, A> {
  const all = (...args: [...In] | [...In, A]): Outputs<Tensor> => {
    const hasAttrs = args.length > 0 && !(args.at(-1) instanceof Tensor);
    const attrs = (hasAttrs ? args.at(-1) : {}) as A;
    const inputs = (hasAttrs ? args.slice(0, -1) : args) as unknown as In;
    const specs = def.infer(inputs as { readonly [K in keyof In]: Spec }, attrs);
    if (def.view) {
      const { storage, arena, range } = inputs[0]!;
      return record(def, inputs, [new Tensor({ ...specs[0], range, storage, arena })], attrs);
    }
    const outputs = specs.map(empty) as unknown as Outputs<Tensor>;
    def.forward(run, inputs, outputs, attrs);
    return isRecording() ? record(def, inputs, outputs, attrs) : outputs;
  };
  return Object.assign((...args: [...In] | [...In, A]) => all(...args)[0], { all, def });
}

/** Dispatches on the current backend. */
export const run: Backend['dispatch'] = (kernel, buffers, params) => backend().dispatch(kernel, buffers, params);

/** Case inputs, by kind. */
export const normal = (...shape: number[]): Fill => ({ shape, values: 'normal' });
export const positive = (...shape: number[]): Fill => ({ shape, values: 'positive' });
export const awayFrom0 = (...shape: number[]): Fill => ({ shape, values: 'away from 0' });
export const integers = (below: number, ...shape: number[]): Fill => ({ shape, values: { below } });
