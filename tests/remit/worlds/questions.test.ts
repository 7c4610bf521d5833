import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rng } from '../../../engine/rng.ts';
import { crc32 } from '../../../remit/worlds/tiny/crc32.ts';
import { instance, splitOf, trainQuestion } from '../../../remit/worlds/tiny/questions.ts';
import { solve, TASKS } from '../../../remit/worlds/tiny/tasks.ts';
import { errors, QUESTIONS, solve as read } from './reader.ts';

describe('crc32', () => {
  test('gives the check value of the standard', () => {
    expect(crc32('123456789')).toBe(0xcbf43926);
    expect(crc32('')).toBe(0);
  });

  test('agrees with zlib on any ASCII text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary-ascii' }), (text) => {
      expect(crc32(text)).toBe(zlib.crc32(text));
    }));
  });
});

describe('tasks', () => {
  test('there are ten, in the order of the tables', () => {
    expect(TASKS.map(({ name, group, tag }) => `${name} ${group} ${tag}`)).toEqual([
      'SUM math S', 'MUL math M', 'CLK math K', 'VAR code V', 'DEP code D', 'PTR code P',
      'BOO general X', 'LOK general C', 'CMP general G', 'CNT general N',
    ]);
  });

  test.each(TASKS)('$name: every question is well formed and its states follow from it', (task) => {
    const stream = rng(1).fold(task.name).stream();
    for (let i = 0; i < 500; i++) {
      const { question, states, answer } = solve(task.draw(stream));
      expect(question).toMatch(QUESTIONS[task.tag]!);
      expect(`${question} ${states}`).toBe(`${question} ${read(question)}`);
      expect(answer).toBe(states[3]);
    }
  });

  test('states worked out on paper', () => {
    for (const [question, states] of [
      ['S1+1-1-4-4', '2173'], ['M3*2+4*0+1', '1001'], ['K0<1>3>3<2', '6253'], ['V2-2+0-2-1', '0043'],
      ['D5(3)1)3)3', '6520'], ['Pa<1>2>3<1', 'fbed'], ['X1&0|1#1#1', '0101'], ['Cadabdcbab', 'bdab'],
      ['G6<9>0>7>6', '6677'], ['Nba1b2c1b1', '0223'],
    ] as const) expect([read(question), solve(question).states], question).toEqual([states, states]);
  });

  test.each(['', 'S1+1-1-4', 'Z1+1-1-4-4', 'S1*1-1-4-4', 'M7*2+4*0+1', 'Caaaabdcbab', 'Cadaddcbab', 'Nda1b2c1b1'])(
    'what is no question is refused: %j',
    (text) => expect(() => solve(text)).toThrow(/is no question: a tag \(S M K V D P X C G N\), a start and four pairs/),
  );

  test('LOK has each key once, VAR assigns one time in five', () => {
    const stream = rng(2).stream();
    const n = 4000;
    const draw = (task: number) => Array.from({ length: n }, () => TASKS[task]!.draw(stream));
    const keys = draw(7).map((question) => [...question.slice(2).replaceAll(/(.)./g, '$1')].sort().join(''));
    expect(new Set(keys)).toEqual(new Set(['abcd']));
    expect(errors(draw(3).filter((question) => question[2] === '=').length, n, 0.2)).toBeLessThan(4);
  });
});

describe('splits', () => {
  test('a tenth of the questions is for testing, a tenth for validation', () => {
    const stream = rng(3).stream();
    const n = 20_000;
    const count = { test: 0, validation: 0, train: 0 };
    // CMP: 1.6 million questions, hardly a repeat
    for (let i = 0; i < n; i++) count[splitOf(TASKS[8]!.draw(stream))]++;
    expect(errors(count.test, n, 0.1)).toBeLessThan(4);
    expect(errors(count.validation, n, 0.1)).toBeLessThan(4);
    expect(errors(count.train, n, 0.8)).toBeLessThan(4);
  });

  test('an instance is of the split that was asked for, by the checksum of its question', () => {
    const remainders = { test: [0], validation: [1], train: [2, 3, 4, 5, 6, 7, 8, 9] };
    for (const split of ['test', 'validation', 'train'] as const) {
      for (const task of TASKS) {
        for (let i = 0; i < 50; i++) {
          const { question } = instance(task, rng(4).fold(split).at(i).stream(), split);
          expect(remainders[split]).toContain(zlib.crc32(question) % 10);
          expect(question[0]).toBe(task.tag);
        }
      }
    }
  });

  test('training questions come from every task alike', () => {
    const stream = rng(5).stream();
    const n = 10_000;
    const drawn = Array.from({ length: n }, () => trainQuestion(stream));
    expect(
      drawn.filter(({ task, question }) => question[0] !== TASKS[task]!.tag || splitOf(question) !== 'train'),
    ).toEqual([]);
    const counts = TASKS.map((_, task) => drawn.filter((problem) => problem.task === task).length);
    for (const hits of counts) expect(errors(hits, n, 0.1)).toBeLessThan(4);
  });
});
