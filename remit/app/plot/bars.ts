// Bars lie on their side, so that their names can be read at any width; bars of parts; and a histogram, which stands.
// Read after: svg.ts, scale.ts. Read next: scatter.ts.

import {
  anyNumber, anything, checkArguments, checkOptions, having, list, optional, real, string, text, whole, type Rule,
  type Rules,
} from '../../../engine/options.ts';
import { highest, lowest } from '../../../engine/extremes.ts';
import { axes, placeIn, type Ground } from './axes.ts';
import { scaleOf, short } from './scale.ts';
import {
  element, escape, fitted, frameRules, HEIGHT, label, path, picture, series, WIDTH, widthOf, type Frame,
} from './svg.ts';

/** A bar: its name, its length, and perhaps an interval. */
export interface Bar {
  readonly name: string;
  readonly value: number;
  /** The ends of an interval. */
  readonly low?: number | undefined;
  readonly high?: number | undefined;
}

/** What barChart() draws. */
export interface BarChart extends Omit<Frame, 'height'> {
  /** What a bar's length is, with its unit. */
  readonly x: string;
  readonly bars: readonly Bar[];
}

/** What stackedBarChart() draws. */
export interface StackedBarChart extends Omit<Frame, 'height'> {
  readonly x: string;
  /** What the parts of every bar are. */
  readonly parts: readonly string[];
  /** values: a part each, none negative. */
  readonly bars: readonly { readonly name: string; readonly values: readonly number[] }[];
}

/** What histogram() draws. */
export interface Histogram extends Frame {
  readonly x: string;
  readonly values: ArrayLike<number>;
  /** How many columns; by default 24. */
  readonly bins?: number | undefined;
}

const { height: _, ...lyingRules } = frameRules;
const aBar = having<Bar>('a bar { name, value }', { name: string, value: real() });
const barRules: Rules<BarChart> = {
  ...lyingRules,
  x: text,
  bars: list('a list of bars', aBar) as Rule<readonly Bar[]>,
};
const parts = list('a list of numbers of at least 0', real({ from: 0 }));
const stackedRules: Rules<StackedBarChart> = {
  ...lyingRules,
  x: text,
  parts: list('a list of names', text) as Rule<readonly string[]>,
  bars: list('a list of bars', having('a bar { name, values }', { name: string, values: parts })) as never,
};
const histogramRules: Rules<Histogram> = {
  ...frameRules,
  x: text,
  values: list('a list of numbers', anyNumber),
  bins: optional(whole({ min: 1, max: 1000 }), 24),
};

const ROW = 22;
const TOP = 28;
const UNDER = 22;
const KEY = 18;

/** A bar each, its value at its end. Throws ConfigError. */
export function barChart(options: BarChart): string {
  checkArguments('barChart', arguments, { options: anything });
  const chart = checkOptions<BarChart>('barChart', options, barRules);
  const { bars, width = WIDTH } = chart;
  const left = namesWidth(bars.map(({ name }) => name), width);
  const right = width - 52;
  const scale = scaleOf('linear', [0, ...bars.flatMap(({ value, low = value, high = value }) => [value, low, high])]);
  const at = (value: number): number => left + scale.share(value) * (right - left);
  const body = bars.map(({ name, value, low, high }, i) => {
    const y = TOP + i * ROW;
    const interval = low === undefined || high === undefined ? [] : [path([[at(low), y + 8], [at(high), y + 8]])];
    return element(
      'g',
      { class: series(0) },
      label(left - 6, y + 12, fitted(name, left - 6), { 'text-anchor': 'end' }),
      element('rect', {
        class: 'plot-fill',
        x: Math.min(at(0), at(value)),
        y,
        width: Math.abs(at(value) - at(0)),
        height: ROW - 6,
        rx: 2,
      }),
      ...interval.map((d) => element('path', { class: 'plot-whisker', d })),
      label(at(Math.max(0, value, high ?? value)) + 6, y + 12, short(Number(value.toPrecision(3)))),
    );
  });
  const height = TOP + bars.length * ROW + UNDER;
  const described = `${chart.x}. ${bars.map(({ name, value }) => `${name}: ${short(value)}`).join('; ')}`;
  return picture(chart, described, height, [...body, underName(chart.x, width, height)]);
}

/** Bars of parts, each part named above where it first has room. Throws ConfigError. */
export function stackedBarChart(options: StackedBarChart): string {
  checkArguments('stackedBarChart', arguments, { options: anything });
  const chart = checkOptions<StackedBarChart>('stackedBarChart', options, stackedRules);
  const { bars, width = WIDTH } = chart;
  const left = namesWidth(bars.map(({ name }) => name), width);
  const totals = bars.map(({ values }) => sum(values));
  const scale = scaleOf('linear', [0, ...totals], true);
  const unit = (width - left) / (scale.to || 1);
  let [x, y] = [0, TOP];
  const key = chart.parts.map((part, k) => {
    const size = widthOf(part) + 26;
    if (x > 0 && x + size > width) [x, y] = [0, y + KEY];
    const mark = element('rect', { class: 'plot-fill', x, y, width: 9, height: 9 });
    const said = label(x + 13, y + 9, part, { class: 'plot-name' });
    x += size;
    return element('g', { class: series(k) }, mark, said);
  });
  const top = y + ROW;
  const rows = bars.map(({ name, values }, i) => {
    const y = top + i * ROW;
    const cells = chart.parts.map((part, k) => {
      const [start, size] = [left + unit * sum(values.slice(0, k)), unit * (values[k] ?? 0)];
      return element(
        'g',
        { class: series(k) },
        element(
          'rect',
          { class: 'plot-fill', x: start, y, width: Math.max(0, size - 1), height: ROW - 6 },
          element('title', {}, escape(`${part}: ${short(values[k] ?? 0)}`)),
        ),
      );
    });
    return [label(left - 6, y + 12, fitted(name, left - 6), { 'text-anchor': 'end' }), ...cells].join('');
  });
  const height = top + bars.length * ROW + UNDER;
  const described = bars.map(({ name, values }) =>
    `${name}: ${chart.parts.map((part, k) => `${part} ${short(values[k] ?? 0)}`).join(', ')}`,
  );
  const body = [...key, ...rows, underName(chart.x, width, height)];
  return picture(chart, `${chart.x}. ${described.join('; ')}`, height, body);
}

/** How often values fall where. Throws ConfigError. */
export function histogram(options: Histogram): string {
  checkArguments('histogram', arguments, { options: anything });
  const chart = checkOptions<Histogram>('histogram', options, histogramRules);
  const { width = WIDTH, height = HEIGHT, bins = 24 } = chart;
  const values = Array.from(chart.values).filter(Number.isFinite);
  const [low, high] = values.length === 0 ? [0, 1] : [lowest(values), highest(values)];
  const size = (high - low || 1) / bins;
  const counts = Array.from({ length: bins }, () => 0);
  for (const value of values) counts[Math.min(bins - 1, Math.floor((value - low) / size))]!++;
  const ground: Ground = {
    box: { left: 44, right: width - 8, top: 44, bottom: height - 34 },
    x: scaleOf('linear', [low, low + size * bins], true),
    y: scaleOf('linear', [0, ...counts]),
    names: { x: chart.x, y: 'how many' },
  };
  const place = placeIn(ground);
  const columns = counts.map((count, i) => {
    const [x, y] = place({ x: low + i * size, y: count });
    const [next] = place({ x: low + (i + 1) * size, y: count });
    const width = Math.max(0.5, next - x - 1);
    return element('rect', { class: 'plot-fill', x, y, width, height: ground.box.bottom - y });
  });
  const described = `${values.length} values from ${short(low)} to ${short(high)}`;
  return picture(chart, described, height, [...axes(ground), element('g', { class: series(0) }, ...columns, '')]);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function namesWidth(names: readonly string[], width: number): number {
  return Math.min(width / 3, highest(names.map(widthOf).concat(20)) + 8);
}

function underName(name: string, width: number, height: number): string {
  return label(width, height - 6, name, { class: 'plot-faint', 'text-anchor': 'end' });
}
