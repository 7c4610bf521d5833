// Workers for the CPU backend: threads that live in crewWork (wasm/crew.ts), on the same memory and the same compiled module. Nobody waits
// for them to start, and they never keep the process alive.
// Read after: wasm/crew.ts.

import type { CompiledKernels } from './wasm/compile.ts';

const PROGRAM = 'new WebAssembly.Instance(data.module, { env: { memory: data.memory } }).exports.crewWork(data.place, data.thread)';

/** How many threads there are by default: one per core. */
export function availableThreads(): number {
  const { process, navigator } = globalThis;
  return process?.getBuiltinModule?.('node:os').availableParallelism() ?? navigator?.hardwareConcurrency ?? 1;
}

/** Starts threads 1, 2, ... up to `count` - 1; thread 0 is the caller's. */
export function startWorkers(count: number, memory: WebAssembly.Memory, { module, place }: CompiledKernels): void {
  for (let thread = 1; thread < count; thread++) start({ module, memory, place, thread });
}

function start(data: object): void {
  const threads = globalThis.process?.getBuiltinModule?.('node:worker_threads');
  if (threads) {
    new threads.Worker(`const data = require('node:worker_threads').workerData; ${PROGRAM}`, { eval: true, workerData: data, execArgv: [], env: {} }).unref();
    return;
  }
  const url = URL.createObjectURL(new Blob([`onmessage = ({ data }) => ${PROGRAM}`], { type: 'text/javascript' }));
  new Worker(url).postMessage(data);
}
