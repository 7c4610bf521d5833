// What a phase reports to while it trains, and where it can leave itself to be taken up again: a run folder, a test, or
// nobody. Read next: checkpoint.ts, ../app/run/folder.ts.

import { callable, having, optional, such, text, toggle, whole } from '../../engine/options.ts';
import type { Transformer } from '../../nn/transformer.ts';
import type { Optimiser } from '../../optim/optimiser.ts';
import type { Answer } from '../rl/sampling.ts';

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

const number = such('a number', (value) => typeof value === 'number'); // of a step that is left out: no number either

/** An argument that is a step's record. */
export const aRecord = having<StepRecord>("a step's record", {
  phase: text,
  step: whole({ min: 1 }),
  steps: whole({ min: 1 }),
  loss: number,
  rate: number,
  gradNorm: number,
  tokens: whole({ min: 0 }),
});

/**
 * A phase between two steps: all that it takes to go on as if nothing had happened, since data and randomness follow
 * from the seed and the step.
 */
export interface PhaseState {
  readonly phase: string;
  readonly steps: number;
  readonly model: Transformer;
  readonly optimiser: Optimiser;
  /** Steps that are done. */
  step: number;
  /** Target tokens so far. */
  tokens: number;
  /** Numbers that the phase carries from one step to the next. */
  readonly memory: Record<string, number>;
}

/** What a phase reports to, and where it can leave itself; quietRun is the least of them. */
export interface Run {
  /** Set when the phase is to end after the step in hand, and nothing is to follow. */
  readonly stopping: boolean;
  log(record: StepRecord): void;
  /** Stores the model as the result of a phase. */
  save(phase: string, model: Transformer): Promise<void>;
  /** Answers that a model sampled at a step, with what they were worth. */
  show?(phase: string, step: number, answers: readonly Answer[]): void;
  /** Looks at the model after a step, without changing it: learning curves. */
  watch?(phase: string, step: number, model: Transformer): Promise<void>;
  /**
   * Before the first step: brings `state` to where the phase was left. True: its result is already stored, and now in
   * the model.
   */
  restore?(state: PhaseState): Promise<boolean>;
  /** After each step but the last: stores the state, as often as the run likes. */
  keep?(state: PhaseState): Promise<void>;
  /** Instead of save(), when a stop came before the last step. */
  suspend?(state: PhaseState): Promise<void>;
}

/** An argument that is a run. */
export const aRun = having<Run>('a run: a RunFolder, or quietRun', {
  stopping: toggle,
  log: callable(),
  save: callable(),
  show: optional(callable()),
  watch: optional(callable()),
  restore: optional(callable()),
  keep: optional(callable()),
  suspend: optional(callable()),
});

/** Reports to nobody. */
export const quietRun: Run = { stopping: false, log() {}, async save() {} };
