// The loop that every phase shares: the phase's own body makes a loss and applies its gradient, the loop counts,
// checks, reports and saves; and when the run was interrupted before, it goes on where that ended.
// What differs between phases - model, data, loss - stays in the phase. Read after: pretrain.ts. Read next:
// next-token.ts.

import { DivergedError } from '../../engine/errors.ts';
import { checkValue } from '../../engine/options.ts';
import { backend } from '../../engine/runtime.ts';
import type { Tensor } from '../../engine/tensor.ts';
import type { Transformer } from '../../nn/transformer.ts';
import { AdamW, rateRules } from '../../optim/adamw.ts';
import { Muon } from '../../optim/muon.ts';
import { anOptimiser, type Optimiser } from '../../optim/optimiser.ts';
import { schedule, type Schedule } from '../../optim/schedule.ts';
import type { OptimiserConfig } from '../settings/resolve.ts';
import type { PhaseState, Run } from './run.ts';

// among what a phase remembers
const SKIPPED = 'skipped steps';
const IN_A_ROW = 'skipped steps in a row';
const LEFT_OUT = 'updates left out'; // ... of the optimiser's, for its bias correction
const MOST_IN_A_ROW = 10; // more is no accident of a batch

/** What one iteration found; further numbers are written to the metrics as they are. */
export interface Iteration {
  /** Nats per counted token. */
  readonly loss: number;
  /** Global gradient norm before clipping; of the last update, if there were several, or of one that was not finite. */
  readonly gradNorm: number;
  /** Tokens it learned from. */
  readonly tokens: number;
  readonly [extra: string]: number;
}

/**
 * Clips the gradients and applies them; to be called in a step, after backward(). Returns their norm before clipping,
 * []. `update`: see TrainLoop.updates.
 */
export type Apply = (update?: number) => Tensor;

export interface TrainLoop {
  /** Names the phase in metrics and checkpoints. */
  readonly phase: string;
  /** Where its settings stand in the config, for messages. */
  readonly section: 'pretrain' | 'midtrain' | 'sft' | 'rl';
  readonly settings: OptimiserConfig;
  /** Trained in place. */
  readonly model: Transformer;
  readonly run: Run;
  /** Optimiser updates per iteration; 1 unless given. */
  readonly updates?: number;
  /** Numbers that the body carries from one iteration to the next, beside model and moments. */
  readonly memory?: Record<string, number>;
  /** Iteration i, from 0. Whatever it draws must be a function of the seed and i. */
  body(i: number, apply: Apply): Promise<Iteration>;
}

/**
 * Runs the iterations of a phase that are still to do, from fresh optimiser moments or from where the run left it, then
 * saves the model. Throws DivergedError when loss or gradient is no number any more, or with
 * settings.diverged 'skip' when that went on for too long.
 */
export async function trainLoop({
  phase, section, settings, model, run, updates = 1, memory = {}, body,
}: TrainLoop): Promise<void> {
  const { steps } = settings;
  const rate = rateOf(settings, section);
  const optimiser = optimiserOf(settings, section, model);
  const state: PhaseState = { phase, steps, model, optimiser, step: 0, tokens: 0, memory };
  try {
    if (await run.restore?.(state)) return;
    if (memory[LEFT_OUT]) optimiser.setSkipped(memory[LEFT_OUT]);
    while (state.step < steps && !run.stopping) {
      const i = state.step;
      const { loss, gradNorm, tokens, ...rest } = await body(i, (update = 0) =>
        optimiser.update(i * updates + update, rate(i)),
      );
      // the optimiser left all as it was
      const inARow = settings.diverged === 'skip' && !Number.isFinite(gradNorm) ? (memory[IN_A_ROW] ?? 0) + 1 : 0;
      if (inARow === 0 || inARow > MOST_IN_A_ROW) checkFinite({ phase, section, step: i + 1 }, { loss, gradNorm });
      if (inARow > 0) {
        memory[SKIPPED] = (memory[SKIPPED] ?? 0) + 1;
        memory[LEFT_OUT] = await optimiser.readSkipped();
      }
      if (memory[SKIPPED]) memory[IN_A_ROW] = inARow;
      state.step++;
      state.tokens += tokens;
      run.log({
        phase,
        step: state.step,
        steps,
        loss,
        rate: rate(i),
        gradNorm,
        ...rest,
        ...(memory[SKIPPED] && { skipped: memory[SKIPPED] }),
        tokens: state.tokens,
      });
      await run.watch?.(phase, state.step, model);
      if (state.step < steps) await run.keep?.(state);
    }
    if (state.step === steps) {
      await checkWeights({ phase, section, step: steps }, model);
      await run.save(phase, model);
    } else await run.suspend?.(state);
  } finally {
    optimiser.free();
  }
}

function optimiserOf(settings: OptimiserConfig, section: string, { parameters }: Transformer): Optimiser {
  const { optimiser: kind, beta1, beta2, weightDecay, clip } = settings;
  const options = { beta1, beta2, weightDecay, clip };
  if (typeof kind === 'function') return checkValue(`${section}.optimiser`, kind(parameters, options), anOptimiser);
  return kind === 'muon' ? new Muon(parameters, options) : new AdamW(parameters, options);
}

function rateOf(settings: OptimiserConfig, section: string): Schedule {
  const { steps, rate: peak, floor, warmup, schedule: kind } = settings;
  if (typeof kind !== 'function') return schedule({ kind, peak, steps, warmup, floor: floor * peak });
  return (step) => checkValue(`${section}.schedule: at step ${step}`, kind(step, settings), rateRules.atStep);
}

/** The last update is followed by no loss that would tell. */
async function checkWeights(
  { phase, section, step }: { phase: string; section: string; step: number },
  { parameters }: Transformer,
): Promise<void> {
  const { values, size } = parameters.flat;
  const wrong = (await backend().read(values)).subarray(0, size).find((value) => !Number.isFinite(value));
  if (wrong !== undefined) {
    throw new DivergedError(
      `${phase}: a weight is ${wrong} after step ${step}: lower ${section}.rate or ${section}.clip`,
    );
  }
}

/** Told at the step itself: the weights are still those of the step before. */
function checkFinite(
  { phase, section, step }: { phase: string; section: string; step: number },
  values: Readonly<Record<string, number>>,
): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isFinite(value)) {
      throw new DivergedError(
        `${phase}: ${name} is ${value} at step ${step}: lower ${section}.rate or ${section}.clip`,
      );
    }
  }
}
