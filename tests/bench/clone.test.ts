// What a benchmark says to arguments: help, or one line.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { describeGpu } from '../support/gpu.ts';

const main = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));

function bench(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), main, ...args],
    { encoding: 'utf8' },
  );
  return { code: status, stdout, stderr };
}

test('help lists the benchmarks, and each has its own', () => {
  expect(bench('--help')).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringMatching(/^npm run bench <name>[^]*\n {2}peers +training/),
  });
  expect(bench('gpu', '--help')).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringMatching(/^npm run bench gpu[^]*--out <folder>/),
  });
});

test.each([
  [
    ['pers'],
    'bench: pers: no such benchmark: there are dispatch, gpu, matmul, peers: did you mean peers?',
  ],
  [['gpu', '--otu', 'x'], 'bench gpu: --otu: no such flag: did you mean --out?'],
])('%j is one line', (args, message) => {
  expect(bench(...args)).toEqual({ code: 2, stdout: '', stderr: `error: ${message}\n` });
});

// on a card it takes minutes; a kernel that has changed under it shows here
describeGpu('bench gpu, small', () => {
  test('runs what memory bounds, latencies and generation', () => {
    const out = mkdtempSync(join(tmpdir(), 'remit-'));
    const { code, stdout, stderr } = bench('gpu', '--small', '--only', 'memory,latency,generation', '--out', out);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^adamw: .*GB\/s$/m);
    const { memory, latency } = JSON.parse(readFileSync(join(out, 'gpu.json'), 'utf8')) as Record<string, unknown[]>;
    expect([memory!.length, latency!.length]).toEqual([6, 3]);
    rmSync(out, { recursive: true });
  });
});
