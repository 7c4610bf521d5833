// remit-mini bench on a GPU, in processes of its own.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { remitMini } from '../support/command-line.ts';
import { describeGpu, gpu } from '../support/gpu.ts';

const bench = (...words: string[]) => remitMini(['bench', ...words, '--time', '0.01']);

describeGpu('remit-mini bench', () => {
  test("a shader of somebody's own beside the ladder of ours, and what a software adapter is", () => {
    const mine = join('examples', 'kernels', 'gpu.mjs');
    const { code, stdout, stderr } = bench('--kernel', mine, '--shapes', '32x32x32');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('gpu.mjs: right at 3 odd sizes of matmul\n');
    expect(stdout.includes('a software adapter: right, not fast')).toBe(gpu.software);
    expect(stdout).toMatch(/\nmatmul 32x32x32 {2}gpu.mjs +\d[^]*\nmatmul 32x32x32 {2}\w+ +\d/);
  });
});
