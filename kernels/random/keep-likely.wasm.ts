// Leaving out unlikely tokens on the CPU: a unit is a row. Exponentials go into `out` first; the floor of top-p is then
// found bit by bit, as the largest number that those above it together outweigh topP. Read after: keep-likely.ts,
// sample.wasm.ts.

import type { FunctionBuilder } from '../wasm/assembler.ts';
import { f32, i32, i32x4, v128, type Expr, type Int, type Local } from '../wasm/instructions.ts';
import { overFloats } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';
import { order } from './sample.wasm.ts';

const LEAST = -80;
const SIGN = -0x80000000;

export const keepLikelyWasm = program(
  { buffers: ['logits', 'out'], counts: ['B', 'V'], floats: ['temperature', 'topP', 'gap'] },
  {
    name: 'keepLikely',
    units: ({ B }) => B,
    cost: ({ V }) => 60 * V,
    emit(f, { logits, out, V, temperature, topP, gap }, { first, last }) {
      const [row, at, x, to, ordinary] = f.locals('i32', 5) as [Int, Int, Int, Int, Int];
      const [most, value, floor, total] = f.locals('f32', 4) as Local<'f32'>[] as [
        Local<'f32'>, Local<'f32'>, Local<'f32'>, Local<'f32'>,
      ];
      const bytes = f.keep(i32.mul(V, 4));
      f.set(row, first);
      f.while(i32.lt(row, last), () => {
        f.set(x, i32.add(logits, i32.mul(row, bytes)));
        f.set(to, i32.add(out, i32.mul(row, bytes)));
        f.set(most, f32.of(-Infinity));
        f.set(ordinary, 1);
        f.loop(at, bytes, 4, () => {
          f.set(value, f32.load(i32.add(x, at)));
          f.if(f32.gt(f32.of(Infinity), value), () => {}, () => f.set(ordinary, 0)); // NaN too
          f.if(f32.gt(value, most), () => f.set(most, value));
        });
        f.set(floor, f32.of(-Infinity));
        f.if(i32.and(ordinary, f32.gt(most, f32.of(-Infinity))), () => {
          f.set(floor, f32.sub(most, gap));
          f.if(f32.gt(f32.of(1), topP), () => {
            overFloats(f, V, (lanes, place) => {
              const above = lanes.sub(lanes.load(i32.add(x, place)), lanes.splat(most));
              const scaled = lanes.max(lanes.of(LEAST), lanes.div(above, lanes.splat(temperature)));
              f.store(i32.add(to, place), lanes.exp(scaled));
            });
            f.set(total, f32.zero);
            f.loop(at, bytes, 4, () => f.set(total, f32.add(total, f32.load(i32.add(to, at)))));
            f.set(value, heaviest(f, { x, weights: to, bytes }, f32.mul(topP, total)));
            f.if(f32.gt(value, floor), () => f.set(floor, value));
          });
        });
        f.loop(at, bytes, 4, () => {
          f.set(value, f32.load(i32.add(x, at)));
          f.if(f32.gt(floor, value), () => f.set(value, f32.of(-Infinity)));
          f.store(i32.add(to, at), value);
        });
        f.bump(row, 1);
      });
    },
  },
);

/** The largest number such that the weights of all x that reach it add up to `mass`. */
function heaviest(
  f: FunctionBuilder,
  { x, weights, bytes }: { readonly x: Int; readonly weights: Int; readonly bytes: Int },
  mass: Expr<'f32'>,
): Expr<'f32'> {
  const bound = f.keep(i32.of(SIGN));
  const bit = f.keep(i32.of(SIGN));
  const [higher, at] = f.locals('i32', 2) as [Int, Int];
  const wanted = f.keep(mass);
  const sum = f.local('f32');
  const result = f.local('v128');
  f.while(i32.ne(bit, 0), () => {
    f.set(higher, i32.xor(bound, bit)); // the sign's bit first: from the lowest integer to 0
    f.set(sum, f32.zero);
    f.loop(at, bytes, 4, () => {
      const reaches = i32.ge(i32x4.lane(order(v128.splat(f32.load(i32.add(x, at)))), 0), higher);
      f.if(reaches, () => f.set(sum, f32.add(sum, f32.load(i32.add(weights, at)))));
    });
    f.if(f32.ge(sum, wanted), () => f.set(bound, higher));
    f.set(bit, i32.and(i32.shiftRight(bit, 1), 0x7fffffff));
  });
  f.set(result, order(i32x4.splat(bound)));
  return v128.lane(result, 0);
}
