// Moving elements on the CPU, in WASM SIMD. Read after: copy.ts, ../wasm/program.ts.

import { f32, i32, type Expr, type Int } from '../wasm/instructions.ts';
import { overFloats } from '../wasm/lanes.ts';
import { elementwise, program } from '../wasm/program.ts';


export const fillWasm = elementwise({
  name: 'fill', buffers: ['out'], floats: ['value'], cost: 1,
  body: (f, _, { out }, { value }) => f.store(out, value),
});

export const copyWasm = elementwise({
  name: 'copy', buffers: ['x', 'out'], cost: 1,
  body: (f, lanes, { x, out }) => f.store(out, lanes.load(x)),
});

export const accumulateWasm = elementwise({
  name: 'accumulate', buffers: ['x', 'out'], cost: 2,
  body: (f, lanes, { x, out }) => f.store(out, lanes.add(lanes.load(out), lanes.load(x))),
});

/** A unit is a row along the last axis. */
export const permuteWasm = program(
  { buffers: ['x', 'out'], counts: ['d0', 'd1', 'd2', 'd3', 's0', 's1', 's2', 's3'] },
  {
    name: 'permute',
    units: ({ d0, d1, d2 }) => d0 * d1 * d2,
    cost: ({ d3 }) => 8 + 2 * d3,
    emit(f, { x, out, d1, d2, d3, s0, s1, s2, s3 }, { first, last }) {
      const [row, i, from, l] = [f.keep(first), ...f.locals('i32', 3)] as [Int, Int, Int, Int];
      const along = (axis: Expr<'i32'>, step: Int): void => f.bump(from, i32.mul(i32.mul(axis, step), 4));
      f.bump(out, i32.mul(first, i32.mul(d3, 4)));
      f.while(i32.lt(row, last), () => {
        f.set(from, x);
        f.set(i, i32.div(row, d2));
        along(i32.rem(row, d2), s2);
        along(i32.rem(i, d1), s1);
        along(i32.div(i, d1), s0);
        f.if(
          i32.eq(s3, 1),
          () => {
            overFloats(f, d3, (lanes, at) => f.store(i32.add(out, at), lanes.load(i32.add(from, at))));
            f.bump(out, i32.mul(d3, 4));
          },
          () =>
            f.loop(l, d3, 1, () => {
              f.store(out, f32.load(from));
              f.bump(from, i32.mul(s3, 4));
              f.bump(out, 4);
            }),
        );
        f.bump(row, 1);
      });
    },
  },
);

/** A unit is one block of rows. */
export const copyRowsWasm = program(
  { buffers: ['x', 'out'], counts: ['outer', 'inner', 'count', 'xRows', 'xStart', 'outRows', 'outStart'] },
  {
    name: 'copyRows',
    units: ({ outer }) => outer,
    cost: ({ count, inner }) => 4 + (count * inner) / 2,
    emit(f, { x, out, inner, count, xRows, xStart, outRows, outStart }, { first, last }) {
      const [i, from, to] = [f.keep(first), ...f.locals('i32', 2)] as [Int, Int, Int];
      const n = f.keep(i32.mul(count, inner));
      const place = (rows: Int, start: Int): Expr<'i32'> =>
        i32.mul(i32.mul(i32.add(i32.mul(i, rows), start), inner), 4);
      f.while(i32.lt(i, last), () => {
        f.set(from, i32.add(x, place(xRows, xStart)));
        f.set(to, i32.add(out, place(outRows, outStart)));
        overFloats(f, n, (lanes, at) => f.store(i32.add(to, at), lanes.load(i32.add(from, at))));
        f.bump(i, 1);
      });
    },
  },
);
