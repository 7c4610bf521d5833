// The device that a command computes on. Read next: engine/device.ts.

import type { Backend } from '../../engine/backend.ts';
import { createDevice } from '../../engine/device.ts';
import { DeviceError } from '../../engine/errors.ts';
import type { Config } from '../config/config.ts';

/** Makes it current. Throws DeviceError when there is no such device. */
export async function openDevice(wanted: Config['device']): Promise<Backend> {
  if (wanted === 'webgpu') throw new DeviceError('device: webgpu: this version computes on the CPU only: use --device cpu');
  return createDevice(wanted);
}
