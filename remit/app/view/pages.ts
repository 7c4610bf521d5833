// The pages of the viewer: all runs with their curves over each other, and one run or study as its report. Read after:
// library.ts. Read next: server.ts.

import { join } from 'node:path';
import { lineChart } from '../plot/lines.ts';
import { escape } from '../plot/svg.ts';
import { gallery, page, paragraph, section, table, text, type Html } from '../report/page.ts';
import { curve, phasesOfRun } from '../report/records.ts';
import { runReport } from '../report/run.ts';
import { studyReport } from '../report/study.ts';
import { differingSettings, resolveConfig, type Config } from '../../settings/resolve.ts';
import { readJsonFile } from '../../text/read.ts';
import type { Entry } from './library.ts';
import { weightsSection } from './weights.ts';

const COMPARED = 6; // runs whose curves are drawn over each other: more are a tangle

const HOME: Html = { html: '<nav><a href="/">All runs</a></nav>' };

function linkTo({ name }: Entry): Html {
  const address = name.split('/').map(encodeURIComponent).join('/');
  return { html: `<a href="/${address}">${escape(name)}</a>` };
}

/** `tab`: the address of the page that trains in the tab, where there is one. */
export function indexPage(entries: readonly Entry[], tab: string | undefined): string {
  const link: Html[] = tab === undefined ? [] : [{ html: `<nav><a href="${tab}">Train in this tab</a></nav>` }];
  if (entries.length === 0) return page('Runs', ...link, paragraph(text('Nothing was trained here yet: remit-mini train')));
  const own = entries.filter(({ within }) => within === undefined);
  const runs = own.filter(({ kind, state }) => kind === 'run' && state !== 'damaged');
  const studies = own.filter(({ kind }) => kind === 'study').map(({ name }): Html => {
    const { html } = list(entries.filter(({ within }) => within === name));
    return section(`Runs of ${name}`, { html: `<details><summary>Each of them</summary>\n${html}\n</details>` });
  });
  return page('Runs', ...link, list(own), ...compared(runs.slice(0, COMPARED)), ...studies);
}

export async function entryPage(entry: Entry, asked: URLSearchParams): Promise<string> {
  const { kind, path, name } = entry;
  if (kind === 'study') return page(`Study ${name}`, HOME, ...studyReport(path));
  return page(`Run ${name}`, HOME, ...runReport(path), ...await weightsSection(entry, asked));
}

/** What could not be shown, and why, in words. */
export function sorryPage(title: string, words: string): string {
  return page(title, paragraph(text(words)), HOME);
}

function list(entries: readonly Entry[]): Html {
  const percent = (share: number | undefined): string => (share === undefined ? '' : (100 * share).toFixed(1));
  const rows = entries.map((entry) => {
    const { kind, stage, seed, steps, ofSteps, scores, bits, loss, state } = entry;
    const done = kind === 'study' ? `${steps} runs` : `${steps}${ofSteps === undefined ? '' : `/${ofSteps}`}`;
    const result = (bits ?? loss)?.toFixed(3) ?? '';
    return [linkTo(entry), stage, String(seed ?? ''), done, percent(scores?.cued), percent(scores?.sampled), result, state];
  });
  return table(['', 'stage', 'seed', 'steps', 'cued', 'sampled', 'loss', 'state'], rows);
}

const DRAWN = [
  { phase: 'pretrain', key: 'loss', title: 'Pre-training', y: 'nats a token' },
  { phase: 'midtrain', key: 'loss', title: 'Mid-training', y: 'nats a token' },
  { phase: 'remit', key: 'nextToken', title: 'ReMiT', y: 'next-token loss, nats' },
  { phase: 'rl', key: 'reward', title: 'Reward in RL', y: 'mean reward' },
] as const;

/** The newest runs over each other, and where their settings differ. */
function compared(runs: readonly Entry[]): Html[] {
  if (runs.length < 2) return [];
  const phases = runs.map((run) => ({ name: run.name, phases: phasesOfRun(run.path) }));
  const charts = DRAWN.flatMap(({ phase, key, title, y }) => {
    const lines = phases.flatMap(({ name, phases: all }) => {
      const steps = all.get(phase);
      const line = steps && curve(name.split('/').slice(-2).join('/'), steps, key);
      return line && line.points.length > 0 ? [{ name: line.name, points: line.points }] : [];
    });
    return lines.length < 2 ? [] : [lineChart({ title, x: 'step', y, lines })];
  });
  const rows = differing(runs.map(({ path }) => configOf(path)));
  return [
    ...(charts.length === 0 ? [] : [section('The newest, over each other', gallery(charts))]),
    ...(rows.length === 0 ? [] : [section('Settings that differ', table(['', ...runs.map(({ name }) => name)], rows))]),
  ];
}

/** A row for each setting that is not the same in all, a column for each run. */
function differing(configs: readonly Config[]): string[][] {
  const [first, ...others] = configs as [Config, ...Config[]];
  const shown = (value: unknown): string =>
    value === undefined ? 'unset' : typeof value === 'string' ? value : JSON.stringify(value);
  const found = new Map<string, string[]>();
  others.forEach((config, i) => {
    for (const { name, before, now } of differingSettings(first, config)) {
      if (!found.has(name)) found.set(name, configs.map(() => shown(before)));
      found.get(name)![i + 1] = shown(now);
    }
  });
  return [...found].map(([name, values]) => [name, ...values]);
}

function configOf(run: string): Config {
  const path = join(run, 'config.json');
  return resolveConfig({ file: { path, values: readJsonFile('view', path) } }).config;
}
