// Options of public functions: what is refused, and in which words.

import { runInNewContext } from 'node:vm';
import { describe as group, expect, test } from 'vitest';
import { describe } from '../../engine/describe.ts';
import { ConfigError } from '../../engine/errors.ts';
import { checkOptions, choice, optional, real, text, toggle, whole } from '../../engine/options.ts';

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
    [Promise.resolve({ cups: 1 }), 'brew: a promise: await it first: must be an object of options: { cups, strength, bean, milk, name }'],
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

test('any value has a description of one line', () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const circular: unknown[] = [];
  circular.push(circular);
  expect([revoked.proxy, circular, Symbol('s'), () => 1, new Map(), new Float32Array(3), [NaN, undefined, 1n], 'a\nb', 'x'.repeat(99)].map(describe)).toEqual([
    'something that cannot be shown', 'something that cannot be shown', 'Symbol(s)', 'a function', 'a Map', 'a Float32Array of 3',
    '["NaN","undefined","1"]', '"a\\nb"', `"${'x'.repeat(36)}...`,
  ]);
});
