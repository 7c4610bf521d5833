// A run folder: everything that one run leaves behind, written as it happens.
//   config.json        every setting, resolved: `remit-mini train --config <this file>` repeats the run
//   env.json           versions, machine, device
//   metrics.jsonl      one line per step, without a clock: equal runs write equal bytes
//   timing.jsonl       one line per step: seconds and tokens per second
//   checkpoints/       <phase>.safetensors, the model at the end of a phase
//   evaluation.json    scores per task and stage
// An existing folder with anything in it is refused: nothing is ever overwritten. Read next: checkpoint.ts, model.ts.

import { closeSync, existsSync, mkdirSync, openSync, readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, RemitError } from '../../engine/errors.ts';
import type { Transformer } from '../../nn/transformer.ts';
import type { Config } from '../config/config.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Run, StepRecord } from '../phases/run.ts';
import { writeAtomically } from './atomic.ts';
import { sha256, writeCheckpoint } from './checkpoint.ts';
import type { Environment } from './environment.ts';
import { Speed, type Progress } from './progress.ts';

/** Thrown by RunFolder.save() after stop() was called, when the model as it stands is on disk. */
export class StoppedError extends RemitError {}

export interface RunFolderOptions {
  readonly config: Config;
  readonly environment: Environment;
  readonly tokenizer: Tokenizer;
  /** Shows each step; absent: silent. */
  readonly progress?: Progress;
}

export class RunFolder implements Run {
  readonly path: string;
  /** The latest step, for messages. */
  last: StepRecord | undefined;
  private readonly options: RunFolderOptions;
  private readonly configHash: string;
  private readonly metrics: number; // file descriptors
  private readonly timing: number;
  private speed = new Speed();
  private phaseStart = 0;
  stopping = false;
  /** Set by who wants to look at the model while it is trained. */
  watch?: NonNullable<Run['watch']>;

  /** Fills the folder `path`, which claimFolder() has made. */
  constructor(path: string, options: RunFolderOptions) {
    this.path = path;
    this.options = options;
    const config = toJson(options.config);
    this.configHash = sha256(config);
    writeAtomically(join(path, 'config.json'), config);
    writeAtomically(join(path, 'env.json'), toJson(options.environment));
    mkdirSync(join(path, 'checkpoints'));
    this.metrics = openSync(join(path, 'metrics.jsonl'), 'ax');
    this.timing = openSync(join(path, 'timing.jsonl'), 'ax');
  }

  log(record: StepRecord): void {
    const now = performance.now() / 1000;
    if (record.phase !== this.last?.phase) this.beginPhase(now);
    this.last = record;
    this.speed.add(record.tokens, now);
    const { phase, step } = record;
    const timing = { phase, step, seconds: round(now - this.phaseStart), tokensPerSecond: round(this.speed.perSecond) };
    writeSync(this.metrics, `${JSON.stringify(record)}\n`);
    writeSync(this.timing, `${JSON.stringify(timing)}\n`);
    this.options.progress?.update(record);
  }

  /** Throws StoppedError when the run was asked to stop; the model is on disk first. */
  async save(phase: string, model: Transformer): Promise<void> {
    const step = this.last?.phase === phase ? this.last.step : 0;
    await writeCheckpoint(this.checkpoint(phase), model, this.options.tokenizer, { phase, step, configHash: this.configHash });
    if (this.stopping) throw new StoppedError(`stopped in ${phase} after step ${step}${step === this.last?.step ? ` of ${this.last.steps}` : ''}`);
  }

  /** Where a phase's checkpoint is, or will be. */
  checkpoint(phase: string): string {
    return join(this.path, 'checkpoints', `${phase}.safetensors`);
  }

  /** Writes evaluation.json, or another report beside it. */
  report(name: string, contents: unknown): void {
    writeAtomically(join(this.path, `${name}.json`), toJson(contents));
  }

  /** Ends the run with the step that is being computed. */
  stop(): void {
    this.stopping = true;
  }

  close(): void {
    closeSync(this.metrics);
    closeSync(this.timing);
  }

  private beginPhase(now: number): void {
    this.phaseStart = now;
    this.speed = new Speed();
  }
}

/**
 * Makes the folder for a run: `wanted`, or without it the first free one of runs/<name>-1, runs/<name>-2, ...
 *
 * Throws ConfigError when `wanted` is a file, or a folder that is not empty.
 */
export function claimFolder(wanted: string | undefined, name: string): string {
  if (wanted === undefined) return firstFree(name);
  if (existsSync(wanted)) {
    if (!statSync(wanted).isDirectory()) throw new ConfigError(`run: ${wanted}: is a file: choose another --out`);
    if (readdirSync(wanted).length > 0) throw new ConfigError(`run: ${wanted}: exists and is not empty: choose another --out, or remove it`);
  }
  mkdirSync(wanted, { recursive: true });
  return wanted;
}

function firstFree(name: string): string {
  mkdirSync('runs', { recursive: true });
  for (let n = 1; ; n++) {
    const path = join('runs', `${name}-${n}`);
    try {
      mkdirSync(path); // fails when it exists: two runs that start at once get two folders
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function round(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(6)) : null;
}
