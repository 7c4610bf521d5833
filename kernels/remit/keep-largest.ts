// Hard selection of tokens, as RHO-1 does it: the largest numbers get 1, the others 0. Source: arXiv 2404.07965,
// section 2.2. Read after: token-weights.ts.

import { defineKernel } from '../kernel.ts';
import { keepLargestWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { keepLargestWasm } from './remit.wasm.ts';

/**
 * x, targets [n] -> out [n]: 1 for the `keep` largest x whose target is counted (of equals, the first), else 0. NaN
 * counts as -infinity.
 */
export const keepLargestKernel = defineKernel({
  name: 'keepLargest',
  bindings: { x: 'read', targets: 'read', out: 'write' },
  params: ['n', 'keep'],
  reference({ x, targets, out }, { n, keep }) {
    const counted = Array.from({ length: n }, (_, i) => i).filter((i) => targets[i]! >= 0);
    const rank = (i: number): number => (Number.isNaN(x[i]!) ? -Infinity : x[i]!);
    counted.sort((i, j) => (rank(i) === rank(j) ? i - j : rank(i) > rank(j) ? -1 : 1));
    out.fill(0, 0, n);
    for (const i of counted.slice(0, keep)) out[i] = 1;
  },
  wasm: keepLargestWasm,
  wgsl: { shader: keepLargestWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 64)) },
});
