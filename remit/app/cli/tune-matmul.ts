// The matrix product at one shape: each of its GPU programs is compared with the reference, then they are timed by
// turns. Used by: tune.ts. Read next: kernels/matmul/matmul.ts, whose ladder the programs are.

import type { Backend, TensorStorage } from '../../../engine/backend.ts';
import { lowest } from '../../../engine/extremes.ts';
import type { WebGpuBackend } from '../../../engine/webgpu/backend.ts';
import { PORTABLE } from '../../../engine/webgpu/variants.ts';
import { matmulKernel } from '../../../kernels/matmul/matmul.ts';

export type MatmulParams = Readonly<Record<(typeof matmulKernel.params)[number], number>>;

/** One program's result at one shape. */
export interface Timing {
  readonly name: string;
  readonly right: boolean;
  /** Milliseconds per product, the best of several samples; Infinity when it is wrong, or far behind. */
  readonly ms: number;
}

const ROUNDS = 7;
const SAMPLE_MS = 4;
const MOST_PER_SAMPLE = 500;
const HOPELESS = 4; // times slower than the best at first sight
const FEW_ROWS = 32; // beyond, gemv reads b over and over
const CHECKED_ROWS = 6;

type Program = NonNullable<typeof matmulKernel.wgsl>;

/**
 * The programs that may be tried on this adapter: `portable`, and the kernel's variants; not those that compute
 * something less exact.
 */
export function programsOn(backend: WebGpuBackend): Readonly<Record<string, Program>> {
  const all: Readonly<Record<string, Program>> = { [PORTABLE]: matmulKernel.wgsl!, ...matmulKernel.variants };
  return Object.fromEntries(
    Object.entries(all).filter(([, program]) => backend.canRun(program) && program.needs !== 'subgroup-matrix'),
  );
}

/** Every program that makes sense at this shape. Throws what the backend throws. */
export async function timeMatmul(backend: WebGpuBackend, shape: MatmulParams): Promise<Timing[]> {
  const programs = programsOn(backend);
  const params = { ...shape, accumulate: 0, addBias: 0, addResidual: 0 };
  const { batch, M, N, K } = params;
  const a = values(M * K * (params.strideA ? batch : 1));
  const b = values(K * N * (params.strideB ? batch : 1));
  const operands = { a: upload(backend, a), b: upload(backend, b) };
  const buffers = { ...operands, bias: operands.b, residual: operands.b, out: backend.alloc(batch * M * N, 'f32') };
  const probe = upload(backend, new Float32Array(1));
  const expected = referenceRows(a, b, params);

  /** Milliseconds for `count` products; reading the probe waits for all of them. */
  const sample = async (name: string, count: number): Promise<number> => {
    const kernel = { ...matmulKernel, wgsl: programs[name]!, variants: {} };
    const start = performance.now();
    backend.beginStep(kernel);
    for (let i = 0; i < count; i++) backend.dispatch(kernel, buffers, params);
    await backend.endStep();
    await backend.read(probe);
    return performance.now() - start;
  };

  // some want sizes that vectors divide
  const able = (name: string): boolean => backend.canRun(programs[name]!, params);
  const right = new Map<string, boolean>();
  const first = new Map<string, number>();
  for (const name of Object.keys(programs).filter((name) => able(name) && (name !== 'gemv' || M <= FEW_ROWS))) {
    backend.write(buffers.out, new Float32Array(batch * M * N).fill(NaN)); // what is left out, shows
    await sample(name, 1); // compiles, too
    right.set(name, agrees((await backend.read(buffers.out)) as Float32Array, expected, params));
    // twice: the first may be disturbed
    if (right.get(name)) first.set(name, Math.min(await sample(name, 1), await sample(name, 1)));
  }

  const limit = HOPELESS * lowest([...first.values()]);
  const best = new Map<string, number>();
  const counts = new Map<string, number>();
  const racing = [...first].filter(([, ms]) => ms <= limit).map(([name]) => name);
  for (const name of racing) counts.set(name, await countFor((count) => sample(name, count)));
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of racing) {
      best.set(name, Math.min(best.get(name) ?? Infinity, (await sample(name, counts.get(name)!)) / counts.get(name)!));
    }
  }
  for (const storage of [operands.a, operands.b, buffers.out, probe]) backend.free(storage);
  return [...right].map(([name, right]) => ({ name, right, ms: best.get(name) ?? Infinity }));
}

/** How many products fill a sample. */
async function countFor(sample: (count: number) => Promise<number>): Promise<number> {
  for (let count = 1; ; count *= 2) if (count >= MOST_PER_SAMPLE || (await sample(count)) >= SAMPLE_MS) return count;
}

/** Some rows of the result, by the number of the row in the whole batch. */
function referenceRows(a: Float32Array, b: Float32Array, params: MatmulParams): Map<number, Float64Array> {
  const { batch, M, N, K, transA, strideA, strideB } = params;
  const rows = new Map<number, Float64Array>();
  for (let i = 0; i < CHECKED_ROWS; i++) {
    // first and last are among them
    const at = Math.round((i * (batch * M - 1)) / (CHECKED_ROWS - 1));
    const [product, m] = [Math.floor(at / M), at % M];
    const row = Float64Array.from({ length: K }, (_, k) => a[product * strideA + (transA ? k * M + m : m * K + k)]!);
    const out = new Float64Array(N);
    matmulKernel.reference(
      { a: row, b: b.subarray(product * strideB), bias: b, residual: b, out },
      { ...params, batch: 1, M: 1, transA: 0 },
    );
    rows.set(at, out);
  }
  return rows;
}

function agrees(out: Float32Array, expected: ReadonlyMap<number, Float64Array>, { N, K }: MatmulParams): boolean {
  const most = 1e-6 * (K + 8); // float32 sums of K products of numbers up to 1
  // false for NaN
  return [...expected].every(([at, row]) => row.every((value, n) => Math.abs(out[at * N + n]! - value) <= most));
}

function upload(backend: Backend, data: Float32Array): TensorStorage {
  const storage = backend.alloc(data.length, 'f32');
  backend.write(storage, data);
  return storage;
}

/** From -1 to 1, in no pattern that a tile could follow. */
function values(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 2003) / 1001 - 1);
}
