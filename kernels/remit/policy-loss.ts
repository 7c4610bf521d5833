// The loss of policy-gradient RL on tokens that a model wrote itself, and its gradient, in one pass.
//   r    = exp(logProb - old)                                    probability ratio to the model that wrote them;
//   exactly 1 at first
//   loss = - min(r A, clip(r, 1 - clip, 1 + clipHigh) A) + klWeight k3
//   k3   = exp(d) - d - 1 >= 0,  d = reference - logProb         an estimate of KL(model || reference)
// Both exponents are limited to 80, so that a token that has become e^80 times as likely makes a large loss and a
// finite gradient. Sources: PPO, arXiv 1707.06347, equation 7; k3 as in GRPO, arXiv 2402.03300, equation 4; two bounds
// as in DAPO, arXiv 2503.14476, equation 8. Used by: engine/ops/policy-loss.ts.

import { defineKernel } from '../kernel.ts';
import { policyLossWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { policyLossWasm } from './remit.wasm.ts';

/** Of an exponent: exp(80) is 5.5e34, and single precision ends at 3.4e38. */
const MOST = 80;

/**
 * logProb, old, reference [rows,T], advantage [rows], targets [rows,T] (below 0: not counted) -> losses [rows,T], times
 * `factor`; dLogProb [rows,T], the gradient of their sum; diagnostics [2,rows,T]: k3, and 1 where the ratio's gradient
 * is cut off. weighted = 1: advantage is [rows,2], and the second is what each token of the row counts, beside `factor`.
 */
export const policyLossKernel = defineKernel({
  name: 'policyLoss',
  bindings: {
    logProb: 'read', old: 'read', reference: 'read', advantage: 'read', targets: 'read', losses: 'write',
    dLogProb: 'write', diagnostics: 'write',
  },
  params: ['rows', 'T', 'clip', 'clipHigh', 'klWeight', 'factor', 'weighted'],
  reference(
    { logProb, old, reference, advantage, targets, losses, dLogProb, diagnostics },
    { rows, T, clip, clipHigh, klWeight, factor: common, weighted },
  ) {
    const n = rows * T;
    for (let i = 0; i < n; i++) {
      if (targets[i]! < 0) {
        losses[i] = dLogProb[i] = diagnostics[i] = diagnostics[n + i] = 0;
        continue;
      }
      const at = Math.floor(i / T) * (1 + weighted);
      const gain = advantage[at]!;
      const factor = weighted ? common * advantage[at + 1]! : common;
      const ratio = Math.exp(Math.min(logProb[i]! - old[i]!, MOST));
      const limited = Math.min(1 + clipHigh, Math.max(1 - clip, ratio));
      const cut = limited * gain < ratio * gain;
      const d = reference[i]! - logProb[i]!;
      const power = Math.exp(Math.min(d, MOST));
      const k3 = power - d - 1;
      losses[i] = factor * (klWeight * k3 - (cut ? limited : ratio) * gain);
      dLogProb[i] = factor * (klWeight * (1 - power) - (cut ? 0 : ratio * gain));
      diagnostics[i] = k3;
      diagnostics[n + i] = cut ? 1 : 0;
    }
  },
  wasm: policyLossWasm,
  wgsl: { shader: policyLossWgsl, grid: ({ rows, T }) => flatGrid(ceilDiv(rows * T, 64)) },
});
