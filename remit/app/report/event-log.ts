// A run's steps for TensorBoard while they come: an event file in the run's own folder, so that a study's cells are
// called seed-3/remit.2. Read after: tensorboard.ts. Used by: remit/app/cli/live-log.ts.

import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StepRecord } from '../../phases/run.ts';
import { phasesOfRun } from './records.ts';
import { configText, eventFile, stepEvent } from './tensorboard.ts';

const PREFIX = 'events.out.tfevents.';

export class EventLog {
  readonly #run: string;
  #file: number | undefined;
  #steps = 0;

  /** `run`: its folder. The file begins with the first step. */
  constructor(run: string) {
    this.#run = run;
  }

  /** A step that metrics.jsonl does not have yet. */
  log(record: StepRecord): void {
    this.#file ??= this.#begin();
    writeFileSync(this.#file, stepEvent(record, this.#steps++));
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }

  /** Always a new file, which readers notice: a run that goes on has dropped the steps after its last checkpoint. */
  #begin(): number {
    const kept = phasesOfRun(this.#run);
    for (const name of readdirSync(this.#run)) if (name.startsWith(PREFIX)) rmSync(join(this.#run, name));
    const seconds = Math.floor(Date.now() / 1000);
    const file = openSync(join(this.#run, `${PREFIX}${seconds}.remit-mini.${process.pid}.v2`), 'a');
    writeFileSync(file, eventFile(kept, configText(readFileSync(join(this.#run, 'config.json'), 'utf8'))));
    for (const steps of kept.values()) this.#steps += steps.length;
    return file;
  }
}
