// How long a study will take: cells counted in measured steps.

import { beforeAll, expect, test } from 'vitest';
import { CpuBackend } from '../../../../engine/cpu/backend.ts';
import { useBackend } from '../../../../engine/runtime.ts';
import { resolveConfig } from '../../../../remit/settings/resolve.ts';
import { estimate, measure } from '../../../../remit/app/study/estimate.ts';
import { allCells, parseArms } from '../../../../remit/app/study/plan.ts';

beforeAll(() => useBackend(new CpuBackend()));

const { config } = resolveConfig({
  flags: [
    ['model.width', '8'],
    ['model.layers', '1'],
    ['model.heads', '2'],
    ['pretrain.steps', '1000'],
    ['midtrain.steps', '300'],
    ['sft.steps', '40'],
    ['rl.steps', '20'],
    ['pretrain.batch', '4'],
    ['midtrain.batch', '8'],
    ['sft.batch', '4'],
    ['rl.prompts', '2'],
    ['rl.samples', '2'],
    ['evaluate.questions', '100'],
  ],
});

test('by hand', () => {
  const light = allCells({ arms: parseArms('remit.2'), seeds: [1], turns: 1, light: true });
  const measured = { step: 0.01, iteration: 0.1, test: 2 };
  const base = 1 + 10 + 2;
  const vanilla = 1 + 300 * 2 * 0.01 + 2 + 40 * 0.01 + 20 * 0.1 + 2 * 2;
  const guided = 1 + 300 * 2 * 0.01 * (4 / 3) + 2;
  expect(light.map(({ name }) => name)).toEqual(['seed-1/base', 'seed-1/vanilla', 'seed-1/remit.2']);
  expect(estimate(light, config, measured, { jobs: 1, light: true })).toBeCloseTo(base + vanilla + guided, 9);
  // each needs the one before
  expect(estimate(light, config, measured, { jobs: 2, light: true })).toBeCloseTo(base + vanilla + guided, 9);
  const three = allCells({ arms: parseArms('remit.2'), seeds: [1, 2, 3], turns: 1, light: true });
  expect(estimate(three, config, measured, { jobs: 2, light: true })).toBeCloseTo(3 * (base + vanilla + guided) / 2, 9);
  // one cell is one process
  expect(estimate(light.slice(0, 1), config, measured, { jobs: 8, light: true })).toBeCloseTo(base, 9);
  expect(
    estimate(allCells({ arms: parseArms('remit.2'), seeds: [1], turns: 1 }), config, measured, { jobs: 1 }),
  ).toBeGreaterThan(base + vanilla + guided);
});

test('what is measured takes time, and not much', async () => {
  const measured = await measure(config);
  for (const seconds of Object.values(measured)) {
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(60);
  }
});
