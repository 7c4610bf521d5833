// What a benchmark is given: flags and words, checked as the program checks its own. Used by: every bench/*.bench.ts.

import { ConfigError } from '../engine/errors.ts';
import { readArguments, type Arguments, type Flags } from '../remit/app/cli/arguments.ts';

/** Throws ConfigError for what the benchmark does not know; at most so many words that are no flags. */
export function benchArguments(name: string, argv: readonly string[], flags: Flags, words: number): Arguments {
  return readArguments(`bench ${name}`, argv, flags, words, `npm run bench ${name} -- --help`);
}

/** A word or the value of a flag, which must be one of a few. Throws ConfigError. */
export function oneOf<T extends string>(name: string, given: string, known: readonly T[]): T {
  const found = known.find((each) => each === given);
  if (found === undefined) throw new ConfigError(`bench ${name}: ${given}: must be one of ${known.join(', ')}`);
  return found;
}
