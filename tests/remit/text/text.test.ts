import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../../engine/errors.ts';
import { rng } from '../../../engine/rng.ts';
import { textCorpus } from '../../../remit/text/text.ts';
import { errors } from '../worlds/reader.ts';

/** A text whose tokens are their own positions. */
const positions = (n: number) => Int32Array.from({ length: n }, (_, i) => i);

describe('a text corpus', () => {
  const shape = fc.record({
    context: fc.integer({ min: 1, max: 20 }),
    extra: fc.nat({ max: 200 }),
    validation: fc.constantFrom(0, 0.1, 0.25, 0.5),
  });

  test('trains on runs of the first part, validates on the last', () => {
    fc.assert(fc.property(shape, fc.nat(), ({ context, extra, validation }, seed) => {
      const n = Math.ceil((context + 1) / (validation || 1)) * 2 + extra;
      const text = textCorpus(positions(n), { context, validation }, rng(seed));
      expect(text.trainTokens + text.validationTokens).toBe(n);
      expect(text.trainTokens).toBe(Math.floor(n * (1 - validation)));

      const rows = text.rows(seed % 100, 3);
      expect(rows).toHaveLength(3 * (context + 1));
      expect(
        rows.every((token, i) => token < text.trainTokens && (i % (context + 1) === 0 || token === rows[i - 1]! + 1)),
      ).toBe(true);
    }));
  });

  test('validation targets follow one another: none twice, none left out but a rest shorter than a row', () => {
    fc.assert(fc.property(shape, ({ context, extra }) => {
      const text = textCorpus(positions(4 * (context + 1) + extra), { context, validation: 0.5 }, rng(1));
      const rows = text.validationRows();
      const targets = [...rows].filter((_, i) => i % (context + 1) > 0);
      expect(targets).toEqual(targets.map((_, i) => text.trainTokens + 1 + i));
      expect(rows.length % (context + 1)).toBe(0);
      expect(text.validationTokens - 1 - targets.length).toBeLessThan(context);
    }));
    expect(textCorpus(positions(10), { context: 3, validation: 0 }, rng(1)).validationRows()).toHaveLength(0);
  });

  test('starts rows at every place alike, the first and the last among them', () => {
    const rows = textCorpus(positions(14), { context: 4, validation: 0 }, rng(2)).rows(0, 10_000);
    for (let start = 0; start < 10; start++) {
      const hits = rows.filter((token, i) => i % 5 === 0 && token === start).length;
      expect(errors(hits, 10_000, 0.1)).toBeLessThan(4);
    }
  });

  test('gives any step without those before it', () => {
    const settings = { context: 8, validation: 0.1 };
    const tokens = positions(1000);
    const inOrder = textCorpus(tokens, settings, rng(3));
    const all = [0, 1, 2, 3].map((step) => inOrder.rows(step, 4));
    expect(textCorpus(tokens, settings, rng(3)).rows(3, 4)).toEqual(all[3]);
    expect(textCorpus(tokens, settings, rng(3)).rows(0, 16)).toEqual(Int32Array.from(all.flatMap((rows) => [...rows])));
    expect(textCorpus(tokens, settings, rng(4)).rows(0, 4)).not.toEqual(all[0]);
  });

  test('a text of exactly one row each is enough, one token less is not', () => {
    expect(textCorpus(positions(10), { context: 4, validation: 0.5 }, rng(1)).rows(0, 1)).toEqual(positions(5));
    expect(() => textCorpus(positions(9), { context: 4, validation: 0.5 }, rng(1))).toThrow(
      new ConfigError(
        'data: text of 9 tokens: leaves 4 for training, and context 4 needs 5: give more text, or a context of at ' +
        'most 3',
      ),
    );
    expect(() => textCorpus(positions(1), { context: 4, validation: 0 }, rng(1))).toThrow(
      new ConfigError('data: text of 1 tokens: leaves 1 for training, and context 4 needs 5: give more text'));
    expect(() => textCorpus(positions(40), { context: 4, validation: 0.01 }, rng(1))).toThrow(
      new ConfigError(
        'data: text of 40 tokens: leaves 1 for validation, which needs 2: give more text or a larger share',
      ),
    );
  });

  test('a validation part shorter than a row is one shorter row', () => {
    const text = textCorpus(positions(100), { context: 64, validation: 0.1 }, rng(1));
    expect(text.validationContext).toBe(9);
    expect([...text.validationRows()]).toEqual([90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
    expect(textCorpus(positions(200), { context: 64, validation: 0.5 }, rng(1)).validationContext).toBe(64);
  });

  test('settings out of range are refused', () => {
    expect(() => textCorpus(positions(9), { context: 0, validation: 0 }, rng(1))).toThrow(
      'textCorpus: context = 0: must be a whole number of at least 1',
    );
    expect(() => textCorpus(positions(9), { context: 2, validation: 1 }, rng(1))).toThrow(
      'textCorpus: validation = 1: must be a number at least 0 and below 1',
    );
  });
});
