// The profile of a step: every dispatch is timed under its program, results are the same, and afterwards there is one
// pass again.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { useBackend } from '../../engine/runtime.ts';
import { step } from '../../engine/step.ts';
import { tensor } from '../../engine/tensor.ts';
import { add, affine } from '../../engine/ops/arithmetic.ts';
import { matmul } from '../../engine/ops/matmul.ts';
import { describeGpu, gpu } from '../support/gpu.ts';

const MANY = 2100; // passes: more than one set of queries holds

describeGpu('a profile', () => {
  beforeAll(() => useBackend(gpu));
  afterAll(() => gpu.close());

  test('tells calls and time of each program', async () => {
    const n = 96;
    const values = Float32Array.from({ length: n * n }, (_, i) => Math.sin(i));
    const run = step(() => {
      const a = tensor(values, [n, n]);
      return add(matmul(a, a), affine(affine(a, { factor: 2 }), { offset: 1 }));
    });
    const plain = [...(await (await run()).read())];
    gpu.startProfile();
    for (let i = 0; i < 3; i++) expect([...(await (await run()).read())]).toEqual(plain);
    const profile = await gpu.endProfile();
    const calls = Object.fromEntries(
      [...profile].map(([name, spent]) => [name.replace(/.*\/(\w+).*/, '$1'), spent.calls]),
    );
    expect(calls).toEqual({ matmul: 3, affine: 6, binary: 3 });
    const times = [...profile.values()].map(({ ms }) => ms);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    expect(times.every((ms) => ms >= 0)).toBe(true);
    const { submits } = gpu.counters;
    await run();
    expect(gpu.counters.submits).toBe(submits + 1);
  });

  test('has room for steps of many dispatches', async () => {
    const run = step(() => {
      let x = tensor([0, 0, 0]);
      for (let i = 0; i < MANY; i++) x = affine(x, { offset: 1 });
      return x;
    });
    gpu.startProfile();
    expect([...(await (await run()).read())]).toEqual([MANY, MANY, MANY]);
    expect([...(await gpu.endProfile()).values()].map(({ calls }) => calls)).toEqual([MANY]);
  });
});
