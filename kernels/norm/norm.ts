// Normalisation of each row of x [rows,C]: RMSNorm divides by the root mean square, LayerNorm first takes the mean
// away. epsilon is added to the mean square or variance, inside the root. What the backward needs of a row, its mean
// and the reciprocal rstd of its root, is saved by the forward.
// Sources: RMSNorm, arXiv 1910.07467; LayerNorm, arXiv 1607.06450. Read next: norm.wasm.ts, the same fast.

import { defineKernel } from '../kernel.ts';
import { layerNormBackwardWgsl, layerNormWgsl, rmsNormBackwardWgsl, rmsNormWgsl } from '../generated.ts';
import { sharedRows } from '../wgsl.ts';
import { layerNormBackwardWasm, layerNormWasm, rmsNormBackwardWasm, rmsNormWasm } from './norm.wasm.ts';

/** rstd [rows] = 1 / sqrt(mean(x²) + epsilon); out = x rstd weight. weight [C]. */
export const rmsNormKernel = defineKernel({
  name: 'rmsNorm',
  bindings: { x: 'read', weight: 'read', out: 'write', rstd: 'write' },
  params: ['rows', 'C', 'epsilon'],
  reference({ x, weight, out, rstd }, { rows, C, epsilon }) {
    for (let r = 0; r < rows; r++) {
      const start = r * C;
      let square = 0;
      for (let c = 0; c < C; c++) square += x[start + c]! * x[start + c]!;
      const scale = 1 / Math.sqrt(square / C + epsilon);
      for (let c = 0; c < C; c++) out[start + c] = x[start + c]! * scale * weight[c]!;
      rstd[r] = scale;
    }
  },
  wasm: rmsNormWasm,
  ...sharedRows(rmsNormWgsl, ({ rows, C }) => ({ rows, length: C })),
});

/**
 * dx = rstd (g - n mean(g n)) with g = dOut weight and n = x rstd, the normalised row; dWeight [C] = sum over rows of
 * dOut n, added to dWeight with accumulate = 1.
 */
export const rmsNormBackwardKernel = defineKernel({
  name: 'rmsNormBackward',
  bindings: { x: 'read', weight: 'read', rstd: 'read', dOut: 'read', dx: 'write', dWeight: 'readwrite' },
  params: ['rows', 'C', 'accumulate'],
  reference({ x, weight, rstd, dOut, dx, dWeight }, { rows, C, accumulate }) {
    const sums = new Float64Array(C);
    for (let r = 0; r < rows; r++) {
      const start = r * C;
      const scale = rstd[r]!;
      let dot = 0;
      for (let c = 0; c < C; c++) {
        const product = dOut[start + c]! * x[start + c]!;
        dot += product * weight[c]!;
        sums[c]! += product * scale;
      }
      const pull = dot * scale * scale / C;
      for (let c = 0; c < C; c++) dx[start + c] = scale * (dOut[start + c]! * weight[c]! - x[start + c]! * pull);
    }
    for (let c = 0; c < C; c++) dWeight[c] = (accumulate ? dWeight[c]! : 0) + sums[c]!;
  },
  wasm: rmsNormBackwardWasm,
  ...sharedRows(rmsNormBackwardWgsl, ({ rows, C }) => ({ rows, length: C, columns: C })),
});

/** mean [rows]; rstd [rows] = 1 / sqrt(variance + epsilon); out = (x - mean) rstd weight + bias. weight, bias [C]. */
export const layerNormKernel = defineKernel({
  name: 'layerNorm',
  bindings: { x: 'read', weight: 'read', bias: 'read', out: 'write', mean: 'write', rstd: 'write' },
  params: ['rows', 'C', 'epsilon'],
  reference({ x, weight, bias, out, mean, rstd }, { rows, C, epsilon }) {
    for (let r = 0; r < rows; r++) {
      const start = r * C;
      let total = 0;
      let square = 0;
      for (let c = 0; c < C; c++) total += x[start + c]!;
      const centre = total / C;
      for (let c = 0; c < C; c++) square += (x[start + c]! - centre) * (x[start + c]! - centre);
      const scale = 1 / Math.sqrt(square / C + epsilon);
      for (let c = 0; c < C; c++) out[start + c] = (x[start + c]! - centre) * scale * weight[c]! + bias[c]!;
      mean[r] = centre;
      rstd[r] = scale;
    }
  },
  wasm: layerNormWasm,
  ...sharedRows(layerNormWgsl, ({ rows, C }) => ({ rows, length: C })),
});

/**
 * dx = rstd (g - mean(g) - n mean(g n)) with g = dOut weight and n = (x - mean) rstd, the normalised row; dWeight [C] =
 * sum over rows of dOut n; dBias [C] = sum over rows of dOut. The last two are added to what is there with their
 * accumulate flag.
 */
export const layerNormBackwardKernel = defineKernel({
  name: 'layerNormBackward',
  bindings: {
    x: 'read', weight: 'read', mean: 'read', rstd: 'read', dOut: 'read', dx: 'write', dWeight: 'readwrite',
    dBias: 'readwrite',
  },
  params: ['rows', 'C', 'accumulateWeight', 'accumulateBias'],
  reference({ x, weight, mean, rstd, dOut, dx, dWeight, dBias }, { rows, C, accumulateWeight, accumulateBias }) {
    const forWeight = new Float64Array(C);
    const forBias = new Float64Array(C);
    for (let r = 0; r < rows; r++) {
      const start = r * C;
      const centre = mean[r]!;
      const scale = rstd[r]!;
      let total = 0;
      let dot = 0;
      for (let c = 0; c < C; c++) {
        const d = dOut[start + c]!;
        const g = d * weight[c]!;
        const offset = x[start + c]! - centre;
        total += g;
        dot += g * offset;
        forWeight[c]! += d * offset * scale;
        forBias[c]! += d;
      }
      const shift = total / C;
      const pull = (dot * scale * scale) / C;
      for (let c = 0; c < C; c++) {
        dx[start + c] = scale * (dOut[start + c]! * weight[c]! - shift - (x[start + c]! - centre) * pull);
      }
    }
    for (let c = 0; c < C; c++) {
      dWeight[c] = (accumulateWeight ? dWeight[c]! : 0) + forWeight[c]!;
      dBias[c] = (accumulateBias ? dBias[c]! : 0) + forBias[c]!;
    }
  },
  wasm: layerNormBackwardWasm,
  ...sharedRows(layerNormBackwardWgsl, ({ rows, C }) => ({ rows, length: C, columns: C })),
});
