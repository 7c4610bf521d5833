// Causal self-attention with rotary positions: the fused op, the same in small ops (read that first), and the form that
// decodes token by token from a cache. Kernels: kernels/attention, kernels/rope.

import {
  attentionBackwardKernel,
  attentionCachedKernel,
  attentionForwardKernel,
} from '../../kernels/attention/attention.ts';
import { ropeKernel } from '../../kernels/rope/rope.ts';
import { ShapeError } from '../errors.ts';
import { Call, defineOp, normal, run, type Op } from '../op.ts';
import { checkArguments, optional, real, toggle, whole, type Rules } from '../options.ts';
import { sameShape, show, type Spec } from '../shape.ts';
import { empty, tensor, type Tensor } from '../tensor.ts';
import { add, affine, mul, sub } from './arithmetic.ts';
import { matmul } from './matmul.ts';
import { concat, permute, reshape, slice } from './shape.ts';
import { softmax } from './softmax.ts';

/** How the channels of qkv [B,T,(heads + 2 kvHeads) D] are shared out. */
export interface AttentionAttrs {
  /** Query heads. */
  readonly heads: number;
  /**
   * Key heads and value heads; a divisor of `heads`, each serving heads / kvHeads neighbouring query heads. Default:
   * heads.
   */
  readonly kvHeads?: number;
  /**
   * Whether q and k are rotated by the table. Default: true. Without it the table is not looked at, and may be any
   * tensor.
   */
  readonly rotary?: boolean;
}

const count = whole({ min: 1 });

const attentionRules: Rules<AttentionAttrs> = { heads: count, kvHeads: optional(count), rotary: optional(toggle) };

/**
 * Each token's mixture of the values up to its own: softmax(q k' / sqrt(D), over this and earlier tokens) v, per head.
 *
 * qkv [B,T,(heads + 2 kvHeads) D], a token's channels being all query heads, then all key heads, then all value heads;
 * table [>= T,D] as rotaryTable() makes it -> [B,T,heads D]. Saved: logSumExp [B,heads,T].
 * The table gets no gradient. Throws ShapeError when the channels do not divide into the heads, or the table does not
 * fit. Sources: arXiv 1706.03762 (attention), 2104.09864 (rotary positions), 2305.13245 (grouped heads).
 */
export const attention: Op<readonly [qkv: Tensor, table: Tensor], AttentionAttrs> = defineOp({
  name: 'attention',
  takes: { qkv: 'f32', table: 'f32' },
  attrs: attentionRules,
  infer([qkv, table], attrs) {
    const { B, T, H, D, rotary } = attentionSizes('attention', qkv, attrs);
    if (rotary) checkTable('attention', table, T, D);
    return [
      { shape: [B, T, H * D], dtype: 'f32' },
      { shape: [B, H, T], dtype: 'f32' },
    ];
  },
  forward(run, [qkv, table], [out, logSumExp], attrs) {
    run(
      attentionForwardKernel,
      {
        qkv: qkv.storage,
        table: table.storage,
        out: out.storage,
        logSumExp: logSumExp!.storage,
      },
      attentionSizes('attention', qkv, attrs),
    );
  },
  backward: (grad, { inputs: [qkv, table], outputs: [out, logSumExp], attrs }, need) => [
    need(0, () => {
      const dQkv = empty(qkv);
      run(
        attentionBackwardKernel,
        {
          qkv: qkv.storage,
          table: table.storage,
          out: out.storage,
          logSumExp: logSumExp!.storage,
          dOut: grad.storage,
          dQkv: dQkv.storage,
        },
        attentionSizes('attention', qkv, attrs),
      );
      return dQkv;
    }),
    null,
  ],
  cases: {
    dims: { B: [1, 2], T: [1, 6], KV: [1, 3], group: [1, 3], half: [1, 3] },
    attrs: [
      ({ KV, group }) => ({ heads: KV! * group!, kvHeads: KV! }),
      ({ KV, group }) => ({ heads: KV! * group!, kvHeads: KV!, rotary: false }),
      ({ KV }) => ({ heads: KV! }),
    ],
    inputs: ({ B, T, half }, { heads, kvHeads = heads }) => [
      normal(B!, T!, (heads + 2 * kvHeads) * 2 * half!),
      normal(T! + 1, 2 * half!),
    ],
  },
});

const smallOpsCall = new Call('attentionInSmallOps', { qkv: 'f32', table: 'f32' }, attentionRules);
const weightsCall = new Call('attentionWeights', { qkv: 'f32', table: 'f32' }, attentionRules);

/**
 * attention() step by step, for reading and for checking the kernels. Query heads that share a key head are stacked as
 * more rows of its product, so nothing is copied. It holds the weights of all pairs of tokens, [B,heads,T,T];
 * attention() never does.
 */
export function attentionInSmallOps(qkv: Tensor, table: Tensor, attrs: AttentionAttrs): Tensor {
  smallOpsCall.check(arguments);
  return inSmallOps(qkv, table, attrs).mixed;
}

/**
 * How much each token looks at each: qkv and table as attention() takes them -> [B,heads,T,T], rows that sum to 1; 0 for
 * tokens that come later. For looking at a model. Throws ShapeError.
 */
export function attentionWeights(qkv: Tensor, table: Tensor, attrs: AttentionAttrs): Tensor {
  weightsCall.check(arguments);
  return inSmallOps(qkv, table, attrs).weights;
}

function inSmallOps(qkv: Tensor, table: Tensor, attrs: AttentionAttrs): { weights: Tensor; mixed: Tensor } {
  const { B, T, H, KV, D, rotary } = attentionSizes('attention', qkv, attrs);
  const group = H / KV;
  const headsOf = (first: number, count: number): Tensor => {
    const packed = slice(qkv, { axis: 2, start: first * D, end: (first + count) * D }); // [B,T,count*D]
    return permute(reshape(packed, { shape: [B, T, count, D] }), { order: [0, 2, 1, 3] }); // [B,count,T,D]
  };
  const turn = (x: Tensor): Tensor => (rotary ? ropeInSmallOps(x, table) : x);
  const q = reshape(turn(headsOf(0, H)), { shape: [B, KV, group * T, D] });
  // [B,KV,T,D]
  const k = turn(headsOf(H, KV));
  const v = headsOf(H + KV, KV);
  const scores = affine(matmul(q, k, { transB: true }), { factor: 1 / Math.sqrt(D) }); // [B,KV,group*T,T]
  const weights = softmax(add(scores, causalMask(group, T)));
  const mixed = reshape(matmul(weights, v), { shape: [B, H, T, D] });
  return {
    weights: reshape(weights, { shape: [B, H, T, T] }),
    mixed: reshape(permute(mixed, { order: [0, 2, 1, 3] }), { shape: [B, T, H * D] }),
  };
}

/** [group*T,T]: 0 where row t of a group may see the column's token, else so low that its weight becomes 0. */
function causalMask(group: number, T: number): Tensor {
  const mask = new Float64Array(group * T * T);
  for (let i = 0; i < mask.length; i++) mask[i] = i % T <= Math.floor(i / T) % T ? 0 : -1e9;
  return tensor(mask, [group * T, T]);
}

/** x [B,H,T,D] with each head turned by the table's angles. */
function ropeInSmallOps(x: Tensor, table: Tensor): Tensor {
  const [T, D] = x.shape.slice(-2) as [number, number];
  const angles = slice(table, { axis: 0, start: 0, end: T });
  const [cos, sin] = halves(angles, D);
  const [a, b] = halves(x, D);
  return concat(sub(mul(a, cos), mul(b, sin)), add(mul(b, cos), mul(a, sin)), { axis: -1 });
}

function halves(x: Tensor, D: number): [Tensor, Tensor] {
  return [slice(x, { axis: -1, start: 0, end: D / 2 }), slice(x, { axis: -1, start: D / 2, end: D })];
}

/** Keys (rotated) and values of the tokens so far, each [B,kvHeads,context,D]. */
export interface KeyValueCache {
  readonly k: Tensor;
  readonly v: Tensor;
}

/** Attributes of attention over a cache of earlier keys and values. */
export interface CachedAttrs extends AttentionAttrs {
  /** Of the first of the new tokens. */
  readonly position: number;
}

const cachedCall = new Call<CachedAttrs>(
  'attentionCached',
  { qkv: 'f32', table: 'f32', 'cache.k': 'f32', 'cache.v': 'f32' },
  {
    ...attentionRules,
    position: whole({ min: 0 }),
  },
);

/**
 * attention() for the N tokens at positions position .. position+N-1, given that all earlier ones went through the same
 * cache.
 *
 * qkv [B,N,(heads + 2 kvHeads) D] -> [B,N,heads D]; the cache gains the N tokens. No gradient flows through.
 * Throws ShapeError when the cache does not fit qkv, or is too short for the positions.
 */
export function attentionCached(qkv: Tensor, table: Tensor, cache: KeyValueCache, attrs: CachedAttrs): Tensor {
  const { k, v } = cache ?? {};
  cachedCall.check(arguments.length > 4 ? [qkv, table, k, v, attrs, arguments[4]] : [qkv, table, k, v, attrs]);
  const { position } = attrs;
  const { B, T: N, H, KV, D, rotary } = attentionSizes('attentionCached', qkv, attrs);
  const context = cache.k.shape[2] ?? 0;
  const fit = [B, KV, context, D];
  for (const name of ['k', 'v'] as const) {
    const { shape } = cache[name];
    if (!sameShape(shape, fit)) {
      throw new ShapeError(
        `attentionCached: qkv ${show(qkv.shape)}, cache.${name} ${show(shape)}: must be [${B},${KV},context,${D}]`,
      );
    }
  }
  if (position + N > context) {
    throw new ShapeError(`attentionCached: ${N} tokens from position ${position}: do not fit in a cache of ${context}`);
  }
  if (rotary) checkTable('attentionCached', table, position + N, D);
  const out = empty({ shape: [B, N, H * D], dtype: 'f32' });
  run(attentionCachedKernel, {
    qkv: qkv.storage, table: table.storage, cacheK: cache.k.storage, cacheV: cache.v.storage, out: out.storage,
  }, { B, N, H, KV, D, context, rotary, position });
  return out;
}

/**
 * x [B,T,heads D] with each head turned by its position's angles; inverse turns back. attention() does this by itself.
 * Throws ShapeError when the channels do not divide into heads of even size, or the table [>= T,D] does not fit.
 */
export const rope: Op<readonly [x: Tensor, table: Tensor], { readonly heads: number; readonly inverse?: boolean }> =
  defineOp({
    name: 'rope',
    takes: { x: 'f32', table: 'f32' },
    attrs: { heads: count, inverse: optional(toggle) },
    infer([x, table], { heads }) {
      const [, T, width] = x.shape;
      if (x.shape.length !== 3 || width! % heads !== 0) {
        throw new ShapeError(`rope: x ${show(x.shape)} with heads ${heads}: must be [B,T,${heads} D]`);
      }
      checkTable('rope', table, T!, width! / heads);
      return [{ shape: x.shape, dtype: 'f32' }];
    },
    forward(run, [x, table], [out], { heads, inverse = false }) {
      const [B, T, width] = x.shape as [number, number, number];
      run(
        ropeKernel,
        { x: x.storage, table: table.storage, out: out.storage },
        { rows: B * T, T, H: heads, D: width / heads, inverse: +inverse },
      );
    },
    // A rotation's gradient turns back: the transpose of each 2x2 matrix.
    backward: (grad, { inputs: [, table], attrs: { heads, inverse = false } }, need) => [
      need(0, () => rope(grad, table, { heads, inverse: !inverse })),
      null,
    ],
    cases: {
      dims: { B: [1, 2], T: [1, 5], H: [1, 3], half: [1, 4] },
      attrs: [({ H }) => ({ heads: H! }), ({ H }) => ({ heads: H!, inverse: true })],
      inputs: ({ B, T, half }, { heads }) => [normal(B!, T!, heads * 2 * half!), normal(T! + 1, 2 * half!)],
    },
  });

/**
 * The table [context,D] for head size D, row-major: per position t, the cosines of the D/2 angles t base^(-2i/D), then
 * their sines. In double precision on the host, since devices differ in their sines. Throws ShapeError when D is odd.
 */
export function rotaryTable(context: number, D: number, base: number): Float64Array {
  checkArguments('rotaryTable', arguments, { context: count, D: count, base: real({ above: 0 }) });
  if (D % 2 !== 0) throw new ShapeError(`rotaryTable: head size ${D}: must be even, channels are turned in pairs`);
  const table = new Float64Array(context * D);
  const half = D / 2;
  for (let t = 0; t < context; t++) {
    for (let i = 0; i < half; i++) {
      const angle = t * base ** (-2 * i / D);
      table[t * D + i] = Math.cos(angle);
      table[t * D + half + i] = Math.sin(angle);
    }
  }
  return table;
}

interface AttentionSizes {
  readonly B: number;
  readonly T: number;
  readonly H: number;
  readonly KV: number;
  readonly D: number;
  readonly rotary: 0 | 1;
}

/** The kernels' parameters; throws ShapeError when the channels do not divide into the heads. */
function attentionSizes(
  where: string,
  { shape }: Spec,
  { heads: H, kvHeads: KV = H, rotary = true }: AttentionAttrs,
): AttentionSizes {
  const [B, T, width] = shape;
  if (H % KV !== 0) throw new ShapeError(`${where}: heads ${H}, kvHeads ${KV}: heads must be a multiple of kvHeads`);
  if (shape.length !== 3 || width! % (H + 2 * KV) !== 0) {
    throw new ShapeError(`${where}: qkv ${show(shape)} with heads ${H}, kvHeads ${KV}: must be [B,T,${H + 2 * KV} D]`);
  }
  return { B: B!, T: T!, H, KV, D: width! / (H + 2 * KV), rotary: rotary ? 1 : 0 };
}

function checkTable(where: string, { shape }: Spec, T: number, D: number): void {
  if (D % 2 !== 0) throw new ShapeError(`${where}: head size ${D}: must be even, channels are turned in pairs`);
  if (shape.length !== 2 || shape[0]! < T || shape[1] !== D) {
    throw new ShapeError(
      `${where}: table ${show(shape)} for ${T} positions and head size ${D}: must be [${T} or more,${D}]`,
    );
  }
}
