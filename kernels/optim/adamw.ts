// AdamW over one flat buffer, the global gradient norm whose clip coefficient it reads from the device, and its bias
// correction. Source: Loshchilov and Hutter, arXiv 1711.05101, algorithm 2; clipping: Pascanu et al., arXiv 1211.5063.
// Read next: adamw.wasm.ts, the same fast.

import { defineKernel } from '../kernel.ts';
import { adamwWgsl, biasCorrectionWgsl, gradientNormWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { adamwWasm, gradientNormWasm } from './adamw.wasm.ts';

const CHUNK = 4096; // elements per partial sum: a constant, so that the result does not change with the machine

/**
 * The largest norm of a gradient whose squares single precision can hold: what is longer is clipped to it where there
 * is no other limit.
 */
const LARGEST = 1e18;

/**
 * norm [2] = [ ||x||, min(1, limit / ||x||) ]; limit 0 means no limit but 1e18. Partial sums over chunks, then their
 * sum, in order. In single precision the squares may overflow, or vanish, though the norm does not; then they are taken
 * of scaled numbers. When ||x|| is infinite or no number, norm[1] is 0: what follows must leave everything as it is.
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
    const most = limit > 0 ? Math.min(limit, LARGEST) : LARGEST;
    norm[0] = length;
    norm[1] = !Number.isFinite(Math.fround(length)) ? 0 : length > most ? most / length : 1;
  },
  wasm: gradientNormWasm(CHUNK, LARGEST),
  wgsl: { shader: gradientNormWgsl, grid: () => [1, 1, 1] },
});

/**
 * correction [2] = [ 1 - beta1^t, 1 - beta2^t ] with t = updates - skipped: what the moving means have weighed so far.
 * `updates` counts this one; skipped [1] counts those that were left out, this one included when norm[1] is 0. For
 * devices of single precision, correction1 and correction2 are its values when none was, and decay = -log(beta), at
 * most 80, is what to take the powers with.
 */
export const biasCorrectionKernel = defineKernel({
  name: 'biasCorrection',
  bindings: { norm: 'read', skipped: 'readwrite', correction: 'write' },
  params: ['updates', 'beta1', 'beta2', 'correction1', 'correction2', 'decay1', 'decay2'],
  reference({ norm, skipped, correction }, { updates, beta1, beta2 }) {
    const before = skipped[0]!;
    const t = Math.max(1, updates - before);
    correction[0] = 1 - beta1 ** t;
    correction[1] = 1 - beta2 ** t;
    skipped[0] = before + (norm[1]! > 0 ? 0 : 1);
  },
  wgsl: { shader: biasCorrectionWgsl, grid: () => [1, 1, 1] },
});

/**
 * One step over n values; the first nDecay of them also shrink by rate * weightDecay (decoupled).
 * m and v are the running means of g and g²; rest = 1 - beta, and correction [2] = [1 - beta1^t, 1 - beta2^t] at update
 * t = 1, 2, ... g is the gradient times norm[1], the clip coefficient; when that is 0, a gradient was not finite, and
 * nothing changes.
 */
export const adamwKernel = defineKernel({
  name: 'adamw',
  bindings: {
    values: 'readwrite', m: 'readwrite', v: 'readwrite', gradients: 'read', norm: 'read', correction: 'read',
  },
  params: ['n', 'nDecay', 'rate', 'beta1', 'beta2', 'rest1', 'rest2', 'epsilon', 'weightDecay'],
  reference(
    { values, m, v, gradients, norm, correction },
    { n, nDecay, rate, beta1, beta2, rest1, rest2, epsilon, weightDecay },
  ) {
    const clip = norm[1]!;
    if (!(clip > 0)) return;
    const stepSize = rate / correction[0]!;
    const root = 1 / Math.sqrt(correction[1]!);
    const shrink = 1 - rate * weightDecay;
    for (let i = 0; i < n; i++) {
      const g = gradients[i]! * clip;
      const mean = beta1 * m[i]! + rest1 * g;
      const square = beta2 * v[i]! + rest2 * g * g;
      m[i] = mean;
      v[i] = square;
      const kept = i < nDecay ? values[i]! * shrink : values[i]!;
      values[i] = kept - (stepSize * mean) / (Math.sqrt(square) * root + epsilon);
    }
  },
  wasm: adamwWasm,
  wgsl: { shader: adamwWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 256)) },
});
