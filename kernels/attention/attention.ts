// Causal attention over packed queries, keys and values, without ever holding the [T,T] weights: forward, backward, and
// a forward that adds to a cache, for decoding.
// A token's channels are all query heads, then all key heads, then all value heads, as one projection writes them:
// [B,T,(H+2KV)*D]. Query heads share keys in groups: head h reads key head floor(h KV / H). Scores are scaled by
// 1/sqrt(D). With rotary = 1, q and k are rotated as they are read (kernels/rope/rope.ts); otherwise the table is not
// looked at. Sources: arXiv 1706.03762; grouped heads: arXiv 2305.13245; the saved logSumExp, and `delta` in the
// backward: FlashAttention-2, arXiv 2307.08691, section 3.1. Read first: attentionInSmallOps in
// engine/ops/attention.ts, the same maths step by step.

import { defineKernel, type HostArray } from '../kernel.ts';
import {
  attentionBackwardSubgroupWgsl, attentionBackwardWgsl, attentionBackwardWorkgroupWgsl,
  attentionCachedWgsl, attentionCachedWorkgroupWgsl, attentionForwardSubgroupWgsl, attentionForwardWgsl, attentionForwardWorkgroupWgsl,
} from '../generated.ts';
import { bySubgroup, ceilDiv, flatGrid, type Grid } from '../wgsl.ts';
import { attentionCachedWasm } from './cached.wasm.ts';
import { rotate } from '../rope/rope.ts';
import { attentionBackwardWasm, attentionForwardWasm } from './attention.wasm.ts';

/** qkv, table [context,D] -> out [B,T,H*D], logSumExp [B,H,T]: the logarithm of each query's sum of exp(scores). */
export const attentionForwardKernel = defineKernel({
  name: 'attentionForward',
  bindings: { qkv: 'read', table: 'read', out: 'write', logSumExp: 'write' },
  params: ['B', 'T', 'H', 'KV', 'D', 'rotary'],
  reference({ qkv, table, out, logSumExp }, { B, T, H, KV, D, rotary }) {
    const width = (H + 2 * KV) * D;
    const group = H / KV;
    const k = new Float64Array(T * D);
    const v = new Float64Array(T * D);
    const q = new Float64Array(D);
    const p = new Float64Array(T);
    const y = new Float64Array(D);
    for (let b = 0; b < B; b++) {
      for (let kv = 0; kv < KV; kv++) {
        for (let t = 0; t < T; t++) {
          const keyAt = (b * T + t) * width + (H + kv) * D;
          load(qkv, keyAt, k, t * D, table, t, D, rotary);
          load(qkv, keyAt + KV * D, v, t * D, table, t, D, 0);
        }
        for (let h = kv * group; h < (kv + 1) * group; h++) {
          for (let t = 0; t < T; t++) {
            load(qkv, (b * T + t) * width + h * D, q, 0, table, t, D, rotary);
            logSumExp[(b * H + h) * T + t] = attend(q, k, v, 0, t + 1, D, p, y);
            for (let d = 0, o = ((b * T + t) * H + h) * D; d < D; d++, o++) out[o] = y[d]!;
          }
        }
      }
    }
  },
  wasm: attentionForwardWasm,
  wgsl: {
    shader: attentionForwardWgsl,
    grid: ({ B, T, H }) => flatGrid(ceilDiv(B * T * H, 64)),
    substitutions: headSize,
  },
  variants: {
    ...bySubgroup((lanes) => ({
      shader: attentionForwardSubgroupWgsl,
      grid: ({ B, T, H, D }: Sizes) => tiles(B * H, T, D, lanes),
    })),
    workgroup: {
      shader: attentionForwardWorkgroupWgsl,
      grid: ({ B, T, H }) => flatGrid(B * H * ceilDiv(T, 64)),
      substitutions: headInRegisters,
      fits: fitsRegisters,
    },
  },
});

/**
 * dOut [B,T,H*D] and what the forward read and wrote -> dQkv, packed like qkv. The weights are made again from
 * logSumExp: p = exp(score - logSumExp), dScore = p (dOut.v - delta) with delta = dOut.out, which is sum(p dOut.v) over
 * the keys.
 */
export const attentionBackwardKernel = defineKernel({
  name: 'attentionBackward',
  bindings: { qkv: 'read', table: 'read', out: 'read', logSumExp: 'read', dOut: 'read', dQkv: 'write' },
  params: ['B', 'T', 'H', 'KV', 'D', 'rotary'],
  reference({ qkv, table, out, logSumExp, dOut, dQkv }, { B, T, H, KV, D, rotary }) {
    const width = (H + 2 * KV) * D;
    const group = H / KV;
    const scale = 1 / Math.sqrt(D);
    const k = new Float64Array(T * D);
    const v = new Float64Array(T * D);
    const dk = new Float64Array(T * D);
    const dv = new Float64Array(T * D);
    const q = new Float64Array(D);
    const dq = new Float64Array(D);
    const dy = new Float64Array(D);
    for (let b = 0; b < B; b++) {
      for (let kv = 0; kv < KV; kv++) {
        for (let t = 0; t < T; t++) {
          const keyAt = (b * T + t) * width + (H + kv) * D;
          load(qkv, keyAt, k, t * D, table, t, D, rotary);
          load(qkv, keyAt + KV * D, v, t * D, table, t, D, 0);
        }
        dk.fill(0);
        dv.fill(0);
        for (let h = kv * group; h < (kv + 1) * group; h++) {
          for (let t = 0; t < T; t++) {
            const queryAt = (b * T + t) * width + h * D;
            const outAt = ((b * T + t) * H + h) * D;
            load(qkv, queryAt, q, 0, table, t, D, rotary);
            let delta = 0;
            for (let d = 0; d < D; d++) {
              const g = dOut[outAt + d]!;
              dy[d] = g;
              delta += g * out[outAt + d]!;
            }
            dq.fill(0);
            const logTotal = logSumExp[(b * H + h) * T + t]!;
            for (let j = 0, at = 0; j <= t; j++, at += D) {
              let score = 0;
              let dWeight = 0;
              for (let d = 0; d < D; d++) {
                score += q[d]! * k[at + d]!;
                dWeight += dy[d]! * v[at + d]!;
              }
              const weight = Math.exp(scale * score - logTotal);
              const dScore = scale * weight * (dWeight - delta);
              for (let d = 0; d < D; d++) {
                dq[d]! += dScore * k[at + d]!;
                dk[at + d]! += dScore * q[d]!;
                dv[at + d]! += weight * dy[d]!;
              }
            }
            store(dq, 0, dQkv, queryAt, table, t, D, rotary);
          }
        }
        for (let t = 0; t < T; t++) {
          const keyAt = (b * T + t) * width + (H + kv) * D;
          store(dk, t * D, dQkv, keyAt, table, t, D, rotary);
          store(dv, t * D, dQkv, keyAt + KV * D, table, t, D, 0);
        }
      }
    }
  },
  wasm: attentionBackwardWasm,
  wgsl: {
    shader: attentionBackwardWgsl,
    grid: ({ B, T, H, KV }) => flatGrid(ceilDiv(B * T * (H + KV), 64)),
    substitutions: headSize,
  },
  variants: {
    ...bySubgroup((lanes) => ({
      shader: attentionBackwardSubgroupWgsl,
      grid: ({ B, T, H, KV, D }: Sizes) => tiles(B * (H + KV), T, D, lanes),
    })),
    workgroup: {
      shader: attentionBackwardWorkgroupWgsl,
      grid: ({ B, T, H, KV }) => flatGrid(B * (H + KV) * ceilDiv(T, 64)),
      substitutions: headInRegisters,
      fits: fitsRegisters,
    },
  },
});

/**
 * Decoding: qkv [B,N,(H+2KV)*D] of the tokens at positions position .. position+N-1. Writes their keys (rotated) and
 * values into cacheK and cacheV [B,KV,context,D], then lets each attend to everything in the cache up to itself -> out
 * [B,N,H*D].
 */
export const attentionCachedKernel = defineKernel({
  name: 'attentionCached',
  bindings: { qkv: 'read', table: 'read', cacheK: 'readwrite', cacheV: 'readwrite', out: 'write' },
  params: ['B', 'N', 'H', 'KV', 'D', 'context', 'rotary', 'position'],
  reference({ qkv, table, cacheK, cacheV, out }, { B, N, H, KV, D, context, rotary, position }) {
    const width = (H + 2 * KV) * D;
    const group = H / KV;
    const q = new Float64Array(D);
    const p = new Float64Array(position + N);
    const y = new Float64Array(D);
    for (let b = 0; b < B; b++) {
      for (let kv = 0; kv < KV; kv++) {
        const cacheAt = (b * KV + kv) * context * D;
        for (let n = 0, to = cacheAt + position * D; n < N; n++, to += D) {
          const keyAt = (b * N + n) * width + (H + kv) * D;
          load(qkv, keyAt, cacheK, to, table, position + n, D, rotary);
          load(qkv, keyAt + KV * D, cacheV, to, table, position + n, D, 0);
        }
        for (let h = kv * group; h < (kv + 1) * group; h++) {
          for (let n = 0; n < N; n++) {
            load(qkv, (b * N + n) * width + h * D, q, 0, table, position + n, D, rotary);
            attend(q, cacheK, cacheV, cacheAt, position + n + 1, D, p, y);
            for (let d = 0, o = ((b * N + n) * H + h) * D; d < D; d++, o++) out[o] = y[d]!;
          }
        }
      }
    }
  },
  wasm: attentionCachedWasm,
  wgsl: {
    shader: attentionCachedWgsl,
    grid: ({ B, N, H, KV }) => flatGrid(ceilDiv(B * N * (H + KV), 64)),
    substitutions: headSize,
  },
  variants: {
    workgroup: {
      shader: attentionCachedWorkgroupWgsl,
      grid: ({ B, N, H, KV, D }) => flatGrid(B * H * N + ceilDiv(B * KV * N * D, 256)),
      substitutions: ({ D }) => ({ D4: `${D / 4}u` }),
      fits: fitsRegisters,
    },
  },
});

/**
 * One query q [D] against `count` keys and values [count,D] that begin at element `start`: their mixture goes to y [D].
 * p, of `count` elements or more, is scratch. Returns the logarithm of the sum of exp(scores).
 */
function attend(
  q: Float64Array,
  k: HostArray,
  v: HostArray,
  start: number,
  count: number,
  D: number,
  p: Float64Array,
  y: Float64Array,
): number {
  const scale = 1 / Math.sqrt(D);
  let max = -Infinity;
  let total = 0;
  for (let j = 0, at = start; j < count; j++, at += D) {
    let score = 0;
    for (let d = 0; d < D; d++) score += q[d]! * k[at + d]!;
    p[j] = scale * score;
    if (p[j]! > max) max = p[j]!;
  }
  for (let j = 0; j < count; j++) {
    p[j] = Math.exp(p[j]! - max);
    total += p[j]!;
  }
  y.fill(0);
  for (let j = 0, at = start; j < count; j++, at += D) {
    const weight = p[j]! / total;
    for (let d = 0; d < D; d++) y[d]! += weight * v[at + d]!;
  }
  return max + Math.log(total);
}

/** Reads one head of one token, rotated if asked. */
function load(
  x: HostArray,
  from: number,
  out: HostArray,
  to: number,
  table: HostArray,
  position: number,
  D: number,
  rotary: number,
): void {
  if (rotary) rotate(x, from, out, to, table, position, D, 1);
  else for (let d = 0; d < D; d++) out[to + d] = x[from + d]!;
}

/** Writes the gradient of what load() read: turned back if that was rotated. */
function store(
  x: HostArray,
  from: number,
  out: HostArray,
  to: number,
  table: HostArray,
  position: number,
  D: number,
  rotary: number,
): void {
  if (rotary) rotate(x, from, out, to, table, position, D, -1);
  else for (let d = 0; d < D; d++) out[to + d] = x[from + d]!;
}

type Sizes = Readonly<Record<'B' | 'T' | 'H' | 'KV' | 'D', number>>;

/** A workgroup for each tile of a head, times those that share the head's channels (lib/head-tile.wgsl). */
function tiles(heads: number, T: number, D: number, lanes: number): Grid {
  return flatGrid(heads * ceilDiv(T, lanes) * ceilDiv(D, 4 * lanes));
}

/** Heads that lib/head-rows.wgsl takes: whole vec4s in either half, and a thread's registers hold four of them. */
function fitsRegisters({ D }: Pick<Sizes, 'D'>): boolean {
  return D % 8 === 0 && D <= 64;
}

/** Its constants. Two tiles and a little more lie in the 16 KiB of workgroup memory that WebGPU promises. */
function headInRegisters({ D }: Pick<Sizes, 'D'>): { D4: string; TILE: string } {
  return { D4: `${D / 4}u`, TILE: D <= 32 ? '32u' : '16u' };
}

const MOST_D = 128; // a thread holds up to four heads

/**
 * Sizes the threads' arrays by the head. The loops over a head keep D as a parameter: with a constant they unroll, and
 * lavapipe's compiler then took over a minute.
 */
function headSize({ D }: Readonly<Record<'D', number>>): { ROOM: string } {
  if (D > MOST_D) {
    throw new RangeError(
      `attention: heads of ${D} channels: at most ${MOST_D} on WebGPU: use more heads, or --device cpu`,
    );
  }
  return { ROOM: `${D}u` };
}
