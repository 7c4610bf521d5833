// Sums for the CPU, in WASM SIMD. Along the last axis a unit is one sum; along another, a cache line of neighbouring sums, which go down
// the rows together, 4096 of them at a time. Read after: reduce.ts, ../wasm/program.ts, long-sum.wasm.ts.

import { f32, i32, v128, type Local } from '../wasm/instructions.ts';
import { program } from '../wasm/program.ts';
import { longSum, MANY } from './long-sum.wasm.ts';

type Int = Local<'i32'>;

const COLUMNS = 16, CHUNK = 512; // floats
const ROWS = 4096; // that are added one after the other; then these sums, 512 at a time

export const sumWasm = program({ buffers: ['x', 'out'], counts: ['outer', 'length', 'inner'], floats: ['factor'] }, {
  name: 'sum',
  units: ({ outer, inner }) => (inner === 1 ? outer : outer * Math.ceil(inner / COLUMNS)),
  cost: ({ length, inner }) => (inner === 1 ? 4 + length / 4 : 4 + length * COLUMNS / 4),
  emit(f, { x, out, length, inner, factor }, { first, last }) {
    const unit = f.keep(first);
    const [from, to, column, o, left] = f.locals('i32', 5) as [Int, Int, Int, Int, Int];
    const rowBytes = f.keep(i32.mul(inner, 4));
    const blocks = f.keep(i32.div(i32.add(inner, COLUMNS - 1), COLUMNS));
    f.if(i32.eq(inner, 1), () => f.while(i32.lt(unit, last), () => {
      f.set(from, i32.add(x, i32.mul(unit, i32.mul(length, 4))));
      const total = longSum(f, length, CHUNK, (lanes, at) => lanes.load(i32.add(from, at)));
      f.store(i32.add(out, i32.mul(unit, 4)), f32.mul(factor, total));
      f.bump(unit, 1);
    }), () => f.while(i32.lt(unit, last), () => {
      f.set(o, i32.div(unit, blocks));
      f.set(column, i32.mul(i32.rem(unit, blocks), COLUMNS));
      f.set(left, i32.min(i32.sub(inner, column), COLUMNS));
      const down = (vectors: number) => (): void => {
        const level = (): { readonly four: readonly Local<'v128'>[]; readonly one: Local<'f32'> } => ({ four: f.locals('v128', vectors), one: f.local('f32') });
        const [rows, some, all] = [level(), level(), level()];
        const clear = ({ four, one }: ReturnType<typeof level>): void => {
          for (const sum of four) f.set(sum, v128.zero);
          if (vectors === 0) f.set(one, f32.zero);
        };
        const takeIn = (to: ReturnType<typeof level>, { four, one }: ReturnType<typeof level>): void => {
          four.forEach((sum, q) => f.set(to.four[q]!, v128.add(to.four[q]!, sum)));
          if (vectors === 0) f.set(to.one, f32.add(to.one, one));
        };
        f.set(from, i32.add(x, i32.mul(4, i32.add(column, i32.mul(inner, i32.mul(o, length))))));
        f.set(to, i32.add(out, i32.mul(4, i32.add(column, i32.mul(o, inner)))));
        const [k, end, many] = f.locals('i32', 3) as [Int, Int, Int];
        f.set(k, 0);
        clear(all);
        f.while(i32.lt(k, length), () => {
          clear(some);
          f.set(many, i32.min(i32.add(k, MANY * ROWS), length));
          f.while(i32.lt(k, many), () => {
            clear(rows);
            f.set(end, i32.min(i32.add(k, ROWS), length));
            f.while(i32.lt(k, end), () => {
              rows.four.forEach((sum, q) => f.set(sum, v128.add(sum, v128.load(from, 16 * q))));
              if (vectors === 0) f.set(rows.one, f32.add(rows.one, f32.load(from)));
              f.bump(from, rowBytes);
              f.bump(k, 1);
            });
            takeIn(some, rows);
          });
          takeIn(all, some);
        });
        all.four.forEach((sum, q) => f.store(to, v128.mul(v128.splat(factor), sum), 16 * q));
        if (vectors === 0) f.store(to, f32.mul(factor, all.one));
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
