// Decoding from the key-value cache is the same function as the full forward pass, however the tokens are fed.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { rng } from '../../engine/rng.ts';
import { noGrad, useBackend } from '../../engine/runtime.ts';
import { tensor } from '../../engine/tensor.ts';
import { Transformer } from '../../nn/transformer.ts';
import { backendAt, gpu, places } from '../support/gpu.ts';
import { shapes } from './shapes.ts';

const B = 3;
const T = 11;

/** f32, webgpu: two ways of summing the same few hundred products; f64: the same. Initial logits are below 1. */
const tolerance = { f32: 2e-6, webgpu: 4e-6, f64: 1e-14 } as const;

afterAll(() => gpu?.close());

describe.each(places)('in %s', (precision) => {
  beforeAll(() => useBackend(backendAt(precision)));

  describe.each(shapes)('%s', (_, config) => {
    let model: Transformer;
    let full: ArrayLike<number>;
    const V = config.vocabulary;
    const random = rng(5).stream();
    const tokens = Int32Array.from({ length: B * T }, () => random.int(V));

    beforeAll(async () => {
      model = new Transformer(config, rng(1));
      full = await noGrad(() => model.forward(tensor(tokens, [B, T], 'i32'))).read(); // [B,T,V]
    });

    /** Feeds pieces of these lengths; after each, the logits must be those of its last token. */
    async function feed(lengths: readonly number[]): Promise<void> {
      const state = model.decodeState(B);
      let position = 0;
      for (const length of lengths) {
        const piece = Array.from({ length: B }, (_, b) => [
          ...tokens.subarray(b * T + position, b * T + position + length),
        ]).flat();
        const fed = tensor(piece, [B, length], 'i32');
        const logits = await noGrad(() => model.decode(fed, state, position)).read(); // [B,V]
        position += length;
        expect(logits).toHaveLength(B * V);
        const expected = Array.from(
          { length: B * V },
          (_, i) => full[(Math.floor(i / V) * T + position - 1) * V + (i % V)]!,
        );
        const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - logits[i]!)), 0);
        expect(worst, `logits after ${position} tokens`).toBeLessThan(tolerance[precision]);
      }
      expect(position).toBe(T);
    }

    test('one token at a time', () => feed(Array.from({ length: T }, () => 1)));

    test('all at once', () => feed([T]));

    test('a prompt at once, then one by one', () => feed([4, 1, 1, 1, 1, 1, 1, 1]));

    test('in uneven pieces', () => feed([1, 5, 2, 3]));
  });
});

test('the context cannot be outgrown', () => {
  useBackend(new CpuBackend());
  const model = new Transformer(shapes[0]![1], rng(1));
  const state = model.decodeState(1);
  expect(() => model.decode(tensor([1, 2], [1, 2], 'i32'), state, 11))
    .toThrow('model: tokens [1,2] reach position 13: the context is 12: use shorter sequences');
});
