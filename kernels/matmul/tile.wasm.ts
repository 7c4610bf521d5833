// The inside of the matrix product: packing, and tiles of 4 rows x 8 columns. Per k, a tile takes two loads of B, four broadcasts of A and
// eight multiply-adds. The loop over k is not unrolled: V8 orders all loads of a block first, and a longer one spills.
// Read after: ../wasm/assembler.ts. Used by: matmul.wasm.ts, ../attention/attention.wasm.ts.

import type { Callable, FunctionBuilder, WasmModule } from '../wasm/assembler.ts';
import { f32, i32, v128, type Expr, type Local } from '../wasm/instructions.ts';

/** Rows and columns of one tile of the result, and the scratch that it takes. */
export const ROWS = 4, COLUMNS = 8, TILE_BYTES = 4 * ROWS * COLUMNS;

type Int = Local<'i32'>;
type Vector = Local<'v128'>;

/** (from, to, stride, kStride, count, K): panels of 8 neighbouring columns -> to[panel][k][8]; beyond `count` zeros. */
export const packColumns = (module: WasmModule): Callable => pack(module, 'matmulPackColumns', COLUMNS);
/** The same with panels of 4 rows. */
export const packRows = (module: WasmModule): Callable => pack(module, 'matmulPackRows', ROWS);

function pack(module: WasmModule, name: string, size: number): Callable {
  return module.function(name, ['from', 'to', 'stride', 'kStride', 'count', 'K'], (f, { from, to, stride, kStride, count, K }) => {
    const [i, k, source, left] = f.locals('i32', 4) as [Int, Int, Int, Int], at = f.locals('i32', size);
    const everyK = (copy: () => void, pointers: readonly Int[]): void => f.while(i32.lt(k, K), () => {
      copy();
      for (const pointer of pointers) f.bump(pointer, kStride);
      f.bump(to, 4 * size);
      f.bump(k, 1);
    });
    f.loop(i, count, size, () => {
      f.set(k, 0);
      f.set(left, i32.sub(count, i));
      f.set(source, i32.add(from, i32.mul(i, stride)));
      f.if(i32.and(i32.ge(left, size), i32.eq(stride, 4)), () => {
        everyK(() => { for (let j = 0; j < size; j += 4) f.store(to, v128.load(source, 4 * j), 4 * j); }, [source]);
      }, () => {
        // Vectors beyond the last are read from the last and stored as zeros.
        at.forEach((pointer, j) => f.set(pointer, i32.add(source, i32.mul(i32.min(j, i32.sub(left, 1)), stride))));
        f.if(i32.ge(left, size), () => {
          f.if(i32.eq(kStride, 4), () => f.while(i32.ge(K, i32.add(k, 4)), () => {
            for (let j = 0; j < size; j += 4) transpose(f, at.slice(j, j + 4)).forEach((column, q) => f.store(to, column, 4 * (q * size + j)));
            for (const pointer of at) f.bump(pointer, 16);
            f.bump(to, 16 * size);
            f.bump(k, 4);
          }));
          everyK(() => at.forEach((pointer, j) => f.store(to, f32.load(pointer), 4 * j)), at);
        }, () => {
          everyK(() => at.forEach((pointer, j) => f.if(i32.lt(j, left), () => f.store(to, f32.load(pointer), 4 * j), () => f.store(to, f32.zero, 4 * j))), at);
        });
      });
    });
  });
}

/** Four floats from each of four places: the firsts, the seconds, the thirds, the fourths. */
export function transpose(f: FunctionBuilder, places: readonly Expr<'i32'>[]): Expr<'v128'>[] {
  const [a, b, c, d] = places.map((place) => f.keep(v128.load(place))) as [Vector, Vector, Vector, Vector];
  const [ab, cd] = [f.keep(v128.shuffle(a, b, 0, 4, 1, 5)), f.keep(v128.shuffle(c, d, 0, 4, 1, 5))];
  const [ab2, cd2] = [f.keep(v128.shuffle(a, b, 2, 6, 3, 7)), f.keep(v128.shuffle(c, d, 2, 6, 3, 7))];
  return [v128.shuffle(ab, cd, 0, 1, 4, 5), v128.shuffle(ab, cd, 2, 3, 6, 7), v128.shuffle(ab2, cd2, 0, 1, 4, 5), v128.shuffle(ab2, cd2, 2, 3, 6, 7)];
}

/**
 * (a, aRow, aK, aTile, b, bPanel, out, outRow, M, N, K, adds, tile): out = A B, or out += with adds = 1.
 * A's element (m,k) of a tile lies at a + m aRow + k aK, the next tile of rows aTile further; B is packed, its panels bPanel apart;
 * `tile` is scratch for one.
 */
export function tiles(module: WasmModule): Callable {
  const names = ['a', 'aRow', 'aK', 'aTile', 'b', 'bPanel', 'out', 'outRow', 'M', 'N', 'K', 'adds', 'tile'] as const;
  return module.function('matmulTiles', names, (f, { a, aRow, aK, aTile, b, bPanel, out, outRow, M, N, K, adds, tile }) => {
    const [i, j, from, pb, end, rows, columns, to] = f.locals('i32', 8) as [Int, Int, Int, Int, Int, Int, Int, Int];
    const pa = f.locals('i32', ROWS), sums = f.locals('v128', 2 * ROWS), [b0, b1] = f.locals('v128', 2), av = f.local('v128');

    f.loop(j, N, COLUMNS, () => {
      f.set(end, i32.add(b, i32.mul(K, 4 * COLUMNS)));
      f.set(columns, i32.sub(N, j));
      f.set(from, a);
      f.loop(i, M, ROWS, () => {
        f.set(rows, i32.sub(M, i));
        // Rows beyond the last read the last again, and are not stored.
        pa.forEach((p, r) => f.set(p, r === 0 ? from : i32.add(from, i32.mul(i32.min(r, i32.sub(rows, 1)), aRow))));
        for (const sum of sums) f.set(sum, v128.zero);
        f.set(pb, b);
        f.while(i32.ne(pb, end), () => { // not lt: it is signed, and a panel may lie across 2 GiB
          f.set(b0!, v128.load(pb));
          f.set(b1!, v128.load(pb, 16));
          pa.forEach((p, r) => {
            f.set(av, v128.loadSplat(p));
            f.set(sums[2 * r]!, f.madd(av, b0!, sums[2 * r]!));
            f.set(sums[2 * r + 1]!, f.madd(av, b1!, sums[2 * r + 1]!));
            f.bump(p, aK);
          });
          f.bump(pb, 4 * COLUMNS);
        });
        f.set(to, i32.add(i32.add(out, i32.mul(i, outRow)), i32.mul(j, 4)));
        f.if(i32.ge(columns, COLUMNS), () => storeRows(f, sums, to, outRow, rows, adds), () => {
          sums.forEach((sum, q) => f.store(tile, sum, 16 * q));
          storePart(f, tile, to, outRow, i32.min(rows, ROWS), columns, adds);
        });
        f.bump(from, aTile);
      });
      f.bump(b, bPanel);
    });
  });
}

/** Stores eight vectors as up to 4 rows of 8. */
function storeRows(f: FunctionBuilder, sums: readonly Vector[], to: Int, outRow: Int, rows: Int, adds: Int): void {
  const row = (r: number, value: (sum: Vector, offset: number) => Expr<'v128'>) => (): void => {
    f.store(to, value(sums[2 * r]!, 0), 0);
    f.store(to, value(sums[2 * r + 1]!, 16), 16);
    f.bump(to, outRow);
  };
  const all = (value: (sum: Vector, offset: number) => Expr<'v128'>): void => f.if(i32.ge(rows, ROWS),
    () => { for (let r = 0; r < ROWS; r++) row(r, value)(); },
    () => { for (let r = 0; r < ROWS - 1; r++) f.if(i32.gt(rows, r), row(r, value)); });
  f.if(adds, () => all((sum, offset) => v128.add(v128.load(to, offset), sum)), () => all((sum) => sum));
}

/** Copies the upper left corner of a tile in memory, element by element. */
function storePart(f: FunctionBuilder, tile: Int, to: Int, outRow: Int, rows: Expr<'i32'>, columns: Int, adds: Int): void {
  const [r, c, x, y] = f.locals('i32', 4) as [Int, Int, Int, Int];
  f.loop(r, rows, 1, () => {
    f.set(x, i32.add(tile, i32.mul(r, 4 * COLUMNS)));
    f.set(y, i32.add(to, i32.mul(r, outRow)));
    f.loop(c, columns, 1, () => {
      f.if(adds, () => f.store(y, f32.add(f32.load(y), f32.load(x))), () => f.store(y, f32.load(x)));
      f.bump(x, 4);
      f.bump(y, 4);
    });
  });
}
