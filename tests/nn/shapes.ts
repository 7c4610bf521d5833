// Small models of every kind that the configuration allows, for the tests of this folder.

import type { TransformerConfig } from '../../nn/config.ts';

export const llama: TransformerConfig = {
  vocabulary: 13, context: 12, width: 16, layers: 2, heads: 4, kvHeads: 4, hidden: 24,
  norm: 'rms', positions: 'rotary', rotaryBase: 100, mlp: 'swiglu', bias: false, tied: false, epsilon: 1e-5,
};

export const gpt2: TransformerConfig = { ...llama, norm: 'layer', positions: 'learned', mlp: 'gelu', bias: true };

export const shapes: readonly (readonly [name: string, config: TransformerConfig])[] = [
  ['Llama', llama],
  ['GPT-2', gpt2],
  ['two key-value heads for four', { ...llama, kvHeads: 2 }],
  ['one key-value head for all', { ...gpt2, kvHeads: 1 }],
  ['a tied head', { ...llama, tied: true }],
  ['GPT-2 with a tied head', { ...gpt2, tied: true }],
];
