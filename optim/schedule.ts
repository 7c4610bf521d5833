// Learning-rate schedules: pure functions of the step, so that a resumed run needs no state of theirs.
// Steps count from 0. A warm-up of n steps rises linearly: step s has (s + 1) / n of the peak, so step n - 1 has all of
// it. Read after: adamw.ts. Used by: remit/phases/train-loop.ts.

import { ConfigError } from '../engine/errors.ts';
import {
  checkArguments, checkOptions, checkValue, choice, anything, optional, real, whole, type Rules,
} from '../engine/options.ts';

/** Step, from 0 -> learning rate. */
export type Schedule = (step: number) => number;

/** A schedule of somebody's own, in place of a kind: the rate of a step, given the settings of its phase. */
export type OwnSchedule = (step: number, settings: PhaseRates) => number;

/** What the settings of a phase say about its rate. `floor`: as a share of the peak. */
export interface PhaseRates {
  readonly steps: number;
  readonly rate: number;
  readonly warmup: number;
  readonly floor: number;
}

/** What schedule() makes a schedule of. */
export interface ScheduleOptions {
  readonly kind: 'constant' | 'linear' | 'cosine' | 'wsd';
  /** Highest rate. */
  readonly peak: number;
  /** Number of steps in all. */
  readonly steps: number;
  /** Steps of linear warm-up. */
  readonly warmup?: number;
  /** Where the decay ends; 0 by default. */
  readonly floor?: number;
  /** 'wsd': share of all steps that the final decay takes; 0.2 by default. */
  readonly decayShare?: number;
}

/** What each may be, and is unless given; remit/settings/schema.ts makes its settings of these. */
export const scheduleRules = {
  kind: choice('constant', 'linear', 'cosine', 'wsd'),
  peak: real({ above: 0 }),
  steps: whole({ min: 1, max: 100_000_000 }),
  warmup: optional(whole({ min: 0, max: 100_000_000 }), 0),
  floor: optional(real({ from: 0 }), 0),
  decayShare: optional(real({ from: 0, to: 1 }), 0.2),
} satisfies Rules<ScheduleOptions>;

const stepRule = whole({ min: 0 });

/**
 * constant: the peak. linear: falls to the floor over the steps after warm-up, reaching it just after the last. cosine:
 * the same along half a cosine (arXiv 1608.03983). wsd: warm-up, stable, then linear decay over the last decayShare of
 * the steps (arXiv 2404.06395). Throws ConfigError for an option that is unknown, missing or out of its range; the
 * schedule does for what is no step.
 */
export function schedule(options: ScheduleOptions): Schedule {
  checkArguments('schedule', arguments, { options: anything });
  const { kind, peak, steps, warmup, floor, decayShare } = checkOptions<ScheduleOptions>(
    'schedule',
    options,
    scheduleRules,
  ) as Required<ScheduleOptions>;
  if (floor > peak) {
    throw new ConfigError(
      `schedule: floor = ${floor}, peak = ${peak}: the floor is a rate too: must not be above the peak`,
    );
  }
  if (warmup > steps) {
    throw new ConfigError(`schedule: warm-up of ${warmup} in ${steps} steps: must not be longer than the run`);
  }
  const shape = shapes[kind](warmup, steps, decayShare);
  const rate = (step: number): number =>
    step < warmup ? (peak * (step + 1)) / warmup : floor + (peak - floor) * shape(step);
  return (step) => rate(checkValue('schedule: step', step, stepRule));
}

/** Each falls from 1 towards 0 over the steps after warm-up. */
const shapes: Record<ScheduleOptions['kind'], (warmup: number, steps: number, decayShare: number) => Schedule> = {
  constant: () => () => 1,
  linear: (warmup, steps) => (step) => 1 - share(step, warmup, steps),
  cosine: (warmup, steps) => (step) => 0.5 * (1 + Math.cos(Math.PI * share(step, warmup, steps))),
  wsd: (warmup, steps, decayShare) => (step) =>
    1 - share(step, Math.max(warmup, Math.round(steps * (1 - decayShare))), steps),
};

/** How far `step` is from start to end, 0 to 1. */
function share(step: number, start: number, end: number): number {
  return end > start ? Math.min(1, Math.max(0, (step - start) / (end - start))) : 0;
}
