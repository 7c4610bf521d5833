// Kernels of this device, each against numbers worked out in plain TypeScript first, then timed. A product of n x n
// matrices is 2 n³ operations; what is only moved is counted in bytes. Best of several would flatter: the median is
// told.

import { ops, rng, step, tensor, type Tensor } from 'remit-mini';
import type { BenchLine } from './protocol.ts';

const TIMES = 7;
const SIZES = [64, 128, 256, 512];
const BUDGET = 400; // milliseconds a line
const CLEAR = 5; // milliseconds that any clock can tell

interface Case {
  readonly label: string;
  readonly flops: number;
  readonly bytes: number;
  readonly run: () => Tensor;
  /** Some places of the result, as they should be. */
  readonly expected: ReadonlyMap<number, number>;
}

export async function bench(device: string, told: (line: BenchLine) => void): Promise<readonly BenchLine[]> {
  const lines: BenchLine[] = [];
  for (const make of [...SIZES.map((n) => () => product(n)), softmax, norm, elementwise]) {
    const { label, flops, bytes, run, expected } = make();
    const whole = step(run);
    const error = worst(await (await whole()).read(), expected);
    whole.free();
    const once = step(() => ops.slice(run(), { axis: 0, start: 0, end: 1 })); // a little is read, so that one knows it is done
    const samplesMs = await timed(async () => void (await (await once()).read()));
    once.free();
    const medianMs = samplesMs[samplesMs.length >> 1]!;
    const line: BenchLine = {
      version: 1,
      device: `${device} in a page`,
      label,
      program: 'page',
      flops,
      bytes,
      medianMs,
      samplesMs,
      yardstickMs: [],
      error,
    };
    lines.push(line);
    told(line);
  }
  return lines;
}

/**
 * Milliseconds of a call, several times, sorted. As many in a row as a clock can tell, which is coarse in a page that is
 * not isolated.
 */
async function timed(call: () => Promise<void>): Promise<number[]> {
  const several = async (count: number): Promise<number> => {
    const before = performance.now();
    for (let i = 0; i < count; i++) await call();
    return performance.now() - before;
  };
  let count = 1;
  while ((await several(count)) < CLEAR) count *= 2;
  const start = performance.now();
  const times: number[] = [];
  while (times.length < TIMES && (times.length < 3 || performance.now() - start < BUDGET)) {
    times.push((await several(count)) / count);
  }
  return times.sort((a, b) => a - b);
}

/** The largest difference from what is expected, relative where that is above 1. */
function worst(found: ArrayLike<number>, expected: ReadonlyMap<number, number>): number {
  const differences = [...expected].map(([at, value]) => Math.abs(found[at]! - value) / Math.max(1, Math.abs(value)));
  return Math.max(...differences);
}

const drawn = (size: number, name: string): Float32Array => {
  const draw = rng(1).fold(name);
  return Float32Array.from(draw.normals(size));
};

const PLACES = [0, 7, 4095]; // where it is compared

function product(n: number): Case {
  const [a, b] = [drawn(n * n, 'a'), drawn(n * n, 'b')];
  const [x, y] = [tensor(a, [n, n]), tensor(b, [n, n])];
  const at = (place: number): number => {
    const [row, column] = [Math.floor(place / n), place % n];
    let sum = 0;
    for (let k = 0; k < n; k++) sum += a[row * n + k]! * b[k * n + column]!;
    return sum;
  };
  return {
    label: `matmul ${n}x${n}x${n}NN`,
    flops: 2 * n ** 3,
    bytes: 12 * n * n,
    run: () => ops.matmul(x, y),
    expected: new Map(PLACES.map((place) => [place, at(place)])),
  };
}

const [ROWS, COLUMNS] = [1024, 256];

function softmax(): Case {
  const a = drawn(ROWS * COLUMNS, 'softmax');
  const x = tensor(a, [ROWS, COLUMNS]);
  const at = (place: number): number => {
    const row = a.subarray(Math.floor(place / COLUMNS) * COLUMNS).subarray(0, COLUMNS);
    const sum = row.reduce((total, value) => total + Math.exp(value), 0);
    return Math.exp(row[place % COLUMNS]!) / sum;
  };
  return {
    label: `softmax ${ROWS}x${COLUMNS}`,
    flops: 5 * a.length,
    bytes: 8 * a.length,
    run: () => ops.softmax(x),
    expected: new Map(PLACES.map((place) => [place, at(place)])),
  };
}

function norm(): Case {
  const a = drawn(ROWS * COLUMNS, 'norm');
  const x = tensor(a, [ROWS, COLUMNS]);
  const gain = tensor(new Float32Array(COLUMNS).fill(1), [COLUMNS]);
  const at = (place: number): number => {
    const row = a.subarray(Math.floor(place / COLUMNS) * COLUMNS).subarray(0, COLUMNS);
    const mean = row.reduce((total, value) => total + value * value, 0) / COLUMNS;
    return row[place % COLUMNS]! / Math.sqrt(mean + 1e-5);
  };
  return {
    label: `rmsNorm ${ROWS}x${COLUMNS}`,
    flops: 4 * a.length,
    bytes: 8 * a.length,
    run: () => ops.rmsNorm(x, gain, { epsilon: 1e-5 }),
    expected: new Map(PLACES.map((place) => [place, at(place)])),
  };
}

function elementwise(): Case {
  const [a, b] = [drawn(2 ** 20, 'left'), drawn(2 ** 20, 'right')];
  const [x, y] = [tensor(a), tensor(b)];
  return {
    label: `add ${a.length}`,
    flops: a.length,
    bytes: 12 * a.length,
    run: () => ops.add(x, y),
    expected: new Map(PLACES.map((place) => [place, a[place]! + b[place]!])),
  };
}
