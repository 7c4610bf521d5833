// Questions that no training stream holds, and the judge of what a model writes after them.
// Used by remit/worlds/tiny/evaluate.ts, and by reinforcement learning, which takes the verdict as its reward.

import { ConfigError } from '../../../engine/errors.ts';
import { checkArguments, choice, list, string, whole } from '../../../engine/options.ts';
import { rng } from '../../../engine/rng.ts';
import { ANSWER, PROMPT, ROW, STOP } from './alphabet.ts';
import { prompt } from './documents.ts';
import { instance, type Split } from './questions.ts';
import { TASKS } from './tasks.ts';
import { tinyWorldTokenizer } from './tokenizer.ts';

export interface EvaluationSet {
  /** [n*12] i32. */
  readonly prompts: Int32Array;
  /** n answers of one character. */
  readonly answers: readonly string[];
  /** [n] i32: the task of each question, as a place in `names`. */
  readonly task: Int32Array;
  readonly names: readonly string[];
}

/** After this many draws in a row without a new question, a task is taken to have no more. */
const PATIENCE = 10_000;

/** The splits that a model is tested on. */
export const heldOut = choice('test', 'validation');

const setArguments = { split: heldOut, perTask: whole({ min: 1 }), seed: whole({ min: 0 }) };
const verdictArguments = { row: list('a list of tokens', whole({ min: 0 })), answer: string };

/**
 * perTask different questions of each task, task after task: n = 10 * perTask. A smaller set is the start, per task, of
 * a larger one. Throws ConfigError when a task has fewer: the smallest, BOO, has 258 test and 272 validation questions.
 */
export function evaluationSet(split: Exclude<Split, 'train'>, perTask: number, seed: number): EvaluationSet {
  checkArguments('evaluationSet', arguments, setArguments);
  const prompts: number[] = [];
  const answers: string[] = [];
  const tasks: number[] = [];
  for (const [index, task] of TASKS.entries()) {
    const stream = rng(seed).fold(`evaluation/${split}`).at(index).stream();
    const seen = new Set<string>();
    for (let fruitless = 0; seen.size < perTask; fruitless++) {
      if (fruitless > PATIENCE) {
        throw new ConfigError(
          `evaluation set: ${perTask} ${split} questions per task: ${task.name} has only ${seen.size}`,
        );
      }
      const problem = instance(task, stream, split);
      if (seen.has(problem.question)) continue;
      seen.add(problem.question);
      fruitless = 0;
      for (const token of tinyWorldTokenizer.encode(prompt(problem))) prompts.push(token);
      answers.push(problem.answer);
      tasks.push(index);
    }
  }
  return {
    prompts: Int32Array.from(prompts),
    answers,
    task: Int32Array.from(tasks),
    names: TASKS.map((task) => task.name),
  };
}

export interface Verdict {
  readonly correct: boolean;
  /** The first character of the response: `[` when it thinks. */
  readonly first: string;
}

/**
 * Judges a row of 24 tokens. It is right when the response (from token 12) has a `.`, and what stands between the last
 * `]` before the first `.` and that `.` is exactly the answer. What was thought before, and what is said afterwards,
 * does not count.
 */
export function verdict(row: ArrayLike<number>, answer: string): Verdict {
  checkArguments('verdict', arguments, verdictArguments);
  const said = tinyWorldTokenizer.decode(Array.from(row).slice(PROMPT, ROW));
  const stop = said.indexOf(STOP);
  const mark = said.lastIndexOf(ANSWER, stop);
  return { correct: stop >= 0 && mark >= 0 && said.slice(mark + 1, stop) === answer, first: said[0] ?? '' };
}
