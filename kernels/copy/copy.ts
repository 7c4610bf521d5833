// Moving elements: fill, copy, add to, permute, and copying a block of rows (which slices and concatenates). Read
// next: copy.wasm.ts, the same fast.

import { defineKernel } from '../kernel.ts';
import { accumulateWgsl, copyRowsWgsl, copyWgsl, fillWgsl, permuteWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { accumulateWasm, copyRowsWasm, copyWasm, fillWasm, permuteWasm } from './copy.wasm.ts';

/** out[i] = value. */
export const fillKernel = defineKernel({
  name: 'fill',
  bindings: { out: 'write' },
  params: ['n', 'value'],
  reference({ out }, { n, value }) {
    out.fill(value, 0, n);
  },
  wasm: fillWasm,
  wgsl: { shader: fillWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 256)) },
});

/** out[i] = x[i]. */
export const copyKernel = defineKernel({
  name: 'copy',
  bindings: { x: 'read', out: 'write' },
  params: ['n'],
  reference({ x, out }, { n }) {
    for (let i = 0; i < n; i++) out[i] = x[i]!;
  },
  wasm: copyWasm,
  wgsl: { shader: copyWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 256)) },
});

/** out[i] += x[i]: adds a gradient to its parameter's slot. */
export const accumulateKernel = defineKernel({
  name: 'accumulate',
  bindings: { x: 'read', out: 'readwrite' },
  params: ['n'],
  reference({ x, out }, { n }) {
    for (let i = 0; i < n; i++) out[i] = out[i]! + x[i]!;
  },
  wasm: accumulateWasm,
  wgsl: { shader: accumulateWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 256)) },
});

/**
 * Reorders up to four axes: out, of sizes d0..d3, is contiguous; s0..s3 are the steps through x that each of its axes
 * takes.
 */
export const permuteKernel = defineKernel({
  name: 'permute',
  bindings: { x: 'read', out: 'write' },
  params: ['d0', 'd1', 'd2', 'd3', 's0', 's1', 's2', 's3'],
  reference({ x, out }, { d0, d1, d2, d3, s0, s1, s2, s3 }) {
    let o = 0;
    for (let i = 0; i < d0; i++) {
      for (let j = 0; j < d1; j++) {
        for (let k = 0; k < d2; k++) {
          let p = i * s0 + j * s1 + k * s2;
          for (let l = 0; l < d3; l++, p += s3) out[o++] = x[p]!;
        }
      }
    }
  },
  wasm: permuteWasm,
  wgsl: { shader: permuteWgsl, grid: ({ d0, d1, d2, d3 }) => flatGrid(ceilDiv(d0 * d1 * d2 * d3, 64)) },
});

/**
 * Copies rows between two tensors seen as [outer, rows, inner]: for every outer, `count` rows from x at xStart to out
 * at outStart. Rows of out outside the block stay as they are.
 */
export const copyRowsKernel = defineKernel({
  name: 'copyRows',
  bindings: { x: 'read', out: 'readwrite' },
  params: ['outer', 'inner', 'count', 'xRows', 'xStart', 'outRows', 'outStart'],
  reference({ x, out }, { outer, inner, count, xRows, xStart, outRows, outStart }) {
    const block = count * inner;
    for (let i = 0; i < outer; i++) {
      const from = (i * xRows + xStart) * inner;
      const to = (i * outRows + outStart) * inner;
      for (let j = 0; j < block; j++) out[to + j] = x[from + j]!;
    }
  },
  wasm: copyRowsWasm,
  wgsl: { shader: copyRowsWgsl, grid: ({ outer, inner, count }) => flatGrid(ceilDiv(outer * count * inner, 64)) },
});
