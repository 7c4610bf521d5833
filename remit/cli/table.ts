// Results as text for stdout: scores per task, a column for each stage of the run.

import type { Evaluation, Scores } from '../phases/evaluate.ts';

export interface Stage {
  readonly name: string;
  readonly evaluation: Evaluation;
}

/** The views of an evaluation and what they are called in tables. */
export const VIEWS: readonly (readonly [key: keyof Scores, title: string])[] = [
  ['cued', 'cued'],
  ['samp', 'sampled'],
  ['free', 'greedy'],
  ['thinkRate', 'thinks'],
];

const CELL = 10;

/** One row per task and their mean, in percent; under each view, the stages from left to right. */
export function evaluationTable(stages: readonly Stage[]): string {
  const first = stages[0]!.evaluation;
  const titles = VIEWS.map(([, title]) => title.padStart(CELL).padEnd(CELL * stages.length));
  const names = VIEWS.flatMap(() => stages.map(({ name }) => name.padStart(CELL)));
  const row = (label: string, scoresOf: (evaluation: Evaluation) => Scores): string => {
    const cells = VIEWS.flatMap(([key]) => stages.map(({ evaluation }) => percent(scoresOf(evaluation)[key])));
    return label.padEnd(12) + cells.join('');
  };
  return [
    ' '.repeat(12) + titles.join('').trimEnd(),
    'task group'.padEnd(12) + names.join(''),
    ...first.tasks.map(({ name, group }, i) => row(`${name}  ${group}`, (evaluation) => evaluation.tasks[i]!)),
    row('mean', (evaluation) => evaluation),
    '',
    'Right answers in percent. cued: greedy after a forced "["; sampled: at temperature 1; greedy: the likeliest answer.',
    'thinks: sampled answers that begin with "[".',
  ].join('\n');
}

function percent(share: number): string {
  return (100 * share).toFixed(1).padStart(CELL);
}
