// What a process says with its exit code, and which error means which: the one place, also for --help. Read after:
// main.ts.

import { ConfigError, DeviceError, DivergedError, FormatError } from '../../../engine/errors.ts';
import { BusyError } from '../run/lock.ts';

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  device: 3,
  damaged: 4,
  diverged: 5,
  different: 6,
  later: 75, // EX_TEMPFAIL of sysexits.h
  SIGHUP: 129,
  SIGINT: 130,
  SIGTERM: 143,
} as const;

const MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.ok, 'done'],
  [EXIT.failed, 'something failed that is none of the following; a check found something'],
  [EXIT.usage, 'a wrong argument or setting'],
  [EXIT.device, 'no such device, or it failed'],
  [EXIT.damaged, 'a file that is damaged, or not what its name says'],
  [EXIT.diverged, 'a loss or gradient was no number any more'],
  [EXIT.different, 'verify: trained again, a run is not what its folder holds; bench: slower than --fail-below'],
  [EXIT.later, 'not now: another process has the folder, or took it over; the same command may be right later'],
  [EXIT.SIGHUP, 'ended by a closed terminal; what was trained is kept'],
  [EXIT.SIGINT, 'ended by Ctrl-C; the same'],
  [EXIT.SIGTERM, 'ended by SIGTERM; the same'],
];

/** The codes as text for --help. */
export const exitCodesHelp = MEANINGS.map(([code, meaning]) => `  ${String(code).padEnd(5)} ${meaning}`).join('\n');

export function exitCode(error: unknown): number {
  if (error instanceof BusyError) return EXIT.later;
  if (error instanceof ConfigError) return EXIT.usage;
  if (error instanceof DeviceError) return EXIT.device;
  if (error instanceof FormatError) return EXIT.damaged;
  if (error instanceof DivergedError) return EXIT.diverged;
  return EXIT.failed;
}
