// What `remit-mini train` ends with: every stage's scores, those of the flywheel's turns beside those of the ordinary
// pipeline, and what one seed can show. Read after: table.ts.

import { highest } from '../../../engine/extremes.ts';
import type { Config } from '../../settings/resolve.ts';
import type { Scores } from '../../worlds/tiny/evaluate.ts';
import { layout } from './layout.ts';
import { VIEWS, type Stage } from './table.ts';

// a space, and a share or a difference
const WIDTHS = VIEWS.map(([, title]) => Math.max(title.length, 'cued'.length) + 1);
const GAP = 2;

/**
 * A line per stage, in percent; behind a stage of a turn, the difference to the same stage of the ordinary pipeline;
 * below, where `width` columns are too few.
 */
export function comparison(stages: readonly Stage[], settings: Config['remit'], width: number): string {
  const byName = new Map(stages.map(({ name, evaluation }) => [name, evaluation]));
  const turns = stages.filter(({ name }) => byName.has(counterpart(name) ?? ''));
  const nameWidth = highest(stages.map(({ name }) => name.length));
  const otherWidth = 'less midtrain'.length;
  const cells = (values: readonly string[]): string => values.map((value, i) => value.padStart(WIDTHS[i]!)).join('');
  const titles = cells(VIEWS.map(([, title]) => title));
  const own = ({ name, evaluation }: Stage): string =>
    `${name.padEnd(nameWidth)}${cells(VIEWS.map(([key]) => percent(evaluation[key])))}`;
  const less = ({ name, evaluation }: Stage): string => {
    const like = byName.get(counterpart(name)!)!;
    return `${`less ${counterpart(name)}`.padEnd(otherWidth)}${cells(VIEWS.map(([key]) => signed(evaluation[key] - like[key])))}`;
  };
  const head = `${''.padEnd(nameWidth)}${titles}`;
  const lessHead = `${''.padEnd(otherWidth)}${titles}`;
  const gap = ' '.repeat(GAP);
  const besides = turns.length > 0 && head.length + GAP + lessHead.length <= width;
  return [
    besides ? `${head}${gap}${lessHead}` : head,
    ...stages.map((stage) => (besides && turns.includes(stage) ? `${own(stage)}${gap}${less(stage)}` : own(stage))),
    ...(besides || turns.length === 0
      ? []
      : [
          '',
          `${''.padEnd(nameWidth + 1)}${lessHead}`,
          ...turns.map((stage) => `${stage.name.padEnd(nameWidth + 1)}${less(stage)}`),
        ]),
    '',
    layout(
      [
        'Right answers in percent. cued: greedy after a forced "["; sampled: at temperature 1; greedy: the likeliest ' +
        'answer; thinks: sampled answers that begin with "[".',
        ...oneSeed(byName, settings),
      ].join('\n'),
      width,
    ),
  ].join('\n');
}

/** The stage of the ordinary pipeline that a stage of a turn stands beside: remit2-sft -> sft, remit2 -> midtrain. */
export function counterpart(name: string): string | undefined {
  const match = /^remit\d*(?:-(.+))?$/.exec(name);
  return match === null ? undefined : (match[1] ?? 'midtrain');
}

/** What a pair of runs with one seed shows, and what it does not. */
function oneSeed(stages: ReadonlyMap<string, Scores>, { arm, epsilon }: Config['remit']): string[] {
  const [vanilla, guided] = [stages.get('midtrain'), stages.get('remit')];
  if (vanilla === undefined || guided === undefined) return [];
  const ceiling =
    arm === 'remit' && epsilon < 1
      ? ` (weights within 1 ± ${epsilon} bound it at about ${percent(bound(vanilla.thinkRate, epsilon))})`
      : '';
  return [
    '',
    `One seed shows how the choice to think moved, ${percent(vanilla.thinkRate)} -> ` +
      `${percent(guided.thinkRate)}%${ceiling}, but not a gain in skill: between seeds, differences in right answers ` +
      'scatter by about 2 points. `remit-mini study` runs several seeds and gives intervals.',
  ];
}

/** The share p with odds (1 + epsilon) / (1 - epsilon) times as large: where weights at both bounds would take it. */
function bound(p: number, epsilon: number): number {
  const odds = (p / (1 - p)) * (1 + epsilon) / (1 - epsilon);
  return odds / (1 + odds);
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function signed(difference: number): string {
  return `${difference < 0 ? '-' : '+'}${Math.abs(100 * difference).toFixed(1)}`;
}
