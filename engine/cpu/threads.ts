// Workers for the CPU backend: threads that live in crewWork (wasm/crew.ts), on the same memory and the same compiled
// module. Nobody waits for them to start, and they never keep the process alive.
// Read after: wasm/crew.ts.

import { whole } from '../options.ts';
import type { Compiled } from './wasm/compile.ts';

/** Instances of the modules on the same memory, and the life of a worker. */
const PROGRAM = `
  const imports = { env: { memory: data.memory, table: new WebAssembly.Table({ element: 'anyfunc', initial: data.tasks }) } };
  const instances = data.modules.map((module) => new WebAssembly.Instance(module, imports));
  instances[0].exports.crewWork(data.place, data.thread);
`;

const MOST = 8; // by default: beyond, small models gain nothing

/** How many threads there may be: more than any machine gains from. */
export const threadCount = whole({ min: 1, max: 64 });

/** How many threads there are by default: one per core. */
export function defaultThreads(): number {
  const { process, navigator } = globalThis;
  return Math.min(
    MOST,
    process?.getBuiltinModule?.('node:os').availableParallelism() ?? navigator?.hardwareConcurrency ?? 1,
  );
}

/**
 * Starts threads 1, 2, ... up to `count` - 1; thread 0 is the caller's. Returns what ends them. Where a worker is not
 * allowed, or cannot be had, there is one fewer, and `notice` is told why, once: the others do its share.
 */
export function startWorkers(
  count: number, memory: WebAssembly.Memory, { modules, tasks, place }: Compiled, notice?: (why: string) => void,
): () => Promise<void> {
  let told = false;
  const fail = (error: unknown): void => {
    if (!told) notice?.(`on fewer threads than ${count}: a worker could not be started: ${reasonOf(error)}`);
    told = true;
  };
  const workers: Terminable[] = [];
  for (let thread = 1; thread < count; thread++) {
    try {
      workers.push(start({ modules, tasks, memory, place, thread }, fail));
    } catch (error) {
      fail(error);
      break; // the next would not be allowed either
    }
  }
  return async () => void (await Promise.all(workers.map((worker) => worker.terminate())));
}

interface Terminable {
  terminate(): unknown;
}

function start(data: object, fail: (error: unknown) => void): Terminable {
  const threads = globalThis.process?.getBuiltinModule?.('node:worker_threads');
  if (threads) {
    const worker = new threads.Worker(`const data = require('node:worker_threads').workerData; ${PROGRAM}`, {
      eval: true,
      workerData: data,
      execArgv: [],
      env: {},
    });
    worker.on('error', fail);
    worker.unref();
    return worker;
  }
  const url = URL.createObjectURL(new Blob([`onmessage = ({ data }) => {${PROGRAM}}`], { type: 'text/javascript' }));
  const worker = new Worker(url);
  worker.onerror = (event) => {
    event.preventDefault();
    fail(event);
  };
  worker.postMessage(data);
  return worker;
}

function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  return [message || 'it ended at once', code && `(${code})`].filter(Boolean).join(' ');
}
