// One kernel on one device: is it right, and how fast? Used by: doctor.ts. Read next: kernels/matmul/matmul.ts.

import type { Backend, TensorStorage } from '../../../engine/backend.ts';
import { highest } from '../../../engine/extremes.ts';
import { matmulKernel } from '../../../kernels/matmul/matmul.ts';

export interface KernelCheck {
  readonly right: boolean;
  /** Largest difference from the reference. */
  readonly worst: number;
  /** Floating-point operations per second, in 10^9. */
  readonly gflops: number;
}

const ODD = { M: 65, N: 67, K: 129 } as const; // no multiple of any tile
const SQUARE = { M: 256, N: 256, K: 256 } as const;
const ENOUGH_MS = 250;

/** Takes about half a second, on a slow device some. Throws what the backend throws. */
export async function checkMatmul(backend: Backend): Promise<KernelCheck> {
  const worst = await worstDifference(backend);
  // float32 sum of K products of numbers up to 1
  return { right: worst <= 1e-6 * ODD.K, worst, gflops: await speed(backend) };
}

async function worstDifference(backend: Backend): Promise<number> {
  const { M, N, K } = ODD;
  const a = values(M * K);
  const b = values(K * N);
  const expected = new Float64Array(M * N);
  matmulKernel.reference({ a, b, bias: b, residual: b, out: expected }, params(ODD));
  const { out, dispatch } = prepare(backend, ODD);
  backend.write(out, new Float32Array(M * N).fill(NaN)); // what is left out, shows
  dispatch();
  const got = await backend.read(out);
  const differences = Array.from(expected, (value, i) => Math.abs(value - got[i]!));
  return differences.some(Number.isNaN) ? Infinity : highest(differences);
}

/** Rounds of twice as many products as the last, until one takes long enough to be measured. */
async function speed(backend: Backend): Promise<number> {
  const { out, dispatch } = prepare(backend, SQUARE);
  const operations = 2 * SQUARE.M * SQUARE.N * SQUARE.K;
  for (let rounds = 1; ; rounds *= 2) {
    const start = performance.now();
    for (let i = 0; i < rounds; i++) dispatch();
    await backend.read(out); // waits for the device
    const elapsedMs = performance.now() - start;
    if (elapsedMs >= ENOUGH_MS) return (rounds * operations) / (1e6 * elapsedMs);
  }
}

function prepare(
  backend: Backend,
  size: typeof ODD | typeof SQUARE,
): { readonly out: TensorStorage; dispatch(): void } {
  const { M, N, K } = size;
  const [a, b, out] = [M * K, K * N, M * N].map((count) => backend.alloc(count, 'f32')) as [
    TensorStorage,
    TensorStorage,
    TensorStorage,
  ];
  backend.write(a, values(M * K));
  backend.write(b, values(K * N));
  return { out, dispatch: () => backend.dispatch(matmulKernel, { a, b, bias: b, residual: b, out }, params(size)) };
}

function params(size: typeof ODD | typeof SQUARE) {
  return { ...size, batch: 1, transA: 0, transB: 0, strideA: 0, strideB: 0, accumulate: 0, addBias: 0, addResidual: 0 };
}

/** From -1 to 1, in no pattern that a tile could follow. */
function values(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 2003) / 1001 - 1);
}
