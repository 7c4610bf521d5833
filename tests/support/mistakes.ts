// The mistakes of honest users, made from a call that is right: a wrong type, a misspelled option, swapped arguments,
// a promise that nobody awaited. Used by: misuse.test.ts.

import { runInNewContext } from 'node:vm';
import { RemitError } from '../../engine/errors.ts';
import { Tensor } from '../../engine/tensor.ts';

/** A call that is right, and what else may be right about it. */
export interface RightCall {
  readonly run: (...given: never[]) => unknown;
  /** By their documented names, in their order; made anew for each mistake. */
  readonly given: () => Readonly<Record<string, unknown>>;
  /** Arguments and options that may be left out, or undefined. */
  readonly optional?: readonly string[];
  /** Those that the list of arguments may end before, but that are not undefined. */
  readonly ends?: readonly string[];
  /** Of an argument or option, the changes that are right after all: `{ temperature: ['1.5'] }`; `'*'` is any. */
  readonly takes?: Readonly<Record<string, readonly string[]>>;
  /** Objects of which any property but these may be there: somebody's own model of a task, a run, a corpus. */
  readonly open?: readonly string[];
  /** Leaves more arguments alone, as what is handed to map() must. */
  readonly forMap?: boolean;
  /** Swapping two arguments gives another right call. */
  readonly swaps?: boolean;
  /** Takes back what a call that went well has left. */
  readonly after?: (result: unknown) => unknown;
}

export interface Mistake {
  readonly title: string;
  readonly given: readonly unknown[];
  /** Whether the call is still a right one. */
  readonly right: boolean;
}

/** What came of it. `silent`: taken for right; `inside`: an error of the engine's own innards, or none of one line. */
export interface Outcome {
  readonly kind: 'refused' | 'right' | 'silent' | 'inside';
  readonly detail: string;
}

/** American spellings, and other words that people bring along. */
const elsewhere: Readonly<Record<string, string>> = {
  centre: 'center',
  optimiser: 'optimizer',
  temperature: 'temp',
  epsilon: 'eps',
  batch: 'batch_size',
  steps: 'num_steps',
};

export function mistakesIn(call: RightCall): Mistake[] {
  const { given, optional = [], ends = [], takes = {}, open = [], forMap = false, swaps = false } = call;
  const names = Object.keys(given());
  const found: Mistake[] = [];
  const isOptional = (name: string): boolean => optional.includes(name);
  const isTaken = (name: string, label: string): boolean =>
    takes[name]?.some((one) => one === '*' || one === label) ?? false;
  const add = (title: string, right: boolean, change: (values: unknown[]) => unknown[]): void => {
    found.push({ title, right, given: change(Object.values(given())) });
  };
  const put =
    (i: number, value: (was: unknown) => unknown) =>
    (values: unknown[]): unknown[] =>
      values.with(i, value(values[i]));

  names.forEach((name, i) => {
    const value = Object.values(given())[i];
    for (const [label, wrong] of wrongFor(value)) add(`${name} = ${label}`, isTaken(name, label), put(i, wrong));
    for (const [label, same] of sameAs(value)) add(`${name} as ${label}`, true, put(i, same));
    add(`${name} undefined`, isOptional(name), put(i, () => undefined));
    const mayEnd = names.slice(i).every((each) => isOptional(each) || ends.includes(each));
    const swap = (values: unknown[]): unknown[] => values.with(i, values[i - 1]).with(i - 1, values[i]);
    if (i > 0) add(`without ${name} and what follows`, mayEnd, (values) => values.slice(0, i));
    if (i > 0 && !swaps) add(`${names[i - 1]} and ${name} swapped`, isTaken(name, 'swapped'), swap);
    if (!isPlain(value)) return;
    for (const [key, inner] of Object.entries(value)) {
      const change = (by: (was: Record<string, unknown>) => unknown) => put(i, (was) => by({ ...(was as object) }));
      const without = ({ [key]: _, ...rest }: Record<string, unknown>, others: object = {}): object => ({
        ...rest,
        ...others,
      });
      for (const [label, wrong] of wrongFor(inner)) {
        add(`${name}.${key} = ${label}`, isTaken(key, label), change((was) => ({ ...was, [key]: wrong(was[key]) })));
      }
      add(`${name} without ${key}`, isOptional(key), change((was) => without(was)));
      add(`${name}.${key} undefined`, isOptional(key), change((was) => ({ ...was, [key]: undefined })));
      if (open.includes(name)) continue;
      const snake = key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      for (const other of new Set([
        `${key}s`,
        key.slice(0, -1),
        snake,
        key.toUpperCase(),
        elsewhere[key] ?? `${key}_`,
      ])) {
        if (!(other in value)) {
          add(
            `${name}: ${other} for ${key}`,
            false,
            change((was) => without(was, { [other]: was[key] })),
          );
        }
      }
    }
    if (!open.includes(name)) {
      add(
        `${name} with an option of nobody's`,
        false,
        put(i, (was) => ({ ...(was as object), verbose: true })),
      );
    }
  });
  if (!forMap) add('an argument too many', false, (values) => [...values, 7]);
  if (names.length > 0) add('no arguments', names.every(isOptional), () => []);
  return found;
}

type Change = readonly [label: string, change: (was: any) => unknown];

/** What somebody might hand over in place of a value, by its kind. */
function wrongFor(value: unknown): readonly Change[] {
  const all: Change[] = [
    ['null', () => null],
    ['a promise', (was: unknown) => Promise.resolve(was)],
    ['10n', () => 10n],
  ];
  if (typeof value !== 'function') all.push(['an async function', (was: unknown) => async () => was]);
  if (typeof value === 'number') {
    for (const number of [NaN, Infinity, -1, 1.5]) all.push([`${number}`, () => number]);
    return [
      ...all,
      ['2**53', () => 2 ** 53],
      ['its text', String],
      ['[it]', (was) => [was]],
      ['{}', () => ({})],
      ['true', () => true],
    ];
  }
  if (typeof value === 'string') {
    return [
      ...all,
      ['5', () => 5],
      ['[it]', (was) => [was]],
      ['{}', () => ({})],
      ['itx', (was) => `${was as string}x`],
    ];
  }
  if (typeof value === 'boolean') return [...all, ['its text', String], ['1', () => 1], ['[it]', (was) => [was]]];
  if (typeof value === 'function') return [...all, ['5', () => 5], ['{}', () => ({})], ['its name', () => 'f']];
  const things: Change[] = [...all, ['5', () => 5], ["'x'", () => 'x'], ['[it]', (was) => [was]]];
  if (isNumbers(value)) {
    const put = (what: unknown) => (was: ArrayLike<number>): unknown[] => Array.from<unknown>(was).with(0, what);
    const bigInts = (was: ArrayLike<number>): BigInt64Array =>
      BigInt64Array.from(Array.from(was, (x) => BigInt(Math.trunc(x) || 0)));
    return [
      ...things, ['{}', () => ({})], ['its text', String], ['with null', put(null)], ['with text', put('1')],
      ['with NaN', put(NaN)], ['with a list', put([1])], ['with 1n', put(1n)], ['of BigInt', bigInts],
    ];
  }
  if (value instanceof Tensor) {
    return [...things, ['{}', () => ({})], ['a list', () => [1, 2]], ['a Float32Array', () => new Float32Array(2)]];
  }
  if (isPlain(value)) {
    return [...things, ['[]', () => []], ['a Map', (was) => new Map(Object.entries(was))], ['true', () => true]];
  }
  return [...things, ['{}', () => ({})], ['true', () => true]];
}

/** The same in another dress. */
function sameAs(value: unknown): readonly Change[] {
  if (isPlain(value)) {
    return [
      ['a frozen one', (was: object) => Object.freeze({ ...was })],
      ['a proxy', (was: object) => new Proxy({ ...was }, {})],
    ];
  }
  if (!isNumbers(value)) return [];
  const kind = Array.isArray(value) ? 'Array' : (value as object).constructor.name;
  return [
    [
      'one of another realm',
      (was: ArrayLike<number>) => runInNewContext(`${kind}.from(list)`, { list: Array.from(was) }),
    ],
  ];
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** A list of numbers, typed or not. */
function isNumbers(value: unknown): value is number[] {
  if (Array.isArray(value)) return value.length > 0 && value.every((x) => typeof x === 'number');
  return ArrayBuffer.isView(value) && 'length' in value;
}

/** Runs one: awaits it where the right call gives a promise, which a wrong one must then do too. */
export async function outcomeOf(
  { run, after }: RightCall,
  { given, right }: Mistake,
  isAsync: boolean,
): Promise<Outcome> {
  let result: unknown;
  try {
    result = (run as (...given: readonly unknown[]) => unknown)(...given);
  } catch (error) {
    const { kind, detail } = judge(error, right);
    return isAsync && kind === 'refused'
      ? { kind: 'inside', detail: `thrown, not rejected: ${detail}` }
      : { kind, detail };
  }
  try {
    result = await result;
  } catch (error) {
    return judge(error, right);
  }
  await after?.(result);
  return { kind: right ? 'right' : 'silent', detail: right ? '' : shown(result) };
}

function judge(error: unknown, right: boolean): Outcome {
  const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const isOurs =
    error instanceof RemitError && /^[^\n]+: [^\n]+$/.test(error.message) && !error.message.startsWith('internal');
  if (!isOurs) return { kind: 'inside', detail };
  return right ? { kind: 'inside', detail: `refused, but right: ${detail}` } : { kind: 'refused', detail };
}

function shown(value: unknown): string {
  try {
    return String(JSON.stringify(value)).slice(0, 60);
  } catch {
    return typeof value;
  }
}
