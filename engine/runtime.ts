// What is current: the backend that ops run on, the arena that results live in, and whether gradients are recorded.
// Kept in one place because passing a device through every call would double the length of every line.
// Read after: backend.ts, arena.ts. Read next: tensor.ts, step.ts.

import type { Arena } from './arena.ts';
import type { Backend, TensorStorage } from './backend.ts';
import { DeviceError, StepError } from './errors.ts';
import { callable, checkArguments } from './options.ts';
import { Scope } from './scope.ts';
import { sizeOf, type DType, type Shape } from './shape.ts';

const current: { backend: Backend | null; arena: Arena | null; recording: boolean } = {
  backend: null,
  arena: null,
  recording: true,
};

/** The backend in use. Throws DeviceError before createDevice() or useBackend(). */
export function backend(): Backend {
  if (!current.backend) throw new DeviceError('engine: no device yet: call `await createDevice()` first');
  return current.backend;
}

/** Makes a backend current for everything that follows. */
export function useBackend(next: Backend): void {
  current.backend = next;
}

/** The same, and gives back the one before: null where there was none. */
export function exchangeBackend(next: Backend | null): Backend | null {
  const before = current.backend;
  current.backend = next;
  return before;
}

/** Code whose noGrad() began earlier, and waited. */
const unrecorded = new Scope();

/** Makes a backend current for the length of a call. Throws StepError when the body is asynchronous. */
export function withBackend<T>(next: Backend, body: () => T): T {
  return synchronous('withBackend', during({ backend: next, arena: null }, body));
}

/** The arena of the step that is running, or null outside of one. */
export function currentArena(): Arena | null {
  return current.arena;
}

export function withArena<T>(arena: Arena, body: () => T): T {
  return synchronous('step', unrecorded.leave(() => during({ arena, recording: true }, body)));
}

/** Whether ops leave a trace for backward(). */
export function isRecording(): boolean {
  return current.recording && !unrecorded.isInside;
}

/**
 * Runs without recording: for evaluation, generation, and reference models. The body may be asynchronous in Node, where
 * it alone goes unrecorded until it ends; in a page, and within a step, that is a StepError.
 */
export function noGrad<T>(body: () => T): T {
  if (typeof body !== 'function' || arguments.length > 1) {
    checkArguments('noGrad', arguments, { body: callable('a function') });
  }
  const isInStep = current.arena !== null; // which has no asynchronous body
  const result = during({ recording: false }, () => (isInStep ? body() : unrecorded.enter(body)));
  return isPromise(result) && !isInStep && unrecorded.follow() ? result : synchronous('noGrad', result);
}

/** Memory for a result: owned by the running step, or by whoever holds it when there is none. */
export function allocate(shape: Shape, dtype: DType): TensorStorage {
  return (current.arena ?? backend()).alloc(sizeOf(shape), dtype);
}

function during<T>(change: Partial<typeof current>, body: () => T): T {
  const { backend: ownBackend, arena, recording } = current;
  Object.assign(current, change);
  try {
    return body();
  } finally {
    current.backend = ownBackend;
    current.arena = arena;
    current.recording = recording;
  }
}

/**
 * What is current changes for a call, never across an await: other code runs meanwhile. Throws StepError for a promise.
 */
function synchronous<T>(where: string, result: T): T {
  if (!isPromise(result)) return result;
  result.then(undefined, () => {}); // nobody will wait for it: its failure must not end the process
  throw new StepError(`${where}: the body is asynchronous: await before or after the ${where}, not inside`);
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
