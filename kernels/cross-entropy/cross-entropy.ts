// The language model's loss. A row of logits [V] and its target give a log-probability, in nats; the loss is a weighted
// mean of them. Two ways: `crossEntropy` knows the weights beforehand and makes loss and gradient in one pass over the
// logits; `logProb` gives the log-probabilities first, for weights that depend on them (ReMiT, policy gradients), and
// its gradient in a second pass. A target below 0 is not counted: its log-probability is 0 and its gradient 0. One of V
// or more is nobody's number: its log-probability is NaN, and so are its loss and its gradient. Read next:
// cross-entropy.wasm.ts, the same fast.

import { defineKernel } from '../kernel.ts';
import { crossEntropyWgsl, logProbBackwardWgsl, logProbWgsl } from '../generated.ts';
import { ceilDiv, flatGrid, sharedRows } from '../wgsl.ts';
import { crossEntropyWasm, logProbBackwardWasm, logProbWasm } from './cross-entropy.wasm.ts';
import { expSum } from '../softmax/softmax.ts';

/**
 * logits [rows,V], targets [rows], weights [rows] -> logProb [rows]; losses [rows] = -scale w logProb;
 * dLogits [rows,V] = scale w (softmax - onehot), the gradient of sum(losses). `scale` is 1 / counted tokens.
 */
export const crossEntropyKernel = defineKernel({
  name: 'crossEntropy',
  bindings: { logits: 'read', targets: 'read', weights: 'read', logProb: 'write', losses: 'write', dLogits: 'write' },
  params: ['rows', 'V', 'scale'],
  reference({ logits, targets, weights, logProb, losses, dLogits }, { rows, V, scale }) {
    for (let r = 0; r < rows; r++) {
      const target = targets[r]!;
      const start = r * V;
      if (target < 0) {
        logProb[r] = losses[r] = 0;
        dLogits.fill(0, start, start + V);
        continue;
      }
      if (target >= V) {
        logProb[r] = losses[r] = NaN;
        dLogits.fill(NaN, start, start + V);
        continue;
      }
      const { most, total } = expSum(logits, start, V);
      const weight = scale * weights[r]!;
      // in this order: beside a huge logit the logarithm would be lost
      const value = logits[start + target]! - most - Math.log(total);
      for (let p = start; p < start + V; p++) dLogits[p] = weight * Math.exp(logits[p]! - most) / total;
      dLogits[start + target] = weight * (Math.exp(value) - 1);
      logProb[r] = value;
      losses[r] = -weight * value;
    }
  },
  wasm: crossEntropyWasm,
  ...sharedRows(crossEntropyWgsl, ({ rows, V }) => ({ rows, length: V })),
});

/** logits [rows,V], targets [rows] -> logProb [rows], logTotal [rows] = log(sum(exp(logits))). */
export const logProbKernel = defineKernel({
  name: 'logProb',
  bindings: { logits: 'read', targets: 'read', logProb: 'write', logTotal: 'write' },
  params: ['rows', 'V'],
  reference({ logits, targets, logProb, logTotal }, { rows, V }) {
    for (let r = 0; r < rows; r++) {
      const target = targets[r]!;
      const { most, total } = expSum(logits, r * V, V);
      logTotal[r] = most + Math.log(total);
      logProb[r] = target < 0 ? 0 : target >= V ? NaN : logits[r * V + target]! - most - Math.log(total);
    }
  },
  wasm: logProbWasm,
  ...sharedRows(logProbWgsl, ({ rows, V }) => ({ rows, length: V })),
});

/** dLogits = dLogProb (onehot - softmax) per row; 0 where the target is not counted. */
export const logProbBackwardKernel = defineKernel({
  name: 'logProbBackward',
  bindings: { logits: 'read', targets: 'read', logTotal: 'read', dLogProb: 'read', dLogits: 'write' },
  params: ['rows', 'V'],
  reference({ logits, targets, logTotal, dLogProb, dLogits }, { rows, V }) {
    for (let r = 0; r < rows; r++) {
      const target = targets[r]!;
      const start = r * V;
      const total = logTotal[r]!;
      const d = dLogProb[r]!;
      if (target < 0 || target >= V) {
        dLogits.fill(target < 0 ? 0 : NaN, start, start + V);
        continue;
      }
      for (let p = start; p < start + V; p++) dLogits[p] = -d * Math.exp(logits[p]! - total);
      dLogits[start + target] = d * (1 - Math.exp(logits[start + target]! - total));
    }
  },
  wasm: logProbBackwardWasm,
  wgsl: { shader: logProbBackwardWgsl, grid: ({ rows, V }) => flatGrid(ceilDiv(rows * V, 64)) },
});
