// A table of vectors, one per token or position. With a tied head the same table turns vectors back into logits.
// Read after: linear.ts.

import { matmul } from '../engine/ops/matmul.ts';
import { embedding } from '../engine/ops/embedding.ts';
import { slice } from '../engine/ops/shape.ts';
import type { Parameter, Parameters } from '../engine/parameters.ts';
import type { Tensor } from '../engine/tensor.ts';

/** Ids [B,T] -> rows of a table [count,C]: [B,T,C]. */
export class Embedding {
  readonly #weight: Parameter;

  /** Declares `<name>.weight` [count,width]. */
  constructor(
    parameters: Parameters,
    {
      name,
      count,
      width,
      deviation,
    }: { readonly name: string; readonly count: number; readonly width: number; readonly deviation: number },
  ) {
    this.#weight = parameters.declare({ name: `${name}.weight`, shape: [count, width], initial: { deviation } });
  }

  /** ids [...] i32 -> [...,width]. */
  forward(ids: Tensor): Tensor {
    return embedding(this.#weight.tensor, ids);
  }

  /** Rows start..end-1: [end-start,width]. */
  rows(start: number, end: number): Tensor {
    return slice(this.#weight.tensor, { axis: 0, start, end });
  }

  /** x [...,width] -> scores of every row [...,count]: the tied head. */
  scores(x: Tensor): Tensor {
    return matmul(x, this.#weight.tensor, { transB: true });
  }
}
