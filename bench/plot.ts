// Figures as pictures: kernels as points under the device's roofs (Williams, Waterman and Patterson 2009, "Roofline"),
// the programs of a kernel as bars, a step as a bar of parts. Read after: ceilings.ts, shares.ts; remit/app/plot draws.
// Used by: command.ts.

import { barChart, lineChart, scatterChart, stackedBarChart } from '../remit/app/plot/index.ts';
import { boundOf, type Ceilings, type Least } from './ceilings.ts';
import type { Shares } from './shares.ts';
import { median } from './statistics.ts';
import type { Timed } from './timing.ts';

/** What was measured on a device. */
export interface Measured {
  /** The device's name. */
  readonly title: string;
  readonly timed: readonly Timed[];
  readonly ceilings: Ceilings;
  readonly shares: readonly Shares[];
}

const WIDTH = 640;
const PARTS = 7; // of a step, and one for the rest

/** As many charts as there are things to show. */
export function chartsOf({ title, timed, ceilings, shares }: Measured): string[] {
  const kernels = timed.filter(isBound);
  const multiplied = kernels.filter(({ contender: { least } }) => least.flops > 0);
  return [
    ...(multiplied.length > 0 ? [roofline(title, multiplied, ceilings)] : []),
    ...(kernels.length > 0 ? [rates(kernels, ceilings)] : []),
    ...overSize(multiplied),
    ...(kernels.length < timed.length ? [times(timed)] : []),
    ...(shares.length > 0 ? [parts(shares)] : []),
  ];
}

type Bounded = Timed & { readonly contender: { readonly least: Least } };

function isBound(timed: Timed): timed is Bounded {
  return timed.contender.least !== undefined;
}

/** A point for each program; a slanted roof for memory, and one for the fastest cache. */
function roofline(title: string, timed: readonly Bounded[], { gflops, bandwidth }: Ceilings): string {
  const points = timed.map(({ contender: { label, program, least }, samples }) => ({
    name: `${label}, ${program}`,
    x: least.flops / least.bytes,
    y: least.flops / median(samples) / 1e6,
    family: label.split(' ')[0]!,
  }));
  const names = [...new Set(points.map(({ family }) => family))];
  const fastest = bandwidth.reduce((best, one) => (one.gbs > best.gbs ? one : best));
  const slopes = [{ name: 'caches', slope: fastest.gbs }, { name: 'memory', slope: bandwidth.at(-1)!.gbs }];
  return scatterChart({
    title,
    x: 'operations per byte',
    y: 'GFLOP/s',
    xScale: 'log',
    yScale: 'log',
    width: WIDTH,
    height: 320,
    groups: names.map((name) => ({
      name,
      points: points.filter(({ family }) => family === name).map(({ name, x, y }) => ({ name, x, y })),
    })),
    roofs: slopes.map(({ name, slope }) => ({ name, slope, peak: gflops })),
  });
}

/** One kernel's programs by their speed; different kernels by how near each comes to what the device can do. */
function rates(timed: readonly Bounded[], ceilings: Ceilings): string {
  const families = new Set(timed.map(({ contender }) => contender.label.split(' ')[0]!));
  const isOne = families.size === 1 && timed.every(({ contender: { least } }) => least.flops > 0);
  const isSame = timed.every(({ contender }) => contender.program === timed[0]!.contender.program);
  return barChart({
    title: isOne ? 'Speed' : 'How near each comes to the most that this device can do',
    x: isOne ? 'GFLOP/s' : 'percent',
    width: WIDTH,
    bars: timed.map(({ contender: { label, program, least }, samples }) => ({
      name: isSame ? label : `${label} ${program}`,
      value: isOne ? least.flops / median(samples) / 1e6 : (100 * boundOf(least, ceilings).ms) / median(samples),
    })),
  });
}

const FEWEST = 3; // points that a line is worth drawing through

/** The speed of a kernel's programs, a line each, over what there is to compute; of shapes of one size, the fastest. */
function overSize(timed: readonly Bounded[]): string[] {
  const programs = new Map<string, Map<number, number>>();
  for (const { contender: { label, program, least: { flops } }, samples } of timed) {
    const name = `${label.split(' ')[0]} ${program}`;
    const speeds = programs.get(name) ?? new Map<number, number>();
    speeds.set(flops, Math.max(speeds.get(flops) ?? 0, flops / median(samples) / 1e6));
    programs.set(name, speeds);
  }
  const lines = [...programs]
    .filter(([, speeds]) => speeds.size >= FEWEST)
    .map(([name, speeds]) => ({
      name,
      points: [...speeds].sort(([a], [b]) => a - b).map(([flops, y]) => ({ x: flops / 1e6, y })),
    }));
  const x = 'million operations';
  return lines.length > 0 ? [lineChart({ title: 'Over size', x, y: 'GFLOP/s', xScale: 'log', width: WIDTH, lines })] : [];
}

/** How much faster each is on more threads; nothing where there was one number of threads alone. */
export function overThreads(measured: readonly { readonly threads: number; readonly timed: readonly Timed[] }[]): string[] {
  const [fewest] = measured;
  if (fewest === undefined || measured.length < 2) return [];
  const lines = fewest.timed.map(({ contender: { label, program }, samples: alone }, i) => ({
    name: fewest.timed.every((each) => each.contender.program === program) ? label : `${label} ${program}`,
    points: measured.map(({ threads, timed }) => ({ x: threads, y: median(alone) / median(timed[i]!.samples) })),
  }));
  return [lineChart({ title: 'Over threads', x: 'threads', y: `times ${fewest.threads}`, width: WIDTH, lines })];
}

function times(timed: readonly Timed[]): string {
  return barChart({
    title: 'Time',
    x: 'ms',
    width: WIDTH,
    bars: timed.map(({ contender: { label }, samples }) => ({ name: label, value: median(samples) })),
  });
}

/** The kernels that take most of any step, and the rest as one. */
function parts(shares: readonly Shares[]): string {
  const total = new Map<string, number>();
  for (const { kernels } of shares) {
    const sum = kernels.reduce((all, { ms }) => all + ms, 0);
    for (const { kernel, ms } of kernels) total.set(kernel, (total.get(kernel) ?? 0) + ms / sum);
  }
  const named = [...total].sort((a, b) => b[1] - a[1]).slice(0, PARTS).map(([kernel]) => kernel);
  return stackedBarChart({
    title: 'Where a step goes',
    x: 'ms a step',
    width: WIDTH,
    parts: [...named, 'the rest'],
    bars: shares.map(({ name, kernels }) => {
      const taken = (kernel: string): number => kernels.find((each) => each.kernel === kernel)?.ms ?? 0;
      const rest = kernels.filter(({ kernel }) => !named.includes(kernel)).reduce((sum, { ms }) => sum + ms, 0);
      return { name, values: [...named.map(taken), rest].map((ms) => Math.max(0, ms)) };
    }),
  });
}
