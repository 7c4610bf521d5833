// Every kernel by name: what parity tests and benchmarks enumerate, and what the CPU backend compiles. Read next:
// kernel.ts.

import type { Kernel } from './kernel.ts';
import * as activation from './activation/activation.ts';
import * as attention from './attention/attention.ts';
import * as blend from './optim/blend.ts';
import * as copy from './copy/copy.ts';
import * as crossEntropy from './cross-entropy/cross-entropy.ts';
import * as elementwise from './elementwise/elementwise.ts';
import * as embedding from './embedding/embedding.ts';
import * as keepLargest from './remit/keep-largest.ts';
import * as keepLikely from './random/keep-likely.ts';
import * as matmul from './matmul/matmul.ts';
import * as norm from './norm/norm.ts';
import * as optim from './optim/adamw.ts';
import * as policyLoss from './remit/policy-loss.ts';
import * as random from './random/random.ts';
import * as reduce from './reduce/reduce.ts';
import * as rope from './rope/rope.ts';
import * as softmax from './softmax/softmax.ts';
import * as tokenWeights from './remit/token-weights.ts';

export const kernels: readonly Kernel[] = [
  activation, attention, blend, copy, crossEntropy, elementwise, embedding, keepLargest, keepLikely, matmul, norm,
  optim, policyLoss, random, reduce, rope, softmax, tokenWeights,
].flatMap(kernelsOf);

export const kernelsWithWasm: readonly Kernel[] = kernels.filter((kernel) => kernel.wasm);

/** The kernels among a module's exports, tables of kernels included. */
function kernelsOf(module: object): Kernel[] {
  return Object.values(module).flatMap((value: unknown) =>
    isKernel(value) ? [value] : isTable(value) ? Object.values(value).filter(isKernel) : [],
  );
}

function isTable(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isKernel(value: unknown): value is Kernel {
  return isTable(value) && 'reference' in value && 'bindings' in value;
}
