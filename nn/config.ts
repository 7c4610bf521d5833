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

/** Throws ConfigError where sizes do not fit together. */
export function checkConfig(config: TransformerConfig): void {
  const { width, heads, kvHeads, positions } = config;
  for (const key of ['vocabulary', 'context', 'width', 'layers', 'heads', 'kvHeads', 'hidden'] as const) {
    if (!Number.isInteger(config[key]) || config[key] < 1) throw new ConfigError(`model: ${key} = ${config[key]}: must be a whole number of at least 1`);
  }
  if (width % heads) throw new ConfigError(`model: width ${width} and ${heads} heads: the width must be a multiple of the heads`);
  if (heads % kvHeads) throw new ConfigError(`model: ${heads} heads and ${kvHeads} key-value heads: the first must be a multiple of the second`);
  if (positions === 'rotary' && (width / heads) % 2) throw new ConfigError(`model: head size ${width / heads}: rotary positions need an even one`);
}
