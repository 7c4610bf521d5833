// The models whose training steps are timed: tiny-world is the default recipe's; bench and tiny are GPT-2-shaped, and
// peers are compared on them. Used by: contenders.ts, gpu.bench.ts.

import { crossEntropy } from '../engine/ops/cross-entropy.ts';
import { rng } from '../engine/rng.ts';
import { step, type Step } from '../engine/step.ts';
import { backward } from '../engine/tape.ts';
import { tensor, type Tensor } from '../engine/tensor.ts';
import type { TransformerConfig } from '../nn/config.ts';
import { Transformer } from '../nn/transformer.ts';
import { AdamW } from '../optim/adamw.ts';

export interface Trained {
  readonly batch: number;
  /** Tokens in a row. */
  readonly T: number;
  readonly config: TransformerConfig;
}

const llama = { norm: 'rms', positions: 'rotary', mlp: 'swiglu', bias: false, tied: false, epsilon: 1e-5 } as const;
const gpt2 = {
  norm: 'layer',
  positions: 'learned',
  mlp: 'gelu',
  bias: false,
  tied: false,
  epsilon: 1e-5,
  rotaryBase: 10000,
} as const;

export const models: Readonly<Record<string, Trained>> = {
  'tiny-world': {
    batch: 32,
    T: 23,
    config: {
      ...llama,
      vocabulary: 70,
      context: 24,
      width: 64,
      layers: 2,
      heads: 4,
      kvHeads: 4,
      hidden: 176,
      rotaryBase: 100,
    },
  },
  bench: {
    batch: 16,
    T: 128,
    config: { ...gpt2, vocabulary: 256, context: 128, width: 128, layers: 4, heads: 4, kvHeads: 4, hidden: 512 },
  },
  tiny: {
    batch: 16,
    T: 64,
    config: { ...gpt2, vocabulary: 256, context: 64, width: 64, layers: 2, heads: 2, kvHeads: 2, hidden: 256 },
  },
};

export interface Training {
  readonly model: Transformer;
  readonly optimiser: AdamW;
  /** inputs, targets (batch x T tokens each), number of the step -> the loss */
  readonly train: Step<[x: Int32Array, y: Int32Array, i: number], Tensor>;
}

/** A model with fresh weights and its training step, on the current backend. */
export function training({ batch, T, config }: Trained): Training {
  const model = new Transformer(config, rng(1));
  const optimiser = new AdamW(model.parameters);
  const train = step((x: Int32Array, y: Int32Array, i: number) => {
    const loss = crossEntropy(model.forward(tensor(x, [batch, T], 'i32')), tensor(y, [batch, T], 'i32'));
    model.parameters.clearGradients();
    backward(loss);
    optimiser.update(i, 1e-3);
    return loss;
  });
  return { model, optimiser, train };
}
