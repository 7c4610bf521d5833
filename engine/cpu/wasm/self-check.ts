// Are the wide programs right on this machine, with this V8? Each is run on a small input, as wide as it will be and
// narrow, and must give the same bits; one that does not is named, and taken narrow. Some milliseconds, once per
// process. Sizes are odd, so that every program comes by its pairs, its vectors and its single floats. Read after:
// width.ts. Used by: compile.ts.

import type { Kernel } from '../../../kernels/kernel.ts';
import type { WasmRunner } from '../../../kernels/wasm/program.ts';

/** Of every buffer: more than any program needs at the sizes below. */
const FLOATS = 4096;
const MOST_BUFFERS = 8;
/** Memory that the check takes. */
export const CHECK_BYTES = 4 * FLOATS * MOST_BUFFERS;

const SIZES = {
  n: 1047,
  rows: 3,
  V: 47,
  F: 43,
  C: 45,
  T: 47,
  N: 21,
  K: 37,
  M: 9,
  B: 3,
  H: 4,
  KV: 2,
  D: 18,
  batch: 1,
  outer: 2,
  inner: 45,
  length: 13,
  count: 3,
  xRows: 4,
  xStart: 1,
  outRows: 5,
  outStart: 2,
  keep: 20,
  nDecay: 600,
  d0: 1,
  d1: 2,
  d2: 3,
  d3: 47,
  a0: 0,
  a1: 141,
  a2: 47,
  a3: 1,
  b0: 0,
  b1: 47,
  b2: 0,
  b3: 1,
  s0: 0,
  s1: 141,
  s2: 47,
  s3: 1,
  context: 31,
  position: 5,
  rotary: 1,
  first: 2,
  topK: 7,
  force: -1,
  stop: -1,
  key0: 11,
  key1: 13,
  transA: 0,
  transB: 1,
  strideA: 0,
  strideB: 0,
  accumulate: 1,
  accumulateWeight: 1,
  accumulateBias: 0,
  addBias: 1,
  addResidual: 1,
  centre: 1,
  value: 0.3,
  factor: 0.7,
  share: 0.3,
  offset: -0.2,
  low: -0.5,
  high: 0.6,
  scale: 0.4,
  epsilon: 0.2,
  temperature: 0.9,
  clip: 0.2,
  klWeight: 0.1,
  limit: 1,
  rate: 0.01,
  beta1: 0.9,
  beta2: 0.99,
  rest1: 0.1,
  rest2: 0.01,
  weightDecay: 0.1,
  correction1: 0.2,
  correction2: 0.02,
} as const;

/** Where the sizes above do not do. Several: every one is run. */
const OTHER_SIZES: Readonly<Record<string, readonly Readonly<Record<string, number>>[]>> = {
  attentionForward: [{ B: 5, T: 5 }],
  attentionBackward: [{ B: 5, T: 5 }],
  attentionCached: [{ B: 2, N: 3 }],
  matmul: [{ N: 45 }, { N: 45, transA: 1, transB: 0 }, { M: 2, N: 45 }, { M: 2, N: 45, transB: 0 }],
  sum: [{}, { outer: 5, length: 91, inner: 1 }],
};

// below that
const INTEGERS: Readonly<Record<string, number>> = { targets: SIZES.V, ids: SIZES.N, tokens: SIZES.V, next: SIZES.V };
const POSITIVE = new Set(['v', 'rstd', 'norm', 'scale', 'weights']);
const POSITIVE_KERNELS = new Set(['sqrt', 'sqrtBackward', 'log', 'logBackward']);

/** A kernel's program, wide and narrow, on the same memory. */
export interface Twins {
  readonly kernel: Kernel;
  readonly wide: WasmRunner;
  readonly narrow: WasmRunner;
}

/** The kernels whose two programs differ in any bit. `place` is the address of CHECK_BYTES of the memory. */
export function programsToDistrust(twins: readonly Twins[], memory: WebAssembly.Memory, place: number): string[] {
  return twins.filter((pair) => differ(pair, memory, place)).map(({ kernel }) => kernel.name);
}

function differ({ kernel, wide, narrow }: Twins, memory: WebAssembly.Memory, place: number): boolean {
  const buffers = Object.keys(kernel.bindings);
  const addresses = Object.fromEntries(buffers.map((name, i) => [name, place + 4 * FLOATS * i]));
  const bytes = buffers.length * FLOATS; // in words
  const resultOf = (run: WasmRunner, params: Readonly<Record<string, number>>): Int32Array => {
    for (const name of buffers) {
      fill(memory, addresses[name]!, name, POSITIVE.has(name) || POSITIVE_KERNELS.has(kernel.name));
    }
    run(addresses, params);
    return new Int32Array(memory.buffer, place, bytes).slice();
  };
  return (OTHER_SIZES[kernel.name] ?? [{}]).some((more) => {
    const sizes: Readonly<Record<string, number>> = { ...SIZES, ...more };
    const params = Object.fromEntries(kernel.params.map((name) => [name, sizes[name]!]));
    const expected = resultOf(narrow, params);
    return !sameWords(resultOf(wide, params), expected);
  });
}

function sameWords(a: Int32Array, b: Int32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** From -2 to 2, or from 0 to 4, without a pattern that eight lanes could follow; or whole numbers. */
const NUMBERS = Float32Array.from({ length: FLOATS }, (_, i) => ((i * 7919) % 2003) / 500.5 - 2);
const SHIFTED = NUMBERS.map((x) => x + 2.001);

function fill(memory: WebAssembly.Memory, address: number, name: string, positive: boolean): void {
  const below = INTEGERS[name];
  if (below === undefined) {
    new Float32Array(memory.buffer, address, FLOATS).set(positive ? SHIFTED : NUMBERS);
    return;
  }
  const least = name === 'targets' ? -1 : 0; // which is not counted
  const integers = new Int32Array(memory.buffer, address, FLOATS);
  for (let i = 0; i < FLOATS; i++) integers[i] = least + ((i * 31) % (below - least));
}
