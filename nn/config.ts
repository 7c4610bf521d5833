// The shape of a transformer, and what must hold of it. Read next: transformer.ts.

import { ConfigError } from '../engine/errors.ts';
import { checkOptions, choice, real, toggle, whole, type Rules } from '../engine/options.ts';

/** The shape of a model. parameterCount() says how many numbers that is. */
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

/** What each may be; remit/settings/schema.ts makes its settings of these. */
export const modelRules = {
  vocabulary: whole({ min: 1, max: 2 ** 31 - 1 }),
  context: whole({ min: 2, max: 1_048_576 }),
  width: whole({ min: 2, max: 8192 }),
  layers: whole({ min: 1, max: 128 }),
  heads: whole({ min: 1, max: 256 }),
  kvHeads: whole({ min: 1, max: 256 }),
  hidden: whole({ min: 1, max: 65_536 }),
  norm: choice('rms', 'layer'),
  positions: choice('rotary', 'learned'),
  rotaryBase: real({ above: 1, to: 1e9 }),
  mlp: choice('swiglu', 'gelu'),
  bias: toggle,
  tied: toggle,
  epsilon: real({ above: 0, to: 0.1 }),
} satisfies Rules<TransformerConfig>;

const MOST_ANGLES = 2 ** 28; // a gigabyte

/** Throws ConfigError for what is no such shape, or where sizes do not fit together. */
export function checkConfig(config: TransformerConfig): void {
  const { context, width, heads, kvHeads, positions } = checkOptions<TransformerConfig>('model', config, modelRules);
  if (width % heads) {
    throw new ConfigError(`model: width ${width} and ${heads} heads: the width must be a multiple of the heads`);
  }
  if (heads % kvHeads) {
    throw new ConfigError(
      `model: ${heads} heads and ${kvHeads} key-value heads: the first must be a multiple of the second`,
    );
  }
  if (context * (width / heads) > MOST_ANGLES) {
    throw new ConfigError(
      `model: context ${context} and heads of ${width / heads} channels: a table of over ${MOST_ANGLES} angles: ` +
      'lower the context',
    );
  }
  if (positions === 'rotary' && (width / heads) % 2) {
    throw new ConfigError(`model: head size ${width / heads}: rotary positions need an even one`);
  }
}

/** How many numbers a model of this shape learns: to be known before memory is taken for what a file describes. */
export function parameterCount({
  vocabulary, context, width, layers, heads, kvHeads, hidden, norm, positions, mlp, bias, tied,
}: TransformerConfig): number {
  const linear = (inputs: number, outputs: number): number => inputs * outputs + (bias ? outputs : 0);
  const gain = norm === 'layer' ? 2 * width : width;
  const attention = linear(width, width + 2 * kvHeads * (width / heads)) + linear(width, width);
  const up = mlp === 'swiglu' ? 2 * hidden : hidden;
  const block = 2 * gain + attention + linear(width, up) + linear(hidden, width);
  return (tied ? 1 : 2) * vocabulary * width + (positions === 'learned' ? context * width : 0) + layers * block + gain;
}
