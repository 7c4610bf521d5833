// Causal self-attention with grouped key-value heads. One projection makes q, k and v side by side; the kernel reads
// them packed. Source: Vaswani et al., arXiv 1706.03762; grouped heads: arXiv 2305.13245. Read after: linear.ts,
// engine/ops/attention.ts.

import { attention, attentionCached, attentionWeights, type KeyValueCache } from '../engine/ops/attention.ts';
import type { Parameters } from '../engine/parameters.ts';
import type { Tensor } from '../engine/tensor.ts';
import { Linear } from './linear.ts';
import type { TransformerConfig } from './config.ts';

/** Causal self-attention: [B,T,C] -> [B,T,C]. */
export class Attention {
  readonly #qkv: Linear;
  readonly #out: Linear;
  readonly #options: { readonly heads: number; readonly kvHeads: number; readonly rotary: boolean };

  constructor(
    parameters: Parameters,
    name: string,
    { width, heads, kvHeads, positions, bias, layers }: TransformerConfig,
  ) {
    const headSize = width / heads;
    const deviation = width ** -0.5;
    this.#options = { heads, kvHeads, rotary: positions === 'rotary' };
    this.#qkv = new Linear(parameters, {
      in: width,
      out: {
        [`${name}.q_proj`]: width,
        [`${name}.k_proj`]: kvHeads * headSize,
        [`${name}.v_proj`]: kvHeads * headSize,
      },
      deviation,
      bias,
    });
    this.#out = new Linear(parameters, {
      in: width,
      out: { [`${name}.o_proj`]: width },
      deviation: deviation / Math.sqrt(2 * layers),
      bias,
    });
  }

  /**
   * residual + attention(x), all of them [B,T,C]; table [context,D]: the rotary angles' cosines and sines. `see` is given
   * what each token looks at, [B,heads,T,T], which is made for it alone.
   */
  forward(x: Tensor, table: Tensor, residual: Tensor, see?: (weights: Tensor) => void): Tensor {
    const qkv = this.#qkv.forward(x); // [B,T,(heads+2 kvHeads) D]
    see?.(attentionWeights(qkv, table, this.#options));
    return this.#out.forward(attention(qkv, table, this.#options), residual);
  }

  /**
   * The same for N new tokens at `position`, with the keys and values of those before them: all of them [B,N,C]. No
   * gradient.
   */
  decode(x: Tensor, table: Tensor, cache: KeyValueCache, position: number, residual: Tensor): Tensor {
    return this.#out.forward(
      attentionCached(this.#qkv.forward(x), table, cache, { ...this.#options, position }),
      residual,
    );
  }
}
