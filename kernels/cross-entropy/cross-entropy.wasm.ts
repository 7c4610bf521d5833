// The loss and log-probabilities for the CPU, in WASM SIMD: a unit is a row of logits. Read after: cross-entropy.ts,
// ../wasm/program.ts.

import type { FunctionBuilder } from '../wasm/assembler.ts';
import { f32, i32, v128, type Expr, type Int, type Local } from '../wasm/instructions.ts';
import { largestOf, overFloats } from '../wasm/lanes.ts';
import { log } from '../wasm/math.ts';
import { program } from '../wasm/program.ts';
import { sumOfRow } from '../reduce/long-sum.wasm.ts';


/**
 * Runs `body` for each row, with the row's number, its place in a [rows,V] buffer and in one [rows], both to be added
 * to addresses.
 */
export function overRows(
  f: FunctionBuilder,
  first: Int,
  last: Int,
  V: Int,
  body: (row: Int, wide: Int, narrow: Int) => void,
): void {
  const row = f.keep(first);
  const wide = f.keep(i32.mul(first, i32.mul(V, 4)));
  const narrow = f.keep(i32.mul(first, 4));
  f.while(i32.lt(row, last), () => {
    body(row, wide, narrow);
    f.bump(wide, i32.mul(V, 4));
    f.bump(narrow, 4);
    f.bump(row, 1);
  });
}

/** log(x) of a float of at least 1; NaN of what is no number. */
function logOf(f: FunctionBuilder, x: Local<'f32'>): Expr<'f32'> {
  return f32.add(v128.lane(log(f, v128.splat(x)), 0), f32.sub(x, x)); // which is 0 of a number
}

/** By a row's target: `no` where it is not counted, `none` where it is beyond the vocabulary, else `yes`. */
function byTarget(
  f: FunctionBuilder,
  target: Int,
  V: Int,
  cases: Readonly<Record<'no' | 'none' | 'yes', () => void>>,
): void {
  f.if(i32.lt(target, 0), cases.no, () => f.if(i32.ge(target, V), cases.none, cases.yes));
}

/** Fills V floats. */
function fillRow(f: FunctionBuilder, to: Int, V: Int, value: number): () => void {
  return () => overFloats(f, V, (lanes, at) => f.store(i32.add(to, at), lanes.of(value)));
}

export const crossEntropyWasm = program(
  {
    buffers: ['logits', 'targets', 'weights', 'logProb', 'losses', 'dLogits'],
    counts: ['rows', 'V'],
    floats: ['scale'],
  },
  {
    name: 'crossEntropy',
    units: ({ rows }) => rows,
    cost: ({ V }) => 20 + 6 * V,
    emit: (f, { logits, targets, weights, logProb, losses, dLogits, V, scale }, { first, last }) =>
      overRows(f, first, last, V, (_, wide, narrow) => {
        const x = f.keep(i32.add(logits, wide));
        const d = f.keep(i32.add(dLogits, wide));
        const target = f.keep(i32.load(i32.add(targets, narrow)));
        const toLogProb = f.keep(i32.add(logProb, narrow));
        const toLosses = f.keep(i32.add(losses, narrow));
        const without = (value: number) => (): void => {
          fillRow(f, d, V, value)();
          f.store(toLogProb, f32.of(value));
          f.store(toLosses, f32.of(value));
        };
        byTarget(f, target, V, {
          no: without(0),
          none: without(NaN),
          yes() {
            const weight = f.keep(f32.mul(scale, f32.load(i32.add(weights, narrow))));
            const { most, total } = powers(f, x, d, V);
            const factor = f.keep(f32.div(weight, total));
            const place = f.keep(i32.add(d, i32.mul(target, 4)));
            const value = f.keep(f32.sub(f32.sub(f32.load(i32.add(x, i32.mul(target, 4))), most), logOf(f, total)));
            overFloats(f, V, (lanes, at) =>
              f.store(i32.add(d, at), lanes.mul(lanes.splat(factor), lanes.load(i32.add(d, at)))),
            );
            f.store(place, f32.sub(f32.load(place), weight));
            f.store(toLogProb, value);
            f.store(toLosses, f32.sub(f32.zero, f32.mul(weight, value)));
          },
        });
      }),
  },
);

/** out = exp(x - most) of V floats, with the largest of them, and the sum of the powers. */
export function powers(f: FunctionBuilder, x: Int, out: Int, V: Int): { most: Local<'f32'>; total: Local<'f32'> } {
  const most = largestOf(f, V, -Infinity, (lanes, at) => lanes.load(i32.add(x, at)));
  const total = sumOfRow(f, V, (lanes, at) => {
    const power = lanes.keep(lanes.exp(lanes.sub(lanes.load(i32.add(x, at)), lanes.splat(most))));
    f.store(i32.add(out, at), power);
    return power;
  });
  return { most, total };
}

/** log(sum(exp(x))) of V floats. */
export function logSumExp(f: FunctionBuilder, x: Int, V: Int): Local<'f32'> {
  const most = largestOf(f, V, -Infinity, (lanes, at) => lanes.load(i32.add(x, at)));
  const total = sumOfRow(f, V, (lanes, at) => lanes.exp(lanes.sub(lanes.load(i32.add(x, at)), lanes.splat(most))));
  return f.keep(f32.add(most, logOf(f, total)));
}

export const logProbWasm = program(
  { buffers: ['logits', 'targets', 'logProb', 'logTotal'], counts: ['rows', 'V'] },
  {
    name: 'logProb',
    units: ({ rows }) => rows,
    cost: ({ V }) => 20 + 5 * V,
    emit: (f, { logits, targets, logProb, logTotal, V }, { first, last }) =>
      overRows(f, first, last, V, (_, wide, narrow) => {
        const x = f.keep(i32.add(logits, wide));
        const target = f.keep(i32.load(i32.add(targets, narrow)));
        const total = logSumExp(f, x, V);
        const to = f.keep(i32.add(logProb, narrow));
        f.store(i32.add(logTotal, narrow), total);
        byTarget(f, target, V, {
          no: () => f.store(to, f32.zero),
          none: () => f.store(to, f32.of(NaN)),
          yes: () => f.store(to, f32.sub(f32.load(i32.add(x, i32.mul(target, 4))), total)),
        });
      }),
  },
);

export const logProbBackwardWasm = program(
  { buffers: ['logits', 'targets', 'logTotal', 'dLogProb', 'dLogits'], counts: ['rows', 'V'] },
  {
    name: 'logProbBackward',
    units: ({ rows }) => rows,
    cost: ({ V }) => 5 * V,
    emit: (f, { logits, targets, logTotal, dLogProb, dLogits, V }, { first, last }) =>
      overRows(f, first, last, V, (_, wide, narrow) => {
        const x = f.keep(i32.add(logits, wide));
        const to = f.keep(i32.add(dLogits, wide));
        const target = f.keep(i32.load(i32.add(targets, narrow)));
        byTarget(f, target, V, {
          no: fillRow(f, to, V, 0),
          none: fillRow(f, to, V, NaN),
          yes() {
            const total = f.keep(f32.load(i32.add(logTotal, narrow)));
            const d = f.keep(f32.load(i32.add(dLogProb, narrow)));
            const place = f.keep(i32.add(to, i32.mul(target, 4)));
            overFloats(f, V, (lanes, at) => {
              const p = lanes.exp(lanes.sub(lanes.load(i32.add(x, at)), lanes.splat(total)));
              f.store(i32.add(to, at), lanes.sub(lanes.zero, lanes.mul(lanes.splat(d), p)));
            });
            f.store(place, f32.add(f32.load(place), d));
          },
        });
      }),
  },
);
