// The checkpoints of a run folder, by name:
//   <phase>.safetensors                  the result of a phase
//   <phase>.step-00000120.safetensors    a phase on its way; the last few, while it lasts
//   <phase>.best.safetensors             its best model on held-out text, where that is measured
// Read after: checkpoint.ts. Used by: folder.ts, model.ts.

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
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

  /** States of an unfinished phase up to a step, the newest first. */
  of(phase: string, last = Infinity): string[] {
    const steps = readdirSync(this.folder).flatMap((name) => {
      const [, its, step] = NAME.exec(name) ?? [];
      return its === phase && Number(step) <= last ? [Number(step)] : [];
    });
    return steps.sort((a, b) => b - a).map((step) => this.at(phase, step));
  }

  /**
   * The checkpoint that was written last, going by the metrics beside the folder; before it, by age, the states of an
   * unfinished phase that may stand in for it when it is damaged. None: there are no checkpoints. Throws ConfigError
   * when there are several phases, and no metrics.
   */
  newest(): string[] {
    const metrics = join(this.folder, '..', 'metrics.jsonl');
    const phases = existsSync(metrics) ? readSpans(metrics).map(({ phase }) => phase) : this.#phases();
    const candidates = (phase: string): string[] =>
      existsSync(this.result(phase)) ? [this.result(phase)] : this.of(phase);
    const found = phases.map(candidates).filter((paths) => paths.length > 0);
    if (found.length > 1 && !existsSync(metrics)) {
      throw new ConfigError(`model: ${this.folder}: holds checkpoints of ${phases.join(', ')}: name one of them`);
    }
    return found.at(-1) ?? [];
  }

  /**
   * Removes all but the newest `keep` states of a phase, which has just stored that of `step`. Those of later steps
   * were left by a process before and could not be read, or this one would have gone on from there: they take nobody's
   * place, and go when the phase is done.
   */
  prune(phase: string, keep: number, step: number): void {
    for (const path of this.of(phase, step).slice(keep)) rmSync(path, { force: true });
  }

  /** Removes all states of a phase. */
  clear(phase: string): void {
    for (const path of this.of(phase)) rmSync(path, { force: true });
  }

  #phases(): string[] {
    return [...new Set(readdirSync(this.folder).flatMap((name) => NAME.exec(name)?.[1] ?? []))].sort();
  }

  /** A phase's name becomes a file's: it must not lead anywhere else. */
  #path(name: string): string {
    if (!NAME.test(name)) throw new Error(`internal: ${name} is no name for a checkpoint`);
    return join(this.folder, name);
  }
}
