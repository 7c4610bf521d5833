// The dozen methods that make arithmetic on tensors readable: x.mul(2).add(y). They only call ops.
// They are added to Tensor here, and not written in tensor.ts, because ops need Tensor first. Loaded with device.ts and
// ops/index.ts; code inside the project uses the ops themselves.

import { describe } from './describe.ts';
import { ConfigError } from './errors.ts';
import { add, affine, div, mul, sub } from './ops/arithmetic.ts';
import { matmul } from './ops/matmul.ts';
import { sum } from './ops/reduce.ts';
import { reshape } from './ops/shape.ts';
import { Tensor } from './tensor.ts';

interface Methods {
  /** Sum, difference, product, quotient: with a number, or with a tensor by broadcasting. */
  add(other: Tensor | number): Tensor;
  sub(other: Tensor | number): Tensor;
  mul(other: Tensor | number): Tensor;
  div(other: Tensor | number): Tensor;
  neg(): Tensor;
  /** Matrix product of the last two axes. */
  matmul(other: Tensor): Tensor;
  /** The same elements in another shape; one size may be -1. */
  reshape(...shape: number[]): Tensor;
  /** Sum of all elements, or along one axis. */
  sum(axis?: number): Tensor;
  /** Mean of all elements, or along one axis. */
  mean(axis?: number): Tensor;
}

declare module './tensor.ts' {
  interface Tensor extends Methods {}
}

const methods: Methods & ThisType<Tensor> = {
  add(other) {
    return typeof other === 'number' ? affine(this, { offset: other }) : add(this, other);
  },
  sub(other) {
    return typeof other === 'number' ? affine(this, { offset: -other }) : sub(this, other);
  },
  mul(other) {
    return typeof other === 'number' ? affine(this, { factor: other }) : mul(this, other);
  },
  div(other) {
    return typeof other === 'number' ? affine(this, { factor: 1 / other }) : div(this, other);
  },
  neg() {
    return affine(this, { factor: -1 });
  },
  matmul(other) {
    return matmul(this, other);
  },
  reshape(...shape) {
    return reshape(this, { shape });
  },
  sum(axis) {
    return sum(this, axis === undefined ? {} : { axis });
  },
  mean(axis) {
    return affine(this.sum(axis), { factor: 1 / (axis === undefined ? this.size : this.shape.at(axis)!) });
  },
};

/** Each as it is, refusing more than it takes: sum(0, true) is a mistake. */
for (const [name, method] of Object.entries(methods) as [string, (this: Tensor, ...given: unknown[]) => Tensor][]) {
  const most = name === 'reshape' ? Infinity : method.length;
  Object.assign(Tensor.prototype, {
    [name](this: Tensor, ...given: unknown[]): Tensor {
      if (given.length <= most) return method.call(this, ...given);
      throw new ConfigError(
        `${name}: ${describe(given[most])}: an argument too many: x.${name}() takes ${most || 'none'}`,
      );
    },
  });
}
