// --threads, which every command takes: how many threads the CPU computes on. No setting of a run, since results do not
//  depend on it. Used by: main.ts, device.ts.

import { threadCount } from '../../../engine/cpu/threads.ts';
import { ConfigError } from '../../../engine/errors.ts';

let chosen: number | undefined;

/** What the command line asked for; undefined: one per core. */
export function chosenThreads(): number | undefined {
  return chosen;
}

/** The arguments without --threads, which is remembered. Throws ConfigError when it is no whole number from 1 to 64. */
export function takeThreads(command: string, argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  const at = argv.findIndex(
    (word, i) => (end < 0 || i < end) && (word === '--threads' || word.startsWith('--threads=')),
  );
  if (at < 0) return [...argv];
  const isSplit = argv[at] === '--threads';
  const text = isSplit ? argv[at + 1] : argv[at]!.slice('--threads='.length);
  const n = Number(text);
  if (!/^\d+$/.test(text ?? '') || !threadCount.accepts(n)) {
    throw new ConfigError(`${command}: --threads ${text ?? ''}: must be ${threadCount.range}`);
  }
  chosen = n;
  return argv.toSpliced(at, isSplit ? 2 : 1);
}
