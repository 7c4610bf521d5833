// What `remit-mini train` ends with: which stage stands beside which, the differences, and the sentence about one seed.

import { describe, expect, test } from 'vitest';
import { comparison, counterpart } from '../../remit/app/cli/comparison.ts';
import type { Stage } from '../../remit/app/cli/table.ts';
import { resolveConfig } from '../../remit/settings/resolve.ts';

const remit = (...flags: [string, string][]) => resolveConfig({ flags }).config.remit;
const stage = (name: string, cued: number, sampled: number, greedy: number, thinkRate: number): Stage => ({
  name,
  evaluation: { cued, sampled, greedy, thinkRate, tasks: [] },
});

const stages = [
  stage('pretrain', 0.4, 0.25, 0.36, 0.35), stage('midtrain', 0.58, 0.35, 0.42, 0.344),
  stage('sft', 0.64, 0.422, 0.64, 0.5), stage('rl', 0.62, 0.53, 0.62, 0.9), stage('remit', 0.6, 0.349, 0.42, 0.44),
  stage('remit-sft', 0.65, 0.43, 0.65, 0.49), stage('remit-rl', 1, 0, 0.61, 0.92),
  stage('remit2', 0.61, 0.36, 0.5, 0.45),
];

test.each([
  ['pretrain', undefined],
  ['midtrain', undefined],
  ['sft', undefined],
  ['rl', undefined],
  ['remit', 'midtrain'],
  ['remit-sft', 'sft'],
  ['remit-rl', 'rl'],
  ['remit2', 'midtrain'],
  ['remit17-sft', 'sft'],
  ['remitted', undefined],
])('%s stands beside %s', (name, other) => {
  expect(counterpart(name)).toBe(other);
});

test('every stage in percent, in order; behind those of the flywheel, the difference in points', () => {
  expect(comparison(stages, remit(), 80).split('\n').slice(0, 10)).toEqual([
    '          cued sampled greedy thinks                cued sampled greedy thinks',
    'pretrain  40.0    25.0   36.0   35.0', 'midtrain  58.0    35.0   42.0   34.4',
    'sft       64.0    42.2   64.0   50.0', 'rl        62.0    53.0   62.0   90.0',
    'remit     60.0    34.9   42.0   44.0  less midtrain +2.0    -0.1   +0.0   +9.6',
    'remit-sft 65.0    43.0   65.0   49.0  less sft      +1.0    +0.8   +1.0   -1.0',
    'remit-rl 100.0     0.0   61.0   92.0  less rl      +38.0   -53.0   -1.0   +2.0',
    'remit2    61.0    36.0   50.0   45.0  less midtrain +3.0    +1.0   +8.0  +10.6', '',
  ]);
});

test('in a terminal too narrow for both, the differences stand below', () => {
  const lines = comparison(stages, remit(), 60).split('\n');
  expect(lines.slice(0, 12)).toEqual([
    '          cued sampled greedy thinks', ...lines.slice(1, 9), '',
    '                        cued sampled greedy thinks',
    'remit     less midtrain +2.0    -0.1   +0.0   +9.6',
  ]);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
});

/** Without line breaks: where they fall depends on the terminal. */
const said = (...given: Parameters<typeof comparison>): string => comparison(...given).replaceAll('\n', ' ');

describe('the sentence about one seed', () => {
  test('gives how the think rate moved, and the ceiling that the bounds set: odds times (1 + epsilon) / (1 - epsilon)', () => {
    const ceiling = (epsilon: number): number =>
      (100 * (0.344 * (1 + epsilon))) / (0.344 * (1 + epsilon) + 0.656 * (1 - epsilon));
    expect(ceiling(0.2)).toBeCloseTo(44.0, 1);
    expect(ceiling(0.5)).toBeCloseTo(61.1, 1);
    expect(said(stages, remit(), 80)).toContain(
      '34.4 -> 44.0% (weights within 1 ± 0.2 bound it at about 44.0), but not a gain in skill',
    );
    expect(said(stages, remit(['remit.epsilon', '0.5']), 80)).toContain(
      '(weights within 1 ± 0.5 bound it at about 61.1)',
    );
  });

  test('has no ceiling where nothing bounds it: for other arms, and at epsilon 1', () => {
    for (const settings of [remit(['remit.arm', 'kd']), remit(['remit.arm', 'rho']), remit(['remit.epsilon', '1'])]) {
      expect(said(stages, settings, 80)).toContain('34.4 -> 44.0%, but not a gain in skill');
    }
  });

  test('is left out when the flywheel did not turn', () => {
    expect(said(stages.slice(0, 4), remit(), 80)).not.toContain('One seed');
  });
});
