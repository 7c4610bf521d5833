// The models that can be looked at: those of the run at hand, and, before anything was trained, those that came with
// the page. Each is read when it is first asked for.

import { ConfigError } from 'remit-mini/engine';
import { readSafetensors, Transformer, unpackCheckpoint, type TransformerConfig } from 'remit-mini';
import type { Files } from './files.ts';

export const GIVEN = 'given';

export class Models {
  readonly #files: Files;
  readonly #base: string;
  readonly #known = new Map<string, Promise<Transformer>>();
  /** The run whose models are looked at first. */
  run: string | undefined;

  constructor(files: Files, base: string) {
    this.#files = files;
    this.#base = base;
  }

  /** Of a run, as it has just been trained: a copy that nobody trains on. */
  keep(run: string, stage: string, model: Transformer): void {
    this.run = run;
    this.#known.set(`${run}/${stage}`, Promise.resolve(model));
  }

  /** Forgets all that is on a device that is left. */
  clear(): void {
    this.#known.clear();
  }

  /**
   * The model after a stage, of the run at hand where that has all of `stages`, else of those that came along. Throws
   * ConfigError where there is none.
   */
  async of(stages: readonly string[]): Promise<readonly Transformer[]> {
    const run = this.run !== undefined && (await this.#hasAll(this.run, stages)) ? this.run : GIVEN;
    return Promise.all(stages.map((stage) => this.#model(run, stage)));
  }

  async #hasAll(run: string, stages: readonly string[]): Promise<boolean> {
    const names = await this.#files.list(`runs/${run}/checkpoints`);
    return stages.every((stage) => this.#known.has(`${run}/${stage}`) || names.includes(`${stage}.safetensors`));
  }

  #model(run: string, stage: string): Promise<Transformer> {
    const name = `${run}/${stage}`;
    const known = this.#known.get(name) ?? (run === GIVEN ? this.#fetched(stage) : this.#stored(run, stage));
    this.#known.set(name, known);
    known.catch(() => this.#known.delete(name)); // asked for once more, it may be there
    return known;
  }

  async #stored(run: string, stage: string): Promise<Transformer> {
    const bytes = await this.#files.read(`runs/${run}/checkpoints/${stage}.safetensors`);
    if (bytes === undefined) throw new ConfigError(`run ${run}: has no model after ${stage}: train it further`);
    const { config, tensors } = await unpackCheckpoint(bytes, stage);
    return modelOf(config, tensors, stage);
  }

  async #fetched(stage: string): Promise<Transformer> {
    const answer = await fetch(new URL(`models/${stage}.safetensors`, this.#base)).catch(() => undefined);
    if (!answer?.ok) {
      throw new ConfigError(`the model ${stage} that comes with the page could not be loaded: train one above`);
    }
    const { tensors, metadata } = readSafetensors(new Uint8Array(await answer.arrayBuffer()), stage);
    return modelOf(JSON.parse(metadata.get('model')!) as TransformerConfig, tensors as never, stage);
  }
}

type Tensors = Parameters<Transformer['parameters']['load']>[0];

function modelOf(config: TransformerConfig, tensors: Tensors, name: string): Transformer {
  const model = new Transformer(config);
  model.parameters.load(tensors, name);
  return model;
}
