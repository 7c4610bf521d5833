// Functions of one and of two numbers for the CPU, in WASM SIMD. Read after: elementwise.ts, ../wasm/program.ts.

import { f32, i32, type Expr, type Int } from '../wasm/instructions.ts';
import { overFloats, type Lanes, type LaneType } from '../wasm/lanes.ts';
import { elementwise, program } from '../wasm/program.ts';

/** A function of two numbers, over the operations that vectors and single floats share. */
export type BinaryLanes = <T extends LaneType>(lanes: Lanes<T>, a: Expr<T>, b: Expr<T>) => Expr<T>;
/** The same of one; a derivative is given the input x and the result y. */
export type UnaryLanes = <T extends LaneType>(lanes: Lanes<T>, x: Expr<T>) => Expr<T>;
export type DerivativeLanes = <T extends LaneType>(lanes: Lanes<T>, x: Expr<T>, y: Expr<T>) => Expr<T>;

const BLOCK = 1024; // floats: what a thread does at a time of a long row

/**
 * Along the innermost axis an operand steps by 1 or, broadcast, by 0. A unit is a block of a row: its number gives the
 * place in every axis.
 */
export function binaryWasm(name: string, of: BinaryLanes) {
  return program(
    { buffers: ['a', 'b', 'out'], counts: ['d0', 'd1', 'd2', 'd3', 'a0', 'a1', 'a2', 'a3', 'b0', 'b1', 'b2', 'b3'] },
    {
      name,
      units: ({ d0, d1, d2, d3 }) => d0 * d1 * d2 * Math.ceil(d3 / BLOCK),
      cost: ({ d3 }) => 8 + Math.min(d3, BLOCK),
      emit(f, { a, b, out, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3 }, { first, last }) {
        const unit = f.keep(first);
        const blocks = f.keep(i32.div(i32.add(d3, BLOCK - 1), BLOCK));
        const [row, start, i, j, k, pa, pb, to, n] = f.locals('i32', 9) as [
          Int,
          Int,
          Int,
          Int,
          Int,
          Int,
          Int,
          Int,
          Int,
        ];
        f.while(i32.lt(unit, last), () => {
          f.set(row, i32.div(unit, blocks));
          f.set(start, i32.mul(i32.rem(unit, blocks), BLOCK));
          f.set(n, i32.min(i32.sub(d3, start), BLOCK));
          f.set(k, i32.rem(row, d2));
          f.set(j, i32.rem(i32.div(row, d2), d1));
          f.set(i, i32.div(i32.div(row, d2), d1));
          const place = (base: Int, s0: Int, s1: Int, s2: Int, s3: Int): Expr<'i32'> =>
            i32.add(
              base,
              i32.mul(4, i32.add(i32.add(i32.mul(i, s0), i32.mul(j, s1)), i32.add(i32.mul(k, s2), i32.mul(start, s3)))),
            );
          f.set(pa, place(a, a0, a1, a2, a3));
          f.set(pb, place(b, b0, b1, b2, b3));
          f.set(to, i32.add(out, i32.mul(4, i32.add(i32.mul(row, d3), start))));
          const along = (aSteps: boolean, bSteps: boolean) => () =>
            overFloats(f, n, (lanes, at) => {
              const read = (from: Int, steps: boolean): Expr<typeof lanes.type> =>
                (steps ? lanes.load(i32.add(from, at)) : lanes.splat(f32.load(from))) as never;
              f.store(i32.add(to, at), of(lanes as Lanes<typeof lanes.type>, read(pa, aSteps), read(pb, bSteps)));
            });
          f.if(
            a3,
            () => f.if(b3, along(true, true), along(true, false)),
            () => f.if(b3, along(false, true), along(false, false)),
          );
          f.bump(unit, 1);
        });
      },
    },
  );
}


/** out = f(x). */
export function unaryWasm(name: string, of: UnaryLanes) {
  return elementwise({
    name, buffers: ['x', 'out'], cost: 6,
    body: (f, lanes, places) => f.store(places.out, of(lanes, lanes.keep(lanes.load(places.x)))),
  });
}

/** dx = dy f'(x). */
export function unaryBackwardWasm(name: string, of: DerivativeLanes) {
  return elementwise({
    name,
    buffers: ['x', 'y', 'dy', 'dx'],
    cost: 4,
    body: (f, lanes, places) =>
      f.store(
        places.dx,
        lanes.mul(lanes.load(places.dy), of(lanes, lanes.load(places.x), lanes.keep(lanes.load(places.y)))),
      ),
  });
}

export const affineWasm = elementwise({
  name: 'affine', buffers: ['x', 'out'], floats: ['factor', 'offset'], cost: 2,
  body: (f, lanes, { x, out }, { factor, offset }) => f.store(out, lanes.add(lanes.mul(factor, lanes.load(x)), offset)),
});

export const clampWasm = elementwise({
  name: 'clamp', buffers: ['x', 'out'], floats: ['low', 'high'], cost: 2,
  body: (f, lanes, { x, out }, { low, high }) => f.store(out, lanes.min(high, lanes.max(low, lanes.load(x)))),
});

export const clampBackwardWasm = elementwise({
  name: 'clampBackward', buffers: ['x', 'dy', 'dx'], floats: ['low', 'high'], cost: 3,
  body(f, lanes, places, { low, high }) {
    const x = lanes.keep(lanes.load(places.x));
    const dy = lanes.keep(lanes.load(places.dy));
    f.store(places.dx, lanes.whereAtLeast(x, low, lanes.whereAtLeast(high, x, dy, lanes.zero), lanes.zero));
  },
});
