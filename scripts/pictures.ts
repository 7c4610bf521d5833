// The pictures of the README and the chapters, as SVG in docs/pictures: `npm run pictures`. A test makes them again and
// compares, so that none outlives what it shows. Figures of a study are read from the table in docs/results.md.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { schedule, type ScheduleOptions } from '../optim/schedule.ts';
import { barChart, lineChart, standalone, type Bar, type LinePoint } from '../remit/app/plot/index.ts';
import { advantages, type AdvantageName } from '../remit/rl/advantage.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, 'docs/pictures');
const WIDTH = 640;

/** By the name of its file. */
export function pictures(): ReadonlyMap<string, string> {
  const charts = { gains: gains(), schedules: schedules(), advantages: groupOfFour(), weights: weights() };
  return new Map(Object.entries(charts).map(([name, chart]) => [`${name}.svg`, standalone(chart)]));
}

/** What each arm has over vanilla after mid-training, with its interval. */
function gains(): string {
  const text = readFileSync(join(root, 'docs/results.md'), 'utf8').replaceAll('\r', ''); // of Windows
  const [, after = ''] = text.split('| after mid-training |');
  const [table = ''] = after.split('\n\n');
  const bars = table.split('\n').slice(2).flatMap((row): Bar[] => {
    const cells = row.split('|').map((cell) => cell.trim());
    const found = /^([+-][\d.]+) \[([+-][\d.]+), ([+-][\d.]+)\]$/.exec(cells[5] ?? '');
    if (found === null || cells[1]!.includes('turn2')) return [];
    const [value, low, high] = found.slice(1).map(Number) as [number, number, number];
    return [{ name: cells[1]!.split(',')[0]!, value, low, high }];
  });
  const title = 'What mid-training gains over next-token prediction, eight seeds, 95% intervals';
  return barChart({ title, x: 'right answers when sampled, percentage points', width: WIDTH, bars });
}

/** The four kinds, over a run of 100 steps. */
function schedules(): string {
  const kinds: readonly ScheduleOptions['kind'][] = ['constant', 'linear', 'cosine', 'wsd'];
  const lines = kinds.map((kind) => {
    const rate = schedule({ kind, peak: 1, steps: 100, warmup: 10 });
    return { name: kind, points: Array.from({ length: 100 }, (_, step): LinePoint => ({ x: step, y: rate(step) })) };
  });
  return lineChart({ title: 'Learning rates, with 10 steps of warm-up', x: 'step', y: 'share of the peak', width: WIDTH, lines });
}

/** One right answer of four, as each estimator sees it. */
function groupOfFour(): string {
  const names: readonly AdvantageName[] = ['rloo', 'dr-grpo', 'grpo'];
  const bars = names.flatMap((name) => {
    const [right, wrong] = advantages([1, 0, 0, 0], 4, name);
    return [{ name: `${name}, the right one`, value: right! }, { name: `${name}, each wrong one`, value: wrong! }];
  });
  return barChart({ title: 'Four answers to one question, one of them right', x: 'advantage', width: WIDTH, bars });
}

/** ReMiT's weight of a token as a function of its gap (arXiv 2602.03075, section 3). */
function weights(): string {
  const lines = [0.2, 0.5].map((epsilon) => ({
    name: `epsilon ${epsilon}`,
    points: Array.from({ length: 121 }, (_, i): LinePoint => {
      const gap = (i - 60) / 20;
      const open = 2 / (1 + Math.exp(-gap));
      return { x: gap, y: Math.min(1 + epsilon, Math.max(1 - epsilon, open)) };
    }),
  }));
  const x = 'gap: log p of the RL model, less log p of the model, centred';
  return lineChart({ title: 'What a token counts', x, y: 'weight', width: WIDTH, lines });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(folder, { recursive: true });
  for (const [name, svg] of pictures()) writeFileSync(join(folder, name), svg);
}
