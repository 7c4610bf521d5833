// AdamW over a model's flat parameters, with the global gradient norm clipped on the device: four dispatches, no
// read-back. Source: Loshchilov and Hutter, arXiv 1711.05101. Kernel: kernels/optim/adamw.ts. Read after:
// engine/parameters.ts.

import { adamwKernel, biasCorrectionKernel, gradientNormKernel } from '../kernels/optim/adamw.ts';
import { fillKernel } from '../kernels/copy/copy.ts';
import type { TensorStorage } from '../engine/backend.ts';
import {
  anything, checkArguments, checkOptions, instance, optional, real, whole, type Rules,
} from '../engine/options.ts';
import { Parameters } from '../engine/parameters.ts';
import { backend } from '../engine/runtime.ts';
import { empty, Tensor } from '../engine/tensor.ts';
import { reshape, slice } from '../engine/ops/shape.ts';
import type { Optimiser } from './optimiser.ts';

/** Coefficients of AdamW; each has a default. */
export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Share of a matrix that rate 1 would take away per step; gains and biases are left alone. */
  readonly weightDecay: number;
  /** Largest global gradient norm; 0: no limit. */
  readonly clip: number;
}

/** What each may be, and is unless given; remit/settings/schema.ts makes its settings of these. */
export const adamwRules = {
  beta1: optional(real({ from: 0, below: 1 }), 0.9),
  beta2: optional(real({ from: 0, below: 1 }), 0.95),
  epsilon: optional(real({ above: 0, to: 1 }), 1e-8),
  weightDecay: optional(real({ from: 0, to: 10 }), 0.05),
  clip: optional(real({ from: 0, to: 1e9 }), 1),
} satisfies Rules<Partial<AdamWOptions>>;

export const adamwDefaults = checkOptions<Partial<AdamWOptions>>('AdamW', {}, adamwRules) as AdamWOptions;

/** A learning rate at its peak, and at any step: a falling schedule may end at 0. */
export const rateRules = { peak: real({ above: 0, to: 1 }), atStep: real({ from: 0, to: 1 }) };

const updateArguments = { step: whole({ min: 0 }), rate: rateRules.atStep };

/** A stretch of the flat buffers, in elements; the first `decayed` of it are matrices. */
export interface Stretch {
  readonly offset: number;
  readonly size: number;
  readonly decayed: number;
}

/** One update, as the device sees it: its rate, the clip coefficient (norm[1]) and the bias correction. */
export interface Update {
  readonly rate: number;
  readonly norm: Tensor;
  readonly correction: Tensor;
}

/** AdamW with decoupled weight decay and clipping by the global norm. Source: arXiv 1711.05101. */
export class AdamW implements Optimiser {
  readonly options: AdamWOptions;
  /**
   * Running means of the gradients and of their squares, laid out like the parameters: Parameters.toHost() and load()
   * take them out and bring them back.
   */
  readonly moments: { readonly m: TensorStorage; readonly v: TensorStorage };
  protected readonly parameters: Parameters;
  /** How many updates were left out, [1]: on the device, which alone knows in time. */
  readonly #skipped: TensorStorage;

  /** Throws ConfigError for an option that is unknown or out of its range. */
  constructor(parameters: Parameters, options?: Partial<AdamWOptions>) {
    checkArguments('AdamW', arguments, {
      parameters: instance('the Parameters of a model: model.parameters', Parameters),
      options: anything,
    });
    this.options = checkOptions<Partial<AdamWOptions>>('AdamW', options, adamwRules) as AdamWOptions;
    this.parameters = parameters;
    const { size } = parameters.flat;
    this.moments = { m: backend().alloc(size, 'f32'), v: backend().alloc(size, 'f32') };
    for (const moment of Object.values(this.moments)) {
      backend().dispatch(fillKernel, { out: moment }, { n: size, value: 0 });
    }
    this.#skipped = backend().alloc(1, 'f32');
    this.setSkipped(0);
  }

  /** To go on with moments from elsewhere: how many updates were left out there, as readSkipped() told. */
  setSkipped(count: number): void {
    checkArguments('AdamW.setSkipped', arguments, { count: whole({ min: 0 }) });
    backend().dispatch(fillKernel, { out: this.#skipped }, { n: 1, value: count });
  }

  /** How many updates were left out so far, because a gradient was not finite: waits for the device. */
  async readSkipped(): Promise<number> {
    return (await backend().read(this.#skipped))[0]!;
  }

  /**
   * Applies the gradients at `rate`. `step` counts from 0. Returns the gradients' norm before clipping, []. When that
   * is not finite, weights and moments stay as they are, and the bias correction of later updates does not count this
   * one: the device sees to it, nothing is read back. Without `clip`, a norm above 1e18 is clipped to that, since its
   * squares would overflow.
   */
  update(step: number, rate: number): Tensor {
    checkArguments('AdamW.update', arguments, updateArguments);
    const { gradients, size: n } = this.parameters.flat;
    const { beta1, beta2, clip } = this.options;
    const norm = empty({ shape: [2], dtype: 'f32' });
    backend().dispatch(gradientNormKernel, { x: gradients, norm: norm.storage }, { n, limit: clip });
    const updates = step + 1;
    const correction = empty({ shape: [2], dtype: 'f32' });
    backend().dispatch(
      biasCorrectionKernel,
      { norm: norm.storage, skipped: this.#skipped, correction: correction.storage },
      {
        updates,
        beta1,
        beta2,
        correction1: 1 - beta1 ** updates,
        correction2: 1 - beta2 ** updates,
        decay1: Math.min(80, -Math.log(beta1)),
        decay2: Math.min(80, -Math.log(beta2)),
      },
    );
    this.move({ rate, norm, correction });
    return reshape(slice(norm, { axis: 0, start: 0, end: 1 }), { shape: [] });
  }

  /** Updates all parameters. */
  protected move(update: Update): void {
    const { size, decayed } = this.parameters.flat;
    this.moveStretch({ offset: 0, size, decayed }, update);
  }

  /** Updates a stretch of them, and its moments. */
  protected moveStretch({ offset, size: n, decayed: nDecay }: Stretch, { rate, norm, correction }: Update): void {
    const { beta1, beta2, epsilon, weightDecay } = this.options;
    const { values, gradients, size } = this.parameters.flat;
    const view = (storage: TensorStorage): TensorStorage =>
      n === size ? storage : backend().view(storage, offset, n);
    const [m, v] = [view(this.moments.m), view(this.moments.v)];
    backend().dispatch(
      adamwKernel,
      {
        values: view(values),
        m,
        v,
        gradients: view(gradients),
        norm: norm.storage,
        correction: correction.storage,
      },
      { n, nDecay, rate, beta1, beta2, rest1: 1 - beta1, rest2: 1 - beta2, epsilon, weightDecay },
    );
  }

  /** Gives the moments' memory back. */
  free(): void {
    for (const storage of [this.moments.m, this.moments.v, this.#skipped]) backend().free(storage);
  }
}
