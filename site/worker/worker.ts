// The worker: opens a device and answers the page's calls. Whatever uses the models waits its turn between two steps of
// training. Read after: protocol.ts. Read next: training.ts, look.ts.

import { createDevice } from 'remit-mini';
import type { Backend } from 'remit-mini/engine';
import { pack, unpack } from './archive.ts';
import { bench } from './bench.ts';
import { between, go, pause, slow } from './breath.ts';
import { openFiles, type Files } from './files.ts';
import { ask, group, weigh } from './look.ts';
import { Models } from './models.ts';
import type { CallName, Calls, Device, Event, FromWorker, ToWorker } from './protocol.ts';
import { storedRuns, Training } from './training.ts';

const post = (message: FromWorker): void => self.postMessage(message);
const tell = (event: Event): void => post({ event });
const base = new URL('..', self.location.href).href; // the page's; the worker lies in its assets/

let backend: Backend | undefined;
let device: Device = { kind: 'cpu', name: 'none yet', threads: 1, isolated: self.crossOriginIsolated, notice: '' };
let around: { readonly files: Files; readonly models: Models; readonly training: Training };

const ready = openFiles((words) => tell({ type: 'notice', words })).then((files) => {
  const models = new Models(files, base);
  around = { files, models, training: new Training({ files, models, tell, device: () => device }) };
});

type Answers = {
  readonly [K in CallName]: (...given: Parameters<Calls[K]>) => ReturnType<Calls[K]> | Promise<ReturnType<Calls[K]>>;
};

/** One call that uses the models. */
const inTurn = <T>(job: () => Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => between(() => job().then(resolve, reject)));

const answers: Answers = {
  async device({ kind, threads }) {
    await around.training.stop();
    around.models.clear();
    if (backend !== undefined && 'close' in backend) await (backend as { close(): Promise<void> }).close();
    const notices: string[] = [];
    const options = { notice: (why: string) => void notices.push(why), ...(threads !== undefined && { threads }) };
    try {
      backend = await createDevice(kind, options);
    } catch (error) {
      notices.push(`${(error as Error).message}: the CPU takes its place`);
      backend = await createDevice('cpu', options);
    }
    const isCpu = backend.name.startsWith('cpu');
    const isolated = self.crossOriginIsolated;
    const most = isCpu && isolated ? (threads ?? navigator.hardwareConcurrency) : 1;
    device = {
      kind: isCpu ? 'cpu' : 'webgpu',
      name: backend.name,
      threads: most,
      isolated,
      notice: notices.join('; '),
    };
    return device;
  },
  runs: () => storedRuns(around.files),
  start: (settings) => around.training.start(settings),
  startText: ({ text, name, ...settings }) => around.training.start(settings, { text, name }),
  resume: (id) => around.training.resume(id),
  pause,
  go,
  slow,
  stop: () => around.training.stop(),
  async remove(id) {
    if (around.models.run === id) around.models.run = undefined;
    await around.files.remove(`runs/${id}`);
  },
  pack: (id) => pack(around.files, id),
  unpack: (bytes) => unpack(around.files, bytes),
  look(id) {
    around.models.run = id;
  },
  weigh: (options) => inTurn(() => weigh(around.models, options)),
  group: (options) => inTurn(() => group(around.models, options)),
  ask: (options) => inTurn(() => ask(around.models, options)),
  bench: () => inTurn(() => bench(device.name, (line) => tell({ type: 'bench', line }))),
};

self.onmessage = async ({ data: { call, name, argument } }: MessageEvent<ToWorker>) => {
  try {
    await ready;
    const answer = answers[name] as (given: unknown) => unknown;
    post({ answer: call, value: await answer(argument) });
  } catch (error) {
    post({ answer: call, error: (error as Error).message });
  }
};
