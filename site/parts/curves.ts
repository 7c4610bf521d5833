// The curves of the run at hand and of those that it is compared with, over each other.

import { resolveConfig, schedule } from 'remit-mini';
import { lineChart, type Line } from 'remit-mini/plot';
import { html, nothing, type TemplateResult } from 'lit-html';
import type { Page, RunView } from '../page.ts';
import { chart, table } from './draw.ts';

const SMOOTH = 0.95;
const DRAWN = 300; // points of a line
const WIDTH = 480;

export function curves(page: Page, run: RunView): TemplateResult {
  const others = [...page.compared].flatMap((id) => page.runs.get(id) ?? []).filter((other) => other.id !== run.id);
  const shown = [run, ...others];
  const thinking = shown.flatMap(thinkLines);
  return html`${chart(
    lineChart({
      title: 'How surprised it is by the next character',
      x: 'step',
      y: 'surprise (loss), log scale',
      yScale: 'log',
      width: WIDTH,
      lines: shown.flatMap(lossLines),
    }),
  )}
  ${
    thinking.length === 0
      ? nothing
      : chart(
          lineChart({
            title: 'How often it thinks first, while it is paid',
            x: 'step',
            y: 'share of answers',
            width: WIDTH,
            lines: thinking,
          }),
        )
  }
  ${chart(rates(run))}
  <details><summary>As numbers</summary>${asNumbers(run)}</details>`;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Smoothed, over what was measured. */
function lineOf(name: string, values: readonly Point[]): Line {
  let mean = NaN;
  const smoothed = values.map(({ x, y }) => {
    mean = Number.isNaN(mean) ? y : SMOOTH * mean + (1 - SMOOTH) * y;
    return { x, y: mean };
  });
  const every = Math.max(1, Math.ceil(values.length / DRAWN));
  const thin = (points: readonly Point[]): Point[] =>
    points.filter((_, i) => i % every === 0 || i === points.length - 1);
  return { name, points: thin(smoothed), raw: thin(values) };
}

const isDrawn = ({ points }: Line): boolean => points.length > 0;

/** Next-token loss the ordinary way, and, from where it parts, ReMiT's. */
function lossLines({ id, records }: RunView): Line[] {
  const during = (phase: string, key: string, from: number): Point[] =>
    records.flatMap((record) => (record.phase === phase ? [{ x: from + record.step, y: Number(record[key]) }] : []));
  const first = during('pretrain', 'loss', 0);
  return [
    lineOf(`run ${id}`, [...first, ...during('midtrain', 'loss', first.length)]),
    lineOf(`run ${id}, ReMiT`, during('remit', 'nextToken', first.length)),
  ].filter(isDrawn);
}

function thinkLines({ id, records }: RunView): Line[] {
  const during = (phase: string): Point[] =>
    records.flatMap(({ phase: own, step, thinkRate }) =>
      own === phase && typeof thinkRate === 'number' ? [{ x: step, y: thinkRate }] : [],
    );
  return [lineOf(`run ${id}`, during('rl')), lineOf(`run ${id}, again`, during('remit-rl'))].filter(isDrawn);
}

/** The settings that a phase goes by. */
function sectionOf(phase: string): 'pretrain' | 'midtrain' | 'sft' | 'rl' {
  if (phase.endsWith('rl')) return 'rl';
  if (phase.endsWith('sft')) return 'sft';
  return phase === 'pretrain' ? 'pretrain' : 'midtrain';
}

/** The learning rate of a phase, with the point where one is. */
function rates({ records, preset, flags }: RunView): string {
  const last = records.at(-1);
  const section = sectionOf(last?.phase ?? 'pretrain');
  const { steps, rate: peak, warmup, floor, schedule: kind } = resolveConfig({ preset, flags }).config[section];
  const name = typeof kind === 'string' ? kind : 'constant';
  const at = schedule({ kind: name, peak, steps, warmup, floor: floor * peak });
  const points = Array.from({ length: 61 }, (_, i) => Math.round((i / 60) * (steps - 1))).map((step) => ({
    x: step + 1,
    y: at(step),
  }));
  const here = last === undefined ? [] : [{ x: last.step, y: last.rate }];
  const lines = [
    { name, points },
    { name: 'now', points: here },
  ];
  return lineChart({ title: `Learning rate of ${section}`, x: 'step', y: 'rate', width: WIDTH, height: 160, lines });
}

const LISTED = 20;

function asNumbers({ records }: RunView): TemplateResult {
  const every = Math.max(1, Math.ceil(records.length / LISTED));
  const some = records.filter((_, i) => i % every === 0);
  const rows = some.map(({ phase, step, loss, rate }) => [phase, step, loss.toFixed(3), rate.toPrecision(2)]);
  return table({ head: ['stage', 'step', 'loss', 'rate'], rows });
}
