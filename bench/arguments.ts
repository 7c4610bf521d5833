// What a benchmark is given: flags and words, checked as the program checks its own. Used by: every bench/*.bench.ts.

import { readArguments, type Arguments, type Flags } from '../remit/app/cli/arguments.ts';

/** Throws ConfigError for what the benchmark does not know; at most so many words that are no flags. */
export function benchArguments(name: string, argv: readonly string[], flags: Flags, words: number): Arguments {
  return readArguments(`bench ${name}`, argv, flags, words, `npm run bench ${name} -- --help`);
}
