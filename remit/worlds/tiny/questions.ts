// Which questions may be trained on. A question belongs to one split for ever, by its checksum: a tenth of all
// questions is for testing, a tenth for choosing settings, the rest for training. Every generator asks here, so nothing
// leaks. Read next: documents.ts (what is written about a question), evaluation-set.ts (what is asked).

import { checkArguments, checkValue, choice, string } from '../../../engine/options.ts';
import { aStream, type Stream } from '../../../engine/rng.ts';
import { crc32 } from './crc32.ts';
import { aTask, solve, TASKS, type Problem, type TaskKind } from './tasks.ts';

/** What a question may be used for. */
export type Split = 'test' | 'validation' | 'train';

const instanceArguments = {
  task: aTask,
  stream: aStream,
  split: choice('test', 'validation', 'train'),
};

/** The split of a question of ten characters (without `^` and `?`). */
export function splitOf(question: string): Split {
  const remainder = crc32(checkValue('splitOf: question', question, string)) % 10;
  return remainder === 0 ? 'test' : remainder === 1 ? 'validation' : 'train';
}

/** A problem of this task from this split: drawn again until it is. */
export function instance(task: TaskKind, stream: Stream, split: Split): Problem {
  checkArguments('instance', arguments, instanceArguments);
  for (;;) {
    const question = task.draw(stream);
    if (splitOf(question) === split) return solve(question, [task]);
  }
}

/** A training problem of a random task, with the task's place in TASKS. */
export function trainQuestion(stream: Stream): Problem & { readonly task: number } {
  checkValue('trainQuestion: stream', stream, aStream);
  const task = stream.int(TASKS.length);
  return { task, ...instance(TASKS[task]!, stream, 'train') };
}
