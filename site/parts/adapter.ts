// The benchmark in the tab: each kernel against plain arithmetic first, then timed. The lines are those of
// `remit-mini bench --out`: kept here, they are compared there, and the other way round.

import { lineChart, scatterChart, type Line } from 'remit-mini/plot';
import { html, nothing, type TemplateResult } from 'lit-html';
import type { Page } from '../page.ts';
import type { BenchLine } from '../worker/protocol.ts';
import { button, chart, download, file, table, told } from './draw.ts';

const RIGHT = 1e-3;
const HERE = 'here';

export function adapterPart(page: Page): TemplateResult {
  const { bench } = page;
  const measure = (): void =>
    void page.attempt('adapter', async () => {
      page.bench = [];
      await page.call('bench');
    });
  const keep = (): void => {
    const text = bench.map((line) => `${JSON.stringify(line)}\n`).join('');
    download('bench.jsonl', text, 'application/jsonl');
  };
  const take = (chosen: File): void =>
    void page.attempt('adapter', async () => {
      const lines = (await chosen.text()).trim().split('\n');
      page.otherBench.set(
        chosen.name,
        lines.map((line) => parsed(line, chosen.name)),
      );
    });
  return html`<div class="fields">
      ${button('Measure', measure, { first: true, disabled: page.device === undefined })}
      ${bench.length === 0 ? nothing : button('Keep the lines', keep)} ${file('Compare with', '.jsonl', take)}</div>
    ${told(page, 'adapter')}${bench.length === 0 ? html`<p class="quiet">A few seconds.</p>` : results(page)}`;
}

function parsed(line: string, name: string): BenchLine {
  try {
    const found = JSON.parse(line) as BenchLine;
    if (typeof found.medianMs === 'number' && typeof found.label === 'string') return found;
  } catch {
    // told below
  }
  throw new Error(`${name} holds no lines of a benchmark: give what "Keep the lines" or remit-mini bench --out wrote`);
}

const gflops = ({ flops, medianMs }: BenchLine): number => flops / medianMs / 1e6;
const gbytes = ({ bytes, medianMs }: BenchLine): number => bytes / medianMs / 1e6;

/** Of a product of square matrices, their size. */
const sizeOf = ({ label }: BenchLine): number => Number(/^matmul (\d+)x\1x\1NN$/.exec(label)?.[1]);

function ladder(name: string, lines: readonly BenchLine[]): Line {
  const points = lines.map((line) => ({ x: sizeOf(line), y: gflops(line) })).filter(({ x }) => Number.isFinite(x));
  return { name, points: points.sort((a, b) => a.x - b.x) };
}

function results({ bench, otherBench, device }: Page): TemplateResult {
  const files = [...otherBench];
  const points = (lines: readonly BenchLine[]) =>
    lines.map((line) => ({ name: line.label, x: line.flops / line.bytes, y: gflops(line) }));
  const both = [[HERE, bench] as const, ...files];
  const comparedWith = ({ label }: BenchLine): string[] =>
    files.map(([, lines]) => lines.find((line) => line.label === label)?.medianMs.toFixed(3) ?? '');
  const products = lineChart({
    title: `Products of square matrices: ${device?.name}`,
    x: 'size, log scale',
    y: 'GFLOP/s',
    xScale: 'log',
    width: 420,
    lines: both.map(([name, lines]) => ladder(name, lines)),
  });
  const roofline = scatterChart({
    title: 'Right of the slope, arithmetic is what it waits for',
    x: 'operations a byte',
    y: 'GFLOP/s',
    width: 420,
    xScale: 'log',
    yScale: 'log',
    groups: both.map(([name, lines]) => ({ name, points: points(lines) })),
  });
  return html`<div class="columns"><div>${chart(products)}</div><div>${chart(roofline)}</div></div>
    ${table({
      head: ['kernel', 'ms', 'GFLOP/s', 'GB/s', 'checked', ...files.map(([name]) => `${name}, ms`)],
      rows: bench.map((line) => [...figures(line), ...comparedWith(line)]),
    })}`;
}

const figures = (line: BenchLine): (string | number)[] => [
  line.label,
  line.medianMs.toFixed(3),
  gflops(line).toFixed(1),
  gbytes(line).toFixed(1),
  line.error! < RIGHT ? 'right' : `differs by ${line.error!.toPrecision(2)}`,
];
