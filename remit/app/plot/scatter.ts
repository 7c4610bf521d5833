// Points in a plane, with roofs over them: what a device can do at most at each intensity (Williams, Waterman and
// Patterson 2009, "Roofline"). Read after: axes.ts.

import {
  anything, checkArguments, checkOptions, choice, having, list, optional, real, string, text, type Rule, type Rules,
} from '../../../engine/options.ts';
import { axes, placeIn, spread, type Ground } from './axes.ts';
import { scaleOf, short, type ScaleKind } from './scale.ts';
import { element, escape, fitted, frameRules, HEIGHT, label, path, picture, series, WIDTH, type Frame } from './svg.ts';

/** A point. */
export interface ScatterPoint {
  readonly x: number;
  readonly y: number;
  /** Shown when pointed at. */
  readonly name?: string | undefined;
}

/** What scatterChart() draws. */
export interface ScatterChart extends Frame {
  readonly x: string;
  readonly y: string;
  readonly groups: readonly { readonly name: string; readonly points: readonly ScatterPoint[] }[];
  readonly xScale?: ScaleKind | undefined;
  readonly yScale?: ScaleKind | undefined;
  /** y is at most `slope` times x, and at most `peak`: bytes a second, and operations a second. */
  readonly roofs?: readonly { readonly name: string; readonly slope: number; readonly peak: number }[] | undefined;
}

const aPoint = having<ScatterPoint>('a point { x, y }', { x: real(), y: real(), name: optional(string) });
const aGroup = having('a group { name, points }', { name: text, points: list('a list of points', aPoint) });
const above = real({ above: 0 });
const aRoof = having('a roof { name, slope, peak }', { name: text, slope: above, peak: above });
const aScale = choice('linear', 'log');

const rules: Rules<ScatterChart> = {
  ...frameRules,
  x: text,
  y: text,
  groups: list('a list of groups', aGroup) as unknown as Rule<ScatterChart['groups']>,
  xScale: optional<ScaleKind>(aScale, 'linear'),
  yScale: optional<ScaleKind>(aScale, 'linear'),
  roofs: optional(list('a list of roofs', aRoof) as unknown as Rule<NonNullable<ScatterChart['roofs']>>, []),
};

const MARGIN = 110;
const STEPS = 60; // of a roof

/** A chart of points, as SVG; with logarithmic scales and a roof, a roofline. Throws ConfigError. */
export function scatterChart(options: ScatterChart): string {
  checkArguments('scatterChart', arguments, { options: anything });
  const chart = checkOptions<ScatterChart>('scatterChart', options, rules);
  const { groups, roofs = [], width = WIDTH, height = HEIGHT, xScale = 'linear', yScale = 'linear' } = chart;
  const points = groups.flatMap((group) => group.points);
  const ridges = roofs.map(({ slope, peak }) => peak / slope);
  const x = scaleOf(xScale, [...points.map((point) => point.x), ...ridges]);
  const ground: Ground = {
    box: { left: 44, right: width - MARGIN, top: 44, bottom: height - 34 },
    x,
    y: scaleOf(yScale, [...points.map((point) => point.y), ...roofs.map(({ peak }) => peak)]),
    names: { x: chart.x, y: chart.y },
  };
  const place = placeIn(ground);
  const names = [...roofs.map(({ peak }) => peak), ...groups.map((group) => group.points.at(-1)?.y ?? ground.y.from)];
  const heights = spread(names.map((y) => place({ x: x.to, y })[1]), ground.box);
  const nameAt = (i: number, name: string): string =>
    label(ground.box.right + 6, heights[i]! + 4, fitted(name, MARGIN - 6), { class: 'plot-name' });
  const body = [
    ...axes(ground),
    ...roofs.map(({ name, slope, peak }, i) => {
      const line = along(x, xScale).map((at) => place({ x: at, y: Math.min(peak, slope * at) }));
      const inside = line.filter(([, y]) => y <= ground.box.bottom);
      const roof = element('path', { class: 'plot-line', d: path(inside) });
      return element('g', { class: 'plot-8' }, roof, nameAt(i, name));
    }),
    ...groups.map((group, i) =>
      element(
        'g',
        { class: series(i) },
        ...group.points.map((point) => {
          const [cx, cy] = place(point);
          const said = `${point.name ?? group.name}: ${short(point.x)}, ${short(point.y)}`;
          return Number.isFinite(cx + cy)
            ? element('circle', { class: 'plot-fill', cx, cy, r: 3.5 }, element('title', {}, escape(said)))
            : '';
        }),
        nameAt(roofs.length + i, group.name),
      ),
    ),
  ];
  const described = groups.map((group) => `${group.name}: ${group.points.length} points`).join('; ');
  return picture(chart, `${chart.y} over ${chart.x}. ${described}`, height, body);
}

function along({ from, to }: { readonly from: number; readonly to: number }, kind: ScaleKind): number[] {
  return Array.from({ length: STEPS + 1 }, (_, i) => {
    const share = i / STEPS;
    return kind === 'log' ? from * (to / from) ** share : from + share * (to - from);
  });
}
