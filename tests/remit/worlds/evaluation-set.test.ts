import * as zlib from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { rng } from '../../../engine/rng.ts';
import { corpus, decode, encode, evaluationSet, PROMPT, ROW, TASKS, verdict } from '../../../remit/worlds/tiny/index.ts';
import { read, solve } from './reader.ts';

const questions = (prompts: Int32Array) =>
  Array.from({ length: prompts.length / PROMPT }, (_, i) =>
    decode(prompts.subarray(i * PROMPT, (i + 1) * PROMPT)).slice(1, 11),
  );

describe('an evaluation set', () => {
  const sets = { test: evaluationSet('test', 200, 777), validation: evaluationSet('validation', 50, 778) };

  test.each([
    ['test', 200, 0],
    ['validation', 50, 1],
  ] as const)('%s: %i different questions of each task, all of the split', (split, perTask, remainder) => {
    const set = sets[split];
    const asked = questions(set.prompts);
    expect(new Set(asked).size).toBe(10 * perTask);
    expect(set.names).toEqual(TASKS.map(({ name }) => name));
    asked.forEach((question, i) => {
      expect(zlib.crc32(question) % 10).toBe(remainder);
      expect(set.task[i]).toBe(Math.floor(i / perTask));
      expect(question[0]).toBe(TASKS[set.task[i]!]!.tag);
      expect(set.answers[i], question).toBe(solve(question)[3]);
    });
  });

  test('shares no question with a training stream', () => {
    const held = new Set([...questions(sets.test.prompts), ...questions(sets.validation.prompts)]);
    const rows = corpus({ density: 1, noise: 0, wrong: 0, think: 0, spread: 0, waffle: 0 }, rng(1)).rows(0, 20_000);
    const asked = Array.from(
      { length: 20_000 },
      (_, i) => read(decode(rows.subarray(i * ROW, (i + 1) * ROW)))!.question,
    );
    expect(asked.filter((question) => held.has(question))).toEqual([]);
  });

  test('depends on the seed alone, and a smaller one is the start of a larger one', () => {
    expect(evaluationSet('test', 200, 777)).toEqual(sets.test);
    const small = questions(evaluationSet('test', 5, 777).prompts);
    const large = questions(sets.test.prompts);
    TASKS.forEach((_, task) =>
      expect(small.slice(task * 5, task * 5 + 5)).toEqual(large.slice(task * 200, task * 200 + 5)),
    );
    expect(questions(evaluationSet('test', 5, 778).prompts)).not.toEqual(small);
  });

  test('is refused when a task runs out of questions', () => {
    expect(() => evaluationSet('test', 300, 1)).toThrow(
      'evaluation set: 300 test questions per task: BOO has only 258',
    );
  });
});

describe('a verdict', () => {
  test.each([
    ["['2!1;7:3]3.", '3', true, '['],
    ["['9!9;9:9]3.", '3', true, '['],    // what was thought does not count
    ["['2!1;7:3]4.", '3', false, '['],
    [']3.tpqq lvl ', '3', true, ']'],
    [']3.]4.......', '3', true, ']'],     // nor what is said after the first `.`
    [']4]3........', '3', true, ']'],     // the last `]` before it
    [']34.........', '4', false, ']'],    // exactly the answer
    [']34.........', '3', false, ']'],
    ['].3.........', '3', false, ']'],
    ['3...........', '3', false, '3'],    // no `]`
    [']33333333333', '3', false, ']'],    // no `.`
    ['............', '3', false, '.'],
    ['~::;:]b.uxxu', 'b', true, '~'],
  ])('%s with answer %s: correct is %s', (response, answer, correct, first) => {
    const row = encode(`^S1+1-1-4-4?${response}`);
    expect(row).toHaveLength(ROW);
    expect(verdict(row, answer)).toEqual({ correct, first });
  });

  test('ignores punctuation of the prompt', () => {
    expect(verdict(encode('^S1].1-4-4]?3...........'), '3').correct).toBe(false);
  });
});
