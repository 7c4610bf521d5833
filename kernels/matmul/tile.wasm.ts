// The inside of the matrix product: packing, and tiles of 4 rows x 2 vectors, which are pairs in a wide module: 16
// columns, else 8.
//
//              b0           b1          per k: two loads of B, which is packed so that a tile reads it in one stream,
//          +------------+------------+
//   a row 0| sums 0     | sums 1     |  a broadcast of A for every row,
//         1| sums 2     | sums 3     |
//         2| sums 4     | sums 5     |  and a multiply-add into each of the eight sums, which stay in registers.
//         3| sums 6     | sums 7     |
//
// Every element of the result is a sum of its own, over k in order: the width of a tile does not change a bit.
// Read after: ../wasm/assembler.ts, ../wasm/lanes.ts. Used by: matmul.wasm.ts, ../attention/attention.wasm.ts.

import type { FunctionBuilder, WasmModule } from '../wasm/assembler.ts';
import { at, f32, i32, v128, type Expr, type Int, type Local, type Vector } from '../wasm/instructions.ts';
import { widest, type Wide } from '../wasm/lanes.ts';

/** Rows of one tile of the result, its columns in a wide module, and the scratch that it takes there. */
export const ROWS = 4;
export const MOST_COLUMNS = 16;
export const TILE_BYTES = 4 * ROWS * MOST_COLUMNS;

/** Columns of one tile of the result. */
export const columnsOf = ({ wide }: WasmModule): number => (wide ? MOST_COLUMNS : MOST_COLUMNS / 2);

// of k in a round of a wide tile. A narrow one takes one: V8 orders all loads of a round first, and a longer one spills
const STEPS = 4;

/** Panels of as many neighbouring columns as a tile has -> to[panel][k][columns]; beyond `count` zeros. */
export const packColumns = (module: WasmModule) => pack(module, 'matmulPackColumns', columnsOf(module));
/** The same with panels of 4 rows. */
export const packRows = (module: WasmModule) => pack(module, 'matmulPackRows', ROWS);

/** `count` vectors of K floats at `from`, `stride` apart, whose elements lie kStride apart. */
function pack(module: WasmModule, name: string, size: number) {
  return module.function(
    name,
    ['from', 'to', 'stride', 'kStride', 'count', 'K'],
    (f, { from, to, stride, kStride, count, K }) => {
      const [i, k, source, left] = f.locals('i32', 4);
      const places = f.locals('i32', size);
      const everyK = (copy: () => void, pointers: readonly Int[]): void =>
        f.while(i32.lt(k, K), () => {
          copy();
          for (const pointer of pointers) f.bump(pointer, kStride);
          f.bump(to, 4 * size);
          f.bump(k, 1);
        });
      /** Neighbours: copied as they lie. */
      const copyVectors = (): void => {
        const found = Array.from({ length: size / 4 }, (_, q) => f.keep(v128.load(source, 16 * q)));
        found.forEach((vector, q) => f.store(to, vector, 16 * q));
      };
      const copyFloats = (): void => places.forEach((place, j) => f.store(to, f32.load(place), 4 * j));
      const copyFloatsOrZeros = (): void =>
        places.forEach((place, j) => {
          f.if(
            i32.lt(j, left),
            () => f.store(to, f32.load(place), 4 * j),
            () => f.store(to, f32.zero, 4 * j),
          );
        });
      /** Four k of every vector at a time. */
      const transposeFours = (): void =>
        f.while(i32.ge(K, i32.add(k, 4)), () => {
          for (let j = 0; j < size; j += 4) {
            transpose(f, places.slice(j, j + 4)).forEach((column, q) => f.store(to, column, 4 * (q * size + j)));
          }
          for (const place of places) f.bump(place, 16);
          f.bump(to, 16 * size);
          f.bump(k, 4);
        });

      f.loop(i, count, size, () => {
        f.set(k, 0);
        f.set(left, i32.sub(count, i));
        f.set(source, at(from, [i, stride]));
        f.if(
          i32.and(i32.ge(left, size), i32.eq(stride, 4)),
          () => everyK(copyVectors, [source]),
          () => {
            // Vectors beyond the last are read from the last and stored as zeros.
            places.forEach((place, j) => f.set(place, at(source, [i32.min(j, i32.sub(left, 1)), stride])));
            f.if(
              i32.ge(left, size),
              () => {
                f.if(i32.eq(kStride, 4), transposeFours);
                everyK(copyFloats, places);
              },
              () => everyK(copyFloatsOrZeros, places),
            );
          },
        );
      });
    },
  );
}

/** Four floats from each of four places: the firsts, the seconds, the thirds, the fourths. */
export function transpose(f: FunctionBuilder, places: readonly Expr<'i32'>[], offset = 0): Expr<'v128'>[] {
  const [a, b, c, d] = places.map((place) => f.keep(v128.load(place, offset))) as [Vector, Vector, Vector, Vector];
  const ab = f.keep(v128.shuffle(a, b, 0, 4, 1, 5));
  const cd = f.keep(v128.shuffle(c, d, 0, 4, 1, 5));
  const ab2 = f.keep(v128.shuffle(a, b, 2, 6, 3, 7));
  const cd2 = f.keep(v128.shuffle(c, d, 2, 6, 3, 7));
  return [
    v128.shuffle(ab, cd, 0, 1, 4, 5), v128.shuffle(ab, cd, 2, 3, 6, 7),
    v128.shuffle(ab2, cd2, 0, 1, 4, 5), v128.shuffle(ab2, cd2, 2, 3, 6, 7),
  ];
}

/**
 * out = A B, or out += with adds = 1. A's element (m,k) of a tile lies at a + m aRow + k aK, the next tile of rows
 * aTile further; B is packed, its panels bPanel apart; `tile` is scratch for one.
 */
export function tiles(module: WasmModule) {
  const names = ['a', 'aRow', 'aK', 'aTile', 'b', 'bPanel', 'out', 'outRow', 'M', 'N', 'K', 'adds', 'tile'] as const;
  return module.function(
    'matmulTiles',
    names,
    (f, { a, aRow, aK, aTile, b, bPanel, out, outRow, M, N, K, adds, tile }) => {
      const lanes = widest(f);
      const vector = 4 * lanes.floats; // bytes
      const columns = 2 * lanes.floats;
      const [i, j, from, pb, end, endOfRounds, rows, columnsLeft, to] = f.locals('i32', 9);
      const pa = f.locals('i32', ROWS);
      const sums = f.locals(lanes.type, 2 * ROWS);
      /** One k: into all sums. */
      const step = (offset: number): void => {
        const b0 = f.keep(lanes.load(pb, offset));
        const b1 = f.keep(lanes.load(pb, offset + vector));
        pa.forEach((p, r) => {
          const element = f.keep(lanes.loadSplat(p));
          f.set(sums[2 * r]!, lanes.madd(element, b0, sums[2 * r]!));
          f.set(sums[2 * r + 1]!, lanes.madd(element, b1, sums[2 * r + 1]!));
          f.bump(p, aK);
        });
      };
      /** Rounds of some k until pb is at `stop`. Not lt: it is signed, and a panel may lie across 2 GiB. */
      const rounds = (steps: number, stop: Int): void =>
        f.while(i32.ne(pb, stop), () => {
          for (let k = 0; k < steps; k++) step(4 * columns * k);
          f.bump(pb, 4 * columns * steps);
        });

      f.loop(j, N, columns, () => {
        f.set(end, at(b, [K, 4 * columns]));
        f.set(endOfRounds, at(b, [i32.and(K, -STEPS), 4 * columns]));
        f.set(columnsLeft, i32.sub(N, j));
        f.set(from, a);
        f.loop(i, M, ROWS, () => {
          f.set(rows, i32.sub(M, i));
          // Rows beyond the last read the last again, and are not stored.
          pa.forEach((p, r) => f.set(p, r === 0 ? from : at(from, [i32.min(r, i32.sub(rows, 1)), aRow])));
          for (const sum of sums) f.set(sum, lanes.zero as never);
          f.set(pb, b);
          if (lanes.type === 'pair') rounds(STEPS, endOfRounds);
          rounds(1, end);
          f.set(to, at(out, [i, outRow], [j, 4]));
          f.if(
            i32.ge(columnsLeft, columns),
            () => storeRows(f, sums, to, { outRow, rows, adds }),
            () => {
              sums.forEach((sum, q) => f.store(tile, sum, vector * q));
              storePart(f, tile, to, { outRow, rows: i32.min(rows, ROWS), columns: columnsLeft, adds });
            },
          );
          f.bump(from, aTile);
        });
        f.bump(b, bPanel);
      });
    },
  );
}

/** Stores eight vectors as up to 4 rows of two. */
function storeRows(
  f: FunctionBuilder,
  sums: readonly Local<Wide>[],
  to: Int,
  { outRow, rows, adds }: Readonly<Record<'outRow' | 'rows' | 'adds', Int>>,
): void {
  const lanes = widest(f);
  const second = 4 * lanes.floats;
  const row = (r: number, value: (sum: Local<Wide>, offset: number) => Expr<Wide>) => (): void => {
    f.store(to, value(sums[2 * r]!, 0));
    f.store(to, value(sums[2 * r + 1]!, second), second);
    f.bump(to, outRow);
  };
  const all = (value: (sum: Local<Wide>, offset: number) => Expr<Wide>): void =>
    f.if(
      i32.ge(rows, ROWS),
      () => {
        for (let r = 0; r < ROWS; r++) row(r, value)();
      },
      () => {
        for (let r = 0; r < ROWS - 1; r++) f.if(i32.gt(rows, r), row(r, value));
      },
    );
  f.if(
    adds,
    () => all((sum, offset) => lanes.add(lanes.load(to, offset), sum)),
    () => all((sum) => sum),
  );
}

/** What storePart copies: rows of a tile, which lie outRow apart in the result. */
interface Corner {
  readonly outRow: Int;
  readonly rows: Expr<'i32'>;
  readonly columns: Int;
  readonly adds: Int;
}

/** Copies the upper left corner of a tile in memory, element by element. */
function storePart(f: FunctionBuilder, tile: Int, to: Int, { outRow, rows, columns, adds }: Corner): void {
  const [r, c, x, y] = f.locals('i32', 4);
  f.loop(r, rows, 1, () => {
    f.set(x, at(tile, [r, 4 * columnsOf(f.module)]));
    f.set(y, at(to, [r, outRow]));
    f.loop(c, columns, 1, () => {
      f.if(adds, () => f.store(y, f32.add(f32.load(y), f32.load(x))), () => f.store(y, f32.load(x)));
      f.bump(x, 4);
      f.bump(y, 4);
    });
  });
}
