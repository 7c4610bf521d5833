// AdamW and the gradient norm for the CPU, in WASM SIMD. Read after: adamw.ts, ../wasm/program.ts.

import type { FunctionBuilder } from '../wasm/assembler.ts';
import { f32, i32, type Expr, type Local } from '../wasm/instructions.ts';
import { overFloats, sumOver, type Lanes, type LaneType } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';
import { chain, longSum } from '../reduce/long-sum.wasm.ts';

const BLOCK = 1024; // floats: a unit

const LEAST = 1e-20; // of a sum of squares: below, squares of some importance may have vanished

/**
 * First the sum of squares of every chunk, then their sum, in order. Where that is out of range, once more, of scaled
 * numbers.
 */
export function gradientNormWasm(chunk: number, largest: number) {
  const chunks = ({ n }: { readonly n: number }): number => Math.ceil(n / chunk);
  return program({ buffers: ['x', 'norm'], counts: ['n'], floats: ['limit'], shared: (params) => 4 * chunks(params) }, {
    name: 'gradientNorm',
    units: chunks,
    cost: () => chunk / 4,
    emit(f, { x, n }, { first, last, shared }) {
      const i = f.keep(first);
      const from = f.local('i32');
      const place = f.local('i32');
      f.while(i32.lt(i, last), () => {
        f.set(from, i32.mul(i, chunk));
        f.set(place, i32.add(x, i32.mul(from, 4)));
        const total = sumOver(f, i32.sub(i32.min(i32.add(from, chunk), n), from), (lanes, at) =>
          lanes.mul(lanes.load(i32.add(place, at)), lanes.load(i32.add(place, at))),
        );
        f.store(i32.add(shared, i32.mul(i, 4)), total);
        f.bump(i, 1);
      });
    },
  }, {
    name: 'gradientNormSum',
    units: () => 1,
    cost: chunks,
    emit(f, { x, norm, n, limit }, { shared }) {
      const total = chain(f, i32.div(i32.add(n, chunk - 1), chunk), (k) => f32.load(i32.add(shared, i32.mul(k, 4))));
      const length = f.keep(f32.sqrt(total));
      const isOrdinary = i32.and(f32.gt(f32.of(Infinity), total), f32.gt(total, f32.of(LEAST)));
      f.if(i32.eq(isOrdinary, 0), () => f.set(length, lengthOf(f, x, n, chunk, f32.gt(f32.of(LEAST), total))));
      const most = f.keep(f32.of(largest));
      f.if(f32.gt(limit, f32.zero), () => f.set(most, f32.min(most, limit)));
      f.store(norm, length);
      f.store(norm, f32.zero, 4);
      f.if(f32.gt(f32.of(Infinity), length), () => { // not so of NaN
        f.store(norm, f32.of(1), 4);
        f.if(f32.gt(length, most), () => f.store(norm, f32.div(most, length), 4));
      });
    },
  });
}

/** ||x|| of numbers whose squares overflow, or vanish: of 2^-80 or 2^80 times the numbers, and back. */
function lengthOf(
  f: FunctionBuilder,
  x: Local<'i32'>,
  n: Local<'i32'>,
  chunk: number,
  areSmall: Expr<'i32'>,
): Local<'f32'> {
  const by = f.keep(f32.of(2 ** -80));
  f.if(areSmall, () => f.set(by, f32.of(2 ** 80)));
  const squares = longSum(f, n, chunk, (lanes, at) => {
    const scaled = lanes.keep(lanes.mul(lanes.load(i32.add(x, at)), lanes.splat(by)));
    return lanes.mul(scaled, scaled);
  });
  return f.keep(f32.div(f32.sqrt(squares), by));
}

const floats = ['rate', 'beta1', 'beta2', 'rest1', 'rest2', 'epsilon', 'weightDecay'] as const;

export const adamwWasm = program(
  { buffers: ['values', 'm', 'v', 'gradients', 'norm', 'correction'], counts: ['n', 'nDecay'], floats },
  {
    name: 'adamw',
    units: ({ n }) => Math.ceil(n / BLOCK),
    cost: () => 4 * BLOCK,
    emit(
      f,
      { values, m, v, gradients, norm, correction, n, nDecay, rate, beta1, beta2, rest1, rest2, epsilon, weightDecay },
      { first, last },
    ) {
      const one = f32.of(1);
      const clip = f.keep(f32.load(norm, 4));
      const stepSize = f.keep(f32.div(rate, f32.load(correction)));
      const root = f.keep(f32.div(one, f32.sqrt(f32.load(correction, 4))));
      const shrink = f.keep(f32.sub(one, f32.mul(rate, weightDecay)));
      const update = (at: Local<'i32'>, lanes: Lanes<LaneType>, kept: Local<'f32'>): void => {
        const g = lanes.keep(lanes.mul(lanes.load(i32.add(gradients, at)), lanes.splat(clip)));
        const mean = lanes.keep(
          lanes.madd(lanes.splat(beta1), lanes.load(i32.add(m, at)), lanes.mul(lanes.splat(rest1), g)),
        );
        const square = lanes.keep(
          lanes.madd(lanes.splat(beta2), lanes.load(i32.add(v, at)), lanes.mul(lanes.mul(lanes.splat(rest2), g), g)),
        );
        f.store(i32.add(m, at), mean);
        f.store(i32.add(v, at), square);
        const moved = lanes.div(
          lanes.mul(lanes.splat(stepSize), mean),
          lanes.madd(lanes.sqrt(square), lanes.splat(root), lanes.splat(epsilon)),
        );
        f.store(i32.add(values, at), lanes.sub(lanes.mul(lanes.load(i32.add(values, at)), lanes.splat(kept)), moved));
      };
      const i = f.keep(first);
      const from = f.local('i32');
      const end = f.local('i32');
      const split = f.local('i32');
      const kept = f.local('f32');
      const stretch = (start: Local<'i32'>, stop: Local<'i32'>): void => {
        const count = f.keep(i32.sub(stop, start));
        const offset = f.keep(i32.mul(start, 4));
        const place = f.local('i32');
        overFloats(f, count, (lanes, at) => {
          f.set(place, i32.add(offset, at));
          update(place, lanes as Lanes<LaneType>, kept);
        });
      };
      f.if(f32.gt(clip, f32.zero), () =>
        f.while(i32.lt(i, last), () => {
          f.set(from, i32.mul(i, BLOCK));
          f.set(end, i32.min(i32.add(from, BLOCK), n));
          f.set(split, i32.min(end, nDecay));
          f.if(i32.lt(from, split), () => {
            f.set(kept, shrink);
            stretch(from, split);
            f.set(from, split);
          });
          f.set(kept, one);
          stretch(from, end);
          f.bump(i, 1);
        }),
      );
    },
  },
);
