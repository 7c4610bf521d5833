// Reductions along one axis of [outer, length, inner]; the sum runs in order, in double precision. Read next:
// reduce.wasm.ts, the same fast.

import { defineKernel } from '../kernel.ts';
import { maxBackwardWgsl, maxWgsl, sumWgsl } from '../generated.ts';
import { ceilDiv, flatGrid, sharedRows } from '../wgsl.ts';
import { sumWasm } from './reduce.wasm.ts';

/** out[o,i] = factor * sum over k of x[o,k,i]. */
export const sumKernel = defineKernel({
  name: 'sum',
  bindings: { x: 'read', out: 'write' },
  params: ['outer', 'length', 'inner', 'factor'],
  reference({ x, out }, { outer, length, inner, factor }) {
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        let total = 0;
        for (let k = 0, p = o * length * inner + i; k < length; k++, p += inner) total += x[p]!;
        out[o * inner + i] = factor * total;
      }
    }
  },
  wasm: sumWasm,
  ...sharedRows(sumWgsl, ({ outer, length, inner }) => ({ rows: outer * inner, length })),
});

/** out[o,i] = the largest x[o,k,i]. */
export const maxKernel = defineKernel({
  name: 'max',
  bindings: { x: 'read', out: 'write' },
  params: ['outer', 'length', 'inner'],
  reference({ x, out }, { outer, length, inner }) {
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        let best = x[o * length * inner + i]!;
        for (let k = 1, p = (o * length + 1) * inner + i; k < length; k++, p += inner) best = Math.max(best, x[p]!);
        out[o * inner + i] = best;
      }
    }
  },
  wgsl: { shader: maxWgsl, grid: ({ outer, inner }) => flatGrid(ceilDiv(outer * inner, 64)) },
});

/** dx[o,k,i] = dy[o,i] at the first k where x is the maximum y, else 0. */
export const maxBackwardKernel = defineKernel({
  name: 'maxBackward',
  bindings: { x: 'read', y: 'read', dy: 'read', dx: 'write' },
  params: ['outer', 'length', 'inner'],
  reference({ x, y, dy, dx }, { outer, length, inner }) {
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        let found = false;
        for (let k = 0, p = o * length * inner + i; k < length; k++, p += inner) {
          const here: boolean = !found && x[p] === y[o * inner + i];
          dx[p] = here ? dy[o * inner + i]! : 0;
          found ||= here;
        }
      }
    }
  },
  wgsl: { shader: maxBackwardWgsl, grid: ({ outer, inner }) => flatGrid(ceilDiv(outer * inner, 64)) },
});
