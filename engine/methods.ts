// Methods that make arithmetic on tensors readable: x.mul(2).add(y).exp(). Each is the op of its name with x first, and
// takes what that takes after x; sum, difference, product and quotient take a number, too.
// They are added to Tensor here, and not written in tensor.ts, because ops need Tensor first. Loaded with device.ts and
// ops/index.ts; code inside the project uses the ops themselves. Read after: tensor.ts.

import { describe } from './describe.ts';
import { ConfigError } from './errors.ts';
import { add, affine, div, mul, sub } from './ops/arithmetic.ts';
import { matmul } from './ops/matmul.ts';
import { mean } from './ops/mean.ts';
import { max, sum, type Along } from './ops/reduce.ts';
import { reshape } from './ops/shape.ts';
import { exp, log, relu, sigmoid, sqrt, square, tanh } from './ops/unary.ts';
import type { Shape } from './shape.ts';
import { Tensor } from './tensor.ts';

const ops = { matmul, reshape, sum, mean, max, exp, log, sqrt, square, tanh, relu, sigmoid };

interface Methods {
  /** Sum, difference, product, quotient: with a number, or with a tensor by broadcasting. */
  add(other: Tensor | number): Tensor;
  sub(other: Tensor | number): Tensor;
  mul(other: Tensor | number): Tensor;
  div(other: Tensor | number): Tensor;
  neg(): Tensor;
  /** Matrix product of the last two axes: [...,M,K] and [...,K,N] -> [...,M,N]. */
  matmul(other: Tensor): Tensor;
  /** The same elements in another shape; one size may be -1: x.reshape({ shape: [2, -1] }). */
  reshape(to: { readonly shape: Shape }): Tensor;
  /** Of all elements, or along one axis: x.sum({ axis: 0 }). */
  sum(along?: Along): Tensor;
  mean(along?: Along): Tensor;
  max(along?: Along): Tensor;
  /** Element by element. */
  exp(): Tensor;
  log(): Tensor;
  sqrt(): Tensor;
  square(): Tensor;
  tanh(): Tensor;
  relu(): Tensor;
  sigmoid(): Tensor;
}

declare module './tensor.ts' {
  interface Tensor extends Methods {}
}

const arithmetic: Record<string, (x: Tensor, other: Tensor | number) => Tensor> = {
  add: (x, other) => (typeof other === 'number' ? affine(x, { offset: other }) : add(x, other)),
  sub: (x, other) => (typeof other === 'number' ? affine(x, { offset: -other }) : sub(x, other)),
  mul: (x, other) => (typeof other === 'number' ? affine(x, { factor: other }) : mul(x, other)),
  div: (x, other) => (typeof other === 'number' ? affine(x, { factor: 1 / other }) : div(x, other)),
};

for (const [name, op] of Object.entries(ops) as [string, (...given: unknown[]) => Tensor][]) {
  define(name, Infinity, op); // the op itself refuses what is too much
}
for (const [name, op] of Object.entries(arithmetic)) define(name, 1, op as (...given: unknown[]) => Tensor);
define('neg', 0, (x) => affine(x as Tensor, { factor: -1 }));

/** Gives every tensor a method of at most so many arguments: x.neg(true) is a mistake. */
function define(name: string, most: number, op: (...given: unknown[]) => Tensor): void {
  Object.assign(Tensor.prototype, {
    [name](this: Tensor, ...given: unknown[]): Tensor {
      if (given.length <= most) return op(this, ...given);
      throw new ConfigError(
        `${name}: ${describe(given[most])}: an argument too many: x.${name}() takes ${most || 'none'}`,
      );
    },
  });
}
