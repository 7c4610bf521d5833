// AdamW over one flat buffer, and the global gradient norm whose clip coefficient it reads from the device.
// Source: Loshchilov and Hutter, arXiv 1711.05101, algorithm 2; clipping: Pascanu et al., arXiv 1211.5063.

import { defineKernel } from '../kernel.ts';
import { adamwWgsl, gradientNormWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { adamwWasm, gradientNormWasm } from './adamw.wasm.ts';

const CHUNK = 4096; // elements per partial sum: a constant, so that the result does not change with the machine

/**
 * norm [2] = [ ||x||, min(1, limit / ||x||) ]; limit 0 means no limit. Partial sums over chunks, then their sum, in order.
 * When ||x|| is infinite or no number, norm[1] is 0: what follows must leave everything as it is.
 */
export const gradientNormKernel = defineKernel({
  name: 'gradientNorm',
  bindings: { x: 'read', norm: 'write' },
  params: ['n', 'limit'],
  reference({ x, norm }, { n, limit }) {
    let total = 0;
    for (let start = 0; start < n; start += CHUNK) {
      let partial = 0;
      for (let i = start; i < Math.min(n, start + CHUNK); i++) partial += x[i]! * x[i]!;
      total += partial;
    }
    const length = Math.sqrt(total);
    norm[0] = length;
    norm[1] = !Number.isFinite(length) ? 0 : limit > 0 && length > limit ? limit / length : 1;
  },
  wasm: gradientNormWasm(CHUNK),
  wgsl: { shader: gradientNormWgsl, grid: () => [1, 1, 1] },
});

/**
 * One step over n values; the first nDecay of them also shrink by rate * weightDecay (decoupled).
 * m and v are the running means of g and g²; rest = 1 - beta, and correction1 = 1 - beta1^t, correction2 = 1 - beta2^t at step t = 1, 2, ...
 * g is the gradient times norm[1], the clip coefficient; when that is 0, a gradient was not finite, and nothing changes.
 */
export const adamwKernel = defineKernel({
  name: 'adamw',
  bindings: { values: 'readwrite', m: 'readwrite', v: 'readwrite', gradients: 'read', norm: 'read' },
  params: ['n', 'nDecay', 'rate', 'beta1', 'beta2', 'rest1', 'rest2', 'epsilon', 'weightDecay', 'correction1', 'correction2'],
  reference({ values, m, v, gradients, norm }, { n, nDecay, rate, beta1, beta2, rest1, rest2, epsilon, weightDecay, correction1, correction2 }) {
    const clip = norm[1]!;
    if (clip === 0) return;
    const stepSize = rate / correction1, root = 1 / Math.sqrt(correction2), shrink = 1 - rate * weightDecay;
    for (let i = 0; i < n; i++) {
      const g = gradients[i]! * clip;
      const mean = beta1 * m[i]! + rest1 * g, square = beta2 * v[i]! + rest2 * g * g;
      m[i] = mean;
      v[i] = square;
      const kept = i < nDecay ? values[i]! * shrink : values[i]!;
      values[i] = kept - stepSize * mean / (Math.sqrt(square) * root + epsilon);
    }
  },
  wasm: adamwWasm,
  wgsl: { shader: adamwWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 256)) },
});
