// One seed, one result: the same bits again in this process, in another one, and from memory that held something else
// before.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { tinyRun, type Outcome } from './support/tiny-run.ts';

/** The run with this seed in a process of its own. */
async function elsewhere(seed: number, env: Record<string, string> = {}): Promise<Outcome> {
  const program = ['--import', import.meta.resolve('tsx'), join(import.meta.dirname, 'support/tiny-run.ts'), `${seed}`];
  const { stdout } = await promisify(execFile)(process.execPath, program, { env: { ...process.env, ...env } });
  return JSON.parse(stdout) as Outcome;
}

test('two runs with one seed have the same losses, gradient norms, weights and scores, bit for bit', async () => {
  const first = await tinyRun(5);
  expect(first.records).toHaveLength(30);
  expect(first.records.every(({ loss }) => Number.isFinite(loss))).toBe(true);
  expect(await tinyRun(5)).toEqual(first);
});

test('so has a run in another process, and one whose recycled memory is filled with NaN', async () => {
  const here = await tinyRun(5);
  const [there, poisoned] = await Promise.all([elsewhere(5), elsewhere(5, { REMIT_POISON: '1' })]);
  expect(there).toEqual(here);
  expect(poisoned).toEqual(here);
});

test('so has a run in vectors of 128 bits', async () => {
  expect(await elsewhere(5, { REMIT_WIDE: '0' })).toEqual(await tinyRun(5));
});

test('another seed has other ones', async () => {
  const [a, b] = [await tinyRun(5), await tinyRun(6)];
  expect(a.weights).not.toBe(b.weights);
  expect(a.records[0]!.loss).not.toBe(b.records[0]!.loss);
});
