// A state that holds for a body and for what the body goes on to do after it has waited, but not for what runs
// meanwhile. Node follows asynchronous work (AsyncLocalStorage); pages cannot yet, and there only a body that does not
// wait has a scope. Used by: runtime.ts.

import type { AsyncLocalStorage } from 'node:async_hooks';

export class Scope {
  #followed: AsyncLocalStorage<boolean> | null | undefined; // undefined: not asked for yet
  #hasWaited = false;

  /** Whether the code that runs now belongs to a body that waited. Free until there is one. */
  get isInside(): boolean {
    return this.#hasWaited && this.#followed!.getStore() === true;
  }

  /** Runs a body. If it returns a promise, ask follow(). */
  enter<T>(body: () => T): T {
    if (this.#followed === undefined) this.#followed = follower();
    return this.#followed ? this.#followed.run(true, body) : body();
  }

  /** Runs a body as if outside. */
  leave<T>(body: () => T): T {
    return this.#hasWaited ? this.#followed!.run(false, body) : body();
  }

  /** To be called when a body that was entered returned a promise: false where it cannot be followed. */
  follow(): boolean {
    this.#hasWaited ||= Boolean(this.#followed);
    return this.#hasWaited;
  }
}

function follower(): AsyncLocalStorage<boolean> | null {
  const hooks = globalThis.process?.getBuiltinModule?.('node:async_hooks');
  return hooks ? new hooks.AsyncLocalStorage<boolean>() : null;
}
