// The benchmark in the tab: each kernel against plain arithmetic first, then timed; lines to keep, and others' to
// compare.

import { barChart, scatterChart } from 'remit-mini/plot';
import { html, nothing, type TemplateResult } from 'lit-html';
import type { Page } from '../page.ts';
import type { BenchLine } from '../worker/protocol.ts';
import { button, chart, download, file, table, told } from './draw.ts';

const RIGHT = 1e-3;

export function adapterPart(page: Page): TemplateResult {
  const { bench } = page;
  const measure = (): void =>
    void page.attempt('adapter', async () => {
      page.bench = [];
      await page.call('bench');
    });
  const keep = (): void =>
    download('bench.jsonl', bench.map((line) => `${JSON.stringify(line)}\n`).join(''), 'application/jsonl');
  const take = (chosen: File): void =>
    void page.attempt('adapter', async () => {
      const lines = (await chosen.text()).trim().split('\n');
      page.otherBench = lines.map((line) => parsed(line, chosen.name));
    });
  return html`<div class="fields">${button('Measure', measure, { first: true, disabled: page.device === undefined })}
    ${bench.length === 0 ? nothing : button('Keep the lines', keep)} ${file('Compare with', '.jsonl', take)}</div>
    ${told(page, 'adapter')}${bench.length === 0 ? html`<p class="quiet">A few seconds.</p>` : results(page)}`;
}

function parsed(line: string, name: string): BenchLine {
  try {
    const found = JSON.parse(line) as BenchLine;
    if (typeof found.ms === 'number' && typeof found.name === 'string') return found;
  } catch {
    // told below
  }
  throw new Error(`${name} holds no lines of this benchmark: keep the lines on another machine, and choose that file`);
}

const FEWEST = 4; // points of a roofline

function results({ bench, otherBench, device }: Page): TemplateResult {
  const products = bench.filter(({ name }) => name === 'matmul');
  const bars = products.map(({ shape, gflops }) => ({ name: shape, value: gflops }));
  const nameOf = ({ name, shape }: BenchLine): string => (name === 'matmul' ? shape.split(' ')[0]! : name);
  const points = bench.map((line) => ({ name: nameOf(line), x: line.gflops / line.gbytes, y: line.gflops }));
  return html`<div class="columns">
      <div>${chart(barChart({ title: `Matrix products on ${device?.name}`, x: 'GFLOP/s', width: 420, bars }))}</div>
      <div>${
        bench.length < FEWEST
          ? nothing
          : chart(
              scatterChart({
                title: 'Right of the slope, arithmetic is what it waits for',
                x: 'operations a byte',
                y: 'GFLOP/s',
                xScale: 'log',
                yScale: 'log',
                groups: [{ name: 'here', points }],
                width: 420,
                height: 240,
              }),
            )
      }</div></div>
    ${table({
      head: [
        'kernel',
        'shape',
        'ms',
        'GFLOP/s',
        'GB/s',
        'checked',
        ...(otherBench.length > 0 ? ['theirs, ms', 'ratio'] : []),
      ],
      rows: bench.map((line) => [...figures(line), ...(otherBench.length > 0 ? comparison(line, otherBench) : [])]),
    })}`;
}

const figures = ({ name, shape, ms, gflops, gbytes, error }: BenchLine): (string | number)[] => [
  name,
  shape,
  ms.toFixed(3),
  gflops.toFixed(1),
  gbytes.toFixed(1),
  error < RIGHT ? 'right' : `differs by ${error.toPrecision(2)}`,
];

function comparison({ name, shape, ms }: BenchLine, others: readonly BenchLine[]): string[] {
  const rival = others.find((one) => one.name === name && one.shape === shape);
  return rival === undefined ? ['', ''] : [rival.ms.toFixed(3), (ms / rival.ms).toFixed(2)];
}
