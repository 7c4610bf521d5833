// Opens the model that a --model flag names, on the device of --device. Read next: remit/app/run/model.ts.

import type { DeviceKind } from '../../../engine/device.ts';
import { ConfigError } from '../../../engine/errors.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { openModel, type OpenModel } from '../run/model.ts';
import { openDevice } from './device.ts';

/**
 * Throws ConfigError when there is no model at `path`, FormatError when it is damaged, DeviceError when there is no
 * such device.
 */
export async function loadModel(path: string, device: DeviceKind): Promise<OpenModel> {
  await openDevice(device);
  return openModel(path);
}

/** The model's tokenizer. Throws ConfigError when it has none. */
export function tokenizerOf(command: string, { tokenizer, tokenizerFault, source }: OpenModel): Tokenizer {
  if (tokenizer !== undefined) return tokenizer;
  throw new ConfigError(tokenizerFault ?? `${command}: ${source}: has no tokenizer.json: only score works without one`);
}
