// Line charts as static SVG: enough for a report, readable without colour (every line is named at its end, and dashed
// in its own way).

import { highest, lowest } from '../../../engine/extremes.ts';

export interface Line {
  readonly name: string;
  /** x rising. `half`: half the width of a band around y. */
  readonly points: readonly { readonly x: number; readonly y: number; readonly half?: number }[];
}

export interface Chart {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly lines: readonly Line[];
}

const WIDTH = 640;
const HEIGHT = 300;
const LEFT = 52;
const RIGHT = 128;
const TOP = 34;
const BOTTOM = 40;
const COLOURS = ['#1b6ca8', '#c0392b', '#2e7d32', '#8e44ad', '#b9770e', '#455a64', '#00838f', '#ad1457', '#5d4037'];
const DASHES = ['', '6 3', '2 2', '8 3 2 3', '1 3', '10 4', '4 2', '12 2', '3 5'];

export function lineChart({ title, x, y, lines }: Chart): string {
  const points = lines.flatMap((line) => line.points);
  const [fromX, toX] = [lowest(points.map((p) => p.x)), highest(points.map((p) => p.x))];
  const ticks = niceTicks(
    lowest(points.map((p) => p.y - (p.half ?? 0))),
    highest(points.map((p) => p.y + (p.half ?? 0))),
  );
  const [fromY, toY] = [ticks[0]!, ticks.at(-1)!];
  const atX = (value: number): number => LEFT + ((value - fromX) / (toX - fromX || 1)) * (WIDTH - LEFT - RIGHT);
  const atY = (value: number): number =>
    HEIGHT - BOTTOM - ((value - fromY) / (toY - fromY || 1)) * (HEIGHT - TOP - BOTTOM);
  const path = (list: readonly (readonly [number, number])[]): string =>
    list.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${px.toFixed(1)} ${py.toFixed(1)}`).join('');
  const ends = spread(lines.map((line) => atY(line.points.at(-1)!.y)));

  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" ` +
    'font-family="sans-serif" font-size="11" role="img">',
    `<title>${escape(title)}</title><rect width="100%" height="100%" fill="white"/><text x="${LEFT}" y="20" ` +
    `font-size="13">${escape(title)}</text>`,
    ...ticks.map(
      (value) =>
        `<path d="M${LEFT} ${atY(value).toFixed(1)}H${WIDTH - RIGHT}" stroke="#ddd"/><text x="${LEFT - 6}" ` +
        `y="${(atY(value) + 4).toFixed(1)}" text-anchor="end">${label(value)}</text>`,
    ),
    ...niceTicks(fromX, toX)
      .filter((value) => value >= fromX && value <= toX)
      .map(
        (value) =>
          `<text x="${atX(value).toFixed(1)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${label(value)}</text>`,
      ),
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${escape(x)}</text><text x="14" ` +
    `y="${HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 ${HEIGHT / 2})">${escape(y)}</text>`,
    ...lines.flatMap(({ name, points: own }, i) => {
      const colour = COLOURS[i % COLOURS.length]!;
      const dash = DASHES[i % DASHES.length]!;
      const banded = own.some(({ half }) => half !== undefined && half > 0);
      const band = [
        ...own.map((p) => [atX(p.x), atY(p.y + (p.half ?? 0))] as const),
        ...[...own].reverse().map((p) => [atX(p.x), atY(p.y - (p.half ?? 0))] as const),
      ];
      const dashes = dash === '' ? '' : ` stroke-dasharray="${dash}"`;
      const curve = path(own.map((p) => [atX(p.x), atY(p.y)] as const));
      return [
        ...(banded ? [`<path d="${path(band)}Z" fill="${colour}" opacity="0.12"/>`] : []),
        `<path d="${curve}" fill="none" stroke="${colour}" stroke-width="1.8"${dashes}/>`,
        `<text x="${WIDTH - RIGHT + 6}" y="${(ends[i]! + 4).toFixed(1)}" fill="${colour}">${escape(name)}</text>`,
      ];
    }),
    '</svg>',
    '',
  ].join('\n');
}

/** Around five round numbers that enclose low and high. */
function niceTicks(low: number, high: number): number[] {
  const rough = (high - low || 1) / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((f) => f * unit).find((s) => s >= rough)!;
  const first = Math.floor(low / step);
  const last = Math.ceil(high / step);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** Heights for names, moved apart so that none covers another. */
function spread(heights: readonly number[]): number[] {
  const order = heights.map((_, i) => i).sort((i, j) => heights[i]! - heights[j]!);
  const placed = [...heights];
  order.forEach((i, k) => { if (k > 0) placed[i] = Math.max(placed[i]!, placed[order[k - 1]!]! + 12); });
  return placed;
}

function label(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
