// Sums for the CPU, in WASM SIMD. Along the last axis a unit is one sum; along another, a cache line of neighbouring sums, which go down
// the rows together. Read after: reduce.ts, ../wasm/program.ts.

import { f32, i32, v128, type Local } from '../wasm/instructions.ts';
import { sumOver } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';

type Int = Local<'i32'>;

const COLUMNS = 16, CHUNK = 512; // floats

export const sumWasm = program({ buffers: ['x', 'out'], counts: ['outer', 'length', 'inner'], floats: ['factor'] }, {
  name: 'sum',
  units: ({ outer, inner }) => (inner === 1 ? outer : outer * Math.ceil(inner / COLUMNS)),
  cost: ({ length, inner }) => (inner === 1 ? 4 + length / 4 : 4 + length * COLUMNS / 4),
  emit(f, { x, out, length, inner, factor }, { first, last }) {
    const unit = f.keep(first), [from, to, column, o, k, left] = f.locals('i32', 6) as [Int, Int, Int, Int, Int, Int];
    const total = f.local('f32'), rowBytes = f.keep(i32.mul(inner, 4)), blocks = f.keep(i32.div(i32.add(inner, COLUMNS - 1), COLUMNS));
    f.if(i32.eq(inner, 1), () => f.while(i32.lt(unit, last), () => {
      f.set(from, i32.add(x, i32.mul(unit, i32.mul(length, 4))));
      f.set(total, f32.zero);
      f.loop(k, length, CHUNK, () => { // sums of sums: a long chain of additions would round too often
        f.set(total, f32.add(total, sumOver(f, i32.min(i32.sub(length, k), CHUNK), (lanes, at) => lanes.load(i32.add(from, at)))));
        f.bump(from, 4 * CHUNK);
      });
      f.store(i32.add(out, i32.mul(unit, 4)), f32.mul(factor, total));
      f.bump(unit, 1);
    }), () => f.while(i32.lt(unit, last), () => {
      f.set(o, i32.div(unit, blocks));
      f.set(column, i32.mul(i32.rem(unit, blocks), COLUMNS));
      f.set(left, i32.min(i32.sub(inner, column), COLUMNS));
      const down = (vectors: number) => (): void => {
        const four = f.locals('v128', vectors), one = f.local('f32');
        for (const sum of four) f.set(sum, v128.zero);
        f.set(one, f32.zero);
        f.set(from, i32.add(x, i32.mul(4, i32.add(column, i32.mul(inner, i32.mul(o, length))))));
        f.set(to, i32.add(out, i32.mul(4, i32.add(column, i32.mul(o, inner)))));
        f.loop(k, length, 1, () => {
          four.forEach((sum, q) => f.set(sum, v128.add(sum, v128.load(from, 16 * q))));
          if (vectors === 0) f.set(one, f32.add(one, f32.load(from)));
          f.bump(from, rowBytes);
        });
        four.forEach((sum, q) => f.store(to, v128.mul(v128.splat(factor), sum), 16 * q));
        if (vectors === 0) f.store(to, f32.mul(factor, one));
        f.bump(column, vectors === 0 ? 1 : 4 * vectors);
        f.bump(left, vectors === 0 ? -1 : -4 * vectors);
      };
      f.if(i32.eq(left, COLUMNS), down(COLUMNS / 4), () => {
        f.while(i32.ge(left, 4), down(1));
        f.while(i32.gt(left, 0), down(0));
      });
      f.bump(unit, 1);
    }));
  },
});
