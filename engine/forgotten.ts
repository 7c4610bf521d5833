// Memory that nobody holds any more comes back by itself: soon after the garbage collector has seen it, at a turn of
// the event loop. A loop that never lets the event loop turn can ask for it at once with sweep(), where the host can be
// made to collect: in Node. Used by: cpu/memory.ts, webgpu/backend.ts.

interface Entry<Resource> {
  readonly holder: WeakRef<object>;
  readonly resource: Resource;
}

export class Forgotten<Resource> {
  readonly #entries = new Set<Entry<Resource>>();
  readonly #entryOf = new WeakMap<object, Entry<Resource>>();
  readonly #registry = new FinalizationRegistry<Entry<Resource>>((entry) => this.#giveBack(entry));
  readonly #release: (resource: Resource) => void;

  constructor(release: (resource: Resource) => void) {
    this.#release = release;
  }

  /** From now on, the resource is released when nobody holds `holder` any more. */
  watch(holder: object, resource: Resource): void {
    const entry = { holder: new WeakRef(holder), resource };
    this.#entries.add(entry);
    this.#entryOf.set(holder, entry);
    this.#registry.register(holder, entry, entry);
  }

  /** Releases the resource of a holder that is still held. */
  release(holder: object): void {
    const entry = this.#entryOf.get(holder);
    if (entry) this.#giveBack(entry);
  }

  /**
   * Collects garbage and releases what is found to be forgotten. Does nothing where garbage cannot be collected on
   * demand.
   */
  sweep(): void {
    if (!collectGarbage()) return;
    for (const entry of this.#entries) if (entry.holder.deref() === undefined) this.#giveBack(entry);
  }

  #giveBack(entry: Entry<Resource>): void {
    if (!this.#entries.delete(entry)) return;
    this.#registry.unregister(entry);
    this.#release(entry.resource);
  }
}

/** False where it cannot be done. */
function collectGarbage(): boolean {
  const load = globalThis.process?.getBuiltinModule;
  if (load === undefined) return false;
  try {
    const [vm, v8] = [load('node:vm'), load('node:v8')];
    v8.setFlagsFromString('--expose-gc');
    const collect = vm.runInNewContext('gc') as () => void;
    // The language keeps what a WeakRef was made of until the running job ends, and the end of any queue of microtasks
    // counts as one.
    vm.runInNewContext('0', {}, { microtaskMode: 'afterEvaluate' });
    collect();
    return true;
  } catch {
    return false; // a host that only looks like Node, or forbids it
  }
}
