// The matrix product for the CPU, in WASM SIMD. Scheme (after BLIS; Van Zee and van de Geijn, ACM TOMS 2015):
//   - k is cut into blocks of at most KC. B's block is packed into panels of 8 columns, [panel][k][8], padded with zeros.
//   - rows of A are taken in blocks that stay in the second-level cache; for each panel of B, tiles of 4 rows x 8 columns of the result
//     are made in eight vector registers: per k two loads of B, four broadcasts of A, eight multiply-adds. The loop over k is not
//     unrolled: V8 orders all loads of a block first, and a longer one spills.
//   - A is read where it lies, unless it is transposed: then it is packed into panels of 4 rows, [panel][k][4].
// Few rows (decoding) skip all that: a product with a vector reads every weight once. Sums have a fixed order, which depends on
// M, N and K only. All strides and addresses inside are in bytes.
// Read after: ../wasm/assembler.ts, matmul.ts.

import type { WasmProgram } from '../kernel.ts';
import { f32, i32, v128, type FunctionBuilder, type Local, type WasmModule } from '../wasm/assembler.ts';

/** Rows and columns of one tile of the result, and the scratch that it takes. */
export const ROWS = 4, COLUMNS = 8, TILE_BYTES = 4 * ROWS * COLUMNS;
const KC = 256; // longest k block: a panel of B is 8 KiB, a quarter of the first-level cache
const BLOCK_FLOATS = 32_768; // of A per block of rows: 128 KiB
const FEW_ROWS = 4; // up to here no packing

type Int = Local<'i32'>;

export const matmulWasm: WasmProgram<'a' | 'b' | 'out', 'batch' | 'M' | 'N' | 'K' | 'transA' | 'transB' | 'strideA' | 'strideB' | 'accumulate'> = {
  emit(module, { relaxed }) {
    emitPack(module, 'matmulPackA', ROWS);
    emitPack(module, 'matmulPackB', COLUMNS);
    emitBlock(module, relaxed);
    emitRowTimesColumns(module, relaxed);
    emitRowTimesRows(module, relaxed);
  },

  bind({ matmulPackA: packA, matmulPackB: packB, matmulBlock: block, matmulRowNN: rowNN, matmulRowNT: rowNT }, { scratch }) {
    return ({ a, b, out }, { batch, M, N, K, transA, transB, strideA, strideB, accumulate }) => {
      const [aRow, aK] = transA ? [4, 4 * M] : [4 * K, 4], [bK, bColumn] = transB ? [4, 4 * K] : [4 * N, 4];
      for (let i = 0; i < batch; i++, a += 4 * strideA, b += 4 * strideB, out += 4 * M * N) {
        if (M <= FEW_ROWS && !transA) {
          for (let m = 0; m < M; m++) (transB ? rowNT! : rowNN!)(a + m * aRow, b, out + 4 * m * N, N, K, accumulate);
        } else {
          blocked(a, b, out, accumulate);
        }
      }

      function blocked(a: number, b: number, out: number, accumulate: number): void {
        const depth = Math.min(K, KC), rows = Math.max(ROWS, Math.floor(BLOCK_FLOATS / Math.max(1, depth) / ROWS) * ROWS);
        const bytesA = transA ? 4 * rows * depth : 0, bytesB = 4 * Math.ceil(N / COLUMNS) * COLUMNS * depth;
        const tile = scratch(TILE_BYTES + bytesA + bytesB), packedA = tile + TILE_BYTES, packedB = packedA + bytesA;
        for (let k = 0; k < K || k === 0; k += KC) {
          const kc = Math.min(KC, K - k);
          packB!(b + k * bK, packedB, bColumn, bK, N, kc);
          for (let m = 0; m < M; m += rows) {
            const mc = Math.min(rows, M - m), at = a + m * aRow + k * aK, adds = accumulate || k > 0 ? 1 : 0;
            if (transA) packA!(at, packedA, aRow, aK, mc, kc);
            if (transA) block!(packedA, 4, 4 * ROWS, packedB, out + 4 * m * N, 4 * N, mc, N, kc, adds, tile, 4 * ROWS * kc);
            else block!(at, aRow, aK, packedB, out + 4 * m * N, 4 * N, mc, N, kc, adds, tile, ROWS * aRow);
          }
        }
      }
    };
  },
};

/** (from, to, stride, kStride, count, K): panels of `size` neighbouring vectors -> to[panel][k][size]; beyond `count` zeros. */
function emitPack(module: WasmModule, name: string, size: number): void {
  module.function(name, ['from', 'to', 'stride', 'kStride', 'count', 'K'], (f, { from, to, stride, kStride, count, K }) => {
    const [i, k, source, left] = f.locals('i32', 4) as [Int, Int, Int, Int], at = f.locals('i32', size);
    const everyK = (copy: () => void, pointers: readonly Int[]): void => f.loop(k, K, 1, () => {
      copy();
      for (const pointer of pointers) f.bump(pointer, kStride);
      f.bump(to, 4 * size);
    });
    f.loop(i, count, size, () => {
      f.set(left, i32.sub(count, i));
      f.set(source, i32.add(from, i32.mul(i, stride)));
      f.if(i32.and(i32.ge(left, size), i32.eq(stride, 4)), () => {
        everyK(() => { for (let j = 0; j < size; j += 4) f.store(to, v128.load(source, 4 * j), 4 * j); }, [source]);
      }, () => {
        // Vectors beyond the last are read from the last and stored as zeros.
        at.forEach((pointer, j) => f.set(pointer, i32.add(source, i32.mul(i32.min(j, i32.sub(left, 1)), stride))));
        f.if(i32.ge(left, size), () => {
          everyK(() => at.forEach((pointer, j) => f.store(to, f32.load(pointer), 4 * j)), at);
        }, () => {
          everyK(() => at.forEach((pointer, j) => f.if(i32.lt(j, left), () => f.store(to, f32.load(pointer), 4 * j), () => f.store(to, f32.zero, 4 * j))), at);
        });
      });
    });
  });
}

/**
 * (a, aRow, aK, b, out, outRow, M, N, K, adds, tile, aTile): out = A B over one block, or out += with adds = 1.
 * A's element (m,k) of a tile lies at a + m aRow + k aK, the next tile of rows aTile further; B is packed; `tile` is scratch for one.
 */
function emitBlock(module: WasmModule, relaxed: boolean): void {
  const names = ['a', 'aRow', 'aK', 'b', 'out', 'outRow', 'M', 'N', 'K', 'adds', 'tile', 'aTile'] as const;
  module.function('matmulBlock', names, (f, { a, aRow, aK, b, out, outRow, M, N, K, adds, tile, aTile }) => {
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
            f.set(sums[2 * r]!, v128.madd(relaxed, av, b0!, sums[2 * r]!));
            f.set(sums[2 * r + 1]!, v128.madd(relaxed, av, b1!, sums[2 * r + 1]!));
            f.bump(p, aK);
          });
          f.bump(pb, 4 * COLUMNS);
        });
        f.set(to, i32.add(i32.add(out, i32.mul(i, outRow)), i32.mul(j, 4)));
        f.if(i32.and(i32.ge(rows, ROWS), i32.ge(columns, COLUMNS)), () => storeFull(f, sums, to, outRow, adds), () => {
          sums.forEach((sum, q) => f.store(tile, sum, 16 * q));
          storePart(f, tile, to, outRow, i32.min(rows, ROWS), i32.min(columns, COLUMNS), adds);
        });
        f.bump(from, aTile);
      });
      f.set(b, end);
    });
  });
}

/** Stores eight vectors as 4 rows of 8. */
function storeFull(f: FunctionBuilder, sums: readonly Local<'v128'>[], to: Int, outRow: Int, adds: Int): void {
  const rows = (value: (sum: Local<'v128'>, offset: number) => Parameters<FunctionBuilder['store']>[1]) => () => {
    for (let r = 0; r < ROWS; r++) {
      f.store(to, value(sums[2 * r]!, 0), 0);
      f.store(to, value(sums[2 * r + 1]!, 16), 16);
      f.bump(to, outRow);
    }
  };
  f.if(adds, rows((sum, offset) => v128.add(v128.load(to, offset), sum)), rows((sum) => sum));
}

/** Copies the upper left corner of a tile in memory, element by element. */
function storePart(f: FunctionBuilder, tile: Int, to: Int, outRow: Int, rows: ReturnType<typeof i32.of>, columns: ReturnType<typeof i32.of>, adds: Int): void {
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

/** (a, b, out, N, K, adds): one row of A times B [K,N]: 16 columns at a time walk down B; then 4, then single ones. */
function emitRowTimesColumns(module: WasmModule, relaxed: boolean): void {
  module.function('matmulRowNN', ['a', 'b', 'out', 'N', 'K', 'adds'], (f, { a, b, out, N, K, adds }) => {
    const [j, k, pa, pb, to] = f.locals('i32', 5) as [Int, Int, Int, Int, Int], sums = f.locals('v128', 4), av = f.local('v128');
    const scalar = f.local('f32');
    const walk = (body: () => void): void => {
      f.set(pa, a);
      f.set(pb, i32.add(b, i32.mul(j, 4)));
      f.set(to, i32.add(out, i32.mul(j, 4)));
      f.loop(k, K, 1, () => {
        body();
        f.bump(pa, 4);
        f.bump(pb, i32.mul(N, 4));
      });
    };
    const columns = (used: readonly Local<'v128'>[]) => () => {
      for (const sum of used) f.set(sum, v128.zero);
      walk(() => {
        f.set(av, v128.loadSplat(pa));
        used.forEach((sum, q) => f.set(sum, v128.madd(relaxed, av, v128.load(pb, 16 * q), sum)));
      });
      used.forEach((sum, q) => f.if(adds, () => f.store(to, v128.add(v128.load(to, 16 * q), sum), 16 * q), () => f.store(to, sum, 16 * q)));
      f.bump(j, 4 * used.length);
    };
    f.set(j, 0);
    f.while(i32.ge(N, i32.add(j, 16)), columns(sums));
    f.while(i32.ge(N, i32.add(j, 4)), columns(sums.slice(0, 1)));
    f.while(i32.lt(j, N), () => {
      f.set(scalar, f32.zero);
      walk(() => f.set(scalar, f32.add(scalar, f32.mul(f32.load(pa), f32.load(pb)))));
      storeFloat(f, to, scalar, adds);
      f.bump(j, 1);
    });
  });
}

/** (a, b, out, N, K, adds): one row of A times B' for B [N,K]: dot products, four rows of B at a time, in lanes of four along k. */
function emitRowTimesRows(module: WasmModule, relaxed: boolean): void {
  module.function('matmulRowNT', ['a', 'b', 'out', 'N', 'K', 'adds'], (f, { a, b, out, N, K, adds }) => {
    const [j, k, pa, bytes] = f.locals('i32', 4) as [Int, Int, Int, Int], pb = f.locals('i32', 4), sums = f.locals('v128', 4), av = f.local('v128');
    const scalar = f.local('f32');
    const rows = (count: number) => () => {
      f.set(pa, a);
      for (let r = 0; r < count; r++) {
        f.set(pb[r]!, i32.add(b, i32.mul(i32.add(j, r), bytes)));
        f.set(sums[r]!, v128.zero);
      }
      f.set(k, 0);
      f.while(i32.ge(K, i32.add(k, 4)), () => {
        f.set(av, v128.load(pa));
        for (let r = 0; r < count; r++) {
          f.set(sums[r]!, v128.madd(relaxed, av, v128.load(pb[r]!), sums[r]!));
          f.bump(pb[r]!, 16);
        }
        f.bump(pa, 16);
        f.bump(k, 4);
      });
      for (let r = 0; r < count; r++) {
        f.set(scalar, v128.sum(sums[r]!));
        tail(pb[r]!);
        storeFloat(f, i32.add(out, i32.mul(i32.add(j, r), 4)), scalar, adds);
      }
      f.bump(j, count);
    };
    // The last K mod 4 products of one row, from k on.
    const [kk, ta] = f.locals('i32', 2) as [Int, Int];
    const tail = (p: Int): void => {
      f.set(ta, pa);
      f.set(kk, k);
      f.while(i32.lt(kk, K), () => {
        f.set(scalar, f32.add(scalar, f32.mul(f32.load(ta), f32.load(p))));
        f.bump(ta, 4);
        f.bump(p, 4);
        f.bump(kk, 1);
      });
    };
    f.set(bytes, i32.mul(K, 4));
    f.set(j, 0);
    f.while(i32.ge(N, i32.add(j, 4)), rows(4));
    f.while(i32.lt(j, N), rows(1));
  });
}

function storeFloat(f: FunctionBuilder, to: Parameters<FunctionBuilder['store']>[0], value: Local<'f32'>, adds: Int): void {
  f.if(adds, () => f.store(to, f32.add(f32.load(to), value)), () => f.store(to, value));
}
