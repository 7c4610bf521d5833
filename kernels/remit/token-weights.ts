// ReMiT's token weights: how much more than the model does a reference expect each token, compared with the rest of its
// row?
//   gap_t = reference_t - model_t            log-probabilities of the token that is there, in nats
//   u_t   = scale (gap_t - mean of gap over the row's counted tokens)
//   w_t   = clip(2 sigmoid(u_t), 1 - epsilon, 1 + epsilon);  0 where a token is not counted (its target is below 0)
// Source: arXiv 2602.03075. Read next: remit/weights.ts.

import { defineKernel, type HostArray } from '../kernel.ts';
import { tokenWeightsBackwardWgsl, tokenWeightsWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { tokenWeightsBackwardWasm, tokenWeightsWasm } from './remit.wasm.ts';

/** reference, model, targets [rows,T] -> weights [rows,T]. centre 0 leaves the row's mean gap in. */
export const tokenWeightsKernel = defineKernel({
  name: 'tokenWeights',
  bindings: { reference: 'read', model: 'read', targets: 'read', weights: 'write' },
  params: ['rows', 'T', 'scale', 'epsilon', 'centre'],
  reference({ reference, model, targets, weights }, { rows, T, scale, epsilon, centre }) {
    for (let start = 0; start < rows * T; start += T) {
      const mean = countedMean(targets, start, T, (i) => reference[i]! - model[i]!);
      for (let i = start; i < start + T; i++) {
        const u = scale * (reference[i]! - model[i]! - (centre ? mean : 0));
        weights[i] = targets[i]! < 0 ? 0 : Math.min(1 + epsilon, Math.max(1 - epsilon, 2 / (1 + Math.exp(-u))));
      }
    }
  },
  wasm: tokenWeightsWasm,
  wgsl: { shader: tokenWeightsWgsl, grid: ({ rows }) => flatGrid(ceilDiv(rows, 64)) },
});

/**
 * dModel [rows,T], the gradient through the weights; the reference's is its negative. A clipped weight passes none on.
 */
export const tokenWeightsBackwardKernel = defineKernel({
  name: 'tokenWeightsBackward',
  bindings: { reference: 'read', model: 'read', targets: 'read', dWeights: 'read', dModel: 'write' },
  params: ['rows', 'T', 'scale', 'epsilon', 'centre'],
  reference({ reference, model, targets, dWeights, dModel }, { rows, T, scale, epsilon, centre }) {
    for (let start = 0; start < rows * T; start += T) {
      const mean = countedMean(targets, start, T, (i) => reference[i]! - model[i]!);
      const dGap = (i: number): number => {
        const w = 2 / (1 + Math.exp(-scale * (reference[i]! - model[i]! - (centre ? mean : 0))));
        return w > 1 - epsilon && w < 1 + epsilon ? dWeights[i]! * scale * w * (1 - w / 2) : 0;
      };
      const meanOfGradients = countedMean(targets, start, T, dGap);
      for (let i = start; i < start + T; i++) {
        dModel[i] = targets[i]! < 0 ? 0 : (centre ? meanOfGradients : 0) - dGap(i);
      }
    }
  },
  wasm: tokenWeightsBackwardWasm,
  wgsl: { shader: tokenWeightsBackwardWgsl, grid: ({ rows }) => flatGrid(ceilDiv(rows, 64)) },
});

/** Mean of f over the counted tokens of a row; 0 when none is. */
function countedMean(targets: HostArray, start: number, T: number, f: (i: number) => number): number {
  let total = 0;
  let count = 0;
  for (let i = start; i < start + T; i++) {
    if (targets[i]! < 0) continue;
    total += f(i);
    count++;
  }
  return count === 0 ? 0 : total / count;
}
