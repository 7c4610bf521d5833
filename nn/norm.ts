// Normalisation over channels: RMSNorm (Llama; arXiv 1910.07467) or LayerNorm (GPT-2; arXiv 1607.06450). Used by:
// block.ts, transformer.ts.

import { layerNorm, rmsNorm } from '../engine/ops/norm.ts';
import type { Parameter, Parameters } from '../engine/parameters.ts';
import type { Tensor } from '../engine/tensor.ts';

/** Which norm, over how many channels. */
export interface NormOptions {
  readonly name: string;
  readonly width: number;
  readonly kind: 'rms' | 'layer';
  readonly epsilon: number;
}

/** RMSNorm or LayerNorm over the last axis. */
export class Norm {
  readonly #weight: Parameter;
  readonly #bias: Parameter | null;
  readonly #epsilon: number;

  /** Declares `<name>.weight` [width], initially 1, and for LayerNorm `<name>.bias` [width], initially 0. */
  constructor(parameters: Parameters, { name, width, kind, epsilon }: NormOptions) {
    this.#weight = parameters.declare({ name: `${name}.weight`, shape: [width], initial: { constant: 1 } });
    this.#bias =
      kind === 'layer' ? parameters.declare({ name: `${name}.bias`, shape: [width], initial: { constant: 0 } }) : null;
    this.#epsilon = epsilon;
  }

  /** x [...,width] -> the same shape. */
  forward(x: Tensor): Tensor {
    const options = { epsilon: this.#epsilon };
    return this.#bias
      ? layerNorm(x, this.#weight.tensor, this.#bias.tensor, options)
      : rmsNorm(x, this.#weight.tensor, options);
  }
}
