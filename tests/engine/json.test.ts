// JSON.parse, and what it lets pass.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../engine/errors.ts';
import { parseJson } from '../../engine/json.ts';

const fail = (why: string): never => {
  throw new FormatError(why);
};

describe('parseJson', () => {
  test('reads what JSON.parse reads', () => {
    fc.assert(fc.property(fc.json({ maxDepth: 6 }), (text) => {
      expect(parseJson(text, fail)).toEqual(JSON.parse(text));
    }), { numRuns: 1000 });
  });

  test('a repeated key is found wherever it is, and however it is written', () => {
    for (const text of [
      '{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '[{"b":{"a":[],"c":"}","a" :{}}}]', '{"x":"\\\\","a":1,"a":2}',
      '{"x":"\\"","a":1,"a":2}',
    ]) {
      expect(() => parseJson(text, fail)).toThrow(new FormatError('has "a" twice'));
    }
    expect(() => parseJson('{"__proto__":1,"__proto__":2}', fail)).toThrow('has "__proto__" twice');
    expect(parseJson('[{"a":1},{"a":{"a":"a"}}]', fail)).toEqual([{ a: 1 }, { a: { a: 'a' } }]);
  });

  test('nesting ends at 100 levels, so that who looks at a value by recursion is safe', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    expect(() => parseJson(nested(100), fail)).not.toThrow();
    expect(() => parseJson(nested(101), fail)).toThrow(new FormatError('is nested deeper than 100 levels'));
    expect(() => parseJson(nested(1_000_000), fail)).toThrow(new FormatError('is nested deeper than 100 levels'));
  });

  test('control characters of a foreign text do not reach the message', () => {
    expect(() => parseJson('{"a":\u001b[31m', fail)).toThrow(/^is not JSON: [^\u0000-\u001f]*$/);
  });

  test('whole numbers only, if that is asked for', () => {
    expect(() => parseJson('{"a":[1,2.0]}', fail, { whole: true })).toThrow(
      new FormatError('has the number 2.0: whole numbers from 0 are allowed'),
    );
    expect(parseJson('{"a":[1,2],"b":"-1.5"}', fail, { whole: true })).toEqual({ a: [1, 2], b: '-1.5' });
  });
});
