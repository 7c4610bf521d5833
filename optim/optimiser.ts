// What a phase asks of its optimiser: AdamW, Muon, or one of somebody's own. Read next: adamw.ts, muon.ts.

import type { TensorStorage } from '../engine/backend.ts';
import { anything, callable, having } from '../engine/options.ts';
import type { Parameters } from '../engine/parameters.ts';
import type { Tensor } from '../engine/tensor.ts';

/** What a phase asks of an optimiser: an update, two moments that a checkpoint can hold, and to be freed. */
export interface Optimiser {
  /** Its state, two buffers laid out like the parameters: a checkpoint takes them along. */
  readonly moments: { readonly m: TensorStorage; readonly v: TensorStorage };
  /**
   * Applies the gradients at `rate`; `step` counts from 0. Returns their global norm before clipping, []. Where that is
   * not finite, weights and moments must stay as they are.
   */
  update(step: number, rate: number): Tensor;
  /** To go on with moments from elsewhere: how many updates were left out there. */
  setSkipped(count: number): void;
  /** How many updates were left out so far. */
  readSkipped(): Promise<number>;
  /** Gives its memory back. */
  free(): void;
}

/** What a function of somebody's own returns is one. */
export const anOptimiser = having<Optimiser>('an optimiser: { moments, update, ... }', {
  moments: having('two buffers: { m, v }', { m: anything, v: anything }),
  update: callable(),
  setSkipped: callable(),
  readSkipped: callable(),
  free: callable(),
});

/** What the settings of a phase say of it, beside the rate. */
export interface OptimiserSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
  readonly clip: number;
}

/** An optimiser of somebody's own, in place of a kind: for a model's parameters, told the settings of its phase. */
export type OwnOptimiser = (parameters: Parameters, settings: OptimiserSettings) => Optimiser;
