// Softmax and its logarithm over the last axis of [rows, V], with the maximum subtracted so that nothing overflows.
// A row that has a NaN, an infinity above, or nothing but infinities below, is NaN in every place. Read next:
// softmax.wasm.ts, the same fast.

import { defineKernel, type HostArray } from '../kernel.ts';
import { logSoftmaxBackwardWgsl, logSoftmaxWgsl, softmaxBackwardWgsl, softmaxWgsl } from '../generated.ts';
import { sharedRows } from '../wgsl.ts';
import { logSoftmaxBackwardWasm, logSoftmaxWasm, softmaxBackwardWasm, softmaxWasm } from './softmax.wasm.ts';

/** out = exp(x) / sum(exp(x)) per row. */
export const softmaxKernel = defineKernel({
  name: 'softmax',
  bindings: { x: 'read', out: 'write' },
  params: ['rows', 'V'],
  reference({ x, out }, { rows, V }) {
    for (let r = 0; r < rows; r++) {
      const { most, total } = expSum(x, r * V, V);
      for (let p = r * V; p < (r + 1) * V; p++) out[p] = Math.exp(x[p]! - most) / total;
    }
  },
  wasm: softmaxWasm,
  ...sharedRows(softmaxWgsl, ({ rows, V }) => ({ rows, length: V })),
});

/** dx = y (dy - sum(dy y)) per row. */
export const softmaxBackwardKernel = defineKernel({
  name: 'softmaxBackward',
  bindings: { y: 'read', dy: 'read', dx: 'write' },
  params: ['rows', 'V'],
  reference({ y, dy, dx }, { rows, V }) {
    for (let r = 0; r < rows; r++) {
      let dot = 0;
      for (let p = r * V; p < (r + 1) * V; p++) dot += dy[p]! * y[p]!;
      for (let p = r * V; p < (r + 1) * V; p++) dx[p] = y[p]! * (dy[p]! - dot);
    }
  },
  wasm: softmaxBackwardWasm,
  ...sharedRows(softmaxBackwardWgsl, ({ rows, V }) => ({ rows, length: V })),
});

/** out = x - log(sum(exp(x))) per row, in nats. */
export const logSoftmaxKernel = defineKernel({
  name: 'logSoftmax',
  bindings: { x: 'read', out: 'write' },
  params: ['rows', 'V'],
  reference({ x, out }, { rows, V }) {
    for (let r = 0; r < rows; r++) {
      const { most, total } = expSum(x, r * V, V);
      for (let p = r * V; p < (r + 1) * V; p++) out[p] = x[p]! - most - Math.log(total);
    }
  },
  wasm: logSoftmaxWasm,
  ...sharedRows(logSoftmaxWgsl, ({ rows, V }) => ({ rows, length: V })),
});

/** dx = dy - exp(y) sum(dy) per row. */
export const logSoftmaxBackwardKernel = defineKernel({
  name: 'logSoftmaxBackward',
  bindings: { y: 'read', dy: 'read', dx: 'write' },
  params: ['rows', 'V'],
  reference({ y, dy, dx }, { rows, V }) {
    for (let r = 0; r < rows; r++) {
      let total = 0;
      for (let p = r * V; p < (r + 1) * V; p++) total += dy[p]!;
      for (let p = r * V; p < (r + 1) * V; p++) dx[p] = dy[p]! - Math.exp(y[p]!) * total;
    }
  },
  wasm: logSoftmaxBackwardWasm,
  ...sharedRows(logSoftmaxBackwardWgsl, ({ rows, V }) => ({ rows, length: V })),
});

/** sum(exp(x)) of `count` elements from `start`, as exp(most) times a total from 1 to count. */
export function expSum(x: HostArray, start: number, count: number): { readonly most: number; readonly total: number } {
  let most = -Infinity;
  for (let p = start; p < start + count; p++) most = Math.max(most, x[p]!);
  let total = 0;
  for (let p = start; p < start + count; p++) total += Math.exp(x[p]! - most);
  return { most, total };
}
