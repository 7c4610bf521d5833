// Questions that no training stream holds: what remit/worlds/tiny/evaluate.ts asks.
// Read next: reward.ts (the judge of the answers).

import { ConfigError } from '../../../engine/errors.ts';
import { checkArguments, choice, whole } from '../../../engine/options.ts';
import { rng } from '../../../engine/rng.ts';
import { prompt } from './documents.ts';
import { instance, type Split } from './questions.ts';
import { TASKS } from './tasks.ts';
import { tinyWorldTokenizer } from './tokenizer.ts';

/** Held-out questions, the same for every model. */
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
