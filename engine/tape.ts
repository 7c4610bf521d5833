// Reverse-mode differentiation. Each result remembers the op that made it; backward() walks those memories from the
// loss to the leaves, newest first, which is always a valid order.
// Read after: tensor.ts. Read next: op.ts, step.ts.

import { accumulateKernel, fillKernel } from '../kernels/copy/copy.ts';
import { binaryKernels } from '../kernels/elementwise/elementwise.ts';
import { ShapeError } from './errors.ts';
import { checkArguments, optional } from './options.ts';
import { backend, isRecording, noGrad } from './runtime.ts';
import { sameShape, show } from './shape.ts';
import { aTensor, empty, Tensor, type Need, type TapeNode } from './tensor.ts';

let lastId = 0;

/** Links a result to the op that made it and to its backward, if any input wants a gradient. */
export function record(
  name: string,
  inputs: readonly Tensor[],
  result: Tensor,
  backward: TapeNode['backward'],
): Tensor {
  if (!isRecording() || !inputs.some((x) => x.needsGrad)) return result;
  const { shape, dtype, storage, arena } = result;
  const node: TapeNode = { id: ++lastId, name, inputs, backward };
  return new Tensor({ shape, dtype, storage, arena, needsGrad: true, node });
}

/** What backward() found, by tensor. */
export interface Gradients {
  /** Gradient of a leaf or of any intermediate result; undefined where the loss does not depend on it. */
  of(x: Tensor): Tensor | undefined;
}

/**
 * Differentiates a scalar (or, given `seed`, the sum of loss * seed). Parameters' gradients are added to their slots,
 * as often as it is called. A loss of constants has no gradients, and is no error. Throws ShapeError when the loss is
 * no scalar and no seed of its shape is given, and for integers.
 */
export function backward(loss: Tensor, seed?: Tensor): Gradients {
  checkArguments('backward', arguments, { loss: aTensor, seed: optional(aTensor) });
  for (const [name, given] of Object.entries({ loss, seed })) {
    if (given && given.dtype !== 'f32') {
      throw new ShapeError(`backward: ${name} ${show(given.shape)} ${given.dtype}: must be f32`);
    }
  }
  if (!seed && loss.size !== 1) {
    throw new ShapeError(`backward: loss ${show(loss.shape)}: must be a scalar, or come with a seed of its shape`);
  }
  if (seed && !sameShape(seed.shape, loss.shape)) {
    throw new ShapeError(`backward: seed ${show(seed.shape)} for ${show(loss.shape)}: shapes differ`);
  }
  return noGrad(() => {
    const gradients = new Map<TapeNode | Tensor, Tensor>();
    gradients.set(keyOf(loss), seed ?? ones(loss));
    for (const node of newestFirst(loss)) {
      const grad = gradients.get(node);
      if (!grad) continue;
      const need: Need = (i, make) => (node.inputs[i]!.needsGrad ? make(node.inputs[i]!.gradient ?? undefined) : null);
      node.backward(grad, need).forEach((g, i) => {
        if (g) accumulate(gradients, node.inputs[i]!, g);
      });
    }
    return {
      of(x) {
        checkArguments('backward: of', arguments, { x: aTensor });
        return x.gradient ?? gradients.get(keyOf(x));
      },
    };
  });
}

/** A result is known by its node, since views of it (reshape) are other tensors; a leaf by itself. */
function keyOf(x: Tensor): TapeNode | Tensor {
  return x.node ?? x;
}

function accumulate(gradients: Map<TapeNode | Tensor, Tensor>, x: Tensor, g: Tensor): void {
  if (!sameShape(g.shape, x.shape)) {
    throw new ShapeError(`internal: gradient ${show(g.shape)} of a tensor ${show(x.shape)}`);
  }
  if (x.gradient) {
    if (g !== x.gradient) {
      backend().dispatch(accumulateKernel, { x: g.storage, out: x.gradient.storage }, { n: x.size });
    }
    return;
  }
  const before = gradients.get(keyOf(x));
  gradients.set(keyOf(x), before ? sumOf(before, g) : g);
}

/** A new tensor: the same gradient may belong to several tensors, so it is never added to in place. */
function sumOf(a: Tensor, b: Tensor): Tensor {
  const out = empty({ shape: a.shape, dtype: 'f32' });
  const flat = { d0: 1, d1: 1, d2: 1, d3: a.size, a0: 0, a1: 0, a2: 0, a3: 1, b0: 0, b1: 0, b2: 0, b3: 1 };
  backend().dispatch(binaryKernels.add, { a: a.storage, b: b.storage, out: out.storage }, flat);
  return out;
}

function ones(like: Tensor): Tensor {
  const one = empty({ shape: like.shape, dtype: 'f32' });
  backend().dispatch(fillKernel, { out: one.storage }, { n: one.size, value: 1 });
  return one;
}

/** Every node that the loss depends on, in falling order of id. */
function newestFirst(loss: Tensor): TapeNode[] {
  const seen = new Set<TapeNode>();
  const todo = loss.node ? [loss.node] : [];
  for (let node = todo.pop(); node; node = todo.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const { node: maker } of node.inputs) if (maker) todo.push(maker);
  }
  return [...seen].sort((a, b) => b.id - a.id);
}
