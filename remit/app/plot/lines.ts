// Lines over a number: curves of training, with bands, each named at its end. Read after: axes.ts, svg.ts.

import {
  anyNumber, anything, checkArguments, checkOptions, choice, having, list, optional, text, type Rule, type Rules,
} from '../../../engine/options.ts';
import { highest } from '../../../engine/extremes.ts';
import { axes, placeIn, spread, type Ground } from './axes.ts';
import { scaleOf, short, type ScaleKind } from './scale.ts';
import {
  element, escape, fitted, frameRules, HEIGHT, label, path, picture, series, TEXT, WIDTH, widthOf, type Frame,
} from './svg.ts';

/** A point of a line, perhaps with a band round it. */
export interface LinePoint {
  readonly x: number;
  readonly y: number;
  /** The ends of a band round y. */
  readonly low?: number | undefined;
  readonly high?: number | undefined;
}

/** A line, named at its end. */
export interface Line {
  readonly name: string;
  /** x rising. A y that is not finite leaves a gap. */
  readonly points: readonly LinePoint[];
  /** Drawn thin below the line: what the line smooths. */
  readonly raw?: readonly LinePoint[] | undefined;
}

/** What lineChart() draws. */
export interface LineChart extends Frame {
  /** Names of the axes, with units. */
  readonly x: string;
  readonly y: string;
  readonly lines: readonly Line[];
  readonly xScale?: ScaleKind | undefined;
  readonly yScale?: ScaleKind | undefined;
  /** Heights to compare with, named: a ceiling, chance. */
  readonly marks?: readonly { readonly name: string; readonly y: number }[] | undefined;
}

/** NaN too: a gap in a line. */
const number: Rule<number> = { ...anyNumber, accepts: (value): value is number => typeof value === 'number' };
const somePoints = list('a list of points', having<LinePoint>('a point { x, y }', { x: number, y: number }));
const aLine = having<Line>('a line { name, points }', { name: text, points: somePoints });
const aMark = having<{ name: string; y: number }>('a mark { name, y }', { name: text, y: number });
const aScale = choice('linear', 'log');

const rules: Rules<LineChart> = {
  ...frameRules,
  x: text,
  y: text,
  lines: list('a list of lines', aLine) as Rule<readonly Line[]>,
  xScale: optional<ScaleKind>(aScale, 'linear'),
  yScale: optional<ScaleKind>(aScale, 'linear'),
  marks: optional(list('a list of marks', aMark) as Rule<NonNullable<LineChart['marks']>>, []),
};

const WIDEST = 120; // of the names

/** A chart of lines, as SVG. Without points it says so. Throws ConfigError. */
export function lineChart(options: LineChart): string {
  checkArguments('lineChart', arguments, { options: anything });
  const chart = checkOptions<LineChart>('lineChart', options, rules);
  const { lines, marks = [], width = WIDTH, height = HEIGHT, xScale = 'linear', yScale = 'linear' } = chart;
  const all = lines.flatMap(({ points, raw = [] }) => [...points, ...raw]);
  const names = lines.map(({ name }) => name);
  const margin = Math.min(WIDEST, highest([20, ...names.map((name) => widthOf(name) + 8)]));
  const ground: Ground = {
    box: { left: 44, right: width - margin, top: 44, bottom: height - 34 },
    x: scaleOf(xScale, all.map(({ x }) => x), true),
    y: scaleOf(yScale, [...all.flatMap(({ y, low = y, high = y }) => [y, low, high]), ...marks.map(({ y }) => y)]),
    names: { x: chart.x, y: chart.y },
  };
  const place = placeIn(ground);
  const ends = spread(
    lines.map(({ points }) => lastPlace(points.map(place)) ?? ground.box.bottom),
    ground.box,
  );
  const body = [
    ...axes(ground),
    ...marks.flatMap(({ name, y }) => {
      const [, at] = place({ x: ground.x.from, y });
      return [
        element('path', { class: 'plot-mark', d: path([[ground.box.left, at], [ground.box.right, at]]) }),
        label(ground.box.left + 4, at - 4, name, { class: 'plot-faint' }),
      ];
    }),
    ...lines.map(({ name, points, raw = [] }, i) =>
      element(
        'g',
        { class: series(i) },
        ...band(points, place),
        ...(raw.length > 0 ? [element('path', { class: 'plot-raw', d: path(raw.map(place)) })] : []),
        element('path', { class: 'plot-line', d: path(points.map(place)) }, element('title', {}, escape(name))),
        ...(points.length === 1 ? points.map(place).filter(([, y]) => Number.isFinite(y)).map(dot) : []),
        label(ground.box.right + 6, ends[i]! + 4, fitted(name, margin - 6), { class: 'plot-name' }),
      ),
    ),
    ...(all.length === 0 ? [label(ground.box.left + 8, height / 2, 'nothing yet', { class: 'plot-faint' })] : []),
  ];
  return picture(chart, describe(chart), height, body);
}

const dot = ([cx, cy]: readonly [number, number]): string =>
  element('circle', { class: 'plot-fill', cx, cy, r: TEXT / 4 });

function band(points: readonly LinePoint[], place: ReturnType<typeof placeIn>): string[] {
  const banded = points.filter(({ low, high }) => low !== undefined && high !== undefined);
  if (banded.length === 0) return [];
  const edge = [
    ...banded.map(({ x, high }) => place({ x, y: high! })),
    ...[...banded].reverse().map(({ x, low }) => place({ x, y: low! })),
  ];
  return [element('path', { class: 'plot-band', d: `${path(edge)}Z` })];
}

function lastPlace(places: readonly (readonly [number, number])[]): number | undefined {
  return places.findLast(([x, y]) => Number.isFinite(x) && Number.isFinite(y))?.[1];
}

/** `loss over step. midtrain: from 2.31 to 1.2.` */
function describe({ x, y, lines }: LineChart): string {
  const said = lines.map(({ name, points }) => {
    const [first, last] = [points[0], points.at(-1)];
    return first === undefined ? `${name}: nothing` : `${name}: from ${short(first.y)} to ${short(last!.y)}`;
  });
  return `${y} over ${x}. ${said.join('; ')}`;
}
