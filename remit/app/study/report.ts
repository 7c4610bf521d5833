// What a study leaves behind for people and programs: report.md with its figures, report.json (all numbers), report.csv
// (every score of every seed). The same cells give the same bytes. Read after: summary.ts, claims.ts, expected.ts.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../settings/resolve.ts';
import { resolveConfig } from '../../settings/resolve.ts';
import { sweep, writeAtomically } from '../run/atomic.ts';
import { STUDY_ARMS } from './arms.ts';
import type { CellResult } from './cell.ts';
import { claims, MARGIN } from './claims.ts';
import { check, DEFAULT, THINK_ONLY, type Checked, type Expectation } from './expected.ts';
import type { StudyFolder } from './folder.ts';
import { allCells, type StudyOptions } from './plan.ts';
import type { Interval } from './statistics.ts';
import { summarise, VIEWS, type Row, type Summary, type View } from './summary.ts';
import { lineChart } from './svg.ts';

export interface Report {
  readonly markdown: string;
  /** Figures of the recipe that are not where a correct build lands. */
  readonly outside: readonly Checked[];
}

/** Writes the report of a study whose cells are all done, and returns it. */
export function writeReport(folder: StudyFolder, options: StudyOptions): Report {
  const results = new Map(allCells(options).map((cell) => [cell.name, folder.result(cell)]));
  const summary = summarise(options, results);
  const checked = check(expectationsFor(folder.config), summary);
  const figures = charts(summary);
  const markdown = render(summary, checked, [...figures.keys()]);
  const charted = join(folder.path, 'figures');
  mkdirSync(charted, { recursive: true });
  sweep(charted);
  for (const [name, svg] of figures) writeAtomically(join(charted, `${name}.svg`), svg);
  writeAtomically(
    join(folder.path, 'report.json'),
    `${JSON.stringify({ ...summary, claims: claims(summary), checked }, null, 2)}\n`,
  );
  writeAtomically(join(folder.path, 'report.csv'), csv(results));
  writeAtomically(join(folder.path, 'report.md'), `${markdown}\n`);
  return { markdown, outside: checked.filter(({ inside }) => !inside) };
}

/** Ranges hold for the recipe that they were measured with, and for no other. */
function expectationsFor(config: Config): readonly Expectation[] {
  const same = (preset: string): boolean =>
    JSON.stringify({ ...resolveConfig({ preset }).config, ...anywhere }) === JSON.stringify({ ...config, ...anywhere });
  const anywhere = { seed: config.seed, device: config.device };
  return same('tiny') ? DEFAULT : same('think-only') ? THINK_ONLY : [];
}

const titles: Readonly<Record<View, string>> = {
  cued: 'cued',
  sampled: 'sampled',
  greedy: 'greedy',
  thinkRate: 'think rate',
};

function render(summary: Summary, checked: readonly Checked[], figures: readonly string[]): string {
  const { stages, pairs, speeds, tasks, weights, classes, dynamics, pass, seeds, arms } = summary;
  const stageTables = (
    [
      ['pretrain', 'Pre-trained'],
      ['midtrain', 'After mid-training'],
      ['sft', 'After mid-training and SFT'],
      ['rl', 'After mid-training, SFT and RL'],
    ] as const
  ).flatMap(([stage, title]) => ((stages[stage]?.length ?? 0) > 0 ? [`## ${title}`, stageTable(stages[stage]!)] : []));
  return [
    '# Study',
    `${seeds.length} seeds (${seeds.join(', ')}), arms: ${arms.join(', ')}. Scores in percent of 2000 held-out ` +
      'questions unless the settings say otherwise; ± and [ ] are 95% t-intervals over seeds. Differences are paired ' +
      'by seed: same first weights, same rows in the same order.',
    STUDY_ARMS.filter(({ name }) => arms.includes(name))
      .map(({ name, about }) => `- **${name}**: ${about}`)
      .join('\n'),
    '## What it says',
    seeds.length < 2
      ? 'One seed has no intervals: nothing is concluded.'
      : table(
          ['claim', 'evidence', 'points', 'here'],
          claims(summary).map(({ claim, evidence, interval, outcome }) => [claim, evidence, signed(interval), outcome]),
        ),
    ...(seeds.length < 2
      ? []
      : [
          `That there is no difference, or none below 0, is concluded only where the interval stays within ${MARGIN} ` +
          'points, a margin that was fixed beforehand; of fewer than 3 seeds, or an interval without width, nothing ' +
          'is.',
        ]),
    ...stageTables,
    ...(pairs.length > 0
      ? [
          '## Other pairs',
          table(
            ['pair', ...VIEWS.map((view) => titles[view])],
            pairs.map(({ title, difference }) => [title, ...VIEWS.map((view) => signed(difference[view]))]),
          ),
        ]
      : []),
    ...(speeds.length > 0
      ? [
          "## Steps to vanilla's final value",
          "Median over seeds of vanilla's steps over the arm's; 500 validation questions. Arms with a reference cost " +
          "a third more per step: divide by 1.33 for equal compute.",
          table(
            ['arm', 'cued', 'sampled'],
            speeds.map(({ arm, cued, sampled }) => [arm, cued.toFixed(2), sampled.toFixed(2)]),
          ),
        ]
      : []),
    '## Per task, after mid-training: less vanilla',
    table(
      ['arm', 'view', ...(Object.values(tasks)[0] ?? []).map(({ name }) => name)],
      Object.entries(tasks).flatMap(([arm, list]) =>
        (['cued', 'sampled'] as const).map((view) => [arm, titles[view], ...list.map((task) => signedShort(task[view]))]),
      ),
    ),
    ...(Object.keys(weights).length > 0
      ? [
          '## Weights, over all steps',
          table(
            ['arm', 'mean', 'deviation', 'at the upper bound', 'at the lower bound', 'mean gap, nats'],
            Object.entries(weights).map(([arm, w]) => [
              arm,
              ...['weightMean', 'weightDeviation', 'weightsHigh', 'weightsLow', 'gap'].map((key) =>
                w[key]!.mean.toFixed(3),
              ),
            ]),
          ),
        ]
      : []),
    ...(Object.keys(classes).length > 0
      ? [
          '## Weights by token class',
          'ReMiT of epsilon 0.2 at its first step: the pre-trained model, guided by the RL model.',
          table(
            ['class', 'mean weight', 'mean gap, nats'],
            Object.entries(classes).map(([name, { weight, gap }]) => [
              name,
              weight.mean.toFixed(3),
              gap.mean.toFixed(3),
            ]),
          ),
        ]
      : []),
    ...(dynamics.length > 0
      ? [
          '## How near the base model comes to the RL model',
          'On held-out documents of the mid-training corpus; KL(RL || base) in nats per token, and how often both ' +
          'have the same likeliest token.',
          table(
            ['phase', 'step', 'KL', 'same token, %'],
            dynamics.map(({ phase, step, kl, agreement }) => [phase, String(step), plain(kl, 3), plain(agreement)]),
          ),
        ]
      : []),
    ...(Object.keys(pass).length > 0
      ? [
          '## pass@k',
          table(
            ['model', ...Object.keys(Object.values(pass)[0]!).map((k) => `k = ${k}`)],
            Object.entries(pass).flatMap(([name, byK]) => [
              [name, ...Object.values(byK).map(({ share }) => plain(share))],
              ...(Object.values(byK)[0]!.difference
                ? [[`${name}, less vanilla`, ...Object.values(byK).map(({ difference }) => signed(difference!))]]
                : []),
            ]),
          ),
        ]
      : []),
    ...(figures.length > 0 ? ['## Figures', figures.map((name) => `![${name}](figures/${name}.svg)`).join('\n')] : []),
    ...(checked.length > 0
      ? [
          '## Is it where a correct build lands?',
          table(
            ['figure', 'value', 'range', ''],
            checked.map(({ what, value, low, high, inside }) => [
              what,
              value.toFixed(3),
              `${bound(low)} to ${bound(high)}`,
              inside ? 'inside' : '**outside**',
            ]),
          ),
        ]
      : []),
  ].join('\n\n');
}

function stageTable(rows: readonly Row[]): string {
  const compared = rows.some(({ difference }) => difference);
  const head = compared ? VIEWS.flatMap((view) => [titles[view], 'less vanilla']) : VIEWS.map((view) => titles[view]);
  return table(
    ['arm', ...head],
    rows.map(({ arm, scores, difference }) => [
      arm,
      ...VIEWS.flatMap((view) => [
        plain(scores[view]),
        ...(compared ? [difference ? signed(difference[view]) : ''] : []),
      ]),
    ]),
  );
}

function charts({ dynamics, curves }: Summary): Map<string, string> {
  const found = new Map<string, string>();
  if (dynamics.length > 0) {
    const line = (key: 'kl' | 'agreement') => [
      {
        name: key === 'kl' ? 'KL' : 'agreement',
        points: dynamics.map((point) => ({ x: point.step, y: point[key].mean, half: point[key].half || 0 })),
      },
    ];
    found.set(
      'dynamics-kl',
      lineChart({
        title: 'The base model approaches the RL model: KL(RL || base)',
        x: 'step of pre-training, then mid-training',
        y: 'nats per token',
        lines: line('kl'),
      }),
    );
    found.set(
      'dynamics-agreement',
      lineChart({
        title: 'The base model approaches the RL model: same likeliest token',
        x: 'step of pre-training, then mid-training',
        y: 'percent',
        lines: line('agreement'),
      }),
    );
  }
  if (Object.keys(curves).length > 0) {for (const view of ['cued', 'sampled'] as const) {
    const lines = Object.entries(curves).map(([name, points]) => ({
      name,
      points: points.map((point) => ({ x: point.step, y: point[view] })),
    }));
    found.set(
      `curves-${view}`,
      lineChart({
        title: `Mid-training: ${titles[view]}, 500 validation questions`,
        x: 'step',
        y: 'percent right',
        lines,
      }),
    );
  }}
  return found;
}

/** Every score of every seed, in points. */
function csv(results: ReadonlyMap<string, CellResult>): string {
  const lines = [...results.values()].flatMap(({ name, seed, stages }) =>
    stages.flatMap(({ name: stage, evaluation }) =>
      [{ ...evaluation, name: 'mean' }, ...evaluation.tasks].map((scores) =>
        [seed, name.split('/')[1], stage, scores.name, ...VIEWS.map((view) => (100 * scores[view]).toFixed(2))].join(
          ',',
        ),
      ),
    ),
  );
  return `${['seed', 'arm', 'stage', 'task', ...VIEWS].join(',')}\n${lines.join('\n')}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function plain({ mean, half }: Interval, digits = 1): string {
  return Number.isNaN(half) ? mean.toFixed(digits) : `${mean.toFixed(digits)} ±${half.toFixed(digits)}`;
}

function signed({ mean, half }: Interval): string {
  const sign = (x: number): string => `${x < 0 ? '-' : '+'}${Math.abs(x).toFixed(1)}`;
  return Number.isNaN(half) ? sign(mean) : `${sign(mean)} [${sign(mean - half)}, ${sign(mean + half)}]`;
}

function signedShort({ mean }: Interval): string {
  return `${mean < 0 ? '-' : '+'}${Math.abs(mean).toFixed(1)}`;
}

function bound(x: number): string {
  return Number.isFinite(x) ? String(Number(x.toFixed(3))) : 'any';
}
