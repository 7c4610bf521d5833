// Randomness on the device: threefry bits, and drawing tokens from logits by the Gumbel-max trick.
// The bits are those of engine/rng.ts: a function of (key, index), the same on every backend.
// Sources: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011); Gumbel-max: Maddison et al., arXiv
// 1411.0030. Read after: threefry.ts. Read next: sample.wasm.ts, the same fast.

import { defineKernel } from '../kernel.ts';
import { bitsWgsl, sampleWgsl } from '../generated.ts';
import { ceilDiv, flatGrid } from '../wgsl.ts';
import { sampleWasm } from './sample.wasm.ts';
import { threefry2x32 } from './threefry.ts';

/** out[i] (u32) = first word of threefry2x32(key, (first + i, 0)). */
export const bitsKernel = defineKernel({
  name: 'bits',
  bindings: { out: 'write' },
  params: ['n', 'key0', 'key1', 'first'],
  reference({ out }, { n, key0, key1, first }) {
    for (let i = 0; i < n; i++) out[i] = threefry2x32(key0, key1, first + i, 0)[0];
  },
  wgsl: { shader: bitsWgsl, grid: ({ n }) => flatGrid(ceilDiv(n, 64)) },
});

/**
 * Draws one token per row and appends it: logits [B,V] -> tokens [B,T] at column `position`, and next [B]. A row that
 * holds a token there already (>= 0), as a prompt that is longer than others does, keeps it; a free place holds -1.
 * temperature 0 takes the largest logit (the first of equals); otherwise the largest of logit / temperature + Gumbel
 * noise, which is a sample of the softmax. topK > 0 leaves only the topK largest logits (ties with the last of them
 * stay in). force >= 0 writes that token instead, in rows that have not stopped. With stop >= 0, a row that already
 * holds stop at or after column `first` gets stop again. Logits that are no distribution, since one is NaN or infinite
 * or none is above -infinity, draw -1.
 */
export const sampleKernel = defineKernel({
  name: 'sample',
  bindings: { logits: 'read', tokens: 'readwrite', next: 'write' },
  params: ['B', 'V', 'T', 'position', 'first', 'temperature', 'topK', 'force', 'stop', 'key0', 'key1'],
  reference({ logits, tokens, next }, { B, V, T, position, first, temperature, topK, force, stop, key0, key1 }) {
    for (let row = 0; row < B; row++) {
      const stopped = stop >= 0 && position > first && tokens[row * T + position - 1] === stop;
      const given = tokens[row * T + position]!;
      let token = given >= 0 ? given : stopped ? stop : force;
      if (token < 0) {
        const start = row * V;
        const floor = topK > 0 && topK < V ? kthLargest(logits.subarray(start, start + V), topK) : -Infinity;
        let best = -Infinity;
        let isDistribution = true;
        for (let v = 0; v < V; v++) {
          const logit = logits[start + v]!;
          isDistribution &&= logit < Infinity;
          if (logit < floor) continue;
          const score =
            temperature > 0 ? logit / temperature + gumbel(threefry2x32(key0, key1, start + v, position)[0]) : logit;
          if (score > best) [best, token] = [score, v];
        }
        token = isDistribution && best > -Infinity ? token : -1;
      }
      tokens[row * T + position] = token;
      next[row] = token;
    }
  },
  wasm: sampleWasm,
  wgsl: { shader: sampleWgsl, grid: ({ B }) => flatGrid(ceilDiv(B, 64)) },
});

/** Standard Gumbel noise from 32 random bits: 24 of them make u in (0,1), half a step from both ends. */
function gumbel(bits: number): number {
  const u = ((bits >>> 8) + 0.5) / 2 ** 24;
  return -Math.log(-Math.log(u));
}

function kthLargest(row: ArrayLike<number>, k: number): number {
  return Float64Array.from(row).sort()[row.length - k]!;
}
