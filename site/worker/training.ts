// Trains in the worker: the whole pipeline of the paper on the tiny world, or next-token prediction on a text of the
// visitor's. What happens is told as it happens, a few times a second. Read after: tab-run.ts.

import {
  byteTokenizer,
  evaluate,
  generate,
  newModel,
  pipeline,
  pretrain,
  resolveConfig,
  rng,
  textCorpus,
  tinyWorldTokenizer,
  weightsHash,
  worldOf,
  type Config,
  type StepRecord,
  type Transformer,
} from 'remit-mini';
import { stir, trainingNow } from './breath.ts';
import type { Files } from './files.ts';
import { samples } from './look.ts';
import type { Models } from './models.ts';
import type { Device, Event, RunState, RunSummary, Sample, Settings, Stage } from './protocol.ts';
import { linesOf, Stopped, TabRun, type Listener } from './tab-run.ts';

const TELL_EVERY = 100; // milliseconds
const SAMPLE_EVERY = 700;

const utf8 = {
  encode: (text: string) => new TextEncoder().encode(text),
  decode: (bytes?: Uint8Array) => new TextDecoder().decode(bytes),
};

/** What a training needs of the worker. */
export interface Surroundings {
  readonly files: Files;
  readonly models: Models;
  readonly device: () => Device;
  readonly tell: (event: Event) => void;
}

export class Training {
  readonly #around: Surroundings;
  #current: { readonly id: string; readonly run: TabRun; readonly over: Promise<void> } | undefined;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Makes the folder of a new run, and begins it. Throws ConfigError for settings that cannot be. */
  async start(settings: Settings, text?: { readonly name: string; readonly text: string }): Promise<string> {
    const config = configOf(settings);
    if (text !== undefined) rowsOf(config, text.text); // refuses a text that is too short before there is a run
    await this.stop();
    const { files } = this.#around;
    const id = nextId(await files.list('runs'));
    await files.write(`runs/${id}/settings.json`, utf8.encode(JSON.stringify({ ...settings, text: text?.name })));
    if (text !== undefined) await files.write(`runs/${id}/data.txt`, utf8.encode(text.text));
    await this.resume(id);
    return id;
  }

  /** Goes on with a run where it was left. */
  async resume(id: string): Promise<void> {
    await this.stop();
    const { files, tell, models, device } = this.#around;
    const config = await readConfig(files, id);
    const data = await files.read(`runs/${id}/data.txt`);
    const tokenizer = data === undefined ? tinyWorldTokenizer : byteTokenizer;
    const listener = listen(id, tell, data === undefined ? samples : (model) => writing(model, config));
    const { name } = device();
    const model = newModel(config, tokenizer.vocabulary);
    const environment = {
      version: __VERSION__,
      device: name,
      node: 'a page',
      v8: navigator.userAgent,
      start: await weightsHash(model),
      plan: data === undefined ? 'everything' : 'text',
    };
    const run = await TabRun.open(`runs/${id}`, { config, files, tokenizer, environment, listener });
    const state = (next: RunState, words?: string): void =>
      tell({ type: 'state', id, state: next, ...(words && { words }) });
    state('training');
    const train =
      data === undefined
        ? () => this.#world(id, config, run, model)
        : async () => void (await pretrain(config, rowsOf(config, utf8.decode(data)), model, run));
    const over = trainingNow(async () => {
      try {
        await train();
        listener.flush();
        state('done');
      } catch (error) {
        listener.flush();
        if (error instanceof Stopped) state('stopped');
        else state('failed', (error as Error).message);
      }
    });
    this.#current = { id, run, over };
    if (data === undefined) models.run = id;
  }

  /** Ends the run at hand, with all that it takes to go on in storage. */
  async stop(): Promise<void> {
    if (this.#current === undefined) return;
    this.#current.run.stopping = true;
    stir();
    await this.#current.over;
    this.#current = undefined;
  }

  async #world(id: string, config: Config, run: TabRun, model: Transformer): Promise<void> {
    const { files, models, tell } = this.#around;
    const before = await storedStages(files, id);
    const stages: Stage[] = [];
    await pipeline(config, worldOf(config), model, run, {
      async onStage(name, made) {
        const known = before.find((stage) => stage.name === name);
        const stage = known ?? { name, evaluation: await evaluate(made, { ...config.evaluate, seed: config.seed }) };
        stages.push(stage);
        models.keep(id, name, made);
        await run.report(stages);
        tell({ type: 'stage', id, stage });
      },
    });
  }
}

const listen = (
  id: string,
  tell: (event: Event) => void,
  look: (model: Transformer) => Promise<readonly Sample[]>,
): Listener & { flush(): void } => {
  let waiting: StepRecord[] = [];
  let told = 0;
  let sampled = 0;
  const flush = (): void => {
    if (waiting.length > 0) tell({ type: 'step', id, records: waiting });
    waiting = [];
    told = performance.now();
  };
  return {
    flush,
    record(record) {
      waiting.push(record);
      if (performance.now() - told > TELL_EVERY) flush();
    },
    async look(phase, step, model) {
      if (performance.now() - sampled < SAMPLE_EVERY) return;
      tell({ type: 'samples', id, phase, step, samples: await look(model) });
      sampled = performance.now();
    },
    pausing() {
      flush();
      tell({ type: 'state', id, state: 'paused' });
    },
  };
};

const WRITTEN = 60; // bytes of a sample

/** What a model of bytes goes on to write. */
async function writing(model: Transformer, config: Config): Promise<readonly Sample[]> {
  const prompt = byteTokenizer.encode('\n');
  const maxNew = Math.min(WRITTEN, model.config.context - prompt.length);
  const row = await generate(model, prompt, {
    batch: 1,
    maxNew,
    temperature: 0.8,
    seed: rng(config.seed).fold('samples'),
  });
  return [{ prompt: '', answer: byteTokenizer.decode(row.subarray(prompt.length)), correct: false }];
}

function rowsOf(config: Config, text: string) {
  const { context } = config.model;
  return textCorpus(
    byteTokenizer.encode(text),
    { context, validation: config.data.validation },
    rng(config.seed).fold('text'),
  );
}

export function configOf({ preset, flags }: Settings): Config {
  return resolveConfig({ preset, flags }).config;
}

async function readConfig(files: Files, id: string): Promise<Config> {
  const stored = await files.read(`runs/${id}/config.json`);
  if (stored !== undefined) {
    return resolveConfig({ file: { path: `run ${id}`, values: JSON.parse(utf8.decode(stored)) as unknown } }).config;
  }
  return configOf(JSON.parse(utf8.decode(await files.read(`runs/${id}/settings.json`))) as Settings);
}

async function storedStages(files: Files, id: string): Promise<readonly Stage[]> {
  const bytes = await files.read(`runs/${id}/evaluation.json`);
  if (bytes === undefined) return [];
  const { stages } = JSON.parse(utf8.decode(bytes)) as { stages?: readonly Stage[] };
  return Array.isArray(stages) ? (stages as readonly Stage[]) : [];
}

/** For a new run, among the names in runs/. */
export function nextId(taken: readonly string[]): string {
  const numbers = taken.map((name) => Number(name.replace('/', ''))).filter(Number.isInteger);
  return String(Math.max(0, ...numbers) + 1);
}

/** All runs in storage, as the page lists them. One that cannot be read is told as failed, and left as it is. */
export async function storedRuns(files: Files): Promise<RunSummary[]> {
  const names = (await files.list('runs')).filter((name) => name.endsWith('/')).map((name) => name.slice(0, -1));
  const sorted = names.sort((a, b) => Number(a) - Number(b));
  return Promise.all(
    sorted.map(async (id): Promise<RunSummary> => {
      try {
        const settings = JSON.parse(utf8.decode(await files.read(`runs/${id}/settings.json`))) as Settings & {
          text?: string;
        };
        const records = linesOf(await files.read(`runs/${id}/metrics.jsonl`));
        const stages = await storedStages(files, id);
        const checkpoints = await files.list(`runs/${id}/checkpoints`);
        const last = settings.text === undefined ? 'remit-rl' : 'pretrain';
        return {
          ...settings,
          id,
          records,
          stages,
          state: checkpoints.includes(`${last}.safetensors`) ? 'done' : 'stopped',
        };
      } catch (error) {
        return {
          id,
          preset: 'short',
          flags: [],
          records: [],
          stages: [],
          state: 'failed',
          words: (error as Error).message,
        };
      }
    }),
  );
}
