// The entrance `remit-mini/nn`: the layers, and the transformer that is made of them. Read next: nn/transformer.ts.

export { Attention } from './nn/attention.ts';
export { Block } from './nn/block.ts';
export { parameterCount, type TransformerConfig } from './nn/config.ts';
export { Embedding } from './nn/embedding.ts';
export { generate, type GenerateOptions } from './nn/generate.ts';
export { Linear, type LinearOptions } from './nn/linear.ts';
export { Mlp } from './nn/mlp.ts';
export { Norm, type NormOptions } from './nn/norm.ts';
export { Transformer, type DecodeState } from './nn/transformer.ts';
