// The matrix product as something to check and to time: its data, and what must come out. Read after: probe.ts. Used
// by: doctor, tune and the benchmarks.

import { matmulKernel } from '../kernels/matmul/matmul.ts';
import type { Expected, Work } from './probe.ts';

export type MatmulParams = Readonly<Record<(typeof matmulKernel.params)[number], number>>;

export interface MatmulShape {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly transA?: number;
  readonly transB?: number;
}

/** One product without an epilogue, by its sizes. */
export function matmulParams({ M, N, K, transA = 0, transB = 0 }: MatmulShape): MatmulParams {
  const strides = { strideA: M * K, strideB: K * N };
  return { batch: 1, M, N, K, transA, transB, ...strides, accumulate: 0, addBias: 0, addResidual: 0 };
}

/** Its operands, of numbers from -1 to 1; the result holds NaN before, so that what is left out shows. */
export function matmulWork(given: MatmulParams): Work & { readonly params: MatmulParams } {
  const params = { ...given, accumulate: 0, addBias: 0, addResidual: 0 };
  const { batch, M, N, K, strideA, strideB } = params;
  const a = values(M * K * (strideA ? batch : 1));
  const b = values(K * N * (strideB ? batch : 1));
  const out = new Float32Array(batch * M * N).fill(NaN);
  return { kernel: matmulKernel, buffers: { a, b, bias: b, residual: b, out }, params };
}

const SOME = 6;

/** Some rows of the result, the first and the last among them: of a large product, all would take too long. */
export function someRows({ buffers, params }: ReturnType<typeof matmulWork>): Expected[] {
  const { batch, M, N, K, transA, strideA, strideB } = params;
  const { a, b } = buffers as Record<'a' | 'b', Float32Array>;
  return Array.from({ length: SOME }, (_, i) => {
    const at = Math.round((i * (batch * M - 1)) / (SOME - 1));
    const [product, m] = [Math.floor(at / M), at % M];
    const row = Float64Array.from({ length: K }, (_, k) => a[product * strideA + (transA ? k * M + m : m * K + k)]!);
    const values = new Float64Array(N);
    const operands = { a: row, b: b.subarray(product * strideB), bias: b, residual: b, out: values };
    matmulKernel.reference(operands, { ...params, batch: 1, M: 1, transA: 0 });
    return { binding: 'out', from: at * N, values };
  });
}

/** What sums of K products of such numbers, in single precision, may differ by. */
export function matmulTolerance({ K }: Pick<MatmulShape, 'K'>): number {
  return 1e-6 * (K + 8);
}

/** From -1 to 1, in no pattern that a tile could follow. */
function values(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 2003) / 1001 - 1);
}
