// Reserves the one memory that all tensors of the CPU lie in. A reservation takes addresses, not memory; some machines
// are short of these. Used by: memory.ts.

import { DeviceError } from '../errors.ts';

const PAGES_PER_GIB = 16384; // of 64 KiB
const LARGEST_GIB = 4; // what 32 bits can address
const SMALLEST_GIB = 0.25;

export interface Reserved {
  readonly memory: WebAssembly.Memory;
  readonly maximumPages: number;
}

/**
 * A memory of `initial` pages that can grow to 4 GiB, or to as much as there are addresses for. Throws DeviceError when
 * there are too few.
 */
export function reserve(initial: number, shared: boolean): Reserved {
  if (typeof WebAssembly === 'undefined') {
    throw new DeviceError('cpu: there is no WebAssembly here, as under node --jitless: start Node without that flag');
  }
  for (let size = LARGEST_GIB; size >= SMALLEST_GIB; size /= 2) {
    const maximumPages = size * PAGES_PER_GIB;
    try {
      return { memory: new WebAssembly.Memory({ initial, maximum: maximumPages, shared }), maximumPages };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  throw new DeviceError(
    "cpu: too little address space is left to reserve: V8 wants 10 GiB of it: raise the limit (ulimit -v), or set " +
    "NODE_OPTIONS=--disable-wasm-trap-handler, with which the tensors' own size is enough",
  );
}
