// What a caller may hand over, said once: a rule per value, and the check of an options object against its rules.
// Settings of runs are made from the same rules: see remit/config/schema.ts. Read after: errors.ts, describe.ts.

import { describe } from './describe.ts';
import { ConfigError } from './errors.ts';
import { nearest } from './nearest.ts';

/** What one value may be. */
export interface Rule<T = unknown> {
  /** To be read after "must be": `a whole number from 1 to 64`. */
  readonly range: string;
  readonly kind: 'number' | 'toggle' | 'choice' | 'text' | 'other';
  accepts(value: unknown): value is T;
}

/** A rule for a value that need not be there, and what stands in for it. */
export interface OptionalRule<T> extends Rule<T> {
  readonly fallback: T | undefined;
}

/** A rule for each option. */
export type Rules<T> = { readonly [K in keyof T]-?: undefined extends T[K] ? OptionalRule<Exclude<T[K], undefined>> : Rule<T[K]> };

/** A whole number, both ends included. */
export function whole({ min, max = Number.MAX_SAFE_INTEGER }: { min: number; max?: number }): Rule<number> {
  const range = max === Number.MAX_SAFE_INTEGER ? `a whole number of at least ${min}` : `a whole number from ${min} to ${max}`;
  return { kind: 'number', range, accepts: (value): value is number => Number.isInteger(value) && (value as number) >= min && (value as number) <= max };
}

export interface RealRange {
  readonly above?: number;
  readonly from?: number;
  readonly to?: number;
  readonly below?: number;
}

/** A finite number. */
export function real({ above = -Infinity, from = -Infinity, to = Infinity, below = Infinity }: RealRange = {}): Rule<number> {
  const bounds = Object.entries({ above, 'at least': from, 'at most': to, below }).filter(([, bound]) => Number.isFinite(bound));
  const range = bounds.length > 0 ? `a number ${bounds.map(([words, bound]) => `${words} ${bound}`).join(' and ')}` : 'a finite number';
  const accepts = (value: unknown): value is number => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return false;
    return value > above && value >= from && value <= to && value < below;
  };
  return { kind: 'number', range, accepts };
}

export function choice<const T extends string>(...words: readonly T[]): Rule<T> & { readonly words: readonly T[] } {
  const accepts = (value: unknown): value is T => (words as readonly unknown[]).includes(value);
  return { kind: 'choice', range: `one of ${words.join(', ')}`, accepts, words };
}

export const toggle: Rule<boolean> = { kind: 'toggle', range: 'true or false', accepts: (value) => typeof value === 'boolean' };

export const text: Rule<string> = { kind: 'text', range: 'some text', accepts: (value): value is string => typeof value === 'string' && value !== '' };

/** Anything else, by a test of its own. `range` reads after "must be". */
export function such<T>(range: string, accepts: (value: unknown) => boolean): Rule<T> {
  return { kind: 'other', range, accepts: accepts as Rule<T>['accepts'] };
}

/** A function. */
export function callable<T>(range: string): Rule<T> {
  return such(range, (value) => typeof value === 'function');
}

/** May be left out; undefined means the fallback, everywhere. */
export function optional<T>(rule: Rule<T>, fallback?: T): OptionalRule<T> {
  return { ...rule, fallback };
}

/**
 * The options as they hold: unknown names, wrong types and values out of range are refused with ConfigError; what is absent or undefined
 * has its fallback, or is absent. `where` names the function: `generate`.
 */
export function checkOptions<T extends object>(where: string, given: unknown, rules: Rules<T>): T {
  const names = Object.keys(rules);
  if (given !== undefined && !isOptions(given)) {
    throw new ConfigError(`${where}: ${describe(given)}: must be an object of options: { ${names.join(', ')} }`);
  }
  const options = (given ?? {}) as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(options)) if (!Object.hasOwn(rules, name)) throw new ConfigError(unknown(where, name, names));
  const checked: Record<string, unknown> = {};
  for (const name of names) {
    const rule = rules[name as keyof T] as Rule & Partial<OptionalRule<unknown>>;
    const value = options[name] ?? (options[name] === undefined ? rule.fallback : null);
    if (value === undefined && 'fallback' in rule) continue;
    checked[name] = checkValue(`${where}: ${name}`, value, rule);
  }
  return checked as T;
}

/** One value, or ConfigError: `advantages: size = 0: must be a whole number of at least 1`. */
export function checkValue<T>(where: string, value: unknown, rule: Rule<T>): T {
  if (rule.accepts(value)) return value;
  throw new ConfigError(value === undefined ? `${where} is missing: must be ${rule.range}` : `${where} = ${describe(value)}: must be ${rule.range}`);
}

function unknown(where: string, name: string, names: readonly string[]): string {
  const close = nearest(name, names);
  if (names.length === 0) return `${where}: ${name}: no such option: it takes none`;
  return `${where}: ${name}: no such option: ${close === undefined ? '' : `did you mean ${close}? `}There are ${names.join(', ')}`;
}

/** A plain object, of any realm: no array, no tensor, no promise, no class of somebody's. */
function isOptions(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
