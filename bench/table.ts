// Figures as text, 80 columns wide. Read after: timing.ts, ceilings.ts. Used by: command.ts.

import { boundOf, type Ceilings } from './ceilings.ts';
import type { Shares } from './shares.ts';
import { median, quantile, type Ratio } from './statistics.ts';
import type { Timed } from './timing.ts';

export function ceilingsText({ gflops, bandwidth, dispatchMs, readMs }: Ceilings): string[] {
  const rates = bandwidth.map(({ touched, gbs }) => `${gbs.toPrecision(3)} in ${bytesText(touched)}`);
  return [
    `at most ${gflops.toPrecision(3)} GFLOP/s; a dispatch ${micros(dispatchMs)} us, a read ${micros(readMs)} us`,
    `GB/s: ${rates.slice(0, 3).join(', ')},`,
    `      ${rates.slice(3).join(', ')}`,
  ];
}

function bytesText(bytes: number): string {
  return bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : `${bytes / 2 ** 10} KiB`;
}

/** What was timed: a row each, and one that names the columns. */
export function tableOf(timed: readonly Timed[], ceilings: Ceilings): string[] {
  const rows = timed.map((one) => rowOf(one, ceilings));
  const head = ['', 'program', 'us', '10..90%', 'GFLOP/s', 'GB/s', 'of most', 'bound by'];
  // what says nothing is left out: empty columns, and a program that is everyone's
  const isSame = rows.every((row) => row[1] === rows[0]![1]);
  const columns = head.map((_, i) => i).filter((i) => rows.some((row) => row[i] !== '') && !(i === 1 && isSame));
  const widths = head.map((name, i) => rows.reduce((most, row) => Math.max(most, row[i]!.length), name.length));
  const isText = (column: number): boolean => column < 2 || column === head.length - 1;
  const padded = (row: readonly string[]) => (i: number): string =>
    isText(i) ? row[i]!.padEnd(widths[i]!) : row[i]!.padStart(widths[i]!);
  return [head, ...rows].map((row) => columns.map(padded(row)).join('  ').trimEnd());
}

function rowOf({ contender, samples }: Timed, ceilings: Ceilings): string[] {
  const { label, program, least } = contender;
  const middle = median(samples);
  const spread = `${micros(quantile(samples, 0.1))}..${micros(quantile(samples, 0.9))}`;
  if (!least) return [label, program, micros(middle), spread, '', '', '', ''];
  const { flops, bytes } = least;
  const bound = boundOf(least, ceilings);
  return [
    label,
    program,
    micros(middle),
    spread,
    flops === 0 ? '' : (flops / middle / 1e6).toFixed(1),
    (bytes / middle / 1e6).toFixed(1),
    `${((100 * bound.ms) / middle).toFixed(0)}%`,
    bound.by,
  ];
}

/** Where a step's time goes, largest first. */
export function sharesText({ name, kernels }: Shares): string[] {
  const total = kernels.reduce((sum, { ms }) => sum + ms, 0);
  const rows = kernels.map(({ kernel, ms }) =>
    `  ${kernel.padEnd(48)} ${ms.toFixed(3).padStart(9)} ms ${((100 * ms) / total).toFixed(1).padStart(5)}%`,
  );
  return ['', `step ${name}, by kernel`, ...rows];
}

export function ratioText({ ratio, low, high, verdict }: Ratio): string {
  return `${ratio.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)}): ${verdict}`;
}

function micros(ms: number): string {
  const value = 1000 * ms;
  return value >= 1000 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
