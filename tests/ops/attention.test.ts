// Attention: the fused kernels against small ops, decoding from a cache against the whole sequence, rotary positions,
// and errors.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import {
  attention, attentionCached, attentionInSmallOps, rope, rotaryTable, type KeyValueCache,
} from '../../engine/ops/attention.ts';
import { slice } from '../../engine/ops/shape.ts';
import { withBackend } from '../../engine/runtime.ts';
import { tensor, type Tensor } from '../../engine/tensor.ts';
import { expectClose, expectSame, f64, messageOf, numbers } from './oracle.ts';
import { onBackend } from '../support/backends.ts';

const zeros = (...shape: number[]): Tensor => tensor(new Float64Array(shape.reduce((a, b) => a * b, 1)), shape);
const filled = (seed: number, ...shape: number[]): Tensor => tensor(numbers(shape, seed), shape);

interface Sizes {
  readonly B: number;
  readonly T: number;
  readonly kvHeads: number;
  readonly group: number;
  readonly half: number;
  readonly rotary: boolean;
}

const sizes: fc.Arbitrary<Sizes> = fc.record({
  B: fc.integer({ min: 1, max: 3 }), T: fc.integer({ min: 1, max: 9 }), kvHeads: fc.integer({ min: 1, max: 3 }),
  group: fc.integer({ min: 1, max: 3 }), half: fc.integer({ min: 1, max: 4 }), rotary: fc.boolean(),
});

test('attention equals the same in small ops, in values and gradients', async () => {
  await fc.assert(fc.asyncProperty(sizes, fc.nat(1000), async ({ B, T, kvHeads, group, half, rotary }, seed) => {
    const heads = kvHeads * group;
    const D = 2 * half;
    const shape = [B, T, (heads + 2 * kvHeads) * D];
    const attrs = { heads, kvHeads, rotary };
    const table = withBackend(f64, () => tensor(rotaryTable(T + 2, D, 100), [T + 2, D]));
    await expectSame(
      (qkv) => attention(qkv!, table, attrs),
      (qkv) => attentionInSmallOps(qkv!, table, attrs),
      [shape],
      seed,
    );
  }), { numRuns: 40 });
});

test('without rotation heads may be of odd size, and the table may be anything', async () => {
  const table = withBackend(f64, () => tensor([0]));
  const attrs = { heads: 2, kvHeads: 1, rotary: false };
  await expectSame(
    (qkv) => attention(qkv!, table, attrs),
    (qkv) => attentionInSmallOps(qkv!, table, attrs),
    [[2, 4, 12]],
  );
});

test('a token sees itself and what came before it', () => onBackend(f64, async () => {
  const table = tensor(rotaryTable(4, 4, 100), [4, 4]);
  const values = numbers([1, 4, 12], 1);
  const changed = values.map((x, i) => (i < 36 ? x : x + 1));
  const attend = (qkv: Float64Array) => attention(tensor(qkv, [1, 4, 12]), table, { heads: 1 }).read();
  const before = await attend(values);
  const after = await attend(changed);
  expect(after.slice(0, 12)).toEqual(before.slice(0, 12));
  expect(after.slice(12)).not.toEqual(before.slice(12));
  expectClose(before.slice(0, 4), values.slice(8, 12)); // the first token has only its own value to mix
}));

test('equal scores mix all values alike, and large scores do not overflow', () => onBackend(f64, async () => {
  // head size 1: q, k, v per token
  const none = tensor([0]);
  const attrs = { heads: 1, rotary: false };
  const [mixed, logSumExp] = attention.all(tensor([0, 7, 1, 0, 7, 3], [1, 2, 3]), none, attrs);
  expectClose(await mixed.read(), [1, 2]);
  expectClose(await logSumExp!.read(), [0, Math.log(2)]);
  expectClose(await attention(tensor([1, 1, 1, 1e4, 1e4, 3], [1, 2, 3]), none, attrs).read(), [1, 3]);
}));

test('query heads share key heads in neighbouring groups', () => onBackend(f64, async () => {
  // 4 query heads, 2 keys, 2 values, of size 1
  const one = tensor([...[0, 0, 0, 0], ...[0, 0], ...[10, 20]], [1, 1, 8]);
  expectClose(await attention(one, one, { heads: 4, kvHeads: 2, rotary: false }).read(), [10, 10, 20, 20]);
}));

const backends = [
  ['double', f64, 1e-12],
  ['single', new CpuBackend(), 1e-5 /* float32 sums of a few products, in two orders */],
] as const;

test.each(backends)(
  'decoding in chunks and token by token equals the whole sequence, in %s precision',
  async (_, backend, tolerance) => {
    const decodes = async (
      { B, T, kvHeads, group, half, rotary }: Sizes,
      prompt: number,
      seed: number,
    ): Promise<void> => {
      const heads = kvHeads * group;
      const D = 2 * half;
      const context = T + 1;
      const attrs = { heads, kvHeads, rotary };
      const qkv = filled(seed, B, T, (heads + 2 * kvHeads) * D);
      const table = tensor(rotaryTable(context, D, 100), [context, D]);
      const cache: KeyValueCache = { k: zeros(B, kvHeads, context, D), v: zeros(B, kvHeads, context, D) };
      const whole = attention(qkv, table, attrs);
      for (let position = 0; position < T;) {
        const end = position === 0 ? Math.min(prompt, T) : position + 1;
        const out = attentionCached(slice(qkv, { axis: 1, start: position, end }), table, cache, {
          ...attrs,
          position,
        });
        expectClose(await out.read(), await slice(whole, { axis: 1, start: position, end }).read(), tolerance);
        position = end;
      }
    };
    const prompts = fc.integer({ min: 1, max: 9 });
    await fc.assert(
      fc.asyncProperty(sizes, prompts, fc.nat(1000), (...drawn) => onBackend(backend, () => decodes(...drawn))),
      { numRuns: 25 },
    );
  },
);

test('the table holds the cosines, then the sines, of t base^(-2i/D)', () => {
  const table = rotaryTable(3, 4, 100);
  expectClose(table.slice(0, 4), [1, 1, 0, 0]);
  expectClose(table.slice(8), [Math.cos(2), Math.cos(0.2), Math.sin(2), Math.sin(0.2)]);
});

test('rope turns channel i with channel i + D/2, and inverse turns back', () => onBackend(f64, async () => {
  const quarter = tensor([1, 1, 0, 0, 0, 1, 1, 0], [2, 4]); // position 1: pair 0 by a quarter turn, pair 1 not at all
  expectClose(
    await rope(tensor([1, 2, 3, 4, 1, 2, 3, 4], [1, 2, 4]), quarter, { heads: 1 }).read(),
    [1, 2, 3, 4, -3, 2, 1, 4],
  );
  const x = filled(3, 2, 5, 12);
  const table = tensor(rotaryTable(7, 4, 100), [7, 4]);
  expectClose(await rope(rope(x, table, { heads: 3 }), table, { heads: 3, inverse: true }).read(), await x.read());
}));

test('the product of two rotated heads depends on their distance alone', () => onBackend(f64, async () => {
  const [q, k] = [numbers([4], 1), numbers([4], 2)];
  const table = tensor(rotaryTable(9, 4, 100), [9, 4]);
  const everywhere = async (head: ArrayLike<number>): Promise<ArrayLike<number>> =>
    rope(tensor(Array.from({ length: 36 }, (_, i) => head[i % 4]!), [1, 9, 4]), table, { heads: 1 }).read();
  const [turnedQ, turnedK] = [await everywhere(q), await everywhere(k)];
  const dot = (t: number, j: number): number =>
    [0, 1, 2, 3].reduce((sum, d) => sum + turnedQ[4 * t + d]! * turnedK[4 * j + d]!, 0);
  expectClose([dot(5, 3), dot(8, 6)], [dot(2, 0), dot(2, 0)]);
  expect(Math.abs(dot(5, 3) - dot(5, 4))).toBeGreaterThan(0.01);
}));

test('channels, tables and caches that do not fit are errors', () => {
  expect(messageOf(() => attention(zeros(2, 3, 8), zeros(3, 2), { heads: 3, kvHeads: 2 })))
    .toBe('attention: heads 3, kvHeads 2: heads must be a multiple of kvHeads');
  expect(messageOf(() => attention(zeros(2, 3, 10), zeros(3, 2), { heads: 4, kvHeads: 2 })))
    .toBe('attention: qkv [2,3,10] with heads 4, kvHeads 2: must be [B,T,8 D]');
  expect(messageOf(() => attention(zeros(6, 8), zeros(3, 2), { heads: 4, kvHeads: 2 })))
    .toBe('attention: qkv [6,8] with heads 4, kvHeads 2: must be [B,T,8 D]');
  expect(messageOf(() => attention(zeros(1, 2, 9), zeros(3, 3), { heads: 1 })))
    .toBe('attention: head size 3: must be even, channels are turned in pairs');
  expect(messageOf(() => attention(zeros(1, 4, 12), zeros(3, 4), { heads: 1 })))
    .toBe('attention: table [3,4] for 4 positions and head size 4: must be [4 or more,4]');
  const cache = (context: number) => ({ k: zeros(1, 1, context, 4), v: zeros(1, 1, context, 4) });
  expect(messageOf(() => attentionCached(zeros(1, 2, 12), zeros(9, 4), cache(8), { heads: 1, position: 7 })))
    .toBe('attentionCached: 2 tokens from position 7: do not fit in a cache of 8');
  expect(messageOf(() => attentionCached(zeros(2, 1, 12), zeros(9, 4), cache(8), { heads: 1, position: 0 })))
    .toBe('attentionCached: qkv [2,1,12], cache.k [1,1,8,4]: must be [2,1,context,4]');
  expect(messageOf(() => rope(zeros(1, 2, 9), zeros(2, 4), { heads: 2 }))).toBe(
    'rope: x [1,2,9] with heads 2: must be [B,T,2 D]',
  );
  expect(messageOf(() => rotaryTable(4, 3, 100))).toBe(
    'rotaryTable: head size 3: must be even, channels are turned in pairs',
  );
});
