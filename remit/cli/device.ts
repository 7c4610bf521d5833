// The device that a command computes on. Read next: engine/device.ts.

import type { Backend } from '../../engine/backend.ts';
import { createDevice } from '../../engine/device.ts';
import { WebGpuBackend } from '../../engine/webgpu/backend.ts';
import type { Config } from '../config/config.ts';

/** Makes it current. Throws DeviceError when there is no such device. */
export async function openDevice(wanted: Config['device']): Promise<Backend> {
  const device = await createDevice(wanted, { notice: (why) => void process.stderr.write(`computing on the CPU: ${why}\n`) });
  if (device instanceof WebGpuBackend) process.once('beforeExit', () => void device.close().catch(() => {})); // to leave with work in flight can crash
  return device;
}
