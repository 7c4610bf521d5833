// Options of public functions: what is refused, and in which words.

import { runInNewContext } from 'node:vm';
import { describe as group, expect, test } from 'vitest';
import { describe } from '../../engine/describe.ts';
import { ConfigError } from '../../engine/errors.ts';
import {
  anything, callable, checkArguments, checkOptions, checkValue, choice, having, instance, list, optional, real, text,
  toggle, typedArray, whole,
} from '../../engine/options.ts';

interface Brew {
  readonly cups: number;
  readonly strength?: number;
  readonly bean?: 'arabica' | 'robusta';
  readonly milk?: boolean;
  readonly name?: string;
}

const brew = (given?: unknown): Brew => checkOptions<Brew>('brew', given, {
  cups: whole({ min: 1, max: 12 }),
  strength: optional(real({ above: 0, to: 1 }), 0.5),
  bean: optional(choice('arabica', 'robusta')),
  milk: optional(toggle, false),
  name: optional(text),
});

group('an options object', () => {
  test('comes back with its fallbacks, and without what is undefined', () => {
    expect(brew({ cups: 2, bean: undefined, milk: undefined })).toEqual({ cups: 2, strength: 0.5, milk: false });
  });

  test.each<[unknown, string]>([
    [undefined, 'brew: cups is missing: must be a whole number from 1 to 12'],
    [{}, 'brew: cups is missing: must be a whole number from 1 to 12'],
    [{ cups: null }, 'brew: cups = null: must be a whole number from 1 to 12'],
    [{ cups: 1.5 }, 'brew: cups = 1.5: must be a whole number from 1 to 12'],
    [{ cups: '2' }, 'brew: cups = "2": must be a whole number from 1 to 12'],
    [{ cups: 2n }, 'brew: cups = 2n: must be a whole number from 1 to 12'],
    [{ cups: NaN }, 'brew: cups = NaN: must be a whole number from 1 to 12'],
    [{ cups: 1, strength: 0 }, 'brew: strength = 0: must be a number above 0 and at most 1'],
    [{ cups: 1, strength: Infinity }, 'brew: strength = Infinity: must be a number above 0 and at most 1'],
    [{ cups: 1, bean: 'Arabica' }, 'brew: bean = "Arabica": must be one of arabica, robusta'],
    [{ cups: 1, milk: 'false' }, 'brew: milk = "false": must be true or false'],
    [{ cups: 1, name: '' }, 'brew: name = "": must be some text'],
    [{ cups: 1, cup: 2 }, 'brew: cup: no such option: did you mean cups? There are cups, strength, bean, milk, name'],
    [3, 'brew: 3: must be an object of options: { cups, strength, bean, milk, name }'],
    [[1], 'brew: [1]: must be an object of options: { cups, strength, bean, milk, name }'],
    [null, 'brew: null: must be an object of options: { cups, strength, bean, milk, name }'],
    [
      Promise.resolve({ cups: 1 }),
      'brew: a promise: await it first: must be an object of options: { cups, strength, bean, milk, name }',
    ],
  ])('%o is refused', (given, message) => {
    expect(() => brew(given)).toThrow(new ConfigError(message));
  });

  test('may come from another realm, or have no prototype', () => {
    expect(brew(runInNewContext('({ cups: 3 })')).cups).toBe(3);
    expect(brew(Object.assign(Object.create(null), { cups: 4 })).cups).toBe(4);
  });

  test('takes nothing from a prototype', () => {
    expect(() => brew(JSON.parse('{ "cups": 1, "__proto__": {} }'))).toThrow('brew: __proto__: no such option');
    expect(() => checkOptions('brew', { toString: 1 }, {})).toThrow('brew: toString: no such option: it takes none');
  });
});

group('arguments', () => {
  function pour(..._arguments: unknown[]): void {
    checkArguments('pour', arguments, {
      cups: whole({ min: 1 }),
      jug: instance('a Map', Map),
      how: optional(text),
      options: anything,
    });
  }

  test('are as many as there are, undefined where they may be left out', () => {
    pour(1, new Map());
    pour(1, new Map(), undefined, { any: 'thing' });
  });

  test.each<[unknown[], string]>([
    [[], 'pour: cups is missing: must be a whole number of at least 1'],
    [[new Map(), 1], 'pour: cups = a Map: must be a whole number of at least 1'],
    [[1, null], 'pour: jug = null: must be a Map'],
    [[1, new Map(), null], 'pour: how = null: must be some text'],
    [[1, new Map(), 'so', {}, 5], 'pour: 5: an argument too many: it takes cups, jug, how, options'],
  ])('%o are refused', (given, message) => {
    expect(() => pour(...given)).toThrow(new ConfigError(message));
  });
});

group('a value with parts', () => {
  const numbers = list('a list of finite numbers', real());
  const tokens = typedArray('Int32Array', whole({ min: 0 }));
  const pot = having('a pot', { lid: toggle, fill: callable('a function'), name: optional(text) });

  test('may be of any realm, or of a class', () => {
    for (const value of [
      [1, 2],
      new Float32Array(2),
      runInNewContext('[1, 2]'),
      runInNewContext('new Float64Array(2)'),
    ]) {
      expect(checkValue('x', value, numbers)).toBe(value);
    }
    for (const value of [Int32Array.of(1), runInNewContext('Int32Array.of(1)')]) {
      expect(checkValue('x', value, tokens)).toBe(value);
    }
    class Pot {
      lid = true;
      fill(): void {}
    }
    expect(checkValue('x', new Pot(), pot)).toBeInstanceOf(Pot);
  });

  test.each<[unknown, Parameters<typeof checkValue>[2], string]>([
    [[1, '2'], numbers, 'x[1] = "2": must be a finite number'],
    [new Float32Array([0, NaN]), numbers, 'x[1] = NaN: must be a finite number'],
    [[[1]], numbers, 'x[0] = [1]: must be a finite number'],
    ['12', numbers, 'x = "12": must be a list of finite numbers'],
    [new BigInt64Array(1), numbers, 'x[0] = 0n: must be a finite number'],
    [[, 1], numbers, 'x[0] is missing: must be a finite number'],
    [[1], tokens, 'x = [1]: must be an Int32Array'],
    [Int32Array.of(1, -1), tokens, 'x[1] = -1: must be a whole number of at least 0'],
    [{ lid: true }, pot, 'x.fill is missing: must be a function'],
    [{ lid: 1, fill() {} }, pot, 'x.lid = 1: must be true or false'],
    [{ lid: true, fill() {}, name: 1 }, pot, 'x.name = 1: must be some text'],
    [Promise.resolve(), pot, 'x = a promise: await it first: must be a pot'],
    [7, pot, 'x = 7: must be a pot'],
  ])('%o is refused, with the part that is to blame', (value, rule, message) => {
    expect(() => checkValue('x', value, rule)).toThrow(new ConfigError(message));
  });
});

test('any value has a description of one line', () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const circular: unknown[] = [];
  circular.push(circular);
  expect(
    [
      revoked.proxy,
      circular,
      Symbol('s'),
      () => 1,
      new Map(),
      new Float32Array(3),
      [NaN, undefined, 1n],
      'a\nb',
      'x'.repeat(99),
    ].map(describe),
  ).toEqual([
    'something that cannot be shown', 'something that cannot be shown', 'Symbol(s)', 'a function', 'a Map',
    'a Float32Array of 3', '["NaN","undefined","1"]', '"a\\nb"', `"${'x'.repeat(36)}...`,
  ]);
});
