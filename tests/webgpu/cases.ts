// What every kernel is tried on, on the GPU: odd sizes (1, a prime, one above a workgroup of 64), and what each kernel
// may trip over. A tolerance is relative to the largest magnitude of a result: float32 sums, and built-in functions
// good to about 50 ulp. Read next: kernels.test.ts, which runs these.

import { rng } from '../../engine/rng.ts';
import { rotaryTable } from '../../engine/ops/attention.ts';
import {
  swigluBackwardKernel,
  swigluKernel,
  geluBackwardKernel,
  geluKernel,
} from '../../kernels/activation/activation.ts';
import {
  attentionBackwardKernel,
  attentionCachedKernel,
  attentionForwardKernel,
} from '../../kernels/attention/attention.ts';
import { accumulateKernel, copyKernel, copyRowsKernel, fillKernel, permuteKernel } from '../../kernels/copy/copy.ts';
import { crossEntropyKernel, logProbBackwardKernel, logProbKernel } from '../../kernels/cross-entropy/cross-entropy.ts';
import * as elementwise from '../../kernels/elementwise/elementwise.ts';
import { embeddingBackwardKernel, embeddingKernel } from '../../kernels/embedding/embedding.ts';
import type { HostArray, Kernel } from '../../kernels/kernel.ts';
import { matmulKernel } from '../../kernels/matmul/matmul.ts';
import * as norm from '../../kernels/norm/norm.ts';
import { blendKernel } from '../../kernels/optim/blend.ts';
import { adamwKernel, biasCorrectionKernel, gradientNormKernel } from '../../kernels/optim/adamw.ts';
import { keepLikelyKernel } from '../../kernels/random/keep-likely.ts';
import { bitsKernel, sampleKernel } from '../../kernels/random/random.ts';
import { threefry2x32 } from '../../kernels/random/threefry.ts';
import { keepLargestKernel } from '../../kernels/remit/keep-largest.ts';
import { policyLossKernel } from '../../kernels/remit/policy-loss.ts';
import { tokenWeightsBackwardKernel, tokenWeightsKernel } from '../../kernels/remit/token-weights.ts';
import { maxBackwardKernel, maxKernel, sumKernel } from '../../kernels/reduce/reduce.ts';
import { ropeKernel } from '../../kernels/rope/rope.ts';
import {
  logSoftmaxBackwardKernel,
  logSoftmaxKernel,
  softmaxBackwardKernel,
  softmaxKernel,
} from '../../kernels/softmax/softmax.ts';

type Numbers = Readonly<Record<string, number>>;
type Results = Readonly<Record<string, HostArray>>; // by binding

export interface Case {
  readonly kernel: Kernel;
  /** What each binding holds beforehand. */
  readonly buffers: Readonly<Record<string, HostArray>>;
  readonly params: Numbers;
  /** Largest error, relative to the largest magnitude of the result. Integers must be equal. */
  readonly tolerance: number;
  /** Where results cancel out: a magnitude that errors are relative to at the least. */
  readonly scale?: number;
  /** Instead of tolerance: whether what was found where something else was expected is as good. */
  readonly isAsGood?: (expected: Results, found: Results) => boolean;
}

const sizes = [1, 2, 63, 64, 65, 127, 1009];
// nothing rounded twice; sums; exp and the like; several of these
const EXACT = 0;
const ROUNDED = 1e-6;
const FUNCTION = 2e-6;
const CHAIN = 5e-6;

let draws = 0; // every array draws from a seed of its own

function normals(n: number, deviation = 1): Float32Array {
  return Float32Array.from(rng(draws++).normals(n, deviation));
}

function positives(n: number): Float32Array {
  return normals(n).map((x) => Math.abs(x) + 0.1);
}

/** Whole numbers from `from` to `to` - 1. */
function integers(n: number, from: number, to: number): Int32Array {
  const stream = rng(draws++).stream();
  return Int32Array.from({ length: n }, () => from + stream.int(to - from));
}

/** Room for results: what the kernel leaves out is found. */
const room = (n: number): Float32Array => new Float32Array(n).fill(NaN);
const roomForIntegers = (n: number): Int32Array => new Int32Array(n).fill(0x7fc00000);

/** What the reference makes of these inputs, as float32: the input of a backward kernel. */
function made<T extends Record<string, HostArray>>(kernel: Kernel, buffers: T, params: Numbers): T {
  kernel.reference(buffers, params);
  return buffers;
}

const kernelCases: Case[] = [];

/** Adds a case. The kernel's own types check names. */
function add<B extends string, P extends string>(
  kernel: Kernel<B, P>,
  buffers: Readonly<Record<B, HostArray>>,
  params: Readonly<Record<P, number>>,
  tolerance: number,
  more: Partial<Case> = {},
): void {
  kernelCases.push({ kernel: kernel, buffers, params, tolerance, ...more });
}

/** All cases; the numbers are the same at every call. */
export function everyCase(): readonly Case[] {
  draws = 0;
  kernelCases.length = 0;
  for (const n of sizes) flat(n);
  extremes();
  for (const shape of [
    [1, 1, 1, 1],
    [2, 3, 5, 7],
    [1, 1, 1, 65],
    [1, 13, 1, 67],
    [3, 1, 11, 1],
    [1, 1, 129, 3],
  ] as const) {
    fourAxes(shape);
  }
  copiedRows();
  reductions();
  for (const [rows, V] of [
    [1, 1],
    [1, 65],
    [3, 7],
    [65, 13],
    [67, 129],
    [2, 4099],
  ] as const) {
    for (const deviation of [1, 30]) perRow(rows, V, deviation);
  }
  for (const [rows, C] of [[1, 1], [1, 67], [3, 5], [67, 13], [65, 129], [2, 1009]] as const) norms(rows, C);
  for (const [N, V, C] of [
    [1, 1, 1],
    [13, 7, 5],
    [65, 11, 67],
    [257, 3, 1],
    [2, 129, 64],
  ] as const) {
    embeddings(N, V, C);
  }
  for (const [rows, F] of [[1, 1], [3, 7], [67, 65], [2, 509]] as const) gates(rows, F);
  for (const [B, T, H, KV, D] of [
    [1, 1, 1, 1, 2],
    [2, 5, 3, 1, 4],
    [1, 67, 2, 2, 6],
    [3, 13, 4, 2, 16],
    [1, 17, 1, 1, 64],
    [2, 129, 2, 1, 8],
    [1, 9, 2, 1, 128],
  ] as const) {
    attentions(B, T, H, KV, D);
  }
  for (const [batch, M, N, K] of [
    [1, 1, 1, 1],
    [2, 65, 67, 13],
    [1, 1, 129, 65],
    [3, 7, 5, 131],
  ] as const) {
    matmuls(batch, M, N, K);
  }
  for (const [rows, T] of [[1, 1], [3, 7], [67, 23], [65, 129]] as const) tokenLosses(rows, T);
  optimisers();
  for (const [B, V] of [[1, 1], [3, 65], [67, 13], [5, 1009]] as const) likely(B, V);
  for (const [B, V, T] of [[1, 1, 1], [1, 65, 3], [67, 13, 5], [17, 1009, 4], [3, 4099, 9]] as const) samples(B, V, T);
  fourAxes([2, 3, 5, 8]); // whose last axis is a multiple of 4
  return kernelCases;
}

function flat(n: number): void {
  add(fillKernel, { out: room(n) }, { n, value: -1.25 }, EXACT);
  add(copyKernel, { x: normals(n), out: room(n) }, { n }, EXACT);
  add(copyKernel, { x: integers(n, -5, 5), out: roomForIntegers(n) }, { n }, EXACT);
  add(accumulateKernel, { x: normals(n), out: normals(n) }, { n }, ROUNDED);
  for (const [name, kernel] of Object.entries(elementwise.unaryKernels)) {
    const x = name === 'log' || name === 'sqrt' ? positives(n) : normals(n, 3);
    const y = room(n);
    add(kernel, { x, out: room(n) }, { n }, FUNCTION);
    kernel.reference({ x, out: y }, { n });
    add(
      elementwise.unaryBackwardKernels[name as elementwise.UnaryName],
      { x, y, dy: normals(n), dx: room(n) },
      { n },
      FUNCTION,
    );
  }
  add(elementwise.affineKernel, { x: normals(n), out: room(n) }, { n, factor: 0.3, offset: 2 }, ROUNDED);
  add(elementwise.clampKernel, { x: normals(n), out: room(n) }, { n, low: -0.5, high: 0.75 }, EXACT);
  add(
    elementwise.clampBackwardKernel,
    { x: normals(n), dy: normals(n), dx: room(n) },
    { n, low: -0.5, high: 0.75 },
    EXACT,
  );
  for (const [key0, key1, first] of [
    [0, 0, 0],
    [0xdeadbeef, 0x12345678, 77],
    [0xffffffff, 0xffffffff, 0xfffff000],
  ] as const) {
    add(bitsKernel, { out: new Uint32Array(n).fill(0x7fc00000) }, { n, key0, key1, first }, EXACT);
  }
  const x = normals(n, 3);
  add(geluKernel, { x, out: room(n) }, { n }, FUNCTION);
  add(geluBackwardKernel, { x, dOut: normals(n), dx: room(n) }, { n }, CHAIN);
}

/** Arguments for which a driver's exp or tanh may return anything. */
function extremes(): void {
  const x = Float32Array.of(-1e4, -100, -88, -20, -0, 0, 20, 80, 100, 1e4);
  const n = x.length;
  const { tanh, sigmoid, relu, square, exp } = elementwise.unaryKernels;
  for (const kernel of [tanh, sigmoid, relu, square]) add(kernel, { x, out: room(n) }, { n }, FUNCTION);
  add(exp, { x: Float32Array.of(-1e4, -100, -50, 0, 1, 40), out: room(6) }, { n: 6 }, FUNCTION);
  add(geluKernel, { x, out: room(n) }, { n }, FUNCTION);
  add(swigluKernel, { gateUp: Float32Array.of(...x, ...x.map(() => 1)), out: room(n) }, { rows: 1, F: n }, FUNCTION);
}

/** Binary kernels with and without broadcasting, and a permutation. */
function fourAxes(shape: readonly [number, number, number, number]): void {
  const [d0, d1, d2, d3] = shape;
  const n = d0 * d1 * d2 * d3;
  for (const kernel of Object.values(elementwise.binaryKernels)) {
    for (const [seenByA, seenByB] of [
      ['1111', '1111'],
      ['1111', '0001'],
      ['0010', '1111'],
      ['1000', '0111'],
      ['1111', '0000'],
    ] as const) {
      const [a0, a1, a2, a3, na] = strides(shape, seenByA);
      const [b0, b1, b2, b3, nb] = strides(shape, seenByB);
      add(
        kernel,
        { a: normals(na), b: positives(nb), out: room(n) },
        { d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3 },
        ROUNDED,
      );
    }
  }
  const ties = integers(n, -1, 2);
  const [a0, a1, a2, a3] = strides(shape, '1111');
  const all = { d0, d1, d2, d3, a0, a1, a2, a3, b0: a0, b1: a1, b2: a2, b3: a3 };
  for (const kernel of [elementwise.binaryKernels.atLeast, elementwise.binaryKernels.maximum]) {
    add(kernel, { a: Float32Array.from(ties), b: Float32Array.from(ties.toReversed()), out: room(n) }, all, EXACT);
  }
  const params = { d0, d1, d2, d3, s0: d2, s1: d0 * d2, s2: 1, s3: d1 * d0 * d2 }; // x is [d3,d1,d0,d2]
  add(permuteKernel, { x: normals(n), out: room(n) }, params, EXACT);
  add(permuteKernel, { x: integers(n, -100, 100), out: roomForIntegers(n) }, params, EXACT);
}

/** Steps of an operand that has only the axes marked 1, and its number of elements. */
function strides(shape: readonly number[], seen: string): [number, number, number, number, number] {
  const steps = [0, 0, 0, 0];
  let elements = 1;
  for (let axis = 3; axis >= 0; axis--) {
    if (seen[axis] === '0') continue;
    steps[axis] = elements;
    elements *= shape[axis]!;
  }
  return [...steps, elements] as [number, number, number, number, number];
}

function copiedRows(): void {
  for (const [outer, inner, count, xRows, xStart, outRows, outStart] of [
    [1, 1, 1, 1, 0, 1, 0],
    [3, 7, 2, 5, 2, 4, 1],
    [2, 65, 3, 3, 0, 11, 8],
    [7, 1, 13, 17, 3, 13, 0],
  ] as const) {
    const params = { outer, inner, count, xRows, xStart, outRows, outStart };
    add(copyRowsKernel, { x: normals(outer * xRows * inner), out: normals(outer * outRows * inner) }, params, EXACT);
  }
}

function reductions(): void {
  for (const [outer, length, inner] of [
    [1, 1, 1],
    [1, 10007, 1],
    [3, 65, 7],
    [67, 2, 1],
    [2, 129, 65],
    [1, 64, 3],
  ] as const) {
    const rows = outer * inner;
    const x = normals(outer * length * inner);
    const params = { outer, length, inner };
    add(sumKernel, { x, out: room(rows) }, { ...params, factor: 1 / length }, ROUNDED);
    add(maxKernel, { x, out: room(rows) }, params, EXACT);
    for (const values of [x, Float32Array.from(integers(x.length, 0, 3))]) {
      // the second with ties
      const { out: y } = made(maxKernel, { x: values, out: room(rows) }, params);
      add(maxBackwardKernel, { x: values, y, dy: normals(rows), dx: room(x.length) }, params, EXACT);
    }
  }
  add(sumKernel, { x: positives(200_003), out: room(1) }, { outer: 1, length: 200_003, inner: 1, factor: 1 }, FUNCTION);
}

/** Softmax and what is made of it. */
function perRow(rows: number, V: number, deviation: number): void {
  const n = rows * V;
  const x = normals(n, deviation);
  const params = { rows, V };
  add(softmaxKernel, { x, out: room(n) }, params, CHAIN);
  add(logSoftmaxKernel, { x, out: room(n) }, params, CHAIN);
  const dy = normals(n);
  const { out: p } = made(softmaxKernel, { x, out: room(n) }, params);
  const { out: y } = made(logSoftmaxKernel, { x, out: room(n) }, params);
  add(softmaxBackwardKernel, { y: p, dy, dx: room(n) }, params, CHAIN, {
    scale: Math.max(...p.map((value, i) => Math.abs(value * dy[i]!))),
  });
  add(logSoftmaxBackwardKernel, { y, dy, dx: room(n) }, params, CHAIN);

  const weights = positives(rows);
  const outputs = { logProb: room(rows), losses: room(rows), dLogits: room(n) };
  for (const targets of [integers(rows, -1, V), new Int32Array(rows).fill(-1)]) { // the second: none is counted
    add(crossEntropyKernel, { logits: x, targets, weights, ...outputs }, { ...params, scale: 1 / rows }, CHAIN);
    const { logTotal } = made(logProbKernel, { logits: x, targets, logProb: room(rows), logTotal: room(rows) }, params);
    add(logProbKernel, { logits: x, targets, logProb: room(rows), logTotal: room(rows) }, params, CHAIN);
    add(
      logProbBackwardKernel,
      { logits: x, targets, logTotal, dLogProb: normals(rows), dLogits: room(n) },
      params,
      1e-5,
    );
  }
}

function tokenLosses(rows: number, T: number): void {
  const n = rows * T;
  const [reference, model, targets] = [normals(n), normals(n), integers(n, -1, 4)];
  for (const [epsilon, scale, centre] of [[0.2, 1, 1], [0.95, 3, 0]] as const) {
    const params = { rows, T, scale, epsilon, centre };
    add(tokenWeightsKernel, { reference, model, targets, weights: room(n) }, params, CHAIN);
    add(
      tokenWeightsBackwardKernel,
      { reference, model, targets, dWeights: normals(n), dModel: room(n) },
      params,
      CHAIN,
      { scale: 1 },
    );
  }
  if (n < 2000) {
    for (const keep of [0, 1, Math.ceil(0.6 * n), n]) {
      add(keepLargestKernel, { x: model, targets, out: room(n) }, { n, keep }, EXACT);
    }
  }
  // equals
  if (n < 2000) {
    add(
      keepLargestKernel,
      { x: Float32Array.from(integers(n, 0, 3)), targets, out: room(n) },
      { n, keep: Math.ceil(n / 3) },
      EXACT,
    );
  }
  for (const [deviation, klWeight, weighted] of [[0.3, 0.02, 0], [1e-3, 1, 0], [0.3, 0.1, 1]] as const) {
    const old = model.map((x) => x + deviation * normals(1)[0]!);
    const near = model.map((x) => x + deviation * normals(1)[0]!);
    add(
      policyLossKernel,
      {
        logProb: model,
        old,
        reference: near,
        advantage: normals(rows * (1 + weighted)),
        targets,
        losses: room(n),
        dLogProb: room(n),
        diagnostics: room(2 * n),
      },
      { rows, T, clip: 0.2, clipHigh: 0.28, klWeight, factor: 1 / n, weighted },
      CHAIN,
    );
  }
}

function norms(rows: number, C: number): void {
  const n = rows * C;
  const x = normals(n, 3).map((value) => value + 1);
  const weight = normals(C);
  const dOut = normals(n);
  const params = { rows, C, epsilon: 1e-5 };
  const { rstd: rmsRstd } = made(norm.rmsNormKernel, { x, weight, out: room(n), rstd: room(rows) }, params);
  const { mean, rstd } = made(
    norm.layerNormKernel,
    { x, weight, bias: normals(C), out: room(n), mean: room(rows), rstd: room(rows) },
    params,
  );
  const scale = Math.max(...rstd) * 4; // what cancels out in dx is about this large
  add(norm.rmsNormKernel, { x, weight, out: room(n), rstd: room(rows) }, params, CHAIN);
  if (C > 1) {
    add(
      norm.layerNormKernel,
      { x, weight, bias: normals(C), out: room(n), mean: room(rows), rstd: room(rows) },
      params,
      CHAIN,
    );
  }
  for (const accumulate of [0, 1]) {
    const dWeight = accumulate ? normals(C) : room(C);
    const dBias = accumulate ? normals(C) : room(C);
    add(
      norm.rmsNormBackwardKernel,
      { x, weight, rstd: rmsRstd, dOut, dx: room(n), dWeight },
      { rows, C, accumulate },
      CHAIN,
      { scale: Math.max(...rmsRstd) },
    );
    add(
      norm.layerNormBackwardKernel,
      { x, weight, mean, rstd, dOut, dx: room(n), dWeight, dBias },
      { rows, C, accumulateWeight: accumulate, accumulateBias: accumulate },
      CHAIN,
      { scale },
    );
  }
}

function embeddings(N: number, V: number, C: number): void {
  const ids = integers(N, 0, V);
  add(embeddingKernel, { table: normals(V * C), ids, out: room(N * C) }, { N, V, C }, EXACT);
  for (const accumulate of [0, 1]) {
    add(
      embeddingBackwardKernel,
      { ids, dOut: normals(N * C), dTable: accumulate ? normals(V * C) : room(V * C) },
      { N, V, C, accumulate },
      FUNCTION,
    );
  }
}

function gates(rows: number, F: number): void {
  const gateUp = normals(2 * rows * F, 2);
  add(swigluKernel, { gateUp, out: room(rows * F) }, { rows, F }, FUNCTION);
  add(swigluBackwardKernel, { gateUp, dOut: normals(rows * F), dGateUp: room(2 * rows * F) }, { rows, F }, CHAIN);
}

function attentions(B: number, T: number, H: number, KV: number, D: number): void {
  const table = Float32Array.from(rotaryTable(T + 1, D, 100));
  const qkv = normals(B * T * (H + 2 * KV) * D);
  const n = B * T * H * D;
  for (const inverse of [0, 1]) {
    add(ropeKernel, { x: normals(n), table, out: room(n) }, { rows: B * T, T, H, D, inverse }, ROUNDED);
  }
  for (const rotary of [0, 1]) {
    const params = { B, T, H, KV, D, rotary };
    add(attentionForwardKernel, { qkv, table, out: room(n), logSumExp: room(B * H * T) }, params, CHAIN);
    const { out, logSumExp } = made(
      attentionForwardKernel,
      { qkv, table, out: room(n), logSumExp: room(B * H * T) },
      params,
    );
    add(
      attentionBackwardKernel,
      { qkv, table, out, logSumExp, dOut: normals(n), dQkv: room(qkv.length) },
      params,
      2e-5,
    );
    const context = T + 1;
    for (const position of new Set([0, Math.min(1, T - 1), T - 1])) { // N tokens that follow `position` others
      const N = T - position;
      const cache = (): Float32Array => normals(B * KV * context * D);
      add(
        attentionCachedKernel,
        {
          qkv: qkv.slice(0, B * N * (H + 2 * KV) * D),
          table,
          cacheK: cache(),
          cacheV: cache(),
          out: room(B * N * H * D),
        },
        { B, N, H, KV, D, context, rotary, position },
        CHAIN,
      );
    }
  }
}

function matmuls(batch: number, M: number, N: number, K: number): void {
  const switches = [[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [1, 0, 0, 1, 0], [1, 1, 1, 0, 1], [0, 1, 0, 1, 1]] as const;
  for (const [transA, transB, accumulate, addBias, addResidual] of switches) {
    const out = accumulate ? normals(batch * M * N) : room(batch * M * N);
    add(
      matmulKernel,
      { a: normals(batch * M * K), b: normals(batch * K * N), bias: normals(N), residual: normals(batch * M * N), out },
      { batch, M, N, K, transA, transB, strideA: M * K, strideB: K * N, accumulate, addBias, addResidual },
      CHAIN,
    );
  }
}

function optimisers(): void {
  for (const n of [1, 7, 255, 256, 257, 4097, 200_003]) {
    for (const limit of [0, 0.5, 1e6]) add(gradientNormKernel, { x: normals(n), norm: room(2) }, { n, limit }, ROUNDED);
  }
  for (const n of [1, 4, 67, 1025]) {
    for (const scale of [0.7, 0, NaN]) {
      add(blendKernel, { y: normals(n), x: normals(n), scale: Float32Array.of(scale) }, { n, keep: 0.95, share: -0.3 }, ROUNDED);
    }
  }
  const settings = { beta1: 0.9, beta2: 0.999, rest1: 1 - 0.9, rest2: 1 - 0.999, epsilon: 1e-8, weightDecay: 0.1 };
  for (const [n, nDecay] of [[1, 0], [1, 1], [67, 65], [1009, 500]] as const) {
    for (const t of [1, 100]) {
      const correction = Float32Array.of(1 - 0.9 ** t, 1 - 0.999 ** t);
      add(
        adamwKernel,
        {
          values: normals(n),
          m: normals(n, 0.1),
          v: positives(n),
          gradients: normals(n),
          norm: Float32Array.of(3, 0.7),
          correction,
        },
        { n, nDecay, rate: 1e-3, ...settings },
        FUNCTION,
      );
    }
    // The first step: m, v start at 0, and each value moves by about the rate, whatever the gradient's size.
    const correction = Float32Array.of(1 - 0.9, 1 - 0.999);
    add(
      adamwKernel,
      {
        values: normals(n),
        m: new Float32Array(n),
        v: new Float32Array(n),
        gradients: normals(n, 1e-3),
        norm: Float32Array.of(3, 1),
        correction,
      },
      { n, nDecay, rate: 1e-2, ...settings },
      FUNCTION,
    );
  }
  for (const [beta1, beta2] of [[0.9, 0.999], [0, 0.5], [0.99, 0.9999]] as const) {
    for (const [updates, before, coefficient] of [
      [1, 0, 1],
      [1, 0, 0],
      [2, 1, 1],
      [7, 3, 0],
      [1000, 1, 0.3],
      [100_000, 99_999, 1],
    ] as const) {
      const params = {
        updates,
        beta1,
        beta2,
        correction1: 1 - beta1 ** updates,
        correction2: 1 - beta2 ** updates,
        decay1: Math.min(80, -Math.log(beta1)),
        decay2: Math.min(80, -Math.log(beta2)),
      };
      const buffers = { norm: Float32Array.of(3, coefficient), skipped: Float32Array.of(before), correction: room(2) };
      add(biasCorrectionKernel, buffers, params, FUNCTION);
    }
  }
}

/** Drawing tokens: greedy and not, from the top k, with ties; forced, and stopped. */
function samples(B: number, V: number, T: number): void {
  const position = T - 1;
  for (const temperature of [0, 0.8]) {
    for (const topK of [0, 1, 5, V - 1, V + 3]) {
      for (const logits of [normals(B * V, 2), Float32Array.from(integers(B * V, -3, 3))]) {
        for (const [force, stop, first] of [[-1, -1, 0], [0, 1, 0], [-1, 1, 0], [-1, 1, position]] as const) {
          const params = {
            B,
            V,
            T,
            position,
            first,
            temperature,
            topK,
            force,
            stop,
            key0: Math.imul(draws, 2654435761) >>> 0,
            key1: 99,
          };
          const tokens = integers(B * T, 0, Math.min(V, 3)).map((token, i) => free(i, T, position) ? -1 : token);
          const buffers = { logits, tokens, next: roomForIntegers(B) };
          add(
            sampleKernel,
            buffers,
            params,
            EXACT,
            temperature > 0 ? { isAsGood: (...results) => drewAsGood(logits, params, ...results) } : {},
          );
        }
      }
    }
  }
}

/** Leaving out what is unlikely: top-p, min-p, both, none. */
function likely(B: number, V: number): void {
  for (const [temperature, topP, gap] of [[1, 0.9, 3e38], [0.7, 0.5, 3e38], [1.5, 1, 2], [1, 0.8, 1.5], [1, 1, 3e38]] as const) {
    const logits = normals(B * V, 2);
    if (V > 3) logits[1] = -Infinity;
    add(keepLikelyKernel, { logits, out: room(B * V) }, { B, V, temperature, topP, gap }, EXACT);
  }
}

/** Whether a place of tokens [B,T] is to be drawn: in every third row it holds a token already. */
const free = (i: number, T: number, position: number): boolean => i % T === position && Math.floor(i / T) % 3 !== 2;

/**
 * Whether each token that was drawn scores as high as the right one, as float32 sees it, and all else is as it should
 * be.
 */
function drewAsGood(
  logits: Float32Array,
  params: Record<'V' | 'T' | 'position' | 'temperature' | 'key0' | 'key1', number>,
  right: Results,
  found: Results,
): boolean {
  const { V, T, position, temperature, key0, key1 } = params;
  const score = (row: number, token: number): number => {
    // of which sampling takes the largest
    const index = row * V + token;
    const u = ((threefry2x32(key0, key1, index, position)[0] >>> 8) + 0.5) / 2 ** 24;
    return logits[index]! / temperature - Math.log(-Math.log(u));
  };
  return (
    found.tokens!.every(
      (token, i) => token === (i % T === position ? found.next![Math.floor(i / T)] : right.tokens![i]),
    ) && found.next!.every((token, row) => Math.abs(score(row, token) - score(row, right.next![row]!)) < 1e-4)
  );
}
