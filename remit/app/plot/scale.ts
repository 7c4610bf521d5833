// From values to places, linear or logarithmic, and the round values to write along an axis. Read next: axes.ts.

import { highest, lowest } from '../../../engine/extremes.ts';

/** How numbers become places along an axis. */
export type ScaleKind = 'linear' | 'log';

export interface Scale {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
  /** From a value to a share of the axis; NaN for what has no place, as 0 on a logarithmic axis. */
  share(value: number): number;
}

/**
 * A scale that holds all values. `tight`: it ends at the extremes, else at round values. Values that are not finite, or
 * not positive on a logarithmic scale, do not count.
 */
export function scaleOf(kind: ScaleKind, values: readonly number[], tight = false): Scale {
  const drawn = values.filter((value) => Number.isFinite(value) && (kind === 'linear' || value > 0));
  const [low, high] = drawn.length === 0 ? [kind === 'log' ? 1 : 0, 1] : [lowest(drawn), highest(drawn)];
  return kind === 'log' ? logScale(low, high) : linearScale(low, high, tight);
}

function linearScale(low: number, high: number, tight: boolean): Scale {
  const all = niceTicks(low, high);
  const ticks = tight ? all.filter((value) => value >= low && value <= high) : all;
  const [from, to] = tight ? [low, high] : [all[0]!, all.at(-1)!];
  return { from, to, ticks, share: (value) => (to === from ? 0.5 : (value - from) / (to - from)) };
}

/** From a tick to a tick: powers of ten; 1, 2, 5 of each where there are few. */
function logScale(low: number, high: number): Scale {
  const decades = Math.log10(high / low);
  const steps = decades > 4 ? [1] : decades > 2 ? [1, 3] : [1, 2, 5];
  const first = Math.floor(Math.log10(low));
  const all = Array.from({ length: Math.ceil(Math.log10(high)) - first + 2 }, (_, i) =>
    steps.map((step) => Number(`${step}e${first + i}`)),
  ).flat();
  const from = all.findLast((value) => value <= low)!;
  const to = all.find((value) => value >= high && value > from)!;
  const between = all.filter((value) => value >= from && value <= to);
  const every = Math.ceil(between.length / 8);
  return {
    from,
    to,
    ticks: between.filter((_, i) => i % every === 0),
    share: (value) => (value > 0 ? Math.log(value / from) / Math.log(to / from) : NaN),
  };
}

/** Around five round numbers that enclose low and high. */
export function niceTicks(low: number, high: number): number[] {
  const rough = (high - low || Math.abs(high) || 1) / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((f) => f * unit).find((each) => each >= rough * (1 - 1e-9))!;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: Math.max(1, last - first) + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

const UNITS = [[1e12, 1e12, 'T'], [1e9, 1e9, 'G'], [1e6, 1e6, 'M'], [1e4, 1e3, 'k']] as const;

/** 12500 -> 12.5k. */
export function short(value: number): string {
  const size = Math.abs(value);
  const [, divisor, letter] = UNITS.find(([from]) => size >= from) ?? [0, 1, ''];
  if (size > 0 && size < 1e-3) return value.toExponential(0);
  return `${Number((value / divisor).toPrecision(4))}${letter}`;
}
