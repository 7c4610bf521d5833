// The matrix product for the CPU, in WASM SIMD. Scheme (after BLIS; Van Zee and van de Geijn, ACM TOMS 2015):
//   - k is cut into blocks of at most KC. B's block is packed into panels of a tile's columns, [panel][k][columns],
//     padded with zeros.
//   - rows of A are taken in blocks that stay in the second-level cache; for each panel of B, tiles of 4 rows of the
//     result are made in eight registers of vectors or, in a wide module, of pairs (tile.wasm.ts).
//   - A is read where it lies, unless it is transposed: then it is packed into panels of 4 rows, [panel][k][4].
// Few rows (decoding) skip all that: a product with a vector reads every weight once (vector.wasm.ts). Threads share
// out the longer side of the result, so that the operand which all of them pack is the shorter one; or, in a batch,
// whole products. Sums have a fixed order, which depends on M, N and K only. All strides and addresses inside are in
// bytes. Bias and residual are added to a block of rows when its last k is done, while it is in the cache: to the same
// bits as in a pass of their own.
// Read after: ../wasm/program.ts, matmul.ts. Read next: tile.wasm.ts.

import type { FunctionBuilder, WasmModule } from '../wasm/assembler.ts';
import { at, i32, type Expr, type Int } from '../wasm/instructions.ts';
import { overFloats } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';
import { columnsOf, MOST_COLUMNS, packColumns, packRows, ROWS, TILE_BYTES, tiles } from './tile.wasm.ts';
import { rowTimesColumns, rowTimesRows } from './vector.wasm.ts';

const KC = 256; // longest k block: a panel of B is 8 or 16 KiB, up to half of the first-level cache
const NC = 1024; // most columns of B at a time
const BLOCK_FLOATS = 32_768; // of A per block of rows: 128 KiB
const FEW_ROWS = 4; // up to here no packing
const FEW_ROWS_COLUMNS = 32; // a unit of such a product

type Sizes = Readonly<Record<'batch' | 'M' | 'N' | 'K' | 'transA', number>>;

const isFew = ({ M, transA }: Sizes): boolean => M <= FEW_ROWS && !transA;
/** Rows of A per block. */
const rowsOf = ({ K }: Sizes): number => {
  const rows = BLOCK_FLOATS / Math.max(1, Math.min(K, KC));
  return Math.max(ROWS, Math.floor(rows / ROWS) * ROWS);
};
const bytesA = (sizes: Sizes): number => (sizes.transA ? 4 * rowsOf(sizes) * Math.min(sizes.K, KC) : 0);
const bytesB = ({ N, K }: Sizes): number =>
  4 * Math.ceil(Math.min(N, NC) / MOST_COLUMNS) * MOST_COLUMNS * Math.min(K, KC);

/** Columns or rows that make a unit: which of the two, `emit` below decides alike. The same in modules of any width. */
function unitsOf(sizes: Sizes): number {
  const { batch, M, N } = sizes;
  if (batch !== 1) return batch;
  if (isFew(sizes)) return Math.ceil(N / FEW_ROWS_COLUMNS);
  return M >= N ? Math.ceil(M / ROWS) : Math.ceil(N / MOST_COLUMNS);
}

export const matmulWasm = program({
  buffers: ['a', 'b', 'bias', 'residual', 'out'],
  counts: ['batch', 'M', 'N', 'K', 'transA', 'transB', 'strideA', 'strideB', 'accumulate', 'addBias', 'addResidual'],
  derived: { blockRows: rowsOf, packedA: bytesA },
}, {
  name: 'matmul',
  units: unitsOf,
  cost: (sizes) => (sizes.batch * sizes.M * sizes.N * sizes.K) / 4 / Math.max(1, unitsOf(sizes)),
  scratch: (sizes) => (isFew(sizes) ? 0 : TILE_BYTES + bytesA(sizes) + bytesB(sizes)),
  setup: true,
  emit(f, { a, b, bias, residual, out, batch, strideA, strideB, ...sizes }, { first, last, scratch }) {
    const product = emitProduct(f.module);
    const { M, N, transA } = sizes;
    const i = f.keep(first);
    const end = f.keep(last);
    const row0 = f.keep(i32.of(0));
    const row1 = f.keep(M);
    const column0 = f.keep(i32.of(0));
    const column1 = f.keep(N);
    f.if(i32.eq(batch, 1), () => {
      const share = (from: Int, to: Int, whole: Int, size: number) => (): void => {
        f.set(from, i32.mul(first, size));
        f.set(to, i32.min(i32.mul(last, size), whole));
      };
      const shareRows = share(row0, row1, M, ROWS);
      const shareColumns = share(column0, column1, N, MOST_COLUMNS);
      f.set(i, 0);
      f.set(end, 1);
      f.if(isFewRows(M, transA), share(column0, column1, N, FEW_ROWS_COLUMNS), () =>
        f.if(i32.ge(M, N), shareRows, shareColumns),
      );
    });
    f.while(i32.lt(i, end), () => {
      const bytes = i32.mul(i, 4);
      f.call(product, {
        ...sizes, row0, row1, column0, column1, scratch, bias,
        a: at(a, [bytes, strideA]), b: at(b, [bytes, strideB]),
        residual: at(residual, [bytes, i32.mul(M, N)]), out: at(out, [bytes, i32.mul(M, N)]),
      });
      f.bump(i, 1);
    });
  },
});

function isFewRows(M: Int, transA: Int): Expr<'i32'> {
  return i32.and(i32.ge(FEW_ROWS, M), i32.eq(transA, 0));
}

/**
 * Bytes from one row (or column) of an operand to the next, and from k to k: [count,K] as it lies, or [K,count] when it
 * is `across`.
 */
function stridesOf(f: FunctionBuilder, across: Expr<'i32'>, count: Int, K: Int): { next: Int; k: Int } {
  const next = f.keep(i32.mul(K, 4));
  const k = f.keep(i32.of(4));
  f.if(across, () => {
    f.set(next, 4);
    f.set(k, i32.mul(count, 4));
  });
  return { next, k };
}

const parameters = [
  'a', 'b', 'bias', 'residual', 'out', 'M', 'N', 'K', 'transA', 'transB', 'accumulate', 'addBias', 'addResidual',
  'row0', 'row1', 'column0', 'column1', 'blockRows', 'packedA', 'scratch',
] as const;

/** Rows row0 .. row1-1 and columns column0 .. column1-1 of one product. */
function emitProduct(module: WasmModule) {
  const packA = packRows(module);
  const packB = packColumns(module);
  const block = tiles(module);
  const vectorColumns = rowTimesColumns(module);
  const vectorRows = rowTimesRows(module);
  const add = addRows(module);
  return module.function('matmulProduct', parameters, (f, p) => {
    const {
      a, b, bias, residual, out, M, N, K, transA, transB, accumulate, row0, row1, column0, column1, blockRows, scratch,
    } = p;
    const { next: aRow, k: aK } = stridesOf(f, transA, M, K);
    const { next: bColumn, k: bK } = stridesOf(f, i32.eq(transB, 0), N, K);
    const outRow = f.keep(i32.mul(N, 4));
    const [m, n, k, mc, nc, kc, adds, from, to] = f.locals('i32', 9);
    f.bump(b, i32.mul(column0, bColumn));
    for (const pointer of [bias, residual, out]) f.bump(pointer, i32.mul(column0, 4));
    /** Adds what is to be added to rows of the result that are done, at `to`. */
    const epilogue = (to: Int, row: Expr<'i32'>, rows: Expr<'i32'> | number): void => {
      f.if(p.addBias, () => f.call(add, { out: to, outRow, x: bias, xRow: 0, M: rows, N: nc }));
      f.if(p.addResidual, () =>
        f.call(add, { out: to, outRow, x: at(residual, [row, outRow]), xRow: outRow, M: rows, N: nc }),
      );
    };

    f.if(isFewRows(M, transA), () => {
      f.set(nc, i32.sub(column1, column0));
      f.loop(m, M, 1, () => {
        const row = { a, b, out, N: nc, K, adds: accumulate };
        f.if(transB, () => f.call(vectorRows, row), () => f.call(vectorColumns, { ...row, bRow: bK }));
        epilogue(out, m, 1);
        f.bump(a, aRow);
        f.bump(out, outRow);
      });
      f.return();
    });

    const columns = columnsOf(module);
    const toA = f.keep(i32.add(scratch, TILE_BYTES));
    const toB = f.keep(i32.add(toA, p.packedA));
    f.set(n, column0);
    f.while(i32.lt(n, column1), () => {
      f.set(nc, i32.min(i32.sub(column1, n), NC));
      f.set(k, 0);
      f.doWhile(i32.lt(k, K), () => {
        f.set(kc, i32.min(i32.sub(K, k), KC));
        f.set(adds, accumulate);
        f.if(i32.gt(k, 0), () => f.set(adds, 1));
        f.call(packB, { from: at(b, [k, bK]), to: toB, stride: bColumn, kStride: bK, count: nc, K: kc });
        f.set(m, row0);
        f.while(i32.lt(m, row1), () => {
          f.set(mc, i32.min(i32.sub(row1, m), blockRows));
          f.set(from, at(a, [m, aRow], [k, aK]));
          f.set(to, at(out, [m, outRow]));
          const rest = {
            b: toB,
            bPanel: i32.mul(kc, 4 * columns),
            out: to,
            outRow,
            M: mc,
            N: nc,
            K: kc,
            adds,
            tile: scratch,
          };
          f.if(transA, () => {
            f.call(packA, { from, to: toA, stride: aRow, kStride: aK, count: mc, K: kc });
            f.call(block, { a: toA, aRow: 4, aK: 4 * ROWS, aTile: i32.mul(kc, 4 * ROWS), ...rest });
          }, () => f.call(block, { a: from, aRow, aK, aTile: i32.mul(aRow, ROWS), ...rest }));
          f.if(i32.ge(KC, i32.sub(K, k)), () => epilogue(to, m, mc));
          f.bump(m, mc);
        });
        f.bump(k, KC);
      });
      f.bump(b, i32.mul(nc, bColumn));
      for (const pointer of [bias, residual, out]) f.bump(pointer, i32.mul(nc, 4));
      f.bump(n, nc);
    });
  });
}

/** out += x, M rows of N, which lie outRow and xRow apart; with xRow = 0 every row of out is given the same. */
function addRows(module: WasmModule) {
  return module.function(
    'matmulAddRows',
    ['out', 'outRow', 'x', 'xRow', 'M', 'N'],
    (f, { out, outRow, x, xRow, M, N }) => {
      const m = f.local('i32');
      f.loop(m, M, 1, () => {
        overFloats(f, N, (lanes, offset) => {
          const place = f.keep(i32.add(out, offset));
          f.store(place, lanes.add(lanes.load(place), lanes.load(i32.add(x, offset))));
        });
        f.bump(out, outRow);
        f.bump(x, xRow);
      });
    },
  );
}
