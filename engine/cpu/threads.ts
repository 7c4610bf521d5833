// Workers for the CPU backend: threads that live in crewWork (wasm/crew.ts), on the same memory and the same compiled module. Nobody waits
// for them to start, and they never keep the process alive.
// Read after: wasm/crew.ts.

import type { CompiledKernels } from './wasm/compile.ts';

const PROGRAM = 'new WebAssembly.Instance(data.module, { env: { memory: data.memory } }).exports.crewWork(data.place, data.thread)';

const MOST = 8; // by default: beyond, small models gain nothing

/** How many threads there are by default: one per core. */
export function defaultThreads(): number {
  const { process, navigator } = globalThis;
  return Math.min(MOST, process?.getBuiltinModule?.('node:os').availableParallelism() ?? navigator?.hardwareConcurrency ?? 1);
}

/** Starts threads 1, 2, ... up to `count` - 1; thread 0 is the caller's. Returns what ends them. */
export function startWorkers(count: number, memory: WebAssembly.Memory, { module, place }: CompiledKernels): () => Promise<void> {
  const workers = Array.from({ length: count - 1 }, (_, i) => start({ module, memory, place, thread: i + 1 }));
  return async () => void (await Promise.all(workers.map((worker) => worker.terminate())));
}

function start(data: object): { terminate(): unknown } {
  const threads = globalThis.process?.getBuiltinModule?.('node:worker_threads');
  if (threads) {
    const worker = new threads.Worker(`const data = require('node:worker_threads').workerData; ${PROGRAM}`, { eval: true, workerData: data, execArgv: [], env: {} });
    worker.unref();
    return worker;
  }
  const url = URL.createObjectURL(new Blob([`onmessage = ({ data }) => ${PROGRAM}`], { type: 'text/javascript' }));
  const worker = new Worker(url);
  worker.postMessage(data);
  return worker;
}
