// The shape of a transformer, and what must hold of it.

import { ConfigError } from '../engine/errors.ts';

export interface TransformerConfig {
  /** Number of tokens in the vocabulary. */
  readonly vocabulary: number;
  /** Longest sequence, in tokens. */
  readonly context: number;
  /** Channels of the residual stream. */
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Key-value heads, each shared by heads / kvHeads query heads. */
  readonly kvHeads: number;
  /** Units of the MLP. */
  readonly hidden: number;
  readonly norm: 'rms' | 'layer';
  readonly positions: 'rotary' | 'learned';
  /** Base of the rotary wavelengths: small (100) for rows of 24 tokens, 10000 by custom. */
  readonly rotaryBase: number;
  readonly mlp: 'swiglu' | 'gelu';
  /** Biases in the linear layers. */
  readonly bias: boolean;
  /** Whether the head shares the token embedding's table. */
  readonly tied: boolean;
  /** Added to the mean square inside the norms' root. */
  readonly epsilon: number;
}

const MOST_ANGLES = 2 ** 28; // a gigabyte

/** Throws ConfigError where sizes do not fit together. */
export function checkConfig(config: TransformerConfig): void {
  const { context, width, heads, kvHeads, positions } = config;
  for (const key of ['vocabulary', 'context', 'width', 'layers', 'heads', 'kvHeads', 'hidden'] as const) {
    if (!Number.isInteger(config[key]) || config[key] < 1) throw new ConfigError(`model: ${key} = ${config[key]}: must be a whole number of at least 1`);
  }
  if (width % heads) throw new ConfigError(`model: width ${width} and ${heads} heads: the width must be a multiple of the heads`);
  if (heads % kvHeads) throw new ConfigError(`model: ${heads} heads and ${kvHeads} key-value heads: the first must be a multiple of the second`);
  if (context * (width / heads) > MOST_ANGLES) throw new ConfigError(`model: context ${context} and heads of ${width / heads} channels: a table of over ${MOST_ANGLES} angles: lower the context`);
  if (positions === 'rotary' && (width / heads) % 2) throw new ConfigError(`model: head size ${width / heads}: rotary positions need an even one`);
}

/** How many numbers a model of this shape learns: to be known before memory is taken for what a file describes. */
export function parameterCount({ vocabulary, context, width, layers, heads, kvHeads, hidden, norm, positions, mlp, bias, tied }: TransformerConfig): number {
  const linear = (inputs: number, outputs: number): number => inputs * outputs + (bias ? outputs : 0), gain = norm === 'layer' ? 2 * width : width;
  const attention = linear(width, width + 2 * kvHeads * (width / heads)) + linear(width, width), up = mlp === 'swiglu' ? 2 * hidden : hidden;
  const block = 2 * gain + attention + linear(width, up) + linear(hidden, width);
  return (tied ? 1 : 2) * vocabulary * width + (positions === 'learned' ? context * width : 0) + layers * block + gain;
}
