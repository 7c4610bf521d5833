// The block's second half: SwiGLU (Llama; arXiv 2002.05202) or GELU (GPT-2; arXiv 1606.08415).
// Read after: linear.ts.

import { gelu, swiglu } from '../engine/ops/activation.ts';
import type { Parameters } from '../engine/parameters.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { TransformerConfig } from './config.ts';
import { Linear } from './linear.ts';

/** Each token by itself: [B,T,C] -> [B,T,C], by way of `hidden` channels. */
export class Mlp {
  readonly #up: Linear;
  readonly #down: Linear;
  readonly #activation: (x: Tensor) => Tensor;

  constructor(parameters: Parameters, name: string, { width, hidden, mlp, bias, layers }: TransformerConfig) {
    const gated = mlp === 'swiglu';
    const up = { [`${name}.up_proj`]: hidden };
    this.#activation = gated ? swiglu : gelu;
    this.#up = new Linear(parameters, {
      in: width,
      out: gated ? { [`${name}.gate_proj`]: hidden, ...up } : up,
      deviation: width ** -0.5,
      bias,
    });
    this.#down = new Linear(parameters, {
      in: hidden,
      out: { [`${name}.down_proj`]: width },
      deviation: hidden ** -0.5 / Math.sqrt(2 * layers),
      bias,
    });
  }

  /** residual + mlp(x), all of them [...,C]. */
  forward(x: Tensor, residual: Tensor): Tensor {
    return this.#down.forward(this.#activation(this.#up.forward(x)), residual);
  }
}
