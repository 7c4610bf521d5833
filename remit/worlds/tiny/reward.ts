// Where a reward is given: the judge of what a model writes after a question, and reinforcement learning's task, which
// pays 1 for what the judge calls right. Read next: evaluate.ts, which counts the same verdicts.

import { checkArguments, checkValue, list, string, whole } from '../../../engine/options.ts';
import { anRng, type Rng } from '../../../engine/rng.ts';
import type { Task } from '../../rl/task.ts';
import { ANSWER, PROMPT, RESPONSE, ROW, STOP, THINK } from './alphabet.ts';
import { prompt } from './documents.ts';
import { instance } from './questions.ts';
import { TASKS } from './tasks.ts';
import { encode, tinyWorldTokenizer } from './tokenizer.ts';

const verdictArguments = { row: list('a list of tokens', whole({ min: 0 })), answer: string };
const number = whole({ min: 0 });

/** What the judge says of a row. */
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

/** The training questions of the tiny world, its ten tasks taking turns; right is what `verdict` says. */
export function worldTask(random: Rng): Task {
  checkArguments('worldTask', arguments, { random: anRng });
  const think = encode(THINK)[0]!;
  return {
    maxNew: RESPONSE,
    stop: encode(STOP)[0]!,
    vocabulary: tinyWorldTokenizer.vocabulary,
    measures: { thinkRate: (row) => Number(row[PROMPT] === think) },
    question(n) {
      checkValue('worldTask: question', n, number);
      const problem = instance(TASKS[n % TASKS.length]!, random.at(n).stream(), 'train');
      return { prompt: encode(prompt(problem)), reward: (row) => Number(verdict(row, problem.answer).correct) };
    },
  };
}
