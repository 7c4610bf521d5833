// Is it a difference, or noise? On samples whose truth is known.

import { expect, test } from 'vitest';
import { boundOf, type Ceilings } from '../../bench/ceilings.ts';
import { compare, median, quantile } from '../../bench/statistics.ts';
import { rng } from '../../engine/rng.ts';

/** Forty samples around `ms`, some of them disturbed; and a machine that is `slow` times slower than usual. */
function run(seed: number, ms: number, slow = 1) {
  const stream = rng(seed).stream();
  const noise = (): number => 1 + 0.1 * stream.uniform() + (stream.uniform() < 0.1 ? 0.5 : 0);
  const times = (usual: number): number[] => Array.from({ length: 40 }, () => usual * slow * noise());
  return { samples: times(ms), yardsticks: times(1) };
}

test('the same build: hardly ever a difference, also where the whole machine is slower', () => {
  const verdicts = Array.from({ length: 20 }, (_, i) => compare(run(2 * i, 10), run(2 * i + 1, 10, 1 + (i % 4) / 4)));
  expect(verdicts.filter(({ verdict }) => verdict !== 'no difference').length).toBeLessThan(2);
});

test('a tenth more or less is found', () => {
  const slower = Array.from({ length: 20 }, (_, i) => compare(run(2 * i, 10), run(2 * i + 1, 11)));
  const faster = Array.from({ length: 20 }, (_, i) => compare(run(2 * i, 11), run(2 * i + 1, 10)));
  expect(slower.filter(({ verdict }) => verdict === 'slower').length).toBeGreaterThan(18);
  expect(faster.filter(({ verdict }) => verdict === 'faster').length).toBeGreaterThan(18);
  expect(compare(run(1, 10), run(2, 11))).toEqual(compare(run(1, 10), run(2, 11))); // the same samples, the same answer
});

test('quantiles by the nearest rank', () => {
  expect([median([3, 1, 2]), quantile([1, 2, 3, 4, 5], 0), quantile([1, 2, 3, 4, 5], 0.9)]).toEqual([2, 1, 5]);
});

test('what bounds a kernel: arithmetic, the memory that it fits into, or being called at all', () => {
  const ceilings: Ceilings = {
    gflops: 100, // 1e8 a ms
    bandwidth: [{ touched: 1e5, gbs: 100 }, { touched: 1e8, gbs: 10 }],
    dispatchMs: 0.01,
    readMs: 1,
  };
  expect(boundOf({ flops: 1e9, bytes: 1e6, touched: 1e5 }, ceilings)).toEqual({ by: 'arithmetic', ms: 10 });
  expect(boundOf({ flops: 1e6, bytes: 1e8, touched: 2e8 }, ceilings)).toEqual({ by: 'memory', ms: 10 });
  expect(boundOf({ flops: 1e6, bytes: 1e8, touched: 1e4 }, ceilings)).toEqual({ by: 'memory', ms: 1 });
  expect(boundOf({ flops: 10, bytes: 10, touched: 10 }, ceilings)).toEqual({ by: 'dispatch', ms: 0.01 });
});
