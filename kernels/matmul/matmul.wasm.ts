// The matrix product for the CPU, in WASM SIMD. Scheme (after BLIS; Van Zee and van de Geijn, ACM TOMS 2015):
//   - k is cut into blocks of at most KC. B's block is packed into panels of 8 columns, [panel][k][8], padded with zeros.
//   - rows of A are taken in blocks that stay in the second-level cache; for each panel of B, tiles of 4 rows x 8 columns of the result
//     are made in eight vector registers (tile.wasm.ts).
//   - A is read where it lies, unless it is transposed: then it is packed into panels of 4 rows, [panel][k][4].
// Few rows (decoding) skip all that: a product with a vector reads every weight once (vector.wasm.ts).
// Threads share out the longer side of the result, so that the operand which all of them pack is the shorter one; or, in a batch, whole
// products. Sums have a fixed order, which depends on M, N and K only. All strides and addresses inside are in bytes.
// Bias and residual are added to a block of rows when its last k is done, while it is in the cache: to the same bits as in a pass of their own.
// Read after: ../wasm/program.ts, matmul.ts. Read next: tile.wasm.ts.

import type { Callable, WasmModule } from '../wasm/assembler.ts';
import { i32, type Expr, type Local } from '../wasm/instructions.ts';
import { overFloats } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';
import { COLUMNS, packColumns, packRows, ROWS, TILE_BYTES, tiles } from './tile.wasm.ts';
import { rowTimesColumns, rowTimesRows } from './vector.wasm.ts';

const KC = 256; // longest k block: a panel of B is 8 KiB, a quarter of the first-level cache
const NC = 1024; // most columns of B at a time
const BLOCK_FLOATS = 32_768; // of A per block of rows: 128 KiB
const FEW_ROWS = 4; // up to here no packing
const FEW_ROWS_COLUMNS = 32; // a unit of such a product

type Int = Local<'i32'>;
type Sizes = Readonly<Record<'batch' | 'M' | 'N' | 'K' | 'transA', number>>;

const isFew = ({ M, transA }: Sizes): boolean => M <= FEW_ROWS && !transA;
/** Rows of A per block. */
const rowsOf = ({ K }: Sizes): number => Math.max(ROWS, Math.floor(BLOCK_FLOATS / Math.max(1, Math.min(K, KC)) / ROWS) * ROWS);
const bytesA = (sizes: Sizes): number => (sizes.transA ? 4 * rowsOf(sizes) * Math.min(sizes.K, KC) : 0);
const bytesB = ({ N, K }: Sizes): number => 4 * Math.ceil(Math.min(N, NC) / COLUMNS) * COLUMNS * Math.min(K, KC);

/** Columns or rows that make a unit: which of the two, `product` below decides alike. */
function unitsOf(sizes: Sizes): number {
  const { batch, M, N } = sizes;
  if (batch !== 1) return batch;
  if (isFew(sizes)) return Math.ceil(N / FEW_ROWS_COLUMNS);
  return M >= N ? Math.ceil(M / ROWS) : Math.ceil(N / COLUMNS);
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
  emit(f, { a, b, bias, residual, out, batch, M, N, K, transA, transB, strideA, strideB, accumulate, addBias, addResidual, blockRows, packedA }, { first, last, scratch }) {
    const product = emitProduct(f.module);
    const [i, end, row0, row1, column0, column1] = f.locals('i32', 6) as [Int, Int, Int, Int, Int, Int];
    f.set(i, first);
    f.set(end, last);
    f.set(row1, M);
    f.set(column1, N);
    f.if(i32.eq(batch, 1), () => {
      const share = (from: Int, to: Int, whole: Int, size: number) => (): void => {
        f.set(from, i32.mul(first, size));
        f.set(to, i32.min(i32.mul(last, size), whole));
      };
      f.set(i, 0);
      f.set(end, 1);
      f.if(isFewRows(M, transA), share(column0, column1, N, FEW_ROWS_COLUMNS),
        () => f.if(i32.ge(M, N), share(row0, row1, M, ROWS), share(column0, column1, N, COLUMNS)));
    });
    f.while(i32.lt(i, end), () => {
      const at = (from: Int, stride: Expr<'i32'>): Expr<'i32'> => i32.add(from, i32.mul(i, i32.mul(stride, 4)));
      f.call(product,
        at(a, strideA), at(b, strideB), bias, at(residual, i32.mul(M, N)), at(out, i32.mul(M, N)),
        M, N, K, transA, transB, accumulate, addBias, addResidual, row0, row1, column0, column1, blockRows, packedA, scratch);
      f.bump(i, 1);
    });
  },
});

function isFewRows(M: Int, transA: Int): Expr<'i32'> {
  return i32.and(i32.ge(FEW_ROWS, M), i32.eq(transA, 0));
}

/** Rows row0 .. row1-1 and columns column0 .. column1-1 of one product. */
function emitProduct(module: WasmModule): Callable {
  const names = ['a', 'b', 'bias', 'residual', 'out', 'M', 'N', 'K', 'transA', 'transB', 'accumulate', 'addBias', 'addResidual', 'row0', 'row1', 'column0', 'column1', 'blockRows', 'packedA', 'scratch'] as const;
  const [packA, packB, block, vectorColumns, vectorRows, add] = [packRows(module), packColumns(module), tiles(module), rowTimesColumns(module), rowTimesRows(module), addRows(module)];
  return module.function('matmulProduct', names, (f, p) => {
    const { a, b, bias, residual, out, M, N, K, transA, transB, accumulate, addBias, addResidual, row0, row1, column0, column1, blockRows, packedA, scratch } = p;
    const [aRow, aK, bK, bColumn] = f.locals('i32', 4) as [Int, Int, Int, Int], outRow = f.keep(i32.mul(N, 4));
    f.if(transA, () => (f.set(aRow, 4), f.set(aK, i32.mul(M, 4))), () => (f.set(aRow, i32.mul(K, 4)), f.set(aK, 4)));
    f.if(transB, () => (f.set(bK, 4), f.set(bColumn, i32.mul(K, 4))), () => (f.set(bK, i32.mul(N, 4)), f.set(bColumn, 4)));
    f.bump(b, i32.mul(column0, bColumn));
    for (const pointer of [bias, residual, out]) f.bump(pointer, i32.mul(column0, 4));
    const epilogue = (to: Int, row: Expr<'i32'>, rows: Expr<'i32'> | number): void => {
      f.if(addBias, () => f.call(add, to, outRow, bias, 0, rows, nc));
      f.if(addResidual, () => f.call(add, to, outRow, i32.add(residual, i32.mul(row, outRow)), outRow, rows, nc));
    };
    const [m, n, k, mc, nc, kc, adds, at, to] = f.locals('i32', 9) as [Int, Int, Int, Int, Int, Int, Int, Int, Int];

    f.if(isFewRows(M, transA), () => {
      f.set(nc, i32.sub(column1, column0));
      f.loop(m, M, 1, () => {
        f.if(transB, () => f.call(vectorRows, a, b, out, nc, K, accumulate), () => f.call(vectorColumns, a, b, bK, out, nc, K, accumulate));
        epilogue(out, m, 1);
        f.bump(a, aRow);
        f.bump(out, outRow);
      });
      f.return();
    });

    const toA = f.keep(i32.add(scratch, TILE_BYTES)), toB = f.keep(i32.add(toA, packedA));
    f.set(n, column0);
    f.while(i32.lt(n, column1), () => {
      f.set(nc, i32.min(i32.sub(column1, n), NC));
      f.set(k, 0);
      f.doWhile(i32.lt(k, K), () => {
        f.set(kc, i32.min(i32.sub(K, k), KC));
        f.if(i32.gt(k, 0), () => f.set(adds, 1), () => f.set(adds, accumulate));
        f.call(packB, i32.add(b, i32.mul(k, bK)), toB, bColumn, bK, nc, kc);
        f.set(m, row0);
        f.while(i32.lt(m, row1), () => {
          f.set(mc, i32.min(i32.sub(row1, m), blockRows));
          f.set(at, i32.add(a, i32.add(i32.mul(m, aRow), i32.mul(k, aK))));
          f.set(to, i32.add(out, i32.mul(m, outRow)));
          const bPanel = i32.mul(kc, 4 * COLUMNS);
          f.if(transA, () => {
            f.call(packA, at, toA, aRow, aK, mc, kc);
            f.call(block, toA, 4, 4 * ROWS, i32.mul(kc, 4 * ROWS), toB, bPanel, to, outRow, mc, nc, kc, adds, scratch);
          }, () => f.call(block, at, aRow, aK, i32.mul(aRow, ROWS), toB, bPanel, to, outRow, mc, nc, kc, adds, scratch));
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

/** (out, outRow, x, xRow, M, N): out += x, M rows of N, which lie outRow and xRow apart; with xRow = 0 every row of out is given the same. */
function addRows(module: WasmModule): Callable {
  return module.function('matmulAddRows', ['out', 'outRow', 'x', 'xRow', 'M', 'N'], (f, { out, outRow, x, xRow, M, N }) => {
    const m = f.local('i32');
    f.loop(m, M, 1, () => {
      overFloats(f, N, (lanes, at) => {
        const place = f.keep(i32.add(out, at));
        f.store(place, lanes.add(lanes.load(place), lanes.load(i32.add(x, at))));
      });
      f.bump(out, outRow);
      f.bump(x, xRow);
    });
  });
}
