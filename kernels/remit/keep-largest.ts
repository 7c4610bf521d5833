// Hard selection of tokens, as RHO-1 does it: the largest numbers get 1, the others 0. Source: arXiv 2404.07965, section 2.2.

import { defineKernel } from '../kernel.ts';
import { keepLargestWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { keepLargestWasm } from './remit.wasm.ts';

/** x, targets [n] -> out [n]: 1 for the `keep` largest x whose target is counted (of equals, the first), else 0. */
export const keepLargestKernel = defineKernel({
  name: 'keepLargest',
  bindings: { x: 'read', targets: 'read', out: 'write' },
  params: ['n', 'keep'],
  reference({ x, targets, out }, { n, keep }) {
    const counted = Array.from({ length: n }, (_, i) => i).filter((i) => targets[i]! >= 0);
    counted.sort((i, j) => x[j]! - x[i]! || i - j);
    out.fill(0, 0, n);
    for (const i of counted.slice(0, keep)) out[i] = 1;
  },
  wasm: keepLargestWasm,
  wgsl: { shader: keepLargestWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 64)) },
});
