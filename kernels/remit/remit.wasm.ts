// ReMiT's token weights, hard selection and the policy loss for the CPU, in WASM SIMD: a unit is a row, and for the
// selection everything. Read after: token-weights.ts, policy-loss.ts, keep-largest.ts, ../wasm/program.ts.

import type { FunctionBuilder } from '../wasm/assembler.ts';
import { f32, i32, type Expr, type Int, type Local } from '../wasm/instructions.ts';
import { overFloats, sumOver, type Lanes, type LaneType } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';
import { kthLargest } from '../random/sample.wasm.ts';

type Term = <T extends LaneType>(lanes: Lanes<T>, at: Local<'i32'>) => Expr<T>;

/** x where the target at `address` is counted, else 0. */
function counted<T extends LaneType>(lanes: Lanes<T>, address: Expr<'i32'>, x: Expr<T>): Expr<T> {
  return lanes.whereAtLeast(lanes.loadIntegers(address), lanes.zero, x, lanes.zero);
}

/** The mean of `term` over a row's counted tokens; 0 when none is. */
function countedMean(f: FunctionBuilder, T: Int, targets: Int, term: Term): Local<'f32'> {
  const total = sumOver(f, T, (lanes, at) => counted(lanes, i32.add(targets, at), term(lanes, at)));
  const count = sumOver(f, T, (lanes, at) => counted(lanes, i32.add(targets, at), lanes.of(1)));
  return f.keep(f32.div(total, f32.max(count, f32.of(1))));
}

/** Runs `body` for each row, whose pointers it moves on. */
function overRows(
  f: FunctionBuilder,
  first: Int,
  last: Int,
  T: Int,
  pointers: readonly Int[],
  body: (row: Int) => void,
): void {
  const row = f.keep(first);
  const width = f.keep(i32.mul(T, 4));
  for (const pointer of pointers) f.bump(pointer, i32.mul(first, width));
  f.while(i32.lt(row, last), () => {
    body(row);
    for (const pointer of pointers) f.bump(pointer, width);
    f.bump(row, 1);
  });
}

const units = ({ rows }: { readonly rows: number }): number => rows;
const counts = ['rows', 'T', 'centre'] as const;
const floats = ['scale', 'epsilon'] as const;

export const tokenWeightsWasm = program(
  { buffers: ['reference', 'model', 'targets', 'weights'], counts, floats },
  {
    name: 'tokenWeights',
    units,
    cost: ({ T }) => 10 + 7 * T,
    emit: (f, { reference, model, targets, weights, T, centre, scale, epsilon }, { first, last }) =>
      overRows(f, first, last, T, [reference, model, targets, weights], () => {
        const gap: Term = (lanes, at) => lanes.sub(lanes.load(i32.add(reference, at)), lanes.load(i32.add(model, at)));
        const mean = countedMean(f, T, targets, gap);
        const low = f.keep(f32.sub(f32.of(1), epsilon));
        const high = f.keep(f32.add(f32.of(1), epsilon));
        f.if(i32.eq(centre, 0), () => f.set(mean, f32.zero));
        overFloats(f, T, (lanes, at) => {
          const weight = lanes.mul(
            lanes.of(2),
            lanes.logistic(lanes.mul(lanes.splat(scale), lanes.sub(gap(lanes, at), lanes.splat(mean)))),
          );
          f.store(
            i32.add(weights, at),
            counted(lanes, i32.add(targets, at), lanes.min(lanes.splat(high), lanes.max(lanes.splat(low), weight))),
          );
        });
      }),
  },
);

export const tokenWeightsBackwardWasm = program(
  { buffers: ['reference', 'model', 'targets', 'dWeights', 'dModel'], counts, floats },
  {
    name: 'tokenWeightsBackward',
    units,
    cost: ({ T }) => 10 + 10 * T,
    emit: (f, { reference, model, targets, dWeights, dModel, T, centre, scale, epsilon }, { first, last }) =>
      overRows(f, first, last, T, [reference, model, targets, dWeights, dModel], () => {
        const gap: Term = (lanes, at) => lanes.sub(lanes.load(i32.add(reference, at)), lanes.load(i32.add(model, at)));
        const mean = countedMean(f, T, targets, gap);
        const low = f.keep(f32.sub(f32.of(1), epsilon));
        const high = f.keep(f32.add(f32.of(1), epsilon));
        f.if(i32.eq(centre, 0), () => f.set(mean, f32.zero));
        const meanOfGradients = countedMean(f, T, targets, (lanes, at) => {
          const w = lanes.keep(
            lanes.mul(
              lanes.of(2),
              lanes.logistic(lanes.mul(lanes.splat(scale), lanes.sub(gap(lanes, at), lanes.splat(mean)))),
            ),
          );
          const slope = lanes.mul(
            lanes.mul(lanes.load(i32.add(dWeights, at)), lanes.splat(scale)),
            lanes.mul(w, lanes.sub(lanes.of(1), lanes.mul(w, lanes.of(0.5)))),
          );
          const dGap = lanes.keep(
            lanes.whereAbove(
              w,
              lanes.splat(low),
              lanes.whereAbove(lanes.splat(high), w, slope, lanes.zero),
              lanes.zero,
            ),
          );
          f.store(i32.add(dModel, at), dGap);
          return dGap;
        });
        f.if(i32.eq(centre, 0), () => f.set(meanOfGradients, f32.zero));
        overFloats(f, T, (lanes, at) =>
          f.store(
            i32.add(dModel, at),
            counted(
              lanes,
              i32.add(targets, at),
              lanes.sub(lanes.splat(meanOfGradients), lanes.load(i32.add(dModel, at))),
            ),
          ),
        );
      }),
  },
);

const MOST = 80; // of an exponent, as in policy-loss.ts

/** exp(d) - d - 1, which cancels where d is small: by its series there. */
function k3Of<T extends LaneType>(lanes: Lanes<T>, d: Local<T>): Expr<T> {
  const series = [1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040].reduceRight<Expr<T>>(
    (sum, c) => lanes.madd(sum, d, lanes.of(c)),
    lanes.zero,
  );
  const far = lanes.sub(lanes.sub(lanes.exp(lanes.min(d, lanes.of(MOST))), d), lanes.of(1));
  const square = lanes.keep(lanes.mul(d, d));
  return lanes.whereAbove(square, lanes.of(1 / 16), far, lanes.mul(square, series));
}

export const policyLossWasm = program(
  {
    buffers: ['logProb', 'old', 'reference', 'advantage', 'targets', 'losses', 'dLogProb', 'diagnostics'],
    counts: ['rows', 'T', 'weighted'],
    floats: ['clip', 'clipHigh', 'klWeight', 'factor'],
  },
  {
    name: 'policyLoss',
    units,
    cost: ({ T }) => 10 + 12 * T,
    emit(
      f,
      {
        logProb, old, reference, advantage, targets, losses, dLogProb, diagnostics, rows, T, weighted, clip, clipHigh,
        klWeight, factor,
      },
      { first, last },
    ) {
      const cuts = f.keep(i32.add(diagnostics, i32.mul(rows, i32.mul(T, 4))));
      const low = f.keep(f32.sub(f32.of(1), clip));
      const high = f.keep(f32.add(f32.of(1), clipHigh));
      const bytes = f.keep(i32.mul(4, i32.add(weighted, 1)));
      overRows(f, first, last, T, [logProb, old, reference, targets, losses, dLogProb, diagnostics, cuts], (row) => {
        const place = f.keep(i32.add(advantage, i32.mul(row, bytes)));
        const gain = f.keep(f32.load(place));
        const share = f.keep(factor);
        f.if(weighted, () => f.set(share, f32.mul(factor, f32.load(place, 4))));
        overFloats(f, T, (lanes, at) => {
          const put = (to: Int, x: Expr<typeof lanes.type>): void =>
            f.store(i32.add(to, at), counted(lanes as never, i32.add(targets, at), x));
          const p = lanes.keep(lanes.load(i32.add(logProb, at)));
          const ratio = lanes.keep(lanes.exp(lanes.min(lanes.sub(p, lanes.load(i32.add(old, at))), lanes.of(MOST))));
          const own = lanes.keep(lanes.mul(ratio, lanes.splat(gain)));
          const limited = lanes.keep(
            lanes.mul(lanes.min(lanes.splat(high), lanes.max(lanes.splat(low), ratio)), lanes.splat(gain)),
          );
          const cut = lanes.keep(lanes.whereAbove(own, limited, lanes.of(1), lanes.zero));
          const d = lanes.keep(lanes.sub(lanes.load(i32.add(reference, at)), p));
          const k3 = lanes.keep(k3Of(lanes, d));
          const weight = lanes.splat(klWeight);
          const scale = lanes.splat(share);
          put(losses, lanes.mul(scale, lanes.sub(lanes.mul(weight, k3), lanes.min(own, limited))));
          const slope = lanes.whereAbove(cut, lanes.zero, lanes.zero, own); // of the ratio's part; exp(d) - 1 is k3 + d
          put(dLogProb, lanes.sub(lanes.zero, lanes.mul(scale, lanes.madd(weight, lanes.add(k3, d), slope))));
          put(diagnostics, k3);
          put(cuts, cut);
        });
      });
    },
  },
);

export const keepLargestWasm = program({ buffers: ['x', 'targets', 'out'], counts: ['n', 'keep'] }, {
  name: 'keepLargest',
  units: () => 1,
  cost: ({ n }) => 40 * n,
  scratch: ({ n }) => 4 * n,
  emit(f, { x, targets, out, n, keep }, { scratch }) {
    const [i, here, left] = f.locals('i32', 3) as [Int, Int, Int];
    const [bound, value] = f.locals('f32', 2) as [Local<'f32'>, Local<'f32'>];
    const bytes = i32.mul(n, 4);
    // What is not counted, or not a number, becomes the lowest; there are never more to keep than are counted.
    f.loop(i, bytes, 4, () => {
      f.set(value, f32.of(-Infinity));
      f.if(i32.ge(i32.load(i32.add(targets, i)), 0), () => {
        f.if(f32.ge(f32.load(i32.add(x, i)), value), () => f.set(value, f32.load(i32.add(x, i))));
        f.bump(left, 1);
      });
      f.store(i32.add(scratch, i), value);
    });
    f.set(left, i32.min(left, keep));
    f.if(i32.gt(left, 0), () => f.set(bound, kthLargest(f, scratch, n, left)), () => f.set(bound, f32.of(Infinity)));
    f.loop(i, bytes, 4, () => f.if(f32.gt(f32.load(i32.add(scratch, i)), bound), () => f.bump(left, -1)));
    f.loop(i, bytes, 4, () => {
      f.set(here, 0);
      f.if(f32.gt(f32.load(i32.add(scratch, i)), bound), () => f.set(here, 1));
      f.if(i32.and(f32.eq(f32.load(i32.add(scratch, i)), bound), i32.ge(i32.load(i32.add(targets, i)), 0)), () => {
        f.if(i32.gt(left, 0), () => { // of equals, the first
          f.set(here, 1);
          f.bump(left, -1);
        });
      });
      f.store(i32.add(out, i), f32.fromInt(here));
    });
  },
});
