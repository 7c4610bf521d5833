// The matrix product on one device: is it right, and how fast? Used by: doctor.ts. Read next: engine/probe.ts.

import type { Backend } from '../../../engine/backend.ts';
import { matmulParams, matmulTolerance, matmulWork } from '../../../engine/matmul-probe.ts';
import { expectedOf, Probe } from '../../../engine/probe.ts';

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
  const odd = matmulWork(matmulParams(ODD));
  const probe = new Probe(backend, odd);
  const { worst, first } = await probe.check(expectedOf(odd), matmulTolerance(ODD));
  probe.free();
  return { right: first === undefined, worst, gflops: await speed(backend) };
}

/** Rounds of twice as many products as the last, until one takes long enough to be measured. */
async function speed(backend: Backend): Promise<number> {
  const probe = new Probe(backend, matmulWork(matmulParams(SQUARE)));
  const operations = 2 * SQUARE.M * SQUARE.N * SQUARE.K;
  for (let rounds = 1; ; rounds *= 2) {
    const elapsedMs = await probe.sample(rounds);
    if (elapsedMs < ENOUGH_MS) continue;
    probe.free();
    return (rounds * operations) / (1e6 * elapsedMs);
  }
}
