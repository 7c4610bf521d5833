// Scores of models on a world of files as text: a line per stage, a column per view, and the tasks of the last stage.
// Read after: table.ts.

import { highest } from '../../../engine/extremes.ts';
import type { Scores } from '../../worlds/tiny/evaluate.ts';
import { VIEWS, type Stage } from './table.ts';

const WIDTH = 9;

/** In percent. `cue`: what cued answers begin with; without one there is neither cued nor thinks. */
export function filesTable(stages: readonly Stage[], cue: string | undefined): string {
  const views = VIEWS.filter(([key]) => cue !== undefined || key === 'sampled' || key === 'greedy');
  const last = stages.at(-1)!;
  const { tasks } = last.evaluation;
  const names = [...stages.map(({ name }) => name), ...(tasks.length > 1 ? tasks.map(({ name }) => `  ${name}`) : [])];
  const width = highest(names.map(({ length }) => length));
  const row = (name: string, scores: Scores): string =>
    name.padEnd(width) + views.map(([key]) => (100 * scores[key]).toFixed(1).padStart(WIDTH)).join('');
  const meaning = cue === undefined ? '' : ` cued: greedy after "${cue}"; thinks: sampled answers that begin with it.`;
  return [
    ' '.repeat(width) + views.map(([, title]) => title.padStart(WIDTH)).join(''),
    ...stages.map(({ name, evaluation }) => row(name, evaluation)),
    ...(tasks.length > 1 ? [`${last.name}, by task:`, ...tasks.map((task) => row(`  ${task.name}`, task))] : []),
    '',
    `Right answers in percent. sampled: at temperature 1; greedy: the likeliest answer.${meaning}`,
  ].join('\n');
}
