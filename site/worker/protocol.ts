// What the page and its worker say to each other. The worker has the device, the models and the runs; the page draws.
// A call is answered once, by its number; events come when they come. Read next: worker.ts; ../client.ts, the page's
// side.

import type { Evaluation, StepRecord } from 'remit-mini';

/** A setting by its dotted name, as text: what `--model.width 64` is to the command line. */
export type Flag = readonly [name: string, text: string];

export interface Device {
  readonly kind: 'cpu' | 'webgpu';
  readonly name: string;
  readonly threads: number;
  /** Whether the page may have threads. */
  readonly isolated: boolean;
  /** Why it is not what was asked for, and whatever else is to be known. */
  readonly notice: string;
}

export interface Settings {
  readonly preset: string;
  readonly flags: readonly Flag[];
}

export type RunState = 'training' | 'paused' | 'stopped' | 'done' | 'failed';

export interface Stage {
  readonly name: string;
  readonly evaluation: Evaluation;
}

/** A run as the page lists it. */
export interface RunSummary extends Settings {
  readonly id: string;
  readonly state: RunState;
  /** Why it failed. */
  readonly words?: string;
  readonly records: readonly StepRecord[];
  readonly stages: readonly Stage[];
  /** Of a text of the visitor's. */
  readonly text?: string;
}

export type Guide = 'rl' | 'sft' | 'pretrain';

export interface WeighOptions {
  readonly text: string;
  readonly guide: Guide;
  readonly epsilon: number;
  readonly scale: number;
  readonly centre: boolean;
}

export interface WeighedToken {
  readonly text: string;
  /** ln p of the base, and of the guide. */
  readonly model: number;
  readonly reference: number;
  readonly weight: number;
}

export interface Weighed {
  readonly tokens: readonly WeighedToken[];
  /** Of many rows of the mid-training corpus. */
  readonly histogram: readonly number[];
}

export type Estimator = 'rloo' | 'grpo' | 'dr-grpo' | 'reinforce';

export interface GroupOptions {
  readonly question: number;
  readonly estimator: Estimator;
}

export interface SampledAnswer {
  readonly text: string;
  readonly reward: number;
  /** By estimator, in the order of ESTIMATORS. */
  readonly advantages: readonly number[];
  /** p of each token before and after one step. */
  readonly tokens: readonly { readonly text: string; readonly before: number; readonly after: number }[];
}

export interface Group {
  readonly prompt: string;
  readonly answer: string;
  readonly answers: readonly SampledAnswer[];
  /** Nats a token between the model after the step and the one that it began with (k3). */
  readonly kl: number;
}

export interface AskOptions {
  readonly prompt: string;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
}

export interface Reply {
  readonly stage: string;
  readonly text: string;
  readonly correct: boolean;
  /** Of each character of the answer: the likeliest at its place, the first that was taken included. */
  readonly choices: readonly (readonly { readonly text: string; readonly p: number }[])[];
  /** What each character of the whole row looks at, the mean over the heads of the last layer: [T][T]. */
  readonly attention: readonly (readonly number[])[];
}

/** A figure, as `remit-mini bench --out` writes it and `--compare` reads it. */
export interface BenchLine {
  readonly version: 1;
  readonly device: string;
  /** Kernel and shape, in the words of `remit-mini bench`. */
  readonly label: string;
  readonly program: string;
  readonly flops: number;
  readonly bytes: number;
  readonly medianMs: number;
  readonly samplesMs: readonly number[];
  readonly yardstickMs: readonly number[];
  /** Largest difference from the reference, relative; of this page's figures. */
  readonly error?: number;
}

export interface Calls {
  readonly device: (wanted: { kind: 'auto' | 'cpu' | 'webgpu'; threads: number | undefined }) => Device;
  readonly runs: () => readonly RunSummary[];
  readonly start: (settings: Settings) => string;
  readonly startText: (what: Settings & { readonly text: string; readonly name: string }) => string;
  /** Goes on with a run that was stopped. */
  readonly resume: (id: string) => void;
  readonly pause: () => void;
  /** Goes on after pause(); `steps`: only so many. */
  readonly go: (steps?: number) => void;
  /** Milliseconds to wait after each step. */
  readonly slow: (wait: number) => void;
  readonly stop: () => void;
  readonly remove: (id: string) => void;
  /** From now on the models of this run are looked at, where it has them. */
  readonly look: (id: string) => void;
  /** The run folder as a tar archive. */
  readonly pack: (id: string) => Uint8Array;
  readonly unpack: (bytes: Uint8Array) => string;
  readonly weigh: (options: WeighOptions) => Weighed;
  readonly group: (options: GroupOptions) => Group;
  readonly ask: (options: AskOptions) => readonly Reply[];
  readonly bench: () => readonly BenchLine[];
}

export type CallName = keyof Calls;

/** What the worker tells by itself. */
export type Event =
  | { readonly type: 'step'; readonly id: string; readonly records: readonly StepRecord[] }
  | { readonly type: 'stage'; readonly id: string; readonly stage: Stage }
  | {
      readonly type: 'samples';
      readonly id: string;
      readonly phase: string;
      readonly step: number;
      readonly samples: readonly Sample[];
    }
  | { readonly type: 'state'; readonly id: string; readonly state: RunState; readonly words?: string }
  | { readonly type: 'notice'; readonly words: string }
  | { readonly type: 'bench'; readonly line: BenchLine };

export interface Sample {
  readonly prompt: string;
  readonly answer: string;
  readonly correct: boolean;
}

export type ToWorker = { readonly call: number; readonly name: CallName; readonly argument: unknown };
export type FromWorker =
  | { readonly answer: number; readonly value: unknown }
  | { readonly answer: number; readonly error: string }
  | { readonly event: Event };

export const ESTIMATORS: readonly Estimator[] = ['rloo', 'grpo', 'dr-grpo', 'reinforce'];
