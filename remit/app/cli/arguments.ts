// Reads a command's flags with node:util, and turns whatever is wrong with them into one line with a way out.
// Read after: main.ts. Read next: train.ts.

import { parseArgs, type ParseArgsConfig } from 'node:util';
import type { DeviceKind } from '../../../engine/device.ts';
import { ConfigError } from '../../../engine/errors.ts';
import { didYouMean } from '../../../engine/nearest.ts';
import { real } from '../../../engine/options.ts';

export type Flags = NonNullable<ParseArgsConfig['options']>;

/** `values` by flag name; `given` is each flag with its text, in the order of the command line. */
export interface Arguments {
  readonly positionals: readonly string[];
  readonly given: readonly (readonly [flag: string, text: string])[];
  text(flag: string): string | undefined;
  has(flag: string): boolean;
}

/** Throws ConfigError for an unknown flag, a missing value, or more than `positionals` words. */
export function readArguments(
  command: string,
  argv: readonly string[],
  flags: Flags,
  positionals = 0,
  help = `remit-mini ${command} --help`,
): Arguments {
  const parsed = parse(command, argv, flags);
  if (parsed.positionals.length > positionals) {
    throw new ConfigError(`${command}: ${parsed.positionals[positionals]}: unexpected: see ${help}`);
  }
  const given = parsed.tokens.flatMap((token) =>
    token.kind === 'option' ? [[token.name, token.value ?? ''] as const] : [],
  );
  const last = new Map(given);
  return { positionals: parsed.positionals, given, text: (flag) => last.get(flag), has: (flag) => last.has(flag) };
}

function parse(command: string, argv: readonly string[], flags: Flags) {
  try {
    return parseArgs({ args: [...argv], options: flags, allowPositionals: true, strict: true, tokens: true });
  } catch (error) {
    throw new ConfigError(`${command}: ${explain(error as Error & { code?: string }, Object.keys(flags))}`);
  }
}

function explain(error: Error & { code?: string }, names: readonly string[]): string {
  const line = error.message.split('\n')[0]!;
  const flag = /'(-[^' ]*)/.exec(error.message)?.[1] ?? '';
  switch (error.code) {
    case 'ERR_PARSE_ARGS_UNKNOWN_OPTION':
      return `${flag}: no such flag${didYouMean(flag.replace(/^-+/, ''), names, '--')}`;
    case 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE':
      return line.includes('does not take')
        ? `${flag}: takes no value`
        : `${flag}: needs a value: a value that begins with - is given as ${flag}=VALUE`;
    default:
      return line;
  }
}

/** A whole number from a flag. Throws ConfigError when it is none, or out of [min, max]. */
export function wholeNumber(
  command: string,
  args: Arguments,
  flag: string,
  { min, max, fallback }: { min: number; max: number; fallback: number },
): number {
  return number(command, args, flag, {
    fallback,
    range: `a whole number from ${min} to ${max}`,
    fits: (n) => Number.isInteger(n) && n >= min && n <= max,
  });
}

/** A number of at least `min` from a flag. Throws ConfigError when it is none. */
export function numberFrom(
  command: string,
  args: Arguments,
  flag: string,
  { fallback, above, min: from, max: to }: { fallback: number; above?: number; min?: number; max?: number },
): number {
  const { range, accepts } = real({
    ...(above !== undefined && { above }), ...(from !== undefined && { from }), ...(to !== undefined && { to }),
  });
  return number(command, args, flag, { fallback, range, fits: accepts });
}

interface Check { fallback: number; range: string; fits: (n: number) => boolean }

function number(command: string, args: Arguments, flag: string, { fallback, range, fits }: Check): number {
  const text = args.text(flag);
  if (text === undefined) return fallback;
  const value = text.trim() === '' ? NaN : Number(text);
  if (fits(value)) return value;
  throw new ConfigError(`${command}: --${flag} ${text}: must be ${range}`);
}

/** --device, of commands that compute; for train it is a setting. */
export const deviceFlag = { device: { type: 'string' } } as const satisfies Flags;

/** What --device says: auto unless given. Throws ConfigError for anything unknown. */
export function chosenDevice(command: string, args: Arguments): DeviceKind {
  const text = args.text('device') ?? 'auto';
  const known = ['auto', 'cpu', 'webgpu'] as const;
  const kind = known.find((name) => name === text);
  if (kind === undefined) {
    throw new ConfigError(`${command}: --device ${text}: must be one of ${known.join(', ')}${didYouMean(text, known)}`);
  }
  return kind;
}

/** The text of a flag that a command cannot do without. */
export function required(command: string, args: Arguments, flag: string, what: string): string {
  const text = args.text(flag);
  if (text !== undefined && text !== '') return text;
  throw new ConfigError(`${command}: --${flag} is missing: ${what}`);
}
