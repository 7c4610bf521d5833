// A running mean, and a step of weights: something moves a share of the way, in place. Read next: optim/muon.ts.

import { blendWgsl } from '../generated.ts';
import { defineKernel } from '../kernel.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { blendWasm } from './blend.wasm.ts';

/** y <- keep y + share scale x over n elements; where scale [1] is not above 0, nothing changes. */
export const blendKernel = defineKernel({
  name: 'blend',
  bindings: { y: 'readwrite', x: 'read', scale: 'read' },
  params: ['n', 'keep', 'share'],
  reference({ y, x, scale }, { n, keep, share }) {
    if (!(scale[0]! > 0)) return;
    for (let i = 0; i < n; i++) y[i] = keep * y[i]! + share * scale[0]! * x[i]!;
  },
  wasm: blendWasm,
  wgsl: { shader: blendWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 256)) },
});
