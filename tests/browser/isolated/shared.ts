// Attention on one thread and on two, in a page or in one of its workers; is a worker itself when loaded as one.

import { CpuBackend } from '../../../engine/cpu/backend.ts';
import { Heap } from '../../../engine/cpu/memory.ts';
import { startWorkers } from '../../../engine/cpu/threads.ts';
import { compileKernels } from '../../../engine/cpu/wasm/compile.ts';
import { PLACE } from '../../../engine/cpu/wasm/crew.ts';
import { rng } from '../../../engine/rng.ts';
import { attentionForwardKernel } from '../../../kernels/attention/attention.ts';

export interface Outcome {
  /** What one thread computes, and what two do. */
  readonly out: readonly [Float32Array, Float32Array];
  /** Whether the second thread did any of it. */
  readonly helped: boolean;
}

const params = { B: 64, T: 24, H: 4, KV: 4, D: 16, rotary: 0 };
const { B, T, H, D } = params;
const SCRATCH = 2 ** 20;
const TRIES = 1000;

export async function onBoth(): Promise<Outcome> {
  const out: Float32Array[] = [];
  let helped = false;
  let end = async (): Promise<void> => {};
  for (const threads of [1, 2]) {
    const heap = new Heap(new CpuBackend({ precision: 'f64' }));
    const block = (n: number): ReturnType<Heap['alloc']> => heap.alloc(n, 'f32');
    const scratch = block(SCRATCH / 4);
    const qkv = block(B * T * 3 * H * D);
    const result = block(B * T * H * D);
    const logSumExp = block(B * H * T);
    let asleep = (): number => 0;
    const { runners } = compileKernels([attentionForwardKernel], {
      memory: heap.memory, shared: heap.shared, maximumPages: heap.maximumPages, threads,
      onShare: (compiled) => {
        end = startWorkers(threads, heap.memory, compiled);
        const words = new Int32Array(heap.memory.buffer, compiled.place);
        asleep = () => Atomics.load(words, PLACE.asleep / 4);
      },
      scratch: () => scratch.address,
    }, (bytes) => block(bytes / 4).address);
    const run = (): void =>
      runners.get(attentionForwardKernel)!(
        { qkv: qkv.address, table: qkv.address, out: result.address, logSumExp: logSumExp.address },
        params,
      );
    qkv.data.set(rng(1).normals(qkv.size));
    run();
    const own = Math.ceil(attentionForwardKernel.wasm!.parts[0]!.scratch(params) / 64) * 16;
    const others = scratch.data.subarray(own, 2 * own);
    for (let i = 0; threads === 2 && !helped && i < TRIES; i++) {
      // it is still starting, or about to sleep
      if (asleep() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      run();
      helped = others.some((x) => x !== 0);
    }
    out.push(Float32Array.from(result.data as Float32Array));
  }
  await end();
  return { out: out as [Float32Array, Float32Array], helped };
}

if (!('document' in globalThis)) {
  onBoth().then(
    (outcome) => postMessage(outcome),
    (error: unknown) => postMessage(String(error)),
  );
}
