// The loss of policy-gradient RL over log-probabilities [...,T] of tokens that a model wrote. Kernel:
// kernels/remit/policy-loss.ts. Used by: remit/phases/rl.ts.

import { policyLossKernel } from '../../kernels/remit/policy-loss.ts';
import { sumKernel } from '../../kernels/reduce/reduce.ts';
import { ShapeError } from '../errors.ts';
import { defineOp, integers, normal, type Op } from '../op.ts';
import { optional, real } from '../options.ts';
import { checkTokens, sameShape, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { mul } from './arithmetic.ts';

/** Clips, the weight of the KL penalty, and the divisor of the policy loss. */
export interface PolicyLossOptions {
  /**
   * The ratio's gradient stops outside 1 - clip .. 1 + clipHigh, where following it further would pay; 0.2 unless given,
   * and as much above as below.
   */
  readonly clip?: number;
  readonly clipHigh?: number;
  /** Weight of the k3 estimate of KL(model || reference); 0 unless given. */
  readonly klWeight?: number;
  /** The divisor: number of counted tokens; all unless given. */
  readonly count?: number;
}

/**
 * Mean over counted tokens of -min(r A, clip(r, 1 - c, 1 + h) A) + klWeight k3, with r = exp(logProb - old), d =
 * reference - logProb, k3 = exp(d) - d - 1 (PPO, arXiv 1707.06347; k3 as in GRPO, arXiv 2402.03300; two
 * bounds as in DAPO, arXiv 2503.14476).
 *
 * logProb, old, reference [...,T] f32 in nats, advantage [...] f32, one per sequence, or [...,2], which adds what each
 * of its tokens counts, targets [...,T] i32 (below 0: not
 * counted) -> []; `.all()` gives [loss, losses [...,T], dLogProb [...,T], diagnostics [2,...,T]: k3, and 1 where the
 * gradient was cut off]. Only logProb gets a gradient: what wrote the tokens, what is kept close to, and how good they
 * were are constants. Throws ShapeError.
 */
export const policyLoss: Op<
  readonly [logProb: Tensor, old: Tensor, reference: Tensor, advantage: Tensor, targets: Tensor],
  PolicyLossOptions
> = defineOp({
  name: 'policyLoss',
  takes: { logProb: 'f32', old: 'f32', reference: 'f32', advantage: 'f32', targets: 'i32' },
  attrs: {
    clip: optional(real({ from: 0 })),
    clipHigh: optional(real({ from: 0 })),
    klWeight: optional(real({ from: 0 })),
    count: optional(real({ above: 0 })),
  },
  infer([logProb, old, reference, advantage, targets]) {
    checkTokens('policyLoss', { logProb, old, reference }, targets);
    const { shape } = logProb;
    const rows = shape.slice(0, -1);
    if (!sameShape(advantage.shape, rows) && !sameShape(advantage.shape, [...rows, 2])) {
      throw new ShapeError(
        `policyLoss: advantage ${show(advantage.shape)} for tokens ${show(shape)}: must be ${show(rows)}, one per ` +
        `sequence, or ${show([...rows, 2])}, with what its tokens count`,
      );
    }
    return [
      { shape: [], dtype: 'f32' },
      { shape, dtype: 'f32' },
      { shape, dtype: 'f32' },
      { shape: [2, ...shape], dtype: 'f32' },
    ];
  },
  forward(
    run,
    [logProb, old, reference, advantage, targets],
    [loss, losses, dLogProb, diagnostics],
    { clip = 0.2, clipHigh = clip, klWeight = 0, count = targets.size },
  ) {
    const T = logProb.shape.at(-1)!;
    run(
      policyLossKernel,
      {
        logProb: logProb.storage,
        old: old.storage,
        reference: reference.storage,
        advantage: advantage.storage,
        targets: targets.storage,
        losses: losses!.storage,
        dLogProb: dLogProb!.storage,
        diagnostics: diagnostics!.storage,
      },
      {
        rows: logProb.size / T, T, clip, clipHigh, klWeight, factor: 1 / count,
        weighted: Number(advantage.shape.length === logProb.shape.length),
      },
    );
    run(sumKernel, { x: losses!.storage, out: loss.storage }, { outer: 1, length: targets.size, inner: 1, factor: 1 });
  },
  backward: (grad, { outputs: [, , dLogProb] }, need) => [need(0, () => mul(dLogProb!, grad)), null, null, null, null],
  cases: {
    // a clip of 1000 cuts nothing off: the kinks are the business of tests by hand
    dims: { R: [1, 3], T: [1, 4], weighted: [0, 1] },
    attrs: [() => ({ clip: 1000 }), () => ({ clip: 1000, clipHigh: 2000, klWeight: 0.3, count: 3 })],
    inputs: ({ R, T, weighted }) => [
      normal(R!, T!), normal(R!, T!), normal(R!, T!), weighted ? normal(R!, 2) : normal(R!), integers(5, R!, T!),
    ],
  },
});
