// A step is a function whose intermediate results live in memory of its own, recycled at its next call. Results stay
// readable until then; using one later is an error with a name, never silent garbage. Train, evaluate and decode get a
// step each. Read after: arena.ts, tensor.ts. Read next: parameters.ts.

import { copyKernel } from '../kernels/copy/copy.ts';
import { Arena } from './arena.ts';
import { StepError } from './errors.ts';
import { anything, callable, checkArguments, checkOptions, optional, toggle } from './options.ts';
import { backend, currentArena, withArena } from './runtime.ts';
import { aTensor, Tensor } from './tensor.ts';

export interface StepOptions {
  /**
   * Fill recycled memory with NaN, so that a kernel which leaves a gap in its output is seen. Default: REMIT_POISON=1.
   */
  readonly poison?: boolean;
}

/** What step() makes of a function: the same function, whose intermediate results use the memory of the call before. */
export interface Step<Args extends readonly unknown[], R> {
  (...args: Args): Promise<R>;
  /** Gives the step's memory back; results of its last call become stale. */
  free(): void;
}

/**
 * Wraps a synchronous body. Each call recycles what the last one made, runs the body, submits its work, and resolves
 * with its result. Throws StepError when the body is asynchronous, when a step is called inside a step, or on another
 * device than at first.
 */
export function step<Args extends readonly unknown[], R>(
  body: (...args: Args) => R,
  options: StepOptions = {},
): Step<Args, R> {
  checkArguments('step', arguments, { body: callable('a function'), options: anything });
  const { poison = globalThis.process?.env?.REMIT_POISON === '1' } = checkOptions<StepOptions>('step', options, {
    poison: optional(toggle),
  });
  let owner = null as Arena | null;
  const call = async (...args: Args): Promise<R> => {
    if (currentArena()) {
      throw new StepError('step: called inside another step: call it between steps, or inline its body');
    }
    const arena = (owner ??= new Arena(backend(), poison));
    if (arena.backend !== backend()) {
      throw new StepError(
        `step: made on ${arena.backend.name}, called on ${backend().name}: make it anew, or free() it first`,
      );
    }
    arena.rewind();
    backend().beginStep(arena);
    try {
      const result = withArena(arena, () => body(...args));
      await backend().endStep();
      return result;
    } catch (error) {
      // what follows is no part of this step; the first error is the one to tell
      await backend()
        .endStep()
        .catch(() => {});
      throw error;
    }
  };
  return Object.assign(call, {
    free: () => {
      owner?.free();
      owner = null;
    },
  });
}

/** A copy that outlives the step. It is a constant: no gradient flows through. */
export function keep(x: Tensor): Tensor {
  checkArguments('keep', arguments, { x: aTensor });
  const storage = backend().alloc(x.size, x.dtype);
  backend().dispatch(copyKernel, { x: x.storage, out: storage }, { n: x.size });
  return new Tensor({ shape: x.shape, dtype: x.dtype, storage, arena: null });
}
