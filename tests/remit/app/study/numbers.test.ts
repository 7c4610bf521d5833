// The study's arithmetic, by hand: intervals, speed-ups, claims, expected ranges, pass@k, and what a token of a
// document is.

import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../../../engine/cpu/backend.ts';
import { rng } from '../../../../engine/rng.ts';
import { useBackend } from '../../../../engine/runtime.ts';
import { resolveConfig } from '../../../../remit/settings/resolve.ts';
import { corpus, instance, TASKS } from '../../../../remit/worlds/tiny/index.ts';
import { newModel } from '../../../../remit/phases/pretrain.ts';
import { labelled, nearness, passByGuessing, passOf, weightsByClass } from '../../../../remit/app/study/analysis.ts';
import { holm, outcome, verdicts } from '../../../../remit/app/study/claims.ts';
import { check } from '../../../../remit/app/study/expected.ts';
import { CLAIMS, EXPECTATIONS, MARGIN, type Expected } from '../../../../remit/app/study/protocol.ts';
import { interval, quantile, tail } from '../../../../remit/app/study/statistics.ts';
import { speedUp, summarise } from '../../../../remit/app/study/summary.ts';
import { parseArms } from '../../../../remit/app/study/plan.ts';
import type { CellResult, CurvePoint } from '../../../../remit/app/study/cell.ts';

beforeAll(() => useBackend(new CpuBackend()));

describe('intervals', () => {
  test.each([
    [1, 12.7062],
    [4, 2.7764],
    [7, 2.3646],
    [9, 2.2622],
    [10, 2.2281],
    [15, 2.1314],
    [30, 2.0423],
    [120, 1.9799],
  ])('t with %i degrees of freedom', (freedom, t) => {
    expect(quantile(freedom)).toBeCloseTo(t, 3); // a printed table
  });

  test('of four values', () => {
    const { n, mean, deviation, half } = interval([1, 2, 3, 6]);
    expect([n, mean]).toEqual([4, 3]);
    expect(deviation).toBeCloseTo(Math.sqrt(14 / 3), 12);
    expect(half).toBeCloseTo((3.1824 * Math.sqrt(14 / 3)) / 2, 12);
  });

  test('of values far from 0, as exact as when all are known before', () => {
    const values = [...rng(7).normals(1000)].map((x) => 1e8 + x);
    const mean = values.reduce((total, x) => total + x, 0) / values.length;
    const squares = values.reduce((total, x) => total + (x - mean) ** 2, 0);
    expect(interval(values).mean / mean).toBeCloseTo(1, 14);
    expect(interval(values).deviation / Math.sqrt(squares / 999)).toBeCloseTo(1, 8);
  });

  test('of one value there is none', () => {
    const one = interval([5]);
    expect([one.mean, one.half]).toEqual([5, NaN]);
  });

  test.each([
    [1, 1, 0.25],
    [2, 1, 0.2113248654], // 1/2 - 1 / (2 sqrt 3)
    [5, 2, 0.0509697394],
    [7, 2.3646, 0.025],
    [30, 1.6973, 0.05], // these of a printed table
    [120, 2.6174, 0.005],
  ])('the tail of t with %i degrees of freedom above %d', (freedom, t, p) => {
    expect(tail(t, freedom)).toBeCloseTo(p, 5);
    expect(tail(-t, freedom)).toBeCloseTo(1 - p, 5);
    expect(tail(0, freedom)).toBe(0.5);
  });

  test('cover the truth 95 times in 100', () => {
    const covered = Array.from({ length: 4000 }, (_, i) =>
      interval([...rng(i).normals(8)].map((x) => 3 + 2 * x)),
    ).filter(({ mean, half }) => Math.abs(mean - 3) <= half).length;
    expect(Math.abs(covered / 4000 - 0.95)).toBeLessThan(4 * Math.sqrt(0.95 * 0.05 / 4000));
  });
});

test('a speed-up is read between the points of a curve', () => {
  const curve = (...values: number[]) => values.map((sampled, i) => ({ step: 10 * (i + 1), sampled, cued: 0 }));
  const vanilla = curve(0.1, 0.2, 0.4);
  expect(speedUp(vanilla, vanilla, 'sampled')).toBe(1);
  // 0.4 is three quarters of the way from 10 to 20
  expect(speedUp(curve(0.1, 0.5, 0.6), vanilla, 'sampled')).toBeCloseTo(30 / 17.5, 12);
  expect(speedUp(curve(0.4, 0.5, 0.6), vanilla, 'sampled')).toBe(3);                      // there at the first point
  expect(speedUp(curve(0.1, 0.2, 0.3), vanilla, 'sampled')).toBe(0);                      // never
});

test('speed-up is in the measure of vanilla against itself, and what the reference cost is counted', () => {
  const point = (step: number, sampled: number): CurvePoint => ({ step, cued: sampled, sampled });
  const noisy = [point(10, 0.2), point(20, 0.5), point(30, 0.5)]; // has its last value at step 20
  const faster = [point(10, 0.5), point(20, 0.6), point(30, 0.6)];
  const scores = { cued: 0.5, sampled: 0.5, greedy: 0.5, thinkRate: 0, tasks: [] };
  const cell = (name: string, stage: string, curve?: CurvePoint[]): CellResult => ({
    name: `seed-1/${name}`, seed: 1, stages: [{ name: stage, evaluation: scores }], ...(curve && { curve }),
  });
  const seedOf = (curve: CurvePoint[]) => [
    cell('base', 'pretrain'), cell('vanilla', 'midtrain', noisy), cell('remit.2', 'midtrain', curve),
  ];
  const options = { arms: parseArms('remit.2'), seeds: [1], turns: 1 };
  const speedOf = (curve: CurvePoint[]) => summarise(options, [seedOf(curve)], { none: 0, sft: 8, rl: 80 }).speeds[0]!;
  expect(speedOf(noisy).there.sampled.mean).toBe(1);
  expect(speedOf(faster).there.sampled.mean).toBe(2);
  expect(speedOf(faster).paid.sampled.mean).toBeCloseTo(20 / (10 * (4 / 3) + 80), 12);
  expect(speedOf([point(10, 0.1), point(20, 0.2), point(30, 0.3)]).paid.cued.mean).toBe(0);
});

test('pass@k has a floor: who guesses by the task alone is right in most of 16 tries', () => {
  const floor = passByGuessing();
  expect(Object.keys(floor)).toEqual(['1', '2', '4', '8', '16']);
  expect(floor[1]).toBeCloseTo(0.2, 2);
  expect(floor[16]).toBeCloseTo(0.918, 2);
});

test('pass@k: one minus the chance that all k drawn samples are wrong', () => {
  expect(passOf(0, 16, 4)).toBe(0);
  expect(passOf(16, 16, 1)).toBe(1);
  expect(passOf(4, 16, 1)).toBeCloseTo(0.25, 12);
  expect(passOf(1, 4, 2)).toBeCloseTo(1 - 3 / 6, 12);    // C(3,2) / C(4,2)
  expect(passOf(3, 16, 14)).toBe(1);                     // only 13 are wrong
});

describe('what a token is', () => {
  const draw = (style: 'think' | 'direct' | 'waffle', wrong: number, i: number) => {
    const stream = rng(i).stream();
    const problem = instance(TASKS[i % 10]!, stream, 'validation');
    return { problem, ...labelled(stream, problem, style, wrong) };
  };
  const count = (labels: readonly string[], label: string): number => labels.filter((one) => one === label).length;

  test('a right document that thinks', () => {
    for (let i = 0; i < 20; i++) {
      const { text, labels, problem } = draw('think', 0, i);
      expect(labels).toHaveLength(24);
      expect(labels.slice(0, 12).every((label) => label === 'question')).toBe(true);
      expect([text[12], labels[12]]).toEqual(['[', 'style: think']);
      expect([14, 16, 18, 20].map((place) => [text[place], labels[place]])).toEqual(
        [...problem.states].map((state) => [state, 'state: right']),
      );
      expect(labels.slice(21)).toEqual(['answer mark', 'answer: right, after thinking', 'stop']);
      expect(count(labels, 'filler')).toBe(4);
    }
  });

  test('a wrong one shows exactly one corrupted state and a wrong answer', () => {
    for (let i = 0; i < 20; i++) {
      const { labels } = draw('think', 1, i);
      expect([
        count(labels, 'state: corrupted'),
        count(labels, 'state: right'),
        count(labels, 'answer: wrong, after thinking'),
      ]).toEqual([1, 3, 1]);
    }
  });

  test('short ones end in chatter', () => {
    const direct = draw('direct', 1, 3);
    const waffle = draw('waffle', 0, 4);
    expect(direct.labels.slice(12, 16)).toEqual(['style: direct', 'answer: wrong, without', 'stop', 'chatter']);
    expect(count(direct.labels, 'chatter')).toBe(9);
    expect(waffle.labels[12]).toBe('style: waffle');
    expect(count(waffle.labels, 'filler')).toBe(waffle.text.lastIndexOf(']') - 13);
    expect(count(waffle.labels, 'answer: right, without')).toBe(1);
  });
});

test('a model is at no distance from itself, and weighs every class of tokens by 1 when guided by itself', async () => {
  const { config } = resolveConfig({ flags: [['model.width', '16']] });
  const [model, other] = [newModel(config, 70), newModel({ ...config, seed: 9 }, 70)];
  const rows = corpus(config.midtrain.corpus, rng(1)).rows(0, 8);
  expect(await nearness(model, model, rows)).toEqual({ kl: 0, agreement: 1 });
  const far = await nearness(model, other, rows);
  expect(far.kl).toBeGreaterThan(0);
  expect(far.agreement).toBeLessThan(1);
  for (const [name, { weight, gap }] of Object.entries(await weightsByClass(model, model, 0.2))) {
    expect([name, weight, gap]).toEqual([name, 1, 0]);
  }
});

test('a range is only held against what was measured', () => {
  const nothing = { stages: {}, pairs: [], weights: {}, classes: {} } as never;
  expect(check(EXPECTATIONS.tiny!, nothing)).toEqual([]);
  const found = check(EXPECTATIONS.tiny!, {
    stages: { pretrain: [{ arm: 'base', scores: { cued: interval([40]), sampled: interval([10]) } }] },
    pairs: [],
    weights: {},
    classes: {},
  } as never);
  expect(found.map(({ what, inside }) => [what, inside])).toEqual([
    ['pre-trained, cued', true],
    ['pre-trained, sampled', false],
  ]);
});

describe('what is concluded of an interval', () => {
  /** Of n seeds, with this half of a 95% interval. */
  const said = (mean: number, half: number, expected: Expected, n = 8) =>
    outcome({ n, mean, half, deviation: (half * Math.sqrt(n)) / quantile(n - 1) }, expected);
  const NINETY = 1.8946 / 2.3646; // half of a 90% interval over that of 95%, of eight seeds

  test('a difference that is expected: one that excludes 0, and on which side', () => {
    expect([said(1, 0.5, 'above'), said(-1, 0.5, 'above'), said(1, 2, 'above')]).toEqual([
      'reproduces',
      'contradicts',
      'unresolved',
    ]);
    expect(said(0.2, 0.5, 'above')).toBe('equivalent within 2'); // it is there, perhaps, and too small to matter
  });

  test('none: two one-sided tests at 5% are an interval of 90% within the margin', () => {
    expect(said(-0.25, 22.25, 'nothing')).toBe('unresolved');
    expect(said(0.5, 1.49 / NINETY, 'nothing')).toBe('equivalent within 2');
    expect(said(0.5, 1.51 / NINETY, 'nothing')).toBe('unresolved');
    expect(said(3, 0.5, 'nothing')).toBe('contradicts');
    expect(MARGIN).toBe(2);
  });

  test('none below 0: one of them', () => {
    expect([said(-0.5, 1.49 / NINETY, 'no less'), said(-0.5, 1.51 / NINETY, 'no less')]).toEqual([
      'reproduces',
      'unresolved',
    ]);
    expect([said(3, 4, 'no less'), said(3, 1, 'no less'), said(-3, 1, 'no less')]).toEqual([
      'reproduces',
      'reproduces',
      'contradicts',
    ]);
  });

  test('of one seed, of two, or without a width, nothing', () => {
    for (const expected of ['above', 'nothing', 'no less'] as const) {
      expect([
        said(0, 0, expected),
        said(5, 0, expected, 3),
        said(5, 1, expected, 2),
        said(5, NaN, expected, 1),
      ]).toEqual(Array(4).fill('unresolved (too few seeds)'));
    }
  });

  test('vanilla against itself with other seeds, as if it were an arm, is equivalent, and reproduces once in 40', () => {
    const found = Array.from({ length: 2000 }, (_, i) =>
      outcome(interval([...rng(i).normals(8)].map((x) => 1.7 * x)), 'above'),
    );
    const share = (what: string): number => found.filter((one) => one === what).length / found.length;
    expect(share('reproduces')).toBeLessThan(0.025 + 4 * Math.sqrt((0.025 * 0.975) / 2000));
    expect(share('equivalent within 2')).toBeGreaterThan(0.75);
  });
});

describe('the claims of a family', () => {
  test('Holm: the smallest counts as often as there are, and none is smaller than one before it', () => {
    expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02]);
    expect(holm([0.5, 0.6])).toEqual([1, 1]);
    expect(holm([0.01, 0.02], 6)).toEqual([0.06, 0.1]); // of a family of six: four were not measured
    expect(holm([])).toEqual([]);
  });

  test('headline claims share the error rate, exploratory ones have their own', () => {
    const gain = (mean: number) => ({ n: 8, mean, deviation: 1.7, half: 1.42 });
    const views = (mean: number) => ({ cued: gain(mean), sampled: gain(mean) });
    const row = (arm: string, mean: number) => ({ arm, scores: views(50), difference: views(mean) });
    const summary = {
      stages: { midtrain: [row('remit.2', 1.6), row('shuffled.2', 0.1)], rl: [row('remit.2', 1.6)] },
      pairs: [
        { title: 'remit.2 over shuffled.2', difference: views(1.6) },
        { title: 'remit.2 over vanilla+33%', difference: views(1.6) },
        { title: 'remit.2 over sft-guided.2', difference: views(1.6) },
      ],
      pass: {}, weights: {}, classes: {},
    } as never;
    const found = verdicts(summary);
    const headlines = found.filter(({ family }) => family === 'headline');
    expect(headlines).toHaveLength(CLAIMS.filter(({ family }) => family === 'headline').length);
    // by itself 1.6 +- 1.42 is above 0; among six of its kind it is not shown to be
    expect(found.find(({ evidence }) => evidence === 'remit.2 less vanilla, cued')!.outcome).toBe('reproduces');
    expect(headlines.filter(({ outcome }) => outcome === 'reproduces')).toEqual([]);
    expect(headlines.find(({ evidence }) => evidence === 'shuffled.2 less vanilla, sampled')!.outcome).toBe(
      'equivalent within 2',
    );
  });
});
