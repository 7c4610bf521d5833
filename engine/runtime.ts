// What is current: the backend that ops run on, the arena that results live in, and whether gradients are recorded.
// Kept in one place because passing a device through every call would double the length of every line.
// Read after: backend.ts, arena.ts. Read next: tensor.ts, step.ts.

import type { Arena } from './arena.ts';
import type { Backend, Storage } from './backend.ts';
import { DeviceError } from './errors.ts';
import { sizeOf, type DType, type Shape } from './shape.ts';

const current: { backend: Backend | null; arena: Arena | null; recording: boolean } = { backend: null, arena: null, recording: true };

/** The backend in use. Throws DeviceError before createDevice() or useBackend(). */
export function backend(): Backend {
  if (!current.backend) throw new DeviceError('engine: no device yet: call `await createDevice()` first');
  return current.backend;
}

/** Makes a backend current for everything that follows. */
export function useBackend(next: Backend): void {
  current.backend = next;
}

/** Makes a backend current for the length of a call: how tests move between backends. */
export function withBackend<T>(next: Backend, body: () => T): T {
  return during({ backend: next, arena: null }, body);
}

/** The arena of the step that is running, or null outside of one. */
export function currentArena(): Arena | null {
  return current.arena;
}

export function withArena<T>(arena: Arena, body: () => T): T {
  return during({ arena, recording: true }, body);
}

/** Whether ops leave a trace for backward(). */
export function isRecording(): boolean {
  return current.recording;
}

/** Runs without recording: for evaluation, generation, and reference models. */
export function noGrad<T>(body: () => T): T {
  return during({ recording: false }, body);
}

/** Memory for a result: owned by the running step, or by whoever holds it when there is none. */
export function allocate(shape: Shape, dtype: DType): Storage {
  return (current.arena ?? backend()).alloc(sizeOf(shape), dtype);
}

function during<T>(change: Partial<typeof current>, body: () => T): T {
  const before = { ...current };
  Object.assign(current, change);
  const restore = (): void => void Object.assign(current, before);
  let result: T;
  try {
    result = body();
  } catch (error) {
    restore();
    throw error;
  }
  if (result instanceof Promise) return result.finally(restore) as T;
  restore();
  return result;
}
