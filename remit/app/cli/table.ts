// Results as text for stdout: scores per task, a column for each stage of the run. Used by: train-world.ts,
// evaluate.ts.

import { highest } from '../../../engine/extremes.ts';
import type { Evaluation, Scores } from '../../worlds/tiny/evaluate.ts';

export interface Stage {
  readonly name: string;
  readonly evaluation: Evaluation;
}

/** The views of an evaluation and what they are called in tables. */
export const VIEWS: readonly (readonly [key: keyof Scores, title: string])[] = [
  ['cued', 'cued'],
  ['sampled', 'sampled'],
  ['greedy', 'greedy'],
  ['thinkRate', 'thinks'],
];

const NUMBER = 5; // 100.0
const GAP = 2; // between views

/** One row per task and their mean, in percent; under each view, the stages from left to right. */
export function evaluationTable(stages: readonly Stage[]): string {
  const first = stages[0]!.evaluation;
  const widths = stages.map(({ name }) => Math.max(name.length, NUMBER) + 1);
  const total = widths.reduce((sum, width) => sum + width, 0);
  const tasks = first.tasks.map(({ name, group }) => `${name}  ${group}`);
  const nameWidth = highest(['task group', ...tasks].map(({ length }) => length));
  const line = (label: string, cell: (key: keyof Scores, stage: Stage, title: string) => string): string =>
    label.padEnd(nameWidth) +
    VIEWS.map(([key, title]) => {
      const cells = stages.map((stage, i) => cell(key, stage, title).padStart(widths[i]!));
      return ' '.repeat(GAP) + cells.join('');
    }).join('');
  const row = (label: string, scoresOf: (evaluation: Evaluation) => Scores): string =>
    line(label, (key, { evaluation }) => percent(scoresOf(evaluation)[key]));
  const headings = VIEWS.map(([, title]) => {
    const over = title.padStart(Math.max(widths[0]!, title.length + 1)); // over the first stage
    return ' '.repeat(GAP) + over.padEnd(total);
  });
  return [
    (' '.repeat(nameWidth) + headings.join('')).trimEnd(),
    line('task group', (_, { name }) => name),
    ...tasks.map((label, i) => row(label, (evaluation) => evaluation.tasks[i]!)),
    row('mean', (evaluation) => evaluation),
    '',
    'Right answers in percent. cued: greedy after a forced "["; sampled: at',
    'temperature 1; greedy: the likeliest answer. thinks: sampled answers that',
    'begin with "[".',
  ].join('\n');
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
