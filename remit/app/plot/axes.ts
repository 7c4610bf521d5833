// The ground that lines and points are drawn on: grid, numbers, names of the axes. Read after: scale.ts.

import { element, label, path, TEXT } from './svg.ts';
import { short, type Scale } from './scale.ts';

export interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Ground {
  readonly box: Box;
  readonly x: Scale;
  readonly y: Scale;
  readonly names: { readonly x: string; readonly y: string };
}

/** Where a point lies in the picture. */
export function placeIn({ box, x, y }: Ground): (point: Point) => [number, number] {
  return (point) => [
    box.left + x.share(point.x) * (box.right - box.left),
    box.bottom - y.share(point.y) * (box.bottom - box.top),
  ];
}

export function axes(ground: Ground): string[] {
  const { box, x, y, names } = ground;
  const place = placeIn(ground);
  const rows = y.ticks.flatMap((value) => {
    const [, at] = place({ x: x.from, y: value });
    return [
      element('path', { class: 'plot-grid', d: path([[box.left, at], [box.right, at]]) }),
      label(box.left - 6, at + 4, short(value), { class: 'plot-faint', 'text-anchor': 'end' }),
    ];
  });
  const columns = x.ticks.map((value) => {
    const [at] = place({ x: value, y: y.from });
    return label(at, box.bottom + TEXT + 4, short(value), { class: 'plot-faint', 'text-anchor': 'middle' });
  });
  return [
    ...rows,
    ...columns,
    label(0, 32, names.y, { class: 'plot-faint' }),
    label(box.right, box.bottom + 2 * TEXT + 8, names.x, { class: 'plot-faint', 'text-anchor': 'end' }),
  ];
}

/** Heights for names, moved apart so that none covers another and none leaves the box, in the order given. */
export function spread(heights: readonly number[], { top, bottom }: Box): number[] {
  const order = heights.map((_, i) => i).sort((i, j) => heights[i]! - heights[j]!);
  const placed = [...heights];
  const gap = TEXT + 1;
  let next = top;
  for (const i of order) {
    placed[i] = Math.max(placed[i]!, next);
    next = placed[i] + gap;
  }
  let last = Math.max(bottom, top + (order.length - 1) * gap);
  for (const i of order.reverse()) {
    placed[i] = Math.min(placed[i]!, last);
    last = placed[i] - gap;
  }
  return placed;
}
