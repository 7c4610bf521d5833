// The report of a run: what it scored, its curves, how it was set, and the command that makes it again. Read after:
// page.ts, records.ts. Used by: remit/app/cli/report.ts.

import { join } from 'node:path';
import type { StepRecord } from '../../phases/run.ts';
import { differingSettings, resolveConfig, type Config } from '../../settings/resolve.ts';
import { readJsonFile } from '../../text/read.ts';
import { barChart } from '../plot/bars.ts';
import { lineChart, type Line } from '../plot/lines.ts';
import { readEnvironment } from '../run/environment.ts';
import { storedStages, type StoredStage } from '../run/evaluation.ts';
import { block, gallery, paragraph, section, table, text, type Html } from './page.ts';
import { curve, phasesOfRun } from './records.ts';
import { samplesSection } from './samples.ts';

/** The parts of its page. Throws what reading the run's config.json throws. */
export function runReport(run: string): Html[] {
  const file = join(run, 'config.json');
  const { config } = resolveConfig({ file: { path: file, values: readJsonFile('report', file) } });
  const phases = phasesOfRun(run);
  const stages = storedStages(run);
  return [
    paragraph(text(about(run, config, phases))),
    ...(stages.length > 0 ? [scores(stages)] : textScores(run)),
    curves(phases),
    ...samplesSection(run, [...phases.keys()]),
    settings(config),
  ];
}

function about(run: string, { seed }: Config, phases: ReadonlyMap<string, readonly StepRecord[]>): string {
  const { version, device, cpu, node, commit } = readEnvironment(run) ?? {};
  const steps = [...phases.values()].reduce((total, { length }) => total + length, 0);
  const where = [device, cpu, node && `Node ${node}`].filter((word) => word !== undefined).join(', ');
  const what = [version && `remit-mini ${version}`, commit?.slice(0, 9)].filter(Boolean).join(' ');
  return `Seed ${seed}; ${phases.size} phases, ${steps} steps. ${where}; ${what}.`;
}

const percent = (share: number): string => (100 * share).toFixed(1);

function scores(stages: readonly StoredStage[]): Html {
  const rows = stages.map(({ name, evaluation }) => [
    name, percent(evaluation.cued), percent(evaluation.sampled), percent(evaluation.greedy), percent(evaluation.thinkRate),
  ]);
  const last = stages.at(-1)!.evaluation;
  const tasks = last.tasks.map(({ name, group, ...views }) => [
    `${name} (${group})`, percent(views.cued), percent(views.sampled), percent(views.greedy), percent(views.thinkRate),
  ]);
  const head = ['', 'cued', 'sampled', 'greedy', 'thinks'];
  const bars = (title: string, share: (stage: StoredStage) => number): string =>
    barChart({ title, x: 'percent', bars: stages.map((stage) => ({ name: stage.name, value: 100 * share(stage) })) });
  return section(
    'Scores',
    paragraph(text(
      'Held-out questions, percent right. Cued: told to think first. Sampled: one answer drawn. Greedy: the likeliest. ' +
      'Thinks: how often a sampled answer thinks first.',
    )),
    table(head, rows),
    gallery([
      bars('Sampled, by stage', ({ evaluation }) => evaluation.sampled),
      bars('Think rate, by stage', ({ evaluation }) => evaluation.thinkRate),
    ]),
    paragraph(text(`The last stage, ${stages.at(-1)!.name}, by task:`)),
    table(head, tasks),
  );
}

/** Of one's own text: what was held out. */
function textScores(run: string): Html[] {
  let read: { unit?: unknown; before?: unknown; after?: unknown };
  try {
    read = readJsonFile('report', join(run, 'evaluation.json')) as typeof read;
  } catch {
    return []; // it has not come so far
  }
  const { unit, before, after } = read;
  if (typeof unit !== 'string' || typeof before !== 'number' || typeof after !== 'number') return [];
  return [section('Scores', table(['held-out text', 'before', 'after'], [[unit, before.toFixed(3), after.toFixed(3)]]))];
}

/** What is drawn of the phases that have it. */
const DRAWN = [
  { title: 'Loss', key: 'loss', y: 'nats a token', of: /^(pretrain|midtrain|sft|remit\d*(-sft)?)$/, log: true },
  { title: 'Next-token loss under ReMiT', key: 'nextToken', y: 'nats a token', of: /^remit\d*$/, log: true },
  { title: 'Reward', key: 'reward', y: 'mean reward', of: /rl$/, log: false },
  { title: 'Think rate in RL', key: 'thinkRate', y: 'share of answers', of: /rl$/, log: false },
  { title: 'KL to the start', key: 'kl', y: 'nats a token', of: /rl$/, log: false },
  { title: 'Entropy', key: 'entropy', y: 'nats a token', of: /rl$/, log: false },
  { title: 'Mean weight', key: 'weightMean', y: 'weight', of: /^remit\d*$/, log: false },
  { title: 'Weights at the upper bound', key: 'weightsHigh', y: 'share of tokens', of: /^remit\d*$/, log: false },
  { title: 'Gradient norm', key: 'gradNorm', y: 'before clipping', of: /./, log: true },
  { title: 'Learning rate', key: 'rate', y: 'rate', of: /./, log: false },
] as const;

function curves(phases: ReadonlyMap<string, readonly StepRecord[]>): Html {
  const charts = DRAWN.flatMap(({ title, key, y, of, log }) => {
    const lines: Line[] = [...phases]
      .filter(([phase, steps]) => of.test(phase) && key in steps[0]!)
      .map(([phase, steps]) => curve(phase, steps, key))
      .filter(({ points }) => points.length > 0);
    return lines.length === 0 ? [] : [lineChart({ title, x: 'step', y, yScale: log ? 'log' : 'linear', lines })];
  });
  const nothing = paragraph(text('Nothing was trained yet.'));
  return section('Curves', charts.length === 0 ? nothing : gallery(charts));
}

function settings(config: Config): Html {
  const differing = differingSettings(resolveConfig({}).config, config);
  const shown = (value: unknown): string => (value === undefined ? 'unset' : JSON.stringify(value));
  const rows = differing.map(({ name, before, now }) => [name, shown(now), shown(before)]);
  return section(
    'Settings',
    rows.length === 0
      ? paragraph(text('All as they come.'))
      : table(['other than they come', 'here', 'by default'], rows),
    paragraph(text('The same again, from the folder of this run:')),
    block('npx remit-mini train --config config.json'),
  );
}
