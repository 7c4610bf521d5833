// The language model's loss over logits [...,V] and targets [...] (i32; below 0: not counted). Kernels:
// kernels/cross-entropy. A target of V or more is a ShapeError when it came from the host, and a loss of NaN when it
// was made on the device. weightedCrossEntropy when the weights are known beforehand; logProb when they depend on the
// log-probabilities (ReMiT, policy gradients). Read next: token-weights.ts, which makes the weights.

import { fillKernel } from '../../kernels/copy/copy.ts';
import { crossEntropyKernel, logProbBackwardKernel, logProbKernel } from '../../kernels/cross-entropy/cross-entropy.ts';
import { sumKernel } from '../../kernels/reduce/reduce.ts';
import { ShapeError } from '../errors.ts';
import { Call, defineOp, integers, normal, run, type Op } from '../op.ts';
import { optional, real, type Rules } from '../options.ts';
import { checkIds, sameShape, show, sizeOf, type Shape, type Spec } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { mul } from './arithmetic.ts';

interface Counted {
  /** Counted tokens, the divisor; all of them unless given. */
  readonly count?: number;
}

const countRules: Rules<Counted> = { count: optional(real({ above: 0 })) };

/**
 * Weighted mean negative log-likelihood in nats: -sum_i w_i log p(target_i) / count.
 *
 * logits [...,V] f32, targets [...] i32, weights [...] f32 -> loss []; `.all()` gives [loss, logProb [...]] and what
 * backward needs. count: counted tokens, the divisor; all of them unless given. Weights get no gradient: they are
 * constants of the step. Throws ShapeError when the shapes do not match.
 */
export const weightedCrossEntropy: Op<readonly [logits: Tensor, targets: Tensor, weights: Tensor], Counted> = defineOp({
  name: 'weightedCrossEntropy',
  takes: { logits: 'f32', targets: 'i32', weights: 'f32' },
  attrs: countRules,
  infer([logits, targets, weights]) {
    const shape = tokenShape('weightedCrossEntropy', logits, targets);
    if (!sameShape(weights.shape, shape)) {
      throw new ShapeError(
        `weightedCrossEntropy: weights ${show(weights.shape)} for targets ${show(shape)}: shapes differ`,
      );
    }
    return [
      { shape: [], dtype: 'f32' },
      { shape, dtype: 'f32' },
      { shape, dtype: 'f32' },
      { shape: logits.shape, dtype: 'f32' },
    ];
  },
  forward(run, [logits, targets, weights], [loss, logProb, losses, dLogits], { count = targets.size }) {
    run(crossEntropyKernel, {
      logits: logits.storage, targets: targets.storage, weights: weights.storage,
      logProb: logProb!.storage, losses: losses!.storage, dLogits: dLogits!.storage,
    }, { ...rowsOf(logits), scale: 1 / count });
    run(sumKernel, { x: losses!.storage, out: loss.storage }, { outer: 1, length: targets.size, inner: 1, factor: 1 });
  },
  backward: (grad, { outputs: [, , , dLogits] }, need) => [need(0, () => mul(dLogits!, grad)), null, null],
  cases: {
    dims: { N: [1, 4], V: [1, 6] },
    attrs: [() => ({}), () => ({ count: 3 })],
    inputs: ({ N, V }) => [normal(N!, V!), integers(V!, N!), normal(N!)],
  },
});

const crossEntropyCall = new Call('crossEntropy', { logits: 'f32', targets: 'i32' }, countRules);

/**
 * Mean negative log-likelihood in nats, every target with weight 1: logits [...,V], targets [...] i32 -> []. `count`:
 * see weightedCrossEntropy.
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: Counted = {}): Tensor {
  crossEntropyCall.check(arguments);
  const ones = empty({ shape: targets.shape, dtype: 'f32' });
  run(fillKernel, { out: ones.storage }, { n: ones.size, value: 1 });
  return weightedCrossEntropy(logits, targets, ones, options);
}

/** Log-probability of each target in nats: logits [...,V] f32, targets [...] i32 -> [...]; 0 where not counted. */
export const logProb: Op<readonly [logits: Tensor, targets: Tensor], object> = defineOp({
  name: 'logProb',
  takes: { logits: 'f32', targets: 'i32' },
  infer([logits, targets]) {
    const shape = tokenShape('logProb', logits, targets);
    return [{ shape, dtype: 'f32' }, { shape, dtype: 'f32' }];
  },
  forward(run, [logits, targets], [out, logTotal]) {
    run(
      logProbKernel,
      { logits: logits.storage, targets: targets.storage, logProb: out.storage, logTotal: logTotal!.storage },
      rowsOf(logits),
    );
  },
  backward: (grad, { inputs: [logits, targets], outputs: [, logTotal] }, need) => [need(0, () => {
    const dLogits = empty(logits);
    run(
      logProbBackwardKernel,
      {
        logits: logits.storage,
        targets: targets.storage,
        logTotal: logTotal!.storage,
        dLogProb: grad.storage,
        dLogits: dLogits.storage,
      },
      rowsOf(logits),
    );
    return dLogits;
  }), null],
  cases: { dims: { N: [1, 4], V: [1, 6] }, inputs: ({ N, V }) => [normal(N!, V!), integers(V!, N!)] },
});

function tokenShape(where: string, logits: Spec, targets: Spec): Shape {
  const shape = logits.shape.slice(0, -1);
  if (logits.shape.length === 0) {
    throw new ShapeError(`${where}: logits []: need a last axis, one score per token of the vocabulary`);
  }
  if (!sameShape(shape, targets.shape)) {
    throw new ShapeError(
      `${where}: logits ${show(logits.shape)}, targets ${show(targets.shape)}: targets must be ${show(shape)}`,
    );
  }
  checkIds(where, 'target', targets, logits.shape.at(-1)!, { mayBeNegative: true });
  return shape;
}

function rowsOf(logits: Tensor): { rows: number; V: number } {
  const V = logits.shape.at(-1)!;
  return { rows: sizeOf(logits.shape) / V, V };
}
