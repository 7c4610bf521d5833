// Learning-rate schedules at points that can be worked out on paper.

import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../engine/errors.ts';
import { schedule, type ScheduleOptions } from '../../optim/schedule.ts';

const base = { peak: 2, steps: 10 } as const;

/** The rates at these steps. */
const rates = (options: ScheduleOptions, ...steps: number[]): number[] => steps.map(schedule(options));

function expectRates(options: ScheduleOptions, points: Readonly<Record<number, number>>): void {
  for (const [s, rate] of Object.entries(points)) {
    expect(schedule(options)(Number(s)), `step ${s}`).toBeCloseTo(rate, 12);
  }
}

const half = Math.SQRT1_2; // cos(pi/4)

describe('each kind falls from the peak to the floor', () => {
  test('constant does not', () => {
    expectRates({ ...base, kind: 'constant' }, { 0: 2, 5: 2, 9: 2, 10: 2 });
    expectRates({ ...base, kind: 'constant', floor: 1 }, { 0: 2, 9: 2 });
  });

  test('linear: in a straight line, there just after the last step', () => {
    expectRates({ ...base, kind: 'linear' }, { 0: 2, 1: 1.8, 5: 1, 9: 0.2, 10: 0 });
    expectRates({ ...base, kind: 'linear', floor: 1 }, { 0: 2, 5: 1.5, 9: 1.1, 10: 1, 99: 1 });
  });

  test('cosine: along half a cosine', () => {
    expectRates({ ...base, kind: 'cosine', steps: 8 }, { 0: 2, 2: 1 + half, 4: 1, 6: 1 - half, 8: 0 });
    expectRates(
      { ...base, kind: 'cosine', steps: 8, floor: 1 },
      { 0: 2, 2: 1.5 + half / 2, 4: 1.5, 6: 1.5 - half / 2, 8: 1, 99: 1 },
    );
  });

  test('wsd: stable, then in a straight line over the last part', () => {
    expectRates({ ...base, kind: 'wsd' }, { 0: 2, 7: 2, 8: 2, 9: 1, 10: 0 }); // 0.2 of the steps unless said
    expectRates({ ...base, kind: 'wsd', decayShare: 0.5, floor: 1 }, { 0: 2, 5: 2, 6: 1.8, 7: 1.6, 9: 1.2, 10: 1 });
    expectRates({ ...base, kind: 'wsd', decayShare: 1 }, { 0: 2, 5: 1, 10: 0 });
  });
});

describe('warm-up', () => {
  const kinds = ['constant', 'linear', 'cosine', 'wsd'] as const;

  test.each(kinds)('of 4 steps before %s: a quarter more each step, and all of it at the fourth and fifth', (kind) => {
    expect(rates({ ...base, kind, warmup: 4 }, 0, 1, 2, 3, 4)).toEqual([0.5, 1, 1.5, 2, 2]);
  });

  test('starts from 0 whatever the floor', () => {
    expect(rates({ ...base, kind: 'linear', warmup: 4, floor: 1 }, 0, 1)).toEqual([0.5, 1]);
  });

  test('the fall covers the steps after it', () => {
    expectRates({ ...base, kind: 'linear', warmup: 2 }, { 2: 2, 6: 1, 9: 0.25, 10: 0 });
    expectRates({ ...base, kind: 'cosine', warmup: 2 }, { 2: 2, 4: 1 + half, 6: 1, 10: 0 });
    expectRates({ ...base, kind: 'wsd', warmup: 9 }, { 8: 2, 9: 2, 10: 0 }); // the decay waits for the warm-up
  });

  test.each(kinds)('may take the whole run, %s', (kind) => {
    expect(rates({ ...base, kind, steps: 4, warmup: 4 }, 0, 3)).toEqual([0.5, 2]);
  });

  test('longer than the run is refused', () => {
    expect(() => schedule({ ...base, kind: 'linear', warmup: 11 }))
      .toThrow(new ConfigError('schedule: warm-up of 11 in 10 steps: must not be longer than the run'));
  });
});

test.each<[object, string]>([
  [{ kind: 'step' }, 'schedule: kind = "step": must be one of constant, linear, cosine, wsd'],
  [{ peak: undefined }, 'schedule: peak is missing: must be a number above 0'],
  [{ steps: '10' }, 'schedule: steps = "10": must be a whole number from 1 to 100000000'],
  [{ warmup: 2.5 }, 'schedule: warmup = 2.5: must be a whole number from 0 to 100000000'],
  [
    { warm_up: 2 },
    'schedule: warm_up: no such option: did you mean warmup? There are kind, peak, steps, warmup, floor, decayShare',
  ],
  [{ floor: 3 }, 'schedule: floor = 3, peak = 2: the floor is a rate too: must not be above the peak'],
])('%o is refused', (change, message) => {
  expect(() => schedule({ ...base, kind: 'linear', ...change })).toThrow(new ConfigError(message));
});

test('what is undefined has its default; what is no step has no rate', () => {
  expect(rates({ ...base, kind: 'linear', warmup: undefined as never, floor: undefined as never }, 0, 5)).toEqual([
    2, 1,
  ]);
  expect(() => schedule({ ...base, kind: 'linear' })(-1)).toThrow(
    new ConfigError('schedule: step = -1: must be a whole number of at least 0'),
  );
});

test.each(['linear', 'cosine', 'wsd'] as const)(
  '%s never rises after warm-up, and stays between floor and peak',
  (kind) => {
    const after = rates(
      { kind, peak: 3, steps: 50, warmup: 7, floor: 0.5 },
      ...Array.from({ length: 60 }, (_, i) => 7 + i),
    );
    expect(after.every((rate, i) => rate <= (after[i - 1] ?? 3) && rate >= 0.5)).toBe(true);
  },
);
