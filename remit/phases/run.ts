// What a phase reports to while it trains: a run folder, a test, or nobody.

import type { Transformer } from '../../nn/transformer.ts';

/** One training step, as written to metrics.jsonl. It holds no clock, so that equal runs write equal bytes. */
export interface StepRecord {
  readonly phase: string;
  /** Counts from 1. */
  readonly step: number;
  readonly steps: number;
  /** Nats per counted token. */
  readonly loss: number;
  readonly rate: number;
  /** Global gradient norm before clipping. */
  readonly gradNorm: number;
  /** Target tokens so far in this phase. */
  readonly tokens: number;
  readonly [extra: string]: number | string;
}

export interface Run {
  /** Set when the phase is to end after the step in hand, save, and go no further. */
  readonly stopping: boolean;
  log(record: StepRecord): void;
  /** Stores the model as the result of a phase. */
  save(phase: string, model: Transformer): Promise<void>;
  /** Looks at the model after a step, without changing it: learning curves. */
  watch?(phase: string, step: number, model: Transformer): Promise<void>;
}

/** Reports to nobody. */
export const quietRun: Run = { stopping: false, log() {}, async save() {} };
