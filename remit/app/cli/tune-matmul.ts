// The matrix product at one shape: each of its GPU programs is compared with the reference, then they are timed by
// turns. Used by: tune.ts. Read next: kernels/matmul/matmul.ts, whose ladder the programs are; engine/probe.ts.

import { lowest } from '../../../engine/extremes.ts';
import { matmulTolerance, matmulWork, someRows, type MatmulParams } from '../../../engine/matmul-probe.ts';
import { countFor, Probe } from '../../../engine/probe.ts';
import type { WebGpuBackend } from '../../../engine/webgpu/backend.ts';
import { PORTABLE } from '../../../engine/webgpu/variants.ts';
import type { Kernel } from '../../../kernels/kernel.ts';
import { matmulKernel } from '../../../kernels/matmul/matmul.ts';

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
  const work = matmulWork(shape);
  const expected = someRows(work);
  const probe = new Probe(backend, work);
  // some want sizes that vectors divide
  const able = Object.entries(programsOn(backend)).filter(
    ([name, program]) => backend.canRun(program, work.params) && (name !== 'gemv' || shape.M <= FEW_ROWS),
  );
  const kernels = new Map(able.map(([name, wgsl]) => [name, { ...matmulKernel, wgsl, variants: {} } as Kernel]));
  const sample = (name: string, count: number): Promise<number> => probe.sample(count, kernels.get(name));

  const right = new Map<string, boolean>();
  const first = new Map<string, number>();
  for (const [name, kernel] of kernels) {
    const verdict = await probe.check(expected, matmulTolerance(shape), kernel); // compiles, too
    right.set(name, verdict.first === undefined);
    // twice: the first may be disturbed
    if (right.get(name)) first.set(name, lowest([await sample(name, 1), await sample(name, 1)]));
  }

  const limit = HOPELESS * lowest([...first.values()]);
  const best = new Map<string, number>();
  const counts = new Map<string, number>();
  const racing = [...first].filter(([, ms]) => ms <= limit).map(([name]) => name);
  for (const name of racing) {
    counts.set(name, (await countFor((count) => sample(name, count), SAMPLE_MS, MOST_PER_SAMPLE)).count);
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of racing) {
      best.set(name, Math.min(best.get(name) ?? Infinity, (await sample(name, counts.get(name)!)) / counts.get(name)!));
    }
  }
  probe.free();
  return [...right].map(([name, right]) => ({ name, right, ms: best.get(name) ?? Infinity }));
}
