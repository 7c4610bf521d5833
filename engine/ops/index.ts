// Every op by name. This namespace is the registry: the gradient check enumerates it, and a test compares it with the
// folder. Read next: matmul.ts, for one op whole.

import '../methods.ts';

export * from './activation.ts';
export * from './arithmetic.ts';
export * from './attention.ts';
export * from './cross-entropy.ts';
export * from './embedding.ts';
export * from './matmul.ts';
export * from './mean.ts';
export * from './norm.ts';
export * from './policy-loss.ts';
export * from './reduce.ts';
export * from './shape.ts';
export * from './softmax.ts';
export * from './token-weights.ts';
export * from './unary.ts';
