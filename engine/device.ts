// Chooses where to compute.
// Read after: backend.ts.

import './methods.ts';
import type { Backend } from './backend.ts';
import { CpuBackend } from './cpu/backend.ts';
import { useBackend } from './runtime.ts';

/** Makes a device and makes it current. 'auto' takes the best there is. */
export async function createDevice(kind: 'auto' | 'cpu' = 'auto'): Promise<Backend> {
  const device = kind === 'auto' || kind === 'cpu' ? new CpuBackend() : (kind satisfies never);
  useBackend(device);
  return device;
}
