// y = x W' (+ b) (+ residual). Weights are stored [out,in], as in the Hugging Face layout.
// Read after: engine/parameters.ts.

import { linear } from '../engine/ops/matmul.ts';
import type { Parameter, Parameters, Part } from '../engine/parameters.ts';
import type { Tensor } from '../engine/tensor.ts';

/** Sizes, names and initial values of a linear layer. */
export interface LinearOptions {
  readonly in: number;
  /** One output size per name; several names make one packed product, their results side by side. */
  readonly out: Readonly<Record<string, number>>;
  /** Standard deviation of the initial weights. */
  readonly deviation: number;
  readonly bias: boolean;
}

/** x [...,in] -> x W' + b [...,out]; W is [out,in], as Hugging Face stores it. */
export class Linear {
  readonly #weight: Parameter;
  readonly #bias: Parameter | null;

  /** Declares `<name>.weight` [out,in] (and `<name>.bias` [out], initially 0) for every name of `out`. */
  constructor(parameters: Parameters, { in: width, out, deviation, bias }: LinearOptions) {
    const outputs = Object.entries(out);
    this.#weight = parameters.declare(
      ...parts(
        outputs.map(([name, size]) => ({ name: `${name}.weight`, shape: [size, width], initial: { deviation } })),
      ),
    );
    this.#bias = bias
      ? parameters.declare(
          ...parts(outputs.map(([name, size]) => ({ name: `${name}.bias`, shape: [size], initial: { constant: 0 } }))),
        )
      : null;
  }

  /**
   * x [...,in] -> [...,out], the outputs of all names side by side; with a residual [...,out] added, where one is
   * given.
   */
  forward(x: Tensor, residual?: Tensor): Tensor {
    return linear(x, this.#weight.tensor, ...[this.#bias?.tensor, residual].filter((added) => added !== undefined));
  }
}

function parts(list: Part[]): [Part, ...Part[]] {
  return list as [Part, ...Part[]];
}
