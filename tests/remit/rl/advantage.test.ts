// Advantages on paper: four rewards of two questions.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../../engine/errors.ts';
import { advantages, type AdvantageName } from '../../../remit/rl/advantage.ts';

const kinds: readonly AdvantageName[] = ['rloo', 'grpo', 'dr-grpo', 'reinforce'];
const rewards = [1, 0, 0, 0, /* second question */ 1, 1, 0, 1];

describe('by hand', () => {
  test('rloo: the reward less the mean of the three others', () => {
    const wanted = [1, -1 / 3, -1 / 3, -1 / 3, 1 / 3, 1 / 3, -1, 1 / 3]; // 1 - 0, 0 - 1/3; 1 - 2/3, 0 - 1
    advantages(rewards, 4, 'rloo').forEach((a, i) => expect(a).toBeCloseTo(wanted[i]!, 6));
  });

  test('dr-grpo: the reward less the mean of all four', () => {
    expect(Array.from(advantages(rewards, 4, 'dr-grpo'))).toEqual([0.75, -0.25, -0.25, -0.25, 0.25, 0.25, -0.75, 0.25]);
  });

  test('grpo: that, over the deviation, sqrt(3)/4 here', () => {
    const wanted = [0.75, -0.25, -0.25, -0.25, 0.25, 0.25, -0.75, 0.25].map((x) => x / (Math.sqrt(3) / 4));
    advantages(rewards, 4, 'grpo').forEach((a, i) => expect(a).toBeCloseTo(wanted[i]!, 4)); // 1e-6 beside .43
  });

  test('reinforce: the reward less a mean over earlier batches, which moves a tenth of the way to each', () => {
    const memory: Record<string, number> = {};
    expect(Array.from(advantages([1, 0], 2, 'reinforce', memory))).toEqual([1, 0]);
    expect(memory.baseline).toBeCloseTo(0.05, 12);
    advantages([1, 1], 1, 'reinforce', memory).forEach((a) => expect(a).toBeCloseTo(0.95, 6));
    expect(memory.baseline).toBeCloseTo(0.05 + 0.1 * 0.95, 12);
  });
});

test.each<[unknown, unknown, unknown, string]>([
  [[1, 0], 2, 'GRPO', 'advantages: kind = "GRPO": must be one of rloo, grpo, dr-grpo, reinforce'],
  [[1, 0], 2, undefined, 'advantages: kind is missing: must be one of rloo, grpo, dr-grpo, reinforce'],
  [[1, null], 2, 'rloo', 'advantages: rewards[1] = null: must be a finite number'],
  [[[1, 0]], 2, 'rloo', 'advantages: rewards[0] = [1,0]: must be a finite number'],
  [[1, 0, 1], 2, 'rloo', 'advantages: 3 rewards in groups of 2: need one or more groups, all of one size'],
  [[], 2, 'reinforce', 'advantages: 0 rewards in groups of 2: need one or more groups, all of one size'],
  [
    [1, 0],
    1,
    'rloo',
    'advantages: groups of 1, rloo: compares the samples of a question: give 2 or more, or use reinforce',
  ],
  [
    [1, 0],
    1,
    'dr-grpo',
    'advantages: groups of 1, dr-grpo: compares the samples of a question: give 2 or more, or use reinforce',
  ],
  [[1e39, 0], 2, 'rloo', 'advantages: rloo: an advantage is Infinity: the rewards are too large: give smaller ones'],
  [
    [1.7e308, 1.7e308],
    2,
    'grpo',
    'advantages: grpo: an advantage is NaN: the rewards are too large: give smaller ones',
  ],
])('%o in groups of %o by %o are refused', (given, size, kind, message) => {
  expect(() => advantages(given as number[], size as number, kind as AdvantageName)).toThrow(new ConfigError(message));
});

test('where all samples of a question did equally well, there is nothing to learn', () => {
  for (const kind of ['rloo', 'grpo', 'dr-grpo'] as const) {for (const reward of [0, 1]) {
    expect(Array.from(advantages([reward, reward, reward], 3, kind), Math.abs)).toEqual([0, 0, 0]);
  }}
});

test('groups do not see each other, and those of a group sum to 0', () => {
  const groups = fc.array(
    fc.array(
      fc.integer({ min: 0, max: 8 }).map((n) => n / 8),
      { minLength: 4, maxLength: 4 },
    ),
    { minLength: 1, maxLength: 5 },
  );
  fc.assert(fc.property(groups, fc.constantFrom('rloo', 'grpo', 'dr-grpo' as const), (drawn, kind) => {
    const together = advantages(drawn.flat(), 4, kind);
    expect(Array.from(together)).toEqual(drawn.flatMap((group) => Array.from(advantages(group, 4, kind))));
    for (let g = 0; g < drawn.length; g++) {
      expect(together.subarray(4 * g, 4 * g + 4).reduce((total, a) => total + a)).toBeCloseTo(0, 5);
    }
  }));
});

test.each(kinds)('%s does not change the rewards, and keeps their order', (kind) => {
  const before = [...rewards];
  const found = advantages(rewards, 4, kind, { baseline: 0.3 });
  expect(rewards).toEqual(before);
  for (let i = 0; i < 8; i++) {
    for (let j = 0; j < 8; j++) {
      if (i >> 2 === j >> 2 && rewards[i]! > rewards[j]!) expect(found[i]!).toBeGreaterThan(found[j]!);
    }
  }
});
