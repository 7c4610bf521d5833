// Leaving out what is unlikely, before a token is drawn: top-p (nucleus sampling, arXiv 1904.09751) and min-p (arXiv
// 2407.01082). Read after: random.ts.

import { defineKernel } from '../kernel.ts';
import { keepLikelyWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { keepLikelyWasm } from './keep-likely.wasm.ts';

/** Of an exponent: what is less likely than e^-80 of the likeliest counts as that. */
const LEAST = -80;

/**
 * logits [B,V] -> out [B,V]: those that stay as they are, -infinity for the others. With p = softmax(logits /
 * temperature), temperature > 0, the likeliest stay that together have at least topP (all with 1; ties with the last of
 * them too), and of those the ones whose logit is at most `gap` below the largest: for min-p, -temperature ln(minP). A
 * row that is no distribution stays as it is.
 */
export const keepLikelyKernel = defineKernel({
  name: 'keepLikely',
  bindings: { logits: 'read', out: 'write' },
  params: ['B', 'V', 'temperature', 'topP', 'gap'],
  reference({ logits, out }, { B, V, temperature, topP, gap }) {
    for (let row = 0; row < B; row++) {
      const own = Array.from(logits.subarray(row * V, (row + 1) * V));
      const most = own.reduce((largest, x) => Math.max(largest, x), -Infinity);
      const isDistribution = own.every((x) => x < Infinity) && most > -Infinity;
      const weights = own.map((x) => Math.exp(Math.max((x - most) / temperature, LEAST)));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const order = weights.map((_, v) => v).sort((a, b) => own[b]! - own[a]!);
      let floor = isDistribution ? most - gap : -Infinity;
      let mass = 0;
      for (const v of topP < 1 && isDistribution ? order : []) {
        mass += weights[v]!;
        if (mass < topP * total) continue;
        floor = Math.max(floor, own[v]!);
        break;
      }
      for (let v = 0; v < V; v++) out[row * V + v] = isDistribution && own[v]! < floor ? -Infinity : own[v]!;
    }
  },
  wasm: keepLikelyWasm,
  wgsl: { shader: keepLikelyWgsl, grid: ({ B }) => flatGrid(ceilDiv(B, 64)) },
});
