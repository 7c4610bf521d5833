// The scores that a run left: what is written today, and files of before.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { storedStages } from '../../../remit/app/run/evaluation.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const folder = temporaryFolder();
const today = { cued: 0.5, sampled: 0.25, greedy: 0.75, thinkRate: 1 };
const before = { cued: 0.5, samp: 0.25, free: 0.75, thinkRate: 1 };
const named = { name: 'SUM', group: 'sums' };

/** What is read of a run folder with this in evaluation.json. */
function stagesIn(name: string, contents: unknown): unknown {
  const run = join(folder, name);
  mkdirSync(run);
  writeFileSync(join(run, 'evaluation.json'), JSON.stringify(contents));
  return storedStages(run);
}

test('a file of version 1, whose views had other names, is read', () => {
  const stage = (scores: object) => ({ name: 'rl', evaluation: { ...scores, tasks: [{ ...named, ...scores }] } });
  const expected = [stage(today)];
  expect(stagesIn('one', { questions: 20, stages: [stage(before)] })).toEqual(expected);
  expect(stagesIn('two', { version: 2, questions: 20, stages: [stage(today)] })).toEqual(expected);
});

test('one that is damaged, of another kind or not there holds no stages', () => {
  expect(stagesIn('text', { unit: 'nats', before: 1, after: 0.5 })).toEqual([]);
  expect(stagesIn('odd', { stages: [{ name: 1 }] })).toEqual([]);
  expect(storedStages(join(folder, 'none'))).toEqual([]);
});
