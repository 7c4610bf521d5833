// A run in a tab, kept as the command line keeps it: the same files with the same bytes, in the browser's storage. So a
// run goes on after a reload, and a folder goes from here to `remit-mini train --resume` and back. Read after:
// remit/phases/run.ts, files.ts, breath.ts.

import {
  packCheckpoint,
  settingsHash,
  unpackCheckpoint,
  type Config,
  type PhaseState,
  type Run,
  type StepRecord,
  type Tokenizer,
  type Transformer,
} from 'remit-mini';
import { breathe } from './breath.ts';
import type { Files } from './files.ts';
import type { Stage } from './protocol.ts';

const STORE_EVERY = 5; // seconds
const EVALUATION_VERSION = 2; // of evaluation.json

/** The run was asked to stop, and all that it takes to go on is stored. */
export class Stopped extends Error {}

export interface Listener {
  record(record: StepRecord): void;
  /** After a step, with the model as it is. */
  look(phase: string, step: number, model: Transformer): Promise<void>;
  pausing(): void;
}

const text = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
const read = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const linesOf = (bytes: Uint8Array | undefined): StepRecord[] =>
  bytes === undefined
    ? []
    : read(bytes)
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as StepRecord);

export class TabRun implements Run {
  stopping = false;
  readonly #folder: string;
  readonly #config: Config;
  readonly #hash: string;
  readonly #files: Files;
  readonly #tokenizer: Tokenizer;
  readonly #listener: Listener;
  #records: StepRecord[];
  #timing: object[] = [];
  #stored = performance.now();
  #begun = performance.now();

  private constructor(folder: string, how: Parameters<typeof TabRun.open>[1], hash: string, records: StepRecord[]) {
    this.#folder = folder;
    this.#config = how.config;
    this.#files = how.files;
    this.#tokenizer = how.tokenizer;
    this.#listener = how.listener;
    this.#hash = hash;
    this.#records = records;
  }

  /** Begins in an empty folder, or takes up what is there. */
  static async open(
    folder: string,
    how: {
      readonly config: Config;
      readonly files: Files;
      readonly tokenizer: Tokenizer;
      readonly environment: object;
      readonly listener: Listener;
    },
  ): Promise<TabRun> {
    const { files, config, environment } = how;
    if ((await files.read(`${folder}/config.json`)) === undefined) {
      await files.write(`${folder}/config.json`, text(config));
      await files.write(`${folder}/env.json`, text(environment));
    }
    const records = linesOf(await files.read(`${folder}/metrics.jsonl`));
    return new TabRun(folder, how, await settingsHash(config), records);
  }

  log(record: StepRecord): void {
    this.#records.push(record);
    const { phase, step } = record;
    this.#timing.push({
      phase,
      step,
      seconds: Number(((performance.now() - this.#begun) / 1000).toPrecision(6)),
      tokensPerSecond: null,
    });
    this.#listener.record(record);
  }

  watch(phase: string, step: number, model: Transformer): Promise<void> {
    return this.#listener.look(phase, step, model);
  }

  async keep(state: PhaseState): Promise<void> {
    if (performance.now() - this.#stored > STORE_EVERY * 1000) await this.#store(state);
    await breathe(
      async () => {
        await this.#store(state);
        this.#listener.pausing();
      },
      () => this.stopping,
    );
  }

  async restore(state: PhaseState): Promise<boolean> {
    const { phase, model, optimiser, memory } = state;
    if (this.stopping) throw new Stopped();
    this.#begun = performance.now();
    const result = await this.#read(`${phase}.safetensors`);
    if (result !== undefined) {
      model.parameters.load(result.tensors, phase);
      return true;
    }
    for (const name of (await this.#states(phase)).toReversed()) {
      const found = await this.#read(name);
      if (found?.unfinished === undefined) continue;
      model.parameters.load(found.tensors, name);
      for (const key of ['m', 'v'] as const) {
        model.parameters.load(found.unfinished.moments[key], name, optimiser.moments[key]);
      }
      Object.assign(memory, found.unfinished.memory);
      state.step = found.place.step;
      state.tokens = found.unfinished.tokens;
      this.#cut(this.#records.findIndex((record) => record.phase === phase && record.step === state.step) + 1);
      return false;
    }
    const first = this.#records.findIndex((record) => record.phase === phase);
    if (first >= 0) this.#cut(first);
    return false;
  }

  async save(phase: string, model: Transformer): Promise<void> {
    const step = this.#records.at(-1)?.phase === phase ? this.#records.at(-1)!.step : 0;
    await this.#write(`${phase}.safetensors`, model, { phase, step });
    for (const name of await this.#states(phase)) await this.#files.remove(`${this.#folder}/checkpoints/${name}`);
    if (this.stopping) throw new Stopped();
  }

  async suspend(state: PhaseState): Promise<void> {
    await this.#store(state);
    throw new Stopped();
  }

  /** Writes evaluation.json. */
  async report(stages: readonly Stage[]): Promise<void> {
    await this.#files.write(
      `${this.#folder}/evaluation.json`,
      text({ version: EVALUATION_VERSION, ...this.#config.evaluate, stages }),
    );
  }

  async #store(state: PhaseState): Promise<void> {
    const before = await this.#states(state.phase);
    const name = `${state.phase}.step-${String(state.step).padStart(8, '0')}.safetensors`;
    await this.#write(name, state.model, state, state);
    for (const old of before) if (old !== name) await this.#files.remove(`${this.#folder}/checkpoints/${old}`);
    this.#stored = performance.now();
  }

  async #write(
    name: string,
    model: Transformer,
    { phase, step }: { phase: string; step: number },
    state?: PhaseState,
  ): Promise<void> {
    const lines = (all: readonly object[]): Uint8Array =>
      new TextEncoder().encode(all.map((line) => `${JSON.stringify(line)}\n`).join(''));
    // the lines go first: a checkpoint never knows of more steps
    await this.#files.write(`${this.#folder}/metrics.jsonl`, lines(this.#records));
    await this.#files.write(`${this.#folder}/timing.jsonl`, lines(this.#timing));
    const place = { phase, step, seed: this.#config.seed, configHash: this.#hash };
    const bytes = await packCheckpoint(model, this.#tokenizer, place, state);
    await this.#files.write(`${this.#folder}/checkpoints/${name}`, bytes);
  }

  /** A checkpoint of this run; undefined where there is none, or it is damaged: then one trains again. */
  async #read(name: string) {
    const bytes = await this.#files.read(`${this.#folder}/checkpoints/${name}`);
    if (bytes === undefined) return undefined;
    const found = await unpackCheckpoint(bytes, name).catch(() => undefined);
    return found?.place.configHash === this.#hash ? found : undefined;
  }

  /** Names of the states of an unfinished phase, the oldest first. */
  async #states(phase: string): Promise<string[]> {
    const all = await this.#files.list(`${this.#folder}/checkpoints`);
    return all.filter((name) => name.startsWith(`${phase}.step-`));
  }

  #cut(lines: number): void {
    this.#records = this.#records.slice(0, lines);
    this.#timing = this.#timing.slice(0, lines);
  }
}
