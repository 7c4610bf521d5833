// Sums for the CPU, in WASM SIMD. Along the last axis a unit is one sum; along another, a cache line of neighbouring
// sums, which go down the rows together, 4096 of them at a time. Read after: reduce.ts, ../wasm/program.ts,
// long-sum.wasm.ts.

import { at, f32, i32, type Expr, type Local } from '../wasm/instructions.ts';
import { singles, vectors, widest, type Lanes, type LaneType } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';
import { longSum, MANY } from './long-sum.wasm.ts';

const COLUMNS = 16; // floats: a cache line
const CHUNK = 512; // floats
const ROWS = 4096; // that are added one after the other; then these sums, 512 at a time

export const sumWasm = program({ buffers: ['x', 'out'], counts: ['outer', 'length', 'inner'], floats: ['factor'] }, {
  name: 'sum',
  units: ({ outer, inner }) => (inner === 1 ? outer : outer * Math.ceil(inner / COLUMNS)),
  cost: ({ length, inner }) => (inner === 1 ? 4 + length / 4 : 4 + length * COLUMNS / 4),
  emit(f, { x, out, length, inner, factor }, { first, last }) {
    const unit = f.keep(first);
    const [from, to, column, o, left] = f.locals('i32', 5);
    const rowBytes = f.keep(i32.mul(inner, 4));
    const blocks = f.keep(i32.div(i32.add(inner, COLUMNS - 1), COLUMNS));
    f.if(i32.eq(inner, 1), () => f.while(i32.lt(unit, last), () => {
      f.set(from, i32.add(x, i32.mul(unit, i32.mul(length, 4))));
      const total = longSum(f, length, CHUNK, (lanes, place) => lanes.load(i32.add(from, place)));
      f.store(i32.add(out, i32.mul(unit, 4)), f32.mul(factor, total));
      f.bump(unit, 1);
    }), () => f.while(i32.lt(unit, last), () => {
      f.set(o, i32.div(unit, blocks));
      f.set(column, i32.mul(i32.rem(unit, blocks), COLUMNS));
      f.set(left, i32.min(i32.sub(inner, column), COLUMNS));
      /** The next `count` vectors of columns, or single ones: rows, in blocks, in blocks of blocks. */
      const down = <T extends LaneType>(lanes: Lanes<T>, count: number) => (): void => {
        const level = (): Local<T>[] => f.locals(lanes.type, count);
        const [rows, some, all] = [level(), level(), level()];
        const clear = (sums: readonly Local<T>[]): void => sums.forEach((sum) => f.set(sum, lanes.zero as never));
        const takeIn = (to: readonly Local<T>[], of: (q: number) => Expr<T>): void => {
          to.forEach((sum, q) => f.set(sum, lanes.add(sum, of(q)) as never));
        };
        const bytes = 4 * lanes.floats;
        const [k, end, many] = f.locals('i32', 3);
        f.set(from, at(x, [4, at(column, [inner, i32.mul(o, length)])]));
        f.set(to, at(out, [4, at(column, [o, inner])]));
        f.set(k, 0);
        clear(all);
        f.while(i32.lt(k, length), () => {
          clear(some);
          f.set(many, i32.min(i32.add(k, MANY * ROWS), length));
          f.while(i32.lt(k, many), () => {
            clear(rows);
            f.set(end, i32.min(i32.add(k, ROWS), length));
            f.while(i32.lt(k, end), () => {
              takeIn(rows, (q) => lanes.load(from, bytes * q));
              f.bump(from, rowBytes);
              f.bump(k, 1);
            });
            takeIn(some, (q) => rows[q]!);
          });
          takeIn(all, (q) => some[q]!);
        });
        const times = lanes.keep(lanes.splat(factor));
        all.forEach((sum, q) => f.store(to, lanes.mul(times, sum), bytes * q));
        f.bump(column, count * lanes.floats);
        f.bump(left, -count * lanes.floats);
      };
      const most = widest(f);
      f.if(i32.eq(left, COLUMNS), down(most, COLUMNS / most.floats), () => {
        f.while(i32.ge(left, 4), down(vectors(f), 1));
        f.while(i32.gt(left, 0), down(singles(f), 1));
      });
      f.bump(unit, 1);
    }));
  },
});
