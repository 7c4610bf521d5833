// Looking rows up in a table, and the gradient of that: each looked-up row's gradient goes back to the row it came
// from. An id outside of [0,V) is nobody's row: it reads NaN, and its gradient goes nowhere. Read next:
// embedding.wasm.ts, the same fast.

import { defineKernel } from '../kernel.ts';
import { embeddingBackwardWgsl, embeddingBackwardWorkgroupWgsl, embeddingWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { embeddingBackwardWasm, embeddingWasm } from './embedding.wasm.ts';

/** table [V,C], ids [N] i32 -> out [N,C]; NaN where the table has no such row. */
export const embeddingKernel = defineKernel({
  name: 'embedding',
  bindings: { table: 'read', ids: 'read', out: 'write' },
  params: ['N', 'V', 'C'],
  reference({ table, ids, out }, { N, V, C }) {
    for (let n = 0; n < N; n++) {
      const id = ids[n]!;
      for (let c = 0; c < C; c++) out[n * C + c] = id >= 0 && id < V ? table[id * C + c]! : NaN;
    }
  },
  wasm: embeddingWasm,
  wgsl: { shader: embeddingWgsl, grid: ({ N, C }) => flatGrid(ceilDiv(N * C, 64)) },
});

/**
 * dTable [V,C] = for each row, the sum of dOut [N,C] over the tokens that used it, in token order; accumulate = 1 adds
 * to dTable.
 */
export const embeddingBackwardKernel = defineKernel({
  name: 'embeddingBackward',
  bindings: { ids: 'read', dOut: 'read', dTable: 'readwrite' },
  params: ['N', 'V', 'C', 'accumulate'],
  reference({ ids, dOut, dTable }, { N, V, C, accumulate }) {
    if (!accumulate) dTable.fill(0, 0, V * C);
    for (let n = 0; n < N; n++) {
      const id = ids[n]!;
      if (id < 0 || id >= V) continue;
      for (let c = 0; c < C; c++) dTable[id * C + c] = dTable[id * C + c]! + dOut[n * C + c]!;
    }
  },
  wasm: embeddingBackwardWasm,
  wgsl: { shader: embeddingBackwardWgsl, grid: ({ V, C }) => flatGrid(ceilDiv(V * ceilDiv(C, 8), 64)) },
  variants: { workgroup: { shader: embeddingBackwardWorkgroupWgsl, grid: ({ V, C }) => flatGrid(V * ceilDiv(C, 64)) } },
});
