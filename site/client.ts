// The page's side of what it and its worker say to each other. Read after: worker/protocol.ts.

import type { CallName, Calls, Event, FromWorker } from './worker/protocol.ts';

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

export class Client {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;

  constructor(heard: (event: Event) => void, broken: (words: string) => void) {
    this.#worker = new Worker(new URL('./worker/worker.ts', import.meta.url), { type: 'module' });
    this.#worker.onerror = (event) => broken(event.message || 'the worker could not be loaded');
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if ('event' in data) return heard(data.event);
      const waiting = this.#waiting.get(data.answer);
      this.#waiting.delete(data.answer);
      if ('error' in data) waiting?.reject(new Error(data.error));
      else waiting?.resolve(data.value as never);
    };
  }

  /** Rejects with the words of what was wrong. */
  call<K extends CallName>(name: K, ...given: Parameters<Calls[K]>): Promise<ReturnType<Calls[K]>> {
    const call = this.#calls++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject });
      this.#worker.postMessage({ call, name, argument: given[0] });
    });
  }
}
