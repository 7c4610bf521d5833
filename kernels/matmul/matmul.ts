// out[b] = a[b] b[b] (+ bias) (+ residual), or out += ...: a batch of matrix products over row-major matrices, each
// operand possibly transposed. The batch strides are in elements; 0 shares one matrix among all products of the batch.
// Source of the fast program: matmul.wasm.ts beside this file.

import { defineKernel } from '../kernel.ts';
import {
  matmulBlockedWgsl, matmulGemvWgsl, matmulLargeWgsl, matmulNaiveWgsl, matmulSplitWgsl, matmulSubgroupMatrixWgsl,
  matmulSubgroupWgsl, matmulTiledWgsl,
} from '../generated.ts';
import { bySubgroup, ceilDiv, type Grid } from '../wgsl.ts';
import { matmulWasm } from './matmul.wasm.ts';

/**
 * The GPU programs, from the plainest to those for real GPUs, and then for shapes that need their own: tested and timed
 * side by side.
 */
export const ladder = {
  naive: { shader: matmulNaiveWgsl, grid: tiles(8, 8) },
  blocked: { shader: matmulBlockedWgsl, grid: tiles(16, 64) },
  ...bySubgroup((lanes) => ({ shader: matmulSubgroupWgsl, grid: tiles(16, 4 * lanes) })),
  tiled: { shader: matmulTiledWgsl, grid: tiles(64, 64) },
  large: inRegisters({ rows: 128, columns: 128, depth: 8, high: 2, wide: 2 }),
  medium: inRegisters({ rows: 64, columns: 64, depth: 16, high: 1, wide: 1 }),
  split16: { shader: matmulSplitWgsl, grid: tiles(16, 16), constants: () => ({ SIDE: 4 }) },
  split32: { shader: matmulSplitWgsl, grid: tiles(32, 32), constants: () => ({ SIDE: 8 }) },
  /** In half precision, so never but when it is asked for: see docs/measuring.md. */
  matrices: {
    shader: matmulSubgroupMatrixWgsl,
    grid: tiles(64, 64),
    needs: 'subgroup-matrix',
    fits: ({ M, N }: Sizes) => M % 64 === 0 && N % 64 === 0,
  },
  gemv: {
    shader: matmulGemvWgsl,
    grid: (params: Sizes) => tiles(4, 256 / lanes(params))(params),
    constants: (params: Sizes) => ({ LANES: lanes(params) }),
  },
} as const;

/**
 * a: M x K per batch, stored [K,M] when transA = 1. b: K x N per batch, stored [N,K] when transB = 1. out: [batch,M,N].
 * accumulate = 1 adds to out instead of overwriting it. The epilogue: addBias = 1 adds bias [N] to every row of the
 * product, and then addResidual = 1 adds residual [batch,M,N]. What is switched off is not read: bind b.
 */
export const matmulKernel = defineKernel({
  name: 'matmul',
  bindings: { a: 'read', b: 'read', bias: 'read', residual: 'read', out: 'readwrite' },
  params: ['batch', 'M', 'N', 'K', 'transA', 'transB', 'strideA', 'strideB', 'accumulate', 'addBias', 'addResidual'],
  reference(
    { a, b, bias, residual, out },
    { batch, M, N, K, transA, transB, strideA, strideB, accumulate, addBias, addResidual },
  ) {
    const [aRow, aCol] = transA ? [1, M] : [K, 1];
    const [bRow, bCol] = transB ? [1, K] : [N, 1];
    for (let i = 0; i < batch; i++) {
      for (let m = 0; m < M; m++) {
        for (let n = 0; n < N; n++) {
          let sum = 0;
          let pa = i * strideA + m * aRow;
          let pb = i * strideB + n * bCol;
          for (let k = 0; k < K; k++, pa += aCol, pb += bRow) sum += a[pa]! * b[pb]!;
          const o = (i * M + m) * N + n;
          out[o] = accumulate ? out[o]! + sum : sum;
          if (addBias) out[o] += bias[n]!; // after the sum is rounded, as an addition of its own would
          if (addResidual) out[o] += residual[o]!;
        }
      }
    }
  },
  wasm: matmulWasm,
  wgsl: ladder.blocked,
  variants: {
    subgroup4: ladder.subgroup4,
    subgroup8: ladder.subgroup8,
    matrices: ladder.matrices,
    tiled: ladder.tiled,
    large: ladder.large,
    medium: ladder.medium,
    split16: ladder.split16,
    split32: ladder.split32,
    gemv: ladder.gemv,
  },
});

type Sizes = Readonly<Record<'batch' | 'M' | 'N' | 'transB', number>>;
type Layout = Sizes & Readonly<Record<'K' | 'transA' | 'strideA' | 'strideB', number>>;

/** A tile of rows x columns, `depth` of K at a time, and how many blocks of 4 x 4 of it a thread makes. */
export interface Tiling {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly high: number;
  readonly wide: number;
}

/**
 * matmul-large.wgsl with tiles of this kind. It takes four elements at a time, along whichever axis they are
 * neighbours.
 */
export function inRegisters({ rows, columns, depth, high, wide }: Tiling) {
  return {
    shader: matmulLargeWgsl,
    grid: tiles(rows, columns),
    substitutions: {
      TILE_M: `${rows}u`,
      TILE_N: `${columns}u`,
      DEPTH: `${depth}u`,
      HIGH: `${high}u`,
      WIDE: `${wide}u`,
    },
    fits: ({ M, N, K, transA, transB, strideA, strideB }: Layout): boolean =>
      [N, transA ? M : K, transB ? K : N, strideA, strideB].every((size) => size % 4 === 0),
  };
}

/** One workgroup per so many rows and columns of the result, and per product of the batch. */
function tiles(rows: number, columns: number) {
  return ({ batch, M, N }: Sizes): Grid => [ceilDiv(N, columns), ceilDiv(M, rows), batch];
}

/**
 * Threads per column of gemv: a whole line of memory along K when that is how b lies, else few, since neighbours are
 * columns.
 */
function lanes({ transB }: Sizes): number {
  return transB ? 32 : 8;
}
