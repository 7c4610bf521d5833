// Looking rows up in a table, and the gradient of that: each looked-up row's gradient goes back to the row it came from.
// Ids outside of [0,V) are the caller's error and are not looked for here; text and files are checked where they come in.

import { defineKernel } from '../kernel.ts';
import { embeddingBackwardWgsl, embeddingBackwardWorkgroupWgsl, embeddingWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { embeddingBackwardWasm, embeddingWasm } from './embedding.wasm.ts';

/** table [V,C], ids [N] i32 -> out [N,C]. */
export const embeddingKernel = defineKernel({
  name: 'embedding',
  bindings: { table: 'read', ids: 'read', out: 'write' },
  params: ['N', 'C'],
  reference({ table, ids, out }, { N, C }) {
    for (let n = 0, o = 0; n < N; n++) {
      for (let c = 0, p = ids[n]! * C; c < C; c++, p++, o++) out[o] = table[p]!;
    }
  },
  wasm: embeddingWasm,
  wgsl: { shader: embeddingWgsl, grid: ({ N, C }) => flatGrid(ceilDiv(N * C, 64)) },
});

/** dTable [V,C] = for each row, the sum of dOut [N,C] over the tokens that used it, in token order; accumulate = 1 adds to dTable. */
export const embeddingBackwardKernel = defineKernel({
  name: 'embeddingBackward',
  bindings: { ids: 'read', dOut: 'read', dTable: 'readwrite' },
  params: ['N', 'V', 'C', 'accumulate'],
  reference({ ids, dOut, dTable }, { N, V, C, accumulate }) {
    if (!accumulate) dTable.fill(0, 0, V * C);
    for (let n = 0, o = 0; n < N; n++) {
      for (let c = 0, p = ids[n]! * C; c < C; c++, p++, o++) dTable[p] = dTable[p]! + dOut[o]!;
    }
  },
  wasm: embeddingBackwardWasm,
  wgsl: { shader: embeddingBackwardWgsl, grid: ({ V, C }) => flatGrid(ceilDiv(V * ceilDiv(C, 8), 64)) },
  variants: { workgroup: { shader: embeddingBackwardWorkgroupWgsl, grid: ({ V, C }) => flatGrid(V * ceilDiv(C, 64)) } },
});
