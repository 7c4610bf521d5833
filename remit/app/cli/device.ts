// The device that a command computes on. Read next: engine/device.ts.

import type { Backend } from '../../../engine/backend.ts';
import { createDevice } from '../../../engine/device.ts';
import { WebGpuBackend } from '../../../engine/webgpu/backend.ts';
import type { Config } from '../../settings/resolve.ts';
import { say } from './terminal.ts';
import { chosenThreads } from './threads.ts';
import { readTuning } from './tune-cache.ts';

let current: Backend | undefined;

/**
 * Makes it current, in place of the last one. `threads`: of the CPU. Throws DeviceError when there is no such device.
 */
export async function openDevice(wanted: Config['device'], threads = chosenThreads()): Promise<Backend> {
  await closeDevice();
  return (current = await createDevice(wanted, {
    ...(threads && { threads }),
    notice: (why) => say(`computing on the CPU: ${why}`),
    tuned: readTuning,
  }));
}

/** Waits for the device and gives it back: to leave with work in flight can crash the process. */
export async function closeDevice(): Promise<void> {
  if (current instanceof WebGpuBackend) await current.close();
  current = undefined;
}

process.once('beforeExit', () => void closeDevice().catch(() => {}));
