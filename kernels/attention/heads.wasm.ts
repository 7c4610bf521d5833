// Heads side by side, for the CPU: lane l of a vector belongs to the l-th of 4 heads, of a pair of vectors to the l-th
// of 8. What is a number in the formulas is a vector here, sums never cross lanes, and causality costs nothing. A
// head's rows become rows of vectors; a matrix product is a tile of 4 x 2 vectors.
//
//   in memory: one batch row, 4 heads A to D,           interleaved, at `to`: a vector for each
//   T = 3 tokens of D = 2 channels                      token and channel, then padding
//
//   A00 A01 | B00 B01 | C00 C01 | D00 D01               [A00 B00 C00 D00] [A01 B01 C01 D01] ...
//   A10 A11 | B10 B11 | C10 C11 | D10 D11      ---->    [A10 B10 C10 D10] [A11 B11 C11 D11] ...
//   A20 A21 | B20 B21 | C20 C21 | D20 D21               [A20 B20 C20 D20] [A21 B21 C21 D21] ...
//
// So the score of query 2 against key 1 of all four heads is q[2][0] k[1][0] + q[2][1] k[1][1]: two multiply-adds of
// vectors. tests/kernels/attention.test.ts checks where each float of this case lies, and has the whole algorithm once
// more, over arrays of lanes.
// Read after: ../wasm/lanes.ts, ../matmul/tile.wasm.ts. Used by: attention.wasm.ts.

import type { FunctionBuilder, WasmModule } from '../wasm/assembler.ts';
import { at, f32, i32, type Expr, type I32, type Int } from '../wasm/instructions.ts';
import { widest, type Wide } from '../wasm/lanes.ts';
import { transpose } from '../matmul/tile.wasm.ts';

/** Most heads side by side, bytes of that many floats, and rows and columns of a tile. */
export const MOST_LANES = 8;
export const MOST_BYTES = 4 * MOST_LANES;
export const ROWS = 4;
const COLUMNS = 2;

/** Heads that are brought side by side at a time: a vector's. A pair takes two such calls. */
const FOUR = 4;

/** Bytes of a vector of heads in this module. */
export const bytesOfVector = ({ wide }: WasmModule): number => (wide ? MOST_BYTES : MOST_BYTES / 2);

const places = ['a0', 'a1', 'a2', 'a3', 'row', 'to', 'toRow', 'rows', 'n'] as const;
type Places = Readonly<Record<(typeof places)[number], Int>>;

/** Rows of n floats at four places, `row` bytes apart, become rows of n vectors (or halves of pairs) at `to`. */
export function interleave(module: WasmModule) {
  const step = bytesOfVector(module);
  return module.function('attentionInterleave', places, (f, p) => eachRow(f, p, {
    four: (from, to) => transpose(f, from).forEach((column, q) => f.store(to, column, q * step)),
    one: (from, to) => from.forEach((place, lane) => f.store(to, f32.load(place), 4 * lane)),
  }));
}

/** The way back: rows of vectors at `to` become rows of floats at four places. */
export function spread(module: WasmModule) {
  const step = bytesOfVector(module);
  return module.function('attentionSpread', places, (f, p) => eachRow(f, p, {
    four(to, from) {
      const columns = [0, 1, 2, 3].map((q) => at(from, [q, step]));
      transpose(f, columns).forEach((lane, l) => f.store(to[l]!, lane));
    },
    one: (to, from) => to.forEach((place, lane) => f.store(place, f32.load(from, 4 * lane))),
  }));
}

/** What to do with four floats of each place, and with one. */
type Steps = Readonly<Record<'four' | 'one', (places: readonly Int[], vectors: Int) => void>>;

/** Walks rows of floats at four places and rows of vectors: four floats of each place at a time, then one. */
function eachRow(f: FunctionBuilder, { a0, a1, a2, a3, row, to, toRow, rows, n }: Places, { four, one }: Steps): void {
  const starts = [a0, a1, a2, a3];
  const [r, left, vectors] = f.locals('i32', 3);
  const floats = f.locals('i32', FOUR);
  const walk = (count: number, step: Steps['one']): void => f.while(i32.ge(left, count), () => {
    step(floats, vectors);
    for (const place of floats) f.bump(place, 4 * count);
    f.bump(vectors, bytesOfVector(f.module) * count);
    f.bump(left, -count);
  });
  f.loop(r, rows, 1, () => {
    floats.forEach((place, lane) => f.set(place, starts[lane]!));
    f.set(vectors, to);
    f.set(left, n);
    walk(4, four);
    walk(1, one);
    for (const start of starts) f.bump(start, row);
    f.bump(to, toRow);
  });
}

/** Turns rows of D vectors at x in place by the angles at table, D floats a row (kernels/rope), or back. */
export function rotate(module: WasmModule) {
  return module.function(
    'attentionRotate',
    ['x', 'row', 'rows', 'D', 'table', 'back'],
    (f, { x, row, rows, D, table, back }) => {
      const lanes = widest(f);
      const step = 4 * lanes.floats;
      const [r, first, second, angle, end] = f.locals('i32', 5);
      const half = f.keep(i32.shiftRight(D, 1));
      const distance = f.keep(i32.mul(half, step)); // from a channel to the one that it is turned with
      const sign = f.keep(f32.of(1));
      f.if(back, () => f.set(sign, f32.of(-1)));
      f.loop(r, rows, 1, () => {
        f.set(first, x);
        f.set(second, i32.add(x, distance));
        f.set(end, second);
        f.set(angle, table);
        f.while(i32.ne(first, end), () => {
          const a = f.keep(lanes.load(first));
          const b = f.keep(lanes.load(second));
          const cosine = f.keep(lanes.loadSplat(angle));
          const sine = f.keep(lanes.mul(lanes.splat(sign), lanes.loadSplat(at(angle, [half, 4]))));
          const turned = f.keep(lanes.sub(lanes.mul(a, cosine), lanes.mul(b, sine)));
          f.store(second, lanes.add(lanes.mul(b, cosine), lanes.mul(a, sine)));
          f.store(first, turned);
          f.bump(first, step);
          f.bump(second, step);
          f.bump(angle, 4);
        });
        f.bump(x, row);
        f.bump(table, i32.mul(D, 4));
      });
    },
  );
}

/** A matrix of vectors: its address, and the bytes from row to row and from column to column. */
export interface Matrix {
  readonly at: Int;
  readonly row: I32;
  readonly column: I32;
}

export const transposed = ({ at, row, column }: Matrix): Matrix => ({ at, row: column, column: row });

/**
 * Four rows of a product of matrices of vectors, out [4,N] = A [4,K] B [K,N], or out += with adds = 1. Element (m,k) of
 * A lies at a + m aRow + k aK, (k,n) of B at b + n bColumn + k bK; N is even, K > 0.
 */
export function product(module: WasmModule) {
  const names = ['a', 'aRow', 'aK', 'b', 'bColumn', 'bK', 'out', 'outRow', 'outColumn', 'N', 'K', 'adds'] as const;
  return module.function(
    'attentionProduct',
    names,
    (f, { a, aRow, aK, b, bColumn, bK, out, outRow, outColumn, N, K, adds }) => {
      const lanes = widest(f);
      const [j, to, next] = f.locals('i32', 3);
      const end = f.keep(at(a, [K, aK]));
      const pa = f.locals('i32', ROWS);
      const pb = f.locals('i32', COLUMNS);
      const sums = f.locals(lanes.type, ROWS * COLUMNS);
      f.loop(j, N, COLUMNS, () => {
        pa.forEach((p, r) => f.set(p, r === 0 ? a : i32.add(pa[r - 1]!, aRow)));
        f.set(pb[0]!, b);
        f.set(pb[1]!, i32.add(b, bColumn));
        for (const sum of sums) f.set(sum, lanes.zero);
        f.doWhile(i32.ne(pa[0]!, end), () => {
          const [b0, b1] = pb.map((p) => f.keep(lanes.load(p)));
          pa.forEach((p, r) => {
            const element = f.keep(lanes.load(p));
            f.set(sums[2 * r]!, lanes.madd(element, b0!, sums[2 * r]!));
            f.set(sums[2 * r + 1]!, lanes.madd(element, b1!, sums[2 * r + 1]!));
            f.bump(p, aK);
          });
          for (const p of pb) f.bump(p, bK);
        });
        f.set(to, out);
        const store = (value: (sum: Expr<Wide>, place: Int) => Expr<Wide>) => (): void => {
          for (let r = 0; r < ROWS; r++) {
            f.set(next, i32.add(to, outColumn));
            f.store(to, value(sums[2 * r]!, to));
            f.store(next, value(sums[2 * r + 1]!, next));
            f.bump(to, outRow);
          }
        };
        f.if(
          adds,
          store((sum, place) => lanes.add(lanes.load(place), sum)),
          store((sum) => sum),
        );
        f.bump(b, i32.mul(bColumn, COLUMNS));
        f.bump(out, i32.mul(outColumn, COLUMNS));
      });
    },
  );
}
