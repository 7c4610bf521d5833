// The loss and log-probabilities for the CPU, in WASM SIMD: a unit is a row of logits. Read after: cross-entropy.ts,
// ../softmax/rows.wasm.ts.

import type { FunctionBuilder } from '../wasm/assembler.ts';
import { f32, i32, type Int } from '../wasm/instructions.ts';
import { overFloats } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';
import { logOf, logSumExp, overRows, powers } from '../softmax/rows.wasm.ts';

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
