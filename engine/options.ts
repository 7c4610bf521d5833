// What a caller may hand over, said once: a rule per value, and the check of an options object against its rules.
// Settings of runs are made from the same rules: see remit/settings/schema.ts. Read after: errors.ts, describe.ts.

import { describe } from './describe.ts';
import { ConfigError } from './errors.ts';
import { nearest } from './nearest.ts';

/** What one value may be. */
export interface Rule<T = unknown> {
  /** To be read after "must be": `a whole number from 1 to 64`. */
  readonly range: string;
  readonly kind: 'number' | 'toggle' | 'choice' | 'text' | 'other';
  accepts(value: unknown): value is T;
  /** The part of a refused value that is to blame, if it has parts: `[17]`, what is there, and what must be. */
  inside?(value: unknown): Part | undefined;
}

type Part = readonly [name: string, value: unknown, rule: Rule];

/** A rule for a value that need not be there, and what stands in for it. */
export interface OptionalRule<T> extends Rule<T> {
  readonly fallback: T | undefined;
}

/** A rule for each option. */
export type Rules<T> = {
  readonly [K in keyof T]-?: undefined extends T[K] ? OptionalRule<Exclude<T[K], undefined>> : Rule<T[K]>;
};

/** A whole number, both ends included. */
export function whole({ min, max = Number.MAX_SAFE_INTEGER }: { min: number; max?: number }): Rule<number> {
  const range =
    max === Number.MAX_SAFE_INTEGER ? `a whole number of at least ${min}` : `a whole number from ${min} to ${max}`;
  return {
    kind: 'number',
    range,
    accepts: (value): value is number =>
      Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  };
}

/** Bounds of a number: `above` and `below` without the bound itself, `from` and `to` with it. */
export interface RealRange {
  readonly above?: number;
  readonly from?: number;
  readonly to?: number;
  readonly below?: number;
}

/** Any whole number, negative ones included. */
export const integer: Rule<number> = {
  kind: 'number',
  range: 'a whole number',
  accepts: (value): value is number => Number.isSafeInteger(value),
};

/** Any number but NaN. */
export const anyNumber: Rule<number> = {
  kind: 'number',
  range: 'a number',
  accepts: (value): value is number => typeof value === 'number' && !Number.isNaN(value),
};

/** A finite number. */
export function real({
  above = -Infinity,
  from = -Infinity,
  to = Infinity,
  below = Infinity,
}: RealRange = {}): Rule<number> {
  const bounds = Object.entries({ above, 'at least': from, 'at most': to, below }).filter(([, bound]) =>
    Number.isFinite(bound),
  );
  const range =
    bounds.length > 0
      ? `a number ${bounds.map(([words, bound]) => `${words} ${bound}`).join(' and ')}`
      : 'a finite number';
  const accepts = (value: unknown): value is number => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return false;
    return value > above && value >= from && value <= to && value < below;
  };
  return { kind: 'number', range, accepts };
}

/** One of some words. */
export function choice<const T extends string>(...words: readonly T[]): Rule<T> & { readonly words: readonly T[] } {
  const accepts = (value: unknown): value is T => (words as readonly unknown[]).includes(value);
  return { kind: 'choice', range: `one of ${words.join(', ')}`, accepts, words };
}

/** True or false. */
export const toggle: Rule<boolean> = {
  kind: 'toggle',
  range: 'true or false',
  accepts: (value) => typeof value === 'boolean',
};

/** Text that is not empty. */
export const text: Rule<string> = {
  kind: 'text',
  range: 'some text',
  accepts: (value): value is string => typeof value === 'string' && value !== '',
};

/** Any string, also an empty one. */
export const string: Rule<string> = { kind: 'text', range: 'a string', accepts: (value) => typeof value === 'string' };

/** Anything else, by a test of its own. `range` reads after "must be". */
export function such<T>(range: string, accepts: (value: unknown) => boolean): Rule<T> {
  return { kind: 'other', range, accepts: accepts as Rule<T>['accepts'] };
}

/** A function. */
export function callable<T>(range = 'a function'): Rule<T> {
  return such(range, (value) => typeof value === 'function');
}

/** A name of ours, or in its place a function of somebody's own: a name is short for one that is here. */
export function orOwn<T, Own extends (...args: never[]) => unknown>(rule: Rule<T>): Rule<T | Own> {
  const accepts = (value: unknown): value is T | Own => typeof value === 'function' || rule.accepts(value);
  return { ...rule, accepts };
}

/** What only this class makes. `range` reads after "must be": `a tensor`. */
export function instance<T>(range: string, type: abstract new (...args: never[]) => T): Rule<T> {
  return such(range, (value) => value instanceof type);
}

/** An object that has these properties: it may have others, and be of a class of somebody's. */
export function having<T extends object>(range: string, properties: Readonly<Record<string, Rule>>): Rule<T> {
  const entries = Object.entries(properties);
  const inside = (value: unknown): Part | undefined => {
    if (!isObject(value) || isPromise(value)) return undefined;
    for (const [name, rule] of entries) if (!fits(value[name], rule)) return [`.${name}`, value[name], rule];
    return undefined;
  };
  return { ...such(range, (value) => isObject(value) && !isPromise(value) && inside(value) === undefined), inside };
}

/** A list: an array or a typed array, of any realm, with each element as `each` says. One pass over it. */
export function list<T>(range: string, each: Rule<T>): Rule<ArrayLike<T>> {
  const inside = (value: unknown): Part | undefined => {
    if (!isList(value)) return undefined;
    for (let i = 0; i < value.length; i++) if (!each.accepts(value[i])) return [`[${i}]`, value[i], each];
    return undefined;
  };
  return { ...such(range, (value) => isList(value) && inside(value) === undefined), inside };
}

/**
 * A typed array of one kind, of any realm: `typedArray('Int32Array')`. With a rule for its elements where that is
 * narrower than its type.
 */
export function typedArray<T>(kind: string, each?: Rule<number>): Rule<T> {
  const isKind = (value: unknown): boolean => ArrayBuffer.isView(value) && value[Symbol.toStringTag as never] === kind;
  const range = /^[AEIOU]/.test(kind) ? `an ${kind}` : `a ${kind}`;
  if (each === undefined) return such(range, isKind);
  const elements = list(range, each);
  return {
    ...such(range, (value) => isKind(value) && elements.accepts(value)),
    inside: (value) => (isKind(value) ? elements.inside?.(value) : undefined),
  };
}

/** May be left out; undefined means the fallback, everywhere. */
export function optional<T>(rule: Rule<T>, fallback?: T): OptionalRule<T> {
  return { ...rule, fallback };
}

/**
 * The options as they hold: unknown names, wrong types and values out of range are refused with ConfigError; what is
 * absent or undefined has its fallback, or is absent. `where` names the function: `generate`.
 */
export function checkOptions<T extends object>(where: string, given: unknown, rules: Rules<T>): T {
  const names = Object.keys(rules);
  if (given !== undefined && !isOptions(given)) {
    const wanted =
      names.length > 0
        ? `must be an object of options: { ${names.join(', ')} }`
        : 'an argument too many: there are no options';
    throw new ConfigError(`${where}: ${describe(given)}: ${wanted}`);
  }
  const options = (given ?? {}) as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(rules, name)) throw new ConfigError(unknown(where, name, names));
  }
  const checked: Record<string, unknown> = {};
  for (const name of names) {
    const rule = rules[name as keyof T] as Rule & Partial<OptionalRule<unknown>>;
    const value = options[name] === undefined ? rule.fallback : options[name];
    if (value === undefined && 'fallback' in rule) continue;
    checked[name] = checkValue(`${where}: ${name}`, value, rule);
  }
  return checked as T;
}

/**
 * The same check for what is called a thousand times a second: it fills in nothing, makes nothing, and leaves what is
 * wrong to checkOptions() to say.
 */
export function checker<T extends object>(where: string, rules: Rules<T>): (given: T | undefined) => void {
  const entries = Object.entries<Rule>(rules);
  const names = entries.map(([name]) => name);
  const list = entries.map(([, rule]) => rule);
  const isOptional = list.map((rule) => 'fallback' in rule);
  const needsNothing = isOptional.every(Boolean);
  const isFine = (given: Readonly<Record<string, unknown>>): boolean => {
    let known = 0;
    let all = 0;
    for (let i = 0; i < names.length; i++) {
      const value = given[names[i]!];
      if (value === undefined ? !isOptional[i] : !list[i]!.accepts(value)) return false;
      if (value !== undefined) known++;
    }
    for (const _ in given) all++;
    return known === all; // an option that is there and undefined, too, is left to the other
  };
  return (given) => {
    if (given === undefined && needsNothing) return;
    if (!isOptions(given) || !isFine(given as Readonly<Record<string, unknown>>)) checkOptions(where, given, rules);
  };
}

/**
 * The arguments of a call, against a rule for each in their order: `checkArguments('keep', arguments, { x: aTensor })`.
 * A missing one, a wrong one and one too many are refused with ConfigError. A rule of `anything` leaves an argument to
 * checkOptions() or to the function.
 */
export function checkArguments(where: string, given: ArrayLike<unknown>, rules: Readonly<Record<string, Rule>>): void {
  let count = 0;
  for (const name in rules) { // without a list of them: this is asked a thousand times a second
    const rule = rules[name]!;
    const value = given[count++];
    if (!fits(value, rule)) checkValue(`${where}: ${name}`, value, rule);
  }
  if (given.length > count) {
    throw new ConfigError(
      `${where}: ${describe(given[count])}: an argument too many: it takes ${Object.keys(rules).join(', ') || 'none'}`,
    );
  }
}

/** An argument that is checked elsewhere. */
export const anything: Rule = such('anything', () => true);

/** One value, or ConfigError: `advantages: size = 0: must be a whole number of at least 1`. */
export function checkValue<T>(where: string, value: unknown, rule: Rule<T>): T {
  if (rule.accepts(value)) return value;
  const part = rule.inside?.(value);
  if (part !== undefined) return checkValue(`${where}${part[0]}`, part[1], part[2]) as never;
  throw new ConfigError(
    value === undefined
      ? `${where} is missing: must be ${rule.range}`
      : `${where} = ${describe(value)}: must be ${rule.range}`,
  );
}

function unknown(where: string, name: string, names: readonly string[]): string {
  const close = nearest(name, names);
  if (names.length === 0) return `${where}: ${name}: no such option: it takes none`;
  return `${where}: ${name}: no such option: ${close === undefined ? '' : `did you mean ${close}? `}There are ${names.join(', ')}`;
}

/** Whether a rule takes the value, undefined where it may be left out. */
function fits(value: unknown, rule: Rule): boolean {
  return (value === undefined && 'fallback' in rule) || rule.accepts(value);
}

/** A plain object, of any realm: no array, no tensor, no promise, no class of somebody's. */
export function isOptions(value: unknown): value is object {
  if (!isObject(value) || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isPromise(value: Readonly<Record<string, unknown>>): boolean {
  return typeof value.then === 'function';
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value);
}
