// What a process says with its exit code, and which error means which. Read after: main.ts.

import { ConfigError, DeviceError, DivergedError, FormatError } from '../../engine/errors.ts';

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2, // also: a setting that is wrong
  device: 3,
  damaged: 4, // a file that is damaged or not what its name says
  diverged: 5,
  SIGINT: 130,
  SIGTERM: 143,
} as const;

export type StopSignal = 'SIGINT' | 'SIGTERM';

export function exitCode(error: unknown): number {
  if (error instanceof ConfigError) return EXIT.usage;
  if (error instanceof DeviceError) return EXIT.device;
  if (error instanceof FormatError) return EXIT.damaged;
  if (error instanceof DivergedError) return EXIT.diverged;
  return EXIT.failed;
}
