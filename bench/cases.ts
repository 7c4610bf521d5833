// What there is to time: families of kernels, and the shapes at which each is looked at: those of a training step of the
// tiny world (736 tokens of 64 channels), odd ones to check at, larger ones for real GPUs. A shape is written as text,
// such as 736x192x64NT or 110000. Read next: contenders.ts. Used by: command.ts, own-kernel.ts.

import { matmulParams, matmulTolerance, matmulWork, someRows } from '../engine/matmul-probe.ts';
import { ConfigError } from '../engine/errors.ts';
import { rotaryTable } from '../engine/ops/attention.ts';
import { expectedOf, magnitude, type Expected, type Work } from '../engine/probe.ts';
import { rng } from '../engine/rng.ts';
import { swigluBackwardKernel, swigluKernel } from '../kernels/activation/activation.ts';
import { attentionBackwardKernel, attentionCachedKernel, attentionForwardKernel } from '../kernels/attention/attention.ts';
import { copyKernel } from '../kernels/copy/copy.ts';
import { crossEntropyKernel } from '../kernels/cross-entropy/cross-entropy.ts';
import { binaryKernels } from '../kernels/elementwise/elementwise.ts';
import type { HostArray, Kernel } from '../kernels/kernel.ts';
import { matmulKernel } from '../kernels/matmul/matmul.ts';
import { rmsNormBackwardKernel, rmsNormKernel } from '../kernels/norm/norm.ts';
import { adamwKernel } from '../kernels/optim/adamw.ts';
import { softmaxKernel } from '../kernels/softmax/softmax.ts';

/** A kernel with data, what it must at least do, and what must come out. */
export interface Case {
  readonly label: string;
  readonly work: Work;
  /** Multiplications and additions. */
  readonly flops: number;
  /** Bytes that must be read and written once. */
  readonly bytes: number;
  /** Computes what must come out, and by how much it may be missed. */
  expected(): { readonly values: readonly Expected[]; readonly most: number };
}

/** A shape's numbers, and the letters behind them. */
interface Shape {
  readonly text: string;
  readonly sizes: readonly number[];
  readonly letters: string;
}

export interface Family {
  readonly name: string;
  readonly kernel: Kernel;
  /** How a shape is written. */
  readonly form: string;
  /** To check at: 1, a prime, one above the tile. */
  readonly odd: readonly string[];
  readonly usual: readonly string[];
  /** For real GPUs, besides. */
  readonly large: readonly string[];
  /** Whether it is bound by memory at the larger of its shapes. */
  readonly memory?: boolean;
  readonly pattern: RegExp;
  make(shape: Shape): Omit<Case, 'label'>;
}

const TOLERANCE = 1e-4; // of the largest magnitude: enough to catch a wrong kernel, not to judge a right one
const FEW = 2 ** 22; // multiplications: of more, some rows are enough
const PAIR = /^(\d+)x(\d+)$/;
const COUNT = /^(\d+)$/;

const matmul: Family = {
  name: 'matmul',
  kernel: matmulKernel,
  form: 'MxNxK, and NN, NT, TN or TT',
  odd: ['1x1x1NN', '5x7x3NN', '5x7x3NT', '5x7x3TN', '1x67x129NT', '65x67x129NN', '17x33x64TT'],
  usual: ['736x192x64NT', '736x64x192NN', '192x64x736TN', '1x512x512NT', '256x256x256NN', '512x512x512NN'],
  large: ['2048x512x128NT', '2048x2048x2048NN', '4096x4096x4096NN'],
  pattern: /^(\d+)x(\d+)x(\d+)(NN|NT|TN|TT)?$/,
  make({ sizes: [M = 1, N = 1, K = 1], letters }) {
    const params = matmulParams({ M, N, K, transA: +(letters[0] === 'T'), transB: +(letters[1] === 'T') });
    const work = matmulWork(params);
    const values = (): readonly Expected[] => (M * N * K > FEW ? someRows(work) : expectedOf(work));
    return {
      work,
      flops: 2 * M * N * K,
      bytes: 4 * (M * K + K * N + M * N),
      expected: () => ({ values: values(), most: matmulTolerance(params) }),
    };
  },
};

const attentionShapes = {
  form: 'BxTxHxD',
  odd: ['1x1x1x2', '2x7x3x6', '1x33x2x16'],
  usual: ['32x23x4x16'],
  large: ['32x256x8x64'],
  pattern: /^(\d+)x(\d+)x(\d+)x(\d*[02468])$/,
} as const;

const attention: Family = {
  name: 'attention',
  kernel: attentionForwardKernel,
  ...attentionShapes,
  make({ sizes }) {
    const { forward, params, pairs, D } = attentionData(sizes);
    return plain({ kernel: attentionForwardKernel, buffers: forward, params }, 4 * pairs * D);
  },
};

const attentionBackward: Family = {
  name: 'attentionBackward',
  kernel: attentionBackwardKernel,
  ...attentionShapes,
  make({ sizes }) {
    const { forward, params, pairs, D, n } = attentionData(sizes);
    attentionForwardKernel.reference(forward, params);
    const buffers = { ...forward, dOut: normals(n, 4), dQkv: floats(3 * n) };
    return plain({ kernel: attentionBackwardKernel, buffers, params }, 10 * pairs * D);
  },
};

/** A token's attention to all before it, which lie in a cache: what decoding a text is made of. */
const attentionCached: Family = {
  name: 'attentionCached',
  kernel: attentionCachedKernel,
  ...attentionShapes,
  usual: ['32x24x4x16', '1x512x8x64'],
  large: ['32x512x8x64'],
  make({ sizes: [B = 1, T = 1, H = 1, D = 2] }) {
    const [token, cache] = [B * H * D, B * H * T * D];
    const buffers = {
      qkv: normals(3 * token, 3),
      table: Float32Array.from(rotaryTable(T, D, 10000)),
      cacheK: normals(cache, 4),
      cacheV: normals(cache, 5),
      out: floats(token),
    };
    const params = { B, N: 1, H, KV: H, D, context: T, rotary: 1, position: T - 1 };
    return plain({ kernel: attentionCachedKernel, buffers, params }, 4 * cache);
  },
};

const rowShapes = {
  form: 'ROWSxLENGTH',
  odd: ['1x1', '3x7', '5x129'],
  usual: ['736x64'],
  large: ['16384x512'],
  pattern: PAIR,
} as const;

const rmsNorm: Family = {
  name: 'rmsNorm',
  kernel: rmsNormKernel,
  ...rowShapes,
  make({ sizes: [rows = 1, C = 1] }) {
    const buffers = { x: normals(rows * C, 5), weight: normals(C, 6), out: floats(rows * C), rstd: floats(rows) };
    return plain({ kernel: rmsNormKernel, buffers, params: { rows, C, epsilon: 1e-5 } }, 4 * rows * C);
  },
};

const rmsNormBackward: Family = {
  name: 'rmsNormBackward',
  kernel: rmsNormBackwardKernel,
  ...rowShapes,
  make({ sizes: [rows = 1, C = 1] }) {
    const n = rows * C;
    const params = { rows, C, epsilon: 1e-5, accumulate: 0 };
    const saved = { x: normals(n, 5), weight: normals(C, 6), rstd: floats(rows) };
    rmsNormKernel.reference({ ...saved, out: floats(n) }, params);
    const buffers = { ...saved, dOut: normals(n, 7), dx: floats(n), dWeight: floats(C) };
    return plain({ kernel: rmsNormBackwardKernel, buffers, params }, 10 * n);
  },
};

const softmax: Family = {
  name: 'softmax',
  kernel: softmaxKernel,
  ...rowShapes,
  usual: ['736x70', '512x4096'],
  make({ sizes: [rows = 1, V = 1] }) {
    const buffers = { x: normals(rows * V, 8), out: floats(rows * V) };
    return plain({ kernel: softmaxKernel, buffers, params: { rows, V } }, 4 * rows * V);
  },
};

const crossEntropy: Family = {
  name: 'crossEntropy',
  kernel: crossEntropyKernel,
  ...rowShapes,
  usual: ['736x70', '512x4096'],
  large: ['2048x32768'],
  make({ sizes: [rows = 1, V = 1] }) {
    const stream = rng(8).stream();
    const buffers = {
      logits: normals(rows * V, 9),
      targets: Int32Array.from({ length: rows }, () => stream.int(V)),
      weights: floats(rows, 1),
      logProb: floats(rows),
      losses: floats(rows),
      dLogits: floats(rows * V),
    };
    return plain({ kernel: crossEntropyKernel, buffers, params: { rows, V, scale: 1 / rows } }, 6 * rows * V);
  },
};

const swiglu: Family = {
  name: 'swiglu',
  kernel: swigluKernel,
  ...rowShapes,
  usual: ['736x176'],
  large: ['16384x1376'],
  make({ sizes: [rows = 1, F = 1] }) {
    const buffers = { gateUp: normals(2 * rows * F, 10), out: floats(rows * F) };
    return plain({ kernel: swigluKernel, buffers, params: { rows, F } }, 6 * rows * F);
  },
};

const swigluBackward: Family = {
  ...swiglu,
  name: 'swigluBackward',
  kernel: swigluBackwardKernel,
  make({ sizes: [rows = 1, F = 1] }) {
    const n = rows * F;
    const buffers = { gateUp: normals(2 * n, 10), dOut: normals(n, 11), dGateUp: floats(2 * n) };
    return plain({ kernel: swigluBackwardKernel, buffers, params: { rows, F } }, 12 * n);
  },
};

const countShapes = {
  form: 'COUNT',
  odd: ['1', '7', '1025'],
  usual: ['110000', '1000000'],
  large: ['16000000'],
  memory: true,
  pattern: COUNT,
} as const;

const adamw: Family = {
  name: 'adamw',
  kernel: adamwKernel,
  ...countShapes,
  make({ sizes: [n = 1] }) {
    const buffers = {
      values: normals(n, 12),
      m: floats(n),
      v: floats(n, 1),
      gradients: normals(n, 13),
      norm: Float32Array.of(1, 1),
      correction: Float32Array.of(0.1, 0.05),
    };
    const params = {
      n, nDecay: n, rate: 1e-3, beta1: 0.9, beta2: 0.95, rest1: 0.1, rest2: 0.05, epsilon: 1e-8, weightDecay: 0.05,
    };
    // values, m and v are both read and written
    return { ...plain({ kernel: adamwKernel, buffers, params }, 14 * n), bytes: 28 * n };
  },
};

const add: Family = {
  name: 'add',
  kernel: binaryKernels.add,
  ...countShapes,
  make({ sizes: [n = 1] }) {
    const params = { d0: 1, d1: 1, d2: 1, d3: n, a0: 0, a1: 0, a2: 0, a3: 1, b0: 0, b1: 0, b2: 0, b3: 1 };
    const buffers = { a: normals(n, 14), b: normals(n, 15), out: floats(n) };
    return plain({ kernel: binaryKernels.add, buffers, params }, n);
  },
};

const copy: Family = {
  name: 'copy',
  kernel: copyKernel,
  ...countShapes,
  make({ sizes: [n = 1] }) {
    return plain({ kernel: copyKernel, buffers: { x: normals(n, 16), out: floats(n) }, params: { n } }, 0);
  },
};

export const families: readonly Family[] = [
  matmul, attention, attentionBackward, attentionCached, rmsNorm, rmsNormBackward, softmax, crossEntropy, swiglu,
  swigluBackward, adamw, add, copy,
];

/** A family at a shape. Throws ConfigError for a shape that it does not have. */
export function caseOf(family: Family, text: string): Case {
  const found = family.pattern.exec(text);
  const numbers = found?.slice(1).filter((part) => part !== undefined && /^\d+$/.test(part)).map(Number) ?? [];
  if (!found || numbers.some((size) => size < 1 || size > 2 ** 28)) {
    throw new ConfigError(
      `bench: ${text}: is no shape of ${family.name}: write ${family.form}, such as ${family.usual[0]}`,
    );
  }
  const shape = { text, sizes: numbers, letters: /[NT]{2}$/.exec(text)?.[0] ?? 'NN' };
  return { label: `${family.name} ${text}`, ...family.make(shape) };
}


/** Whose bytes are those of its buffers, and whose reference is quick. */
function plain<B extends string, P extends string>(
  given: {
    readonly kernel: Kernel<B, P>;
    readonly buffers: Readonly<Record<B, HostArray>>;
    readonly params: Readonly<Record<P, number>>;
  },
  flops: number,
): Omit<Case, 'label'> {
  const work: Work = given as never;
  const bytes = Object.values(work.buffers).reduce((total, { length }) => total + 4 * length, 0);
  const expected = () => {
    const values = expectedOf(work);
    return { values, most: TOLERANCE * magnitude(values) };
  };
  return { work, flops, bytes, expected };
}

function attentionData([B = 1, T = 1, H = 1, D = 2]: readonly number[]) {
  const n = B * T * H * D;
  const forward = {
    qkv: normals(3 * n, 3),
    table: Float32Array.from(rotaryTable(T, D, 10000)),
    out: floats(n),
    logSumExp: floats(B * H * T),
  };
  return { forward, params: { B, T, H, KV: H, D, rotary: 1 }, pairs: (B * H * T * (T + 1)) / 2, D, n };
}

function normals(n: number, seed: number): Float32Array {
  const some = rng(seed).normals(Math.min(n, 100_003)); // drawn once and repeated: large arrays take long to draw
  return Float32Array.from({ length: n }, (_, i) => some[i % some.length]!);
}

function floats(n: number, value = 0): Float32Array {
  return new Float32Array(n).fill(value);
}
