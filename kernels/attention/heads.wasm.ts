// Heads four at a time, for the CPU: lane l of a vector belongs to the l-th of four heads, so what is a number in the formulas is a vector
// here, sums never cross lanes, and causality costs nothing. A head's rows become rows of vectors; a matrix product is a tile of 4 x 2
// vectors. Read after: ../wasm/assembler.ts, ../matmul/tile.wasm.ts. Used by: attention.wasm.ts.

import type { Callable, FunctionBuilder, WasmModule } from '../wasm/assembler.ts';
import { f32, i32, v128, type Expr, type Local } from '../wasm/instructions.ts';
import { transpose } from '../matmul/tile.wasm.ts';

type Int = Local<'i32'>;
type Vector = Local<'v128'>;
type Step = (places: readonly Int[], at: Int) => void;

/** Heads side by side, bytes of a vector, and rows and columns of a tile. */
export const LANES = 4, VECTOR = 16, ROWS = 4;
const COLUMNS = 2;

const rowsOf = ['a0', 'a1', 'a2', 'a3', 'row', 'to', 'toRow', 'rows', 'n'] as const;

/** (a0, a1, a2, a3, row, to, toRow, rows, n): rows of n floats at four places, `row` bytes apart, become rows of n vectors at `to`. */
export function interleave(module: WasmModule): Callable {
  return module.function('attentionInterleave', rowsOf, (f, { a0, a1, a2, a3, row, to, toRow, rows, n }) => {
    eachRow(f, [a0, a1, a2, a3], row, to, toRow, rows, n,
      (places, at) => transpose(f, places).forEach((column, q) => f.store(at, column, q * VECTOR)),
      (places, at) => places.forEach((place, lane) => f.store(at, f32.load(place), 4 * lane)));
  });
}

/** (a0, a1, a2, a3, row, from, fromRow, rows, n): the way back. */
export function spread(module: WasmModule): Callable {
  return module.function('attentionSpread', rowsOf, (f, { a0, a1, a2, a3, row, to: from, toRow: fromRow, rows, n }) => {
    eachRow(f, [a0, a1, a2, a3], row, from, fromRow, rows, n,
      (places, at) => transpose(f, [0, 1, 2, 3].map((q) => i32.add(at, q * VECTOR))).forEach((lane, l) => f.store(places[l]!, lane)),
      (places, at) => places.forEach((place, lane) => f.store(place, f32.load(at, 4 * lane))));
  });
}

/** Walks rows of floats at four places and rows of vectors: four floats of each place at a time, then one. */
function eachRow(f: FunctionBuilder, starts: readonly Int[], row: Int, vectors: Int, vectorsRow: Int, rows: Int, n: Int, four: Step, one: Step): void {
  const r = f.local('i32'), left = f.local('i32'), at = f.local('i32'), places = f.locals('i32', LANES);
  f.loop(r, rows, 1, () => {
    places.forEach((place, lane) => f.set(place, starts[lane]!));
    f.set(at, vectors);
    f.set(left, n);
    for (const [count, step] of [[4, four], [1, one]] as const) {
      f.while(i32.ge(left, count), () => {
        step(places, at);
        for (const place of places) f.bump(place, 4 * count);
        f.bump(at, VECTOR * count);
        f.bump(left, -count);
      });
    }
    for (const start of starts) f.bump(start, row);
    f.bump(vectors, vectorsRow);
  });
}

/** (x, row, rows, D, table, back): turns rows of D vectors in place by the angles at table, D floats a row (kernels/rope), or back. */
export function rotate(module: WasmModule): Callable {
  return module.function('attentionRotate', ['x', 'row', 'rows', 'D', 'table', 'back'], (f, { x, row, rows, D, table, back }) => {
    const [r, at, angle, end] = f.locals('i32', 4) as [Int, Int, Int, Int], half = f.keep(i32.shiftRight(D, 1)), second = f.keep(i32.add(x, i32.mul(half, VECTOR)));
    const distance = f.keep(i32.sub(second, x)), toSine = f.keep(i32.mul(half, 4)), sign = f.keep(v128.of(1)), sine = f.local('v128'), other = f.local('i32');
    f.if(back, () => f.set(sign, v128.of(-1)));
    f.loop(r, rows, 1, () => {
      f.set(at, x);
      f.set(other, i32.add(x, distance));
      f.set(end, other);
      f.set(angle, table);
      f.while(i32.ne(at, end), () => {
        const a = f.keep(v128.load(at)), b = f.keep(v128.load(other)), cosine = f.keep(v128.loadSplat(angle));
        f.set(sine, v128.mul(sign, v128.loadSplat(i32.add(angle, toSine))));
        f.store(at, v128.sub(v128.mul(a, cosine), v128.mul(b, sine)));
        f.store(other, v128.add(v128.mul(b, cosine), v128.mul(a, sine)));
        f.bump(at, VECTOR);
        f.bump(other, VECTOR);
        f.bump(angle, 4);
      });
      f.bump(x, row);
      f.bump(table, i32.mul(D, 4));
    });
  });
}

/**
 * (a, aRow, aK, b, bColumn, bK, out, outRow, outColumn, N, K, adds): four rows of a product of matrices of vectors, out [4,N] = A [4,K] B [K,N],
 * or out += with adds = 1. Element (m,k) of A lies at a + m aRow + k aK, (k,n) of B at b + n bColumn + k bK; N is even, K > 0.
 */
export function product(module: WasmModule): Callable {
  const names = ['a', 'aRow', 'aK', 'b', 'bColumn', 'bK', 'out', 'outRow', 'outColumn', 'N', 'K', 'adds'] as const;
  return module.function('attentionProduct', names, (f, { a, aRow, aK, b, bColumn, bK, out, outRow, outColumn, N, K, adds }) => {
    const j = f.local('i32'), pa = f.locals('i32', ROWS), pb = f.locals('i32', COLUMNS), to = f.local('i32'), end = f.keep(i32.add(a, i32.mul(K, aK)));
    const sums = f.locals('v128', ROWS * COLUMNS), [b0, b1, av] = f.locals('v128', 3) as [Vector, Vector, Vector];
    f.loop(j, N, COLUMNS, () => {
      pa.forEach((p, r) => f.set(p, r === 0 ? a : i32.add(pa[r - 1]!, aRow)));
      f.set(pb[0]!, b);
      f.set(pb[1]!, i32.add(b, bColumn));
      for (const sum of sums) f.set(sum, v128.zero);
      f.doWhile(i32.ne(pa[0]!, end), () => {
        f.set(b0, v128.load(pb[0]!));
        f.set(b1, v128.load(pb[1]!));
        pa.forEach((p, r) => {
          f.set(av, v128.load(p));
          f.set(sums[2 * r]!, f.madd(av, b0, sums[2 * r]!));
          f.set(sums[2 * r + 1]!, f.madd(av, b1, sums[2 * r + 1]!));
          f.bump(p, aK);
        });
        for (const p of pb) f.bump(p, bK);
      });
      f.set(to, out);
      const store = (value: (sum: Vector, at: Expr<'i32'>) => Expr<'v128'>) => (): void => {
        for (let r = 0; r < ROWS; r++) {
          f.store(to, value(sums[2 * r]!, to));
          f.store(i32.add(to, outColumn), value(sums[2 * r + 1]!, i32.add(to, outColumn)));
          f.bump(to, outRow);
        }
      };
      f.if(adds, store((sum, at) => v128.add(v128.load(at), sum)), store((sum) => sum));
      f.bump(b, i32.mul(bColumn, COLUMNS));
      f.bump(out, i32.mul(outColumn, COLUMNS));
    });
  });
}
