// What a study leaves behind for people and programs: report.md with its figures, report.json (all numbers), report.csv
// (every score of every seed). The same cells give the same bytes. Read after: protocol.ts, summary.ts, claims.ts.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../settings/resolve.ts';
import { resolveConfig } from '../../settings/resolve.ts';
import { sweep, writeAtomically } from '../run/atomic.ts';
import { sha256 } from '../run/checkpoint.ts';
import { passByGuessing } from './analysis.ts';
import type { StudyArm } from './arms.ts';
import type { CellResult } from './cell.ts';
import { verdicts } from './claims.ts';
import { check, type Checked } from './expected.ts';
import type { StudyFolder } from './folder.ts';
import { cellsOfSeed, type StudyOptions } from './plan.ts';
import {
  EXPECTATIONS, FEWEST, LEVEL, MARGIN, PROTOCOL, VIEWS, type Expectation, type Stage, type View,
} from './protocol.ts';
import type { Interval } from './statistics.ts';
import { summarise, type ReferenceCost, type Row, type Summary } from './summary.ts';
import { lineChart } from '../plot/lines.ts';
import { standalone } from '../plot/style.ts';

export interface Report {
  readonly markdown: string;
  /** Figures of the recipe that are not where a correct build lands. */
  readonly outside: readonly Checked[];
}

/** Writes the report of a study whose cells are all done, and returns it. */
export function writeReport(folder: StudyFolder, options: StudyOptions): Report {
  const summary = summarise(options, resultsBySeed(folder, options), referenceCost(folder.config));
  const checked = check(expectationsFor(folder.config), summary);
  const figures = charts(summary);
  const markdown = render(options, summary, { checked, figures: [...figures.keys()] });
  const charted = join(folder.path, 'figures');
  mkdirSync(charted, { recursive: true });
  sweep(charted);
  for (const [name, svg] of figures) writeAtomically(join(charted, `${name}.svg`), svg);
  writeAtomically(
    join(folder.path, 'report.json'),
    `${JSON.stringify({ ...summary, protocol: protocolHash(), claims: verdicts(summary), checked }, null, 2)}\n`,
  );
  writeAtomically(join(folder.path, 'report.csv'), csv(resultsBySeed(folder, options)));
  writeAtomically(join(folder.path, 'report.md'), `${markdown}\n`);
  return { markdown, outside: checked.filter(({ inside }) => !inside) };
}

/** What an iteration of RL takes, in steps of mid-training, by the clock: the default recipe on the CPU. */
const ITERATION = 7.2;

function referenceCost({ sft, rl, midtrain }: Config): ReferenceCost {
  const tuned = (sft.steps * sft.batch) / midtrain.batch;
  return { none: 0, sft: tuned, rl: tuned + ITERATION * rl.steps };
}

/** Read when they are asked for, so that those of one seed are in memory at a time. */
function* resultsBySeed(folder: StudyFolder, options: StudyOptions): Generator<readonly CellResult[]> {
  for (const seed of options.seeds) yield cellsOfSeed(options, seed).map((cell) => folder.result(cell));
}

/** Ranges hold for the recipe that they were measured with, and for no other. */
function expectationsFor(config: Config): readonly Expectation[] {
  const same = (preset: string): boolean =>
    JSON.stringify({ ...resolveConfig({ preset }).config, ...anywhere }) === JSON.stringify({ ...config, ...anywhere });
  const anywhere = { seed: config.seed, device: config.device };
  const preset = Object.keys(EXPECTATIONS).find(same);
  return preset === undefined ? [] : EXPECTATIONS[preset]!;
}

const titles: Readonly<Record<View, string>> = {
  cued: 'cued',
  sampled: 'sampled',
  greedy: 'greedy',
  thinkRate: 'think rate',
};

/** A part of the report, in paragraphs; none where there is nothing to show. */
type Section = (summary: Summary) => readonly string[];

function render(
  { arms }: StudyOptions,
  summary: Summary,
  { checked, figures }: { readonly checked: readonly Checked[]; readonly figures: readonly string[] },
): string {
  const sections: readonly Section[] = [
    (all) => introduction(all, arms),
    claimsSection,
    ...STAGES.map(([stage, title]): Section => ({ stages }) => section(title, stageTable(stages[stage] ?? []))),
    pairsSection,
    speedsSection,
    tasksSection,
    weightsSection,
    classesSection,
    dynamicsSection,
    passSection,
    () => (figures.length > 0 ? ['## Figures', figures.map((name) => `![${name}](figures/${name}.svg)`).join('\n')] : []),
    () => checkedSection(checked),
  ];
  return ['# Study', ...sections.flatMap((make) => make(summary))].join('\n\n');
}

const STAGES: readonly (readonly [stage: Stage, title: string])[] = [
  ['pretrain', 'Pre-trained'],
  ['midtrain', 'After mid-training'],
  ['sft', 'After mid-training and SFT'],
  ['rl', 'After mid-training, SFT and RL'],
];

/** Nothing, where the table has no rows. */
function section(title: string, { head, rows }: Table, ...notes: readonly string[]): string[] {
  return rows.length === 0 ? [] : [`## ${title}`, ...notes, table(head, rows)];
}

interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const introduction = ({ seeds, arms }: Summary, described: readonly StudyArm[]): string[] => [
  `${seeds.length} seeds (${seeds.join(', ')}), arms: ${arms.join(', ')}. Scores in percent of 2000 held-out ` +
    'questions unless the settings say otherwise; ± and [ ] are 95% t-intervals over seeds. Differences are paired ' +
    'by seed: same first weights, same rows in the same order.',
  described.map(({ name, about }) => `- **${name}**: ${about}`).join('\n'),
];

const claimsSection: Section = (summary) => {
  if (summary.seeds.length < 2) return ['## What it says', 'One seed has no intervals: nothing is concluded.'];
  const rows = verdicts(summary).map(({ claim, evidence, family, interval, p, outcome }) => [
    claim,
    evidence,
    signed(interval),
    `${p.toFixed(3)}${family === 'headline' ? ' *' : ''}`,
    outcome,
  ]);
  if (rows.length === 0) return [];
  return [
    '## What it says',
    table(['claim', 'evidence', 'points', 'p', 'here'], rows),
    `A claim reproduces at p <= ${LEVEL}. Headline claims (*) share that error rate: their p-values are adjusted after ` +
      'Holm, for all that the protocol has, also those without figures here. The rest is exploratory. That there is ' +
      'no difference, or none below 0, is concluded by one-sided tests ' +
      `against a margin of ${MARGIN} points that was fixed beforehand; of fewer than ${FEWEST} seeds, or an interval ` +
      'without width, nothing is.',
    `Arms, contrasts, claims, margins and ranges are those of protocol ${protocolHash()}.`,
  ];
};

/** Of everything that was fixed before the figures were there. */
export function protocolHash(): string {
  return sha256(JSON.stringify(PROTOCOL)).slice(0, 12);
}

const pairsSection: Section = ({ pairs }) =>
  section('Other pairs', {
    head: ['pair', ...VIEWS.map((view) => titles[view])],
    rows: pairs.map(({ title, difference }) => [title, ...VIEWS.map((view) => signed(difference[view]))]),
  });

const speedsSection: Section = ({ speeds }) =>
  section(
    "Steps to vanilla's final value",
    {
      head: ['arm', 'cued', 'sampled', 'cued, reference paid for', 'sampled, reference paid for'],
      rows: speeds.map(({ arm, there, paid }) => [
        arm,
        ...[there, paid].flatMap(({ cued, sampled }) => [plain(cued, 2), plain(sampled, 2)]),
      ]),
    },
    "Vanilla's steps over the arm's, in the measure of vanilla itself, which on a noisy curve is there before its last " +
      'step; 500 validation questions; 0 where a seed never was there. Paid for: a third more for each step with a ' +
      'reference, and its post-training once, which later turns and other bases would share.',
  );

const tasksSection: Section = ({ tasks }) => {
  const head = ['arm', 'view', ...(Object.values(tasks)[0] ?? []).map(({ name }) => name)];
  const rows = Object.entries(tasks).flatMap(([arm, list]) =>
    (['cued', 'sampled'] as const).map((view) => [arm, titles[view], ...list.map((task) => signedShort(task[view]))]),
  );
  return ['## Per task, after mid-training: less vanilla', table(head, rows)];
};

const WEIGHTS = {
  weightMean: 'mean',
  weightDeviation: 'deviation',
  weightsHigh: 'at the upper bound',
  weightsLow: 'at the lower bound',
  gap: 'mean gap, nats',
} as const;

const weightsSection: Section = ({ weights }) =>
  section('Weights, over all steps', {
    head: ['arm', ...Object.values(WEIGHTS)],
    rows: Object.entries(weights).map(([arm, found]) => [
      arm,
      ...Object.keys(WEIGHTS).map((key) => found[key]!.mean.toFixed(3)),
    ]),
  });

const classesSection: Section = ({ classes }) =>
  section(
    'Weights by token class',
    {
      head: ['class', 'mean weight', 'mean gap, nats'],
      rows: Object.entries(classes).map(([name, { weight, gap }]) => [
        name,
        weight.mean.toFixed(3),
        gap.mean.toFixed(3),
      ]),
    },
    'ReMiT of epsilon 0.2 at its first step: the pre-trained model, guided by the RL model.',
  );

const dynamicsSection: Section = ({ dynamics }) =>
  section(
    'How near the base model comes to the RL model',
    {
      head: ['phase', 'step', 'KL', 'same token, %'],
      rows: dynamics.map(({ phase, step, kl, agreement }) => [phase, String(step), plain(kl, 3), plain(agreement)]),
    },
    'On held-out documents of the mid-training corpus; KL(RL || base) in nats per token, and how often both have the ' +
      'same likeliest token.',
  );

const passSection: Section = ({ pass }) => {
  const guessing = passByGuessing();
  const ks = Object.keys(Object.values(pass)[0] ?? {});
  const rows = Object.entries(pass).flatMap(([name, byK]) => {
    const above = ks.map((k) => signed({ ...byK[k]!.share, mean: byK[k]!.share.mean - 100 * guessing[k]! }));
    const less = ks.flatMap((k) => byK[k]!.difference ?? []).map(signed);
    return [
      [name, ...ks.map((k) => plain(byK[k]!.share))],
      [`${name}, above guessing`, ...above],
      ...(less.length === 0 ? [] : [[`${name}, less vanilla`, ...less]]),
    ];
  });
  return section(
    'pass@k',
    {
      head: ['model', ...ks.map((k) => `k = ${k}`)],
      rows: rows.length === 0 ? [] : [['guessing', ...ks.map((k) => (100 * guessing[k]!).toFixed(1))], ...rows],
    },
    'Guessing: who knows the task and not the question, and answers as often as each answer is right there.',
  );
};

function checkedSection(checked: readonly Checked[]): string[] {
  return section('Is it where a correct build lands?', {
    head: ['figure', 'value', 'range', ''],
    rows: checked.map(({ what, value, low, high, inside }) => [
      what,
      value.toFixed(3),
      `${bound(low)} to ${bound(high)}`,
      inside ? 'inside' : '**outside**',
    ]),
  });
}

function stageTable(rows: readonly Row[]): Table {
  const compared = rows.some(({ difference }) => difference);
  const head = compared ? VIEWS.flatMap((view) => [titles[view], 'less vanilla']) : VIEWS.map((view) => titles[view]);
  return {
    head: ['arm', ...head],
    rows: rows.map(({ arm, scores, difference }) => [
      arm,
      ...VIEWS.flatMap((view) => [
        plain(scores[view]),
        ...(compared ? [difference ? signed(difference[view]) : ''] : []),
      ]),
    ]),
  };
}

function charts({ dynamics, curves }: Summary): Map<string, string> {
  const found = new Map<string, string>();
  const approach = (key: 'kl' | 'agreement', name: string, title: string, y: string): void => {
    const points = dynamics.map((point) => ({ x: point.step, ...banded(point[key]) }));
    const chart = { title, x: 'step of pre-training, then mid-training', y, lines: [{ name, points }] };
    found.set(`dynamics-${key}`, standalone(lineChart(chart)));
  };
  if (dynamics.length > 0) {
    approach('kl', 'KL', 'The base model approaches the RL model: KL(RL || base)', 'nats per token');
    approach('agreement', 'agreement', 'The base model approaches the RL model: same likeliest token', 'percent');
  }
  const learned = Object.entries(curves);
  if (learned.length === 0) return found;
  for (const view of ['cued', 'sampled'] as const) {
    const title = `Mid-training: ${titles[view]}, 500 validation questions`;
    const lines = learned.map(([name, points]) => ({
      name,
      points: points.map((point) => ({ x: point.step, y: point[view] })),
    }));
    found.set(`curves-${view}`, standalone(lineChart({ title, x: 'step', y: 'percent right', lines })));
  }
  return found;
}

function banded({ mean, half }: Interval): { readonly y: number; readonly low: number; readonly high: number } {
  const spread = half || 0; // NaN of one seed
  return { y: mean, low: mean - spread, high: mean + spread };
}

/** Every score of every seed, in points: a text in parts, one a cell. */
function* csv(bySeed: Iterable<readonly CellResult[]>): Generator<string> {
  yield `${['seed', 'arm', 'stage', 'task', ...VIEWS].join(',')}\n`;
  for (const cells of bySeed) yield* cells.map(scoreLines);
}

function scoreLines({ name, seed, stages }: CellResult): string {
  const arm = name.split('/')[1];
  const lines = stages.flatMap(({ name: stage, evaluation }) =>
    [{ ...evaluation, name: 'mean' }, ...evaluation.tasks].map((scores) => {
      const points = VIEWS.map((view) => (100 * scores[view]).toFixed(2));
      return [seed, arm, stage, scores.name, ...points].join(',');
    }),
  );
  return lines.map((line) => `${line}\n`).join('');
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
