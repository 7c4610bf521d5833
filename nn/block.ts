// One layer: x += attention(norm(x)); x += mlp(norm(x)). The last product of either half makes the addition.
// Read after: attention.ts, mlp.ts, norm.ts.

import type { KeyValueCache } from '../engine/ops/attention.ts';
import type { Parameters } from '../engine/parameters.ts';
import type { Tensor } from '../engine/tensor.ts';
import { Attention } from './attention.ts';
import type { TransformerConfig } from './config.ts';
import { Mlp } from './mlp.ts';
import { Norm } from './norm.ts';

/** Attention, then the MLP, each added to what comes in: [B,T,C] -> [B,T,C]. */
export class Block {
  readonly #norm1: Norm;
  readonly #attention: Attention;
  readonly #norm2: Norm;
  readonly #mlp: Mlp;

  constructor(parameters: Parameters, name: string, config: TransformerConfig) {
    const { width, norm: kind, epsilon } = config;
    this.#norm1 = new Norm(parameters, { name: `${name}.input_layernorm`, width, kind, epsilon });
    this.#attention = new Attention(parameters, `${name}.self_attn`, config);
    this.#norm2 = new Norm(parameters, { name: `${name}.post_attention_layernorm`, width, kind, epsilon });
    this.#mlp = new Mlp(parameters, `${name}.mlp`, config);
  }

  /** x [B,T,C] -> [B,T,C]. `see`: as Attention.forward has it. */
  forward(x: Tensor, table: Tensor, see?: (weights: Tensor) => void): Tensor {
    return this.#rest(this.#attention.forward(this.#norm1.forward(x), table, x, see));
  }

  /** N new tokens at `position`: x [B,N,C] -> [B,N,C]. */
  decode(x: Tensor, table: Tensor, cache: KeyValueCache, position: number): Tensor {
    return this.#rest(this.#attention.decode(this.#norm1.forward(x), table, cache, position, x));
  }

  #rest(x: Tensor): Tensor {
    return this.#mlp.forward(this.#norm2.forward(x), x);
  }
}
