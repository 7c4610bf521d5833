// The checkpoints of a run folder, by name:
//   <phase>.safetensors                  the result of a phase
//   <phase>.step-00000120.safetensors    a phase on its way; the last few, while it lasts
//   <phase>.best.safetensors             its best model on held-out text, where that is measured
// Read after: checkpoint.ts. Used by: folder.ts, model.ts.

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readSpans } from './lines.ts';

const NAME = /^([a-z][a-z0-9-]*)\.(?:step-(\d{8,})\.|best\.)?safetensors$/;

export class States {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  result(phase: string): string {
    return this.#path(`${phase}.safetensors`);
  }

  best(phase: string): string {
    return this.#path(`${phase}.best.safetensors`);
  }

  at(phase: string, step: number): string {
    return this.#path(`${phase}.step-${String(step).padStart(8, '0')}.safetensors`);
  }

  /** States of an unfinished phase, the newest first. */
  of(phase: string): string[] {
    const steps = readdirSync(this.folder).flatMap((name) => {
      const [, its, step] = NAME.exec(name) ?? [];
      return its === phase && step !== undefined ? [Number(step)] : [];
    });
    return steps.sort((a, b) => b - a).map((step) => this.at(phase, step));
  }

  /** The checkpoint that was written last: of the last phase in the metrics beside the folder, or without those, the youngest file. */
  newest(): string | undefined {
    const phases = existsSync(this.#metrics) ? readSpans(this.#metrics).map(({ phase }) => phase) : this.#byAge();
    const newest = (phase: string): string | undefined => (existsSync(this.result(phase)) ? this.result(phase) : this.of(phase)[0]);
    return phases.map(newest).findLast((path) => path !== undefined);
  }

  /** Removes all but the newest `keep` states of an unfinished phase. */
  prune(phase: string, keep: number): void {
    for (const path of this.of(phase).slice(keep)) rmSync(path, { force: true });
  }

  get #metrics(): string {
    return join(this.folder, '..', 'metrics.jsonl');
  }

  /** Phases, the one with the youngest checkpoint last. */
  #byAge(): string[] {
    const files = readdirSync(this.folder).flatMap((name) => (NAME.test(name) ? [{ phase: NAME.exec(name)![1]!, age: statSync(join(this.folder, name)).mtimeMs }] : []));
    return files.sort((a, b) => a.age - b.age).map(({ phase }) => phase);
  }

  /** A phase's name becomes a file's: it must not lead anywhere else. */
  #path(name: string): string {
    if (!NAME.test(name)) throw new Error(`internal: ${name} is no name for a checkpoint`);
    return join(this.folder, name);
  }
}
