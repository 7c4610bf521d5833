// Causal attention for the CPU, in WASM SIMD: forward and backward. A unit is a batch row and a key head, with the query heads that share
// it. Per head, blocks of QUERIES queries: scores, mixtures and gradients are small matrix products (../matmul/tile.wasm.ts) on panels
// packed once per head; rotating heads and the rows of softmax are in rows.wasm.ts. Keys after a block's last query are not touched.
// q is loaded scaled by 1/sqrt(D), so scores need no scaling; its gradient is scaled on the way out.
// Read after: attention.ts (what it computes), ../matmul/tile.wasm.ts. Read next: rows.wasm.ts.

import { i32, type Expr, type FunctionBuilder, type Local } from '../wasm/assembler.ts';
import { overFloats } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';
import { COLUMNS, packColumns, packRows, ROWS, TILE_BYTES, tiles } from '../matmul/tile.wasm.ts';
import { gradientRows, softmaxRows, turn } from './rows.wasm.ts';

const QUERIES = 32; // per block

type Int = Local<'i32'>;
type Size = Expr<'i32'> | number;
type Sizes = Readonly<Record<'B' | 'T' | 'H' | 'KV' | 'D' | 'rotary', number>>;

const counts = ['B', 'T', 'H', 'KV', 'D', 'rotary'] as const;
const units = ({ B, KV }: Sizes): number => B * KV;

/** Up to a whole number of panels, or of tiles of rows. */
const padded = (n: number, size = COLUMNS): number => Math.ceil(n / size) * size;

/** Where pieces of scratch begin, given their sizes in floats. */
function pieces<const K extends string>(sizes: Readonly<Record<K, (sizes: Sizes) => number>>) {
  const names = Object.keys(sizes) as K[], end = (params: Sizes, count: number): number => names.slice(0, count).reduce((sum, name) => sum + padded(sizes[name](params), 16) * 4, 0);
  return {
    derived: Object.fromEntries(names.map((name, i) => [name, (params: Sizes) => end(params, i)])) as Record<K, (sizes: Sizes) => number>,
    scratch: (params: Sizes): number => end(params, names.length),
  };
}

/** Scratch of the forward: a tile; q and k of one head; panels of k' and v; scores of a block, `wide` floats a row. */
const forward = pieces({
  tile: () => TILE_BYTES / 4, q: ({ T, D }) => T * D, k: ({ T, D }) => T * D, kPanels: ({ T, D }) => padded(T) * D, vPanels: ({ T, D }) => padded(D) * T,
  scores: ({ T }) => QUERIES * padded(T),
});

export const attentionForwardWasm = program({ buffers: ['qkv', 'table', 'out', 'logSumExp'], counts, derived: forward.derived }, {
  name: 'attentionForward',
  units,
  cost: ({ T, H, KV, D }) => (H / KV) * T * T * (D / 4 + 4),
  scratch: forward.scratch,
  emit(f, { qkv, table, out, logSumExp, T, H, KV, D, rotary, ...places }, { first, last, scratch }) {
    const softmax = softmaxRows(f.module), { copyHead, multiply, panelsOf, panelsOfTransposed } = calls(f, D, table, rotary);
    const [tile, q, k, kPanels, vPanels, scores] = [places.tile, places.q, places.k, places.kPanels, places.vPanels, places.scores].map((place) => f.keep(i32.add(scratch, place))) as [Int, Int, Int, Int, Int, Int];
    overHeads(f, { first, last, T, H, KV, D }, ({ width, wide, keyAt, eachQueryHead }) => {
      copyHead(i32.add(qkv, keyAt), width, k, D, T, 0, 0);
      panelsOfTransposed(k, D, kPanels, T, D);
      panelsOf(i32.add(qkv, i32.add(keyAt, i32.mul(i32.mul(KV, D), 4))), width, vPanels, T, D);
      eachQueryHead(({ queryAt, outAt, rowAt }) => {
        copyHead(i32.add(qkv, queryAt), width, q, D, T, 0, 1);
        overBlocks(f, T, (t, rows, seen) => {
          multiply(i32.add(q, i32.mul(t, i32.mul(D, 4))), D, kPanels, D, scores, wide, rows, panelsWide(seen), D, 0, tile);
          f.call(softmax, scores, i32.mul(wide, 4), rows, t, panelsWide(seen), i32.add(logSumExp, i32.mul(i32.add(rowAt, t), 4)));
          multiply(scores, wide, vPanels, T, i32.add(i32.add(out, outAt), i32.mul(t, i32.mul(i32.mul(H, D), 4))), i32.mul(H, D), rows, D, seen, 0, tile);
        });
      });
    });
  },
});

/** Scratch of the backward: besides, gradients of one head, panels of k and of v', weights and their gradients, and packed operands. */
const backward = pieces({
  tile: () => TILE_BYTES / 4, q: ({ T, D }) => T * D, k: ({ T, D }) => T * D, dq: ({ D }) => QUERIES * D, dk: ({ T, D }) => T * D, dv: ({ T, D }) => T * D,
  kPanels: ({ T, D }) => padded(T) * D, kRows: ({ T, D }) => padded(D) * T, vPanels: ({ T, D }) => padded(T) * D,
  p: ({ T }) => QUERIES * padded(T), dp: ({ T }) => QUERIES * padded(T), block: ({ D }) => QUERIES * padded(D), columns: ({ T }) => (T + ROWS) * QUERIES,
});

export const attentionBackwardWasm = program({ buffers: ['qkv', 'table', 'out', 'logSumExp', 'dOut', 'dQkv'], counts, derived: backward.derived }, {
  name: 'attentionBackward',
  units,
  cost: ({ T, H, KV, D }) => (H / KV) * T * T * (2.5 * D / 4 + 4),
  scratch: backward.scratch,
  emit(f, { qkv, table, out, logSumExp, dOut, dQkv, T, H, KV, D, rotary, ...places }, { first, last, scratch }) {
    const gradients = gradientRows(f.module), { copyHead, multiply, multiplyTransposed, panelsOf, panelsOfTransposed } = calls(f, D, table, rotary);
    const at = <K extends keyof typeof places>(name: K): Int => f.keep(i32.add(scratch, places[name]));
    const [tile, q, k, dq, dk, dv, kPanels, kRows, vPanels] = [at('tile'), at('q'), at('k'), at('dq'), at('dk'), at('dv'), at('kPanels'), at('kRows'), at('vPanels')];
    const [p, dp, block, columns] = [at('p'), at('dp'), at('block'), at('columns')], heads = f.keep(i32.mul(H, D)), valueAt = f.local('i32');
    overHeads(f, { first, last, T, H, KV, D }, ({ width, wide, keyAt, eachQueryHead }) => {
      f.set(valueAt, i32.add(keyAt, i32.mul(i32.mul(KV, D), 4)));
      copyHead(i32.add(qkv, keyAt), width, k, D, T, 0, 0);
      panelsOfTransposed(k, D, kPanels, T, D);
      panelsOf(k, D, kRows, T, D);
      panelsOfTransposed(i32.add(qkv, valueAt), width, vPanels, T, D);
      overFloats(f, i32.mul(T, D), (lanes, i) => (f.store(i32.add(dk, i), lanes.zero), f.store(i32.add(dv, i), lanes.zero)));
      eachQueryHead(({ queryAt, outAt, rowAt }) => {
        copyHead(i32.add(qkv, queryAt), width, q, D, T, 0, 1);
        overBlocks(f, T, (t, rows, seen) => {
          const here = f.keep(i32.add(outAt, i32.mul(t, i32.mul(heads, 4)))), qHere = f.keep(i32.add(q, i32.mul(t, i32.mul(D, 4)))), dHere = f.keep(i32.add(dOut, here));
          multiply(qHere, D, kPanels, D, p, wide, rows, panelsWide(seen), D, 0, tile);
          multiply(dHere, heads, vPanels, D, dp, wide, rows, panelsWide(seen), D, 0, tile);
          f.call(gradients, p, dp, i32.mul(wide, 4), rows, t, panelsWide(seen), i32.add(logSumExp, i32.mul(i32.add(rowAt, t), 4)), i32.add(out, here), dHere, i32.mul(heads, 4), D);
          multiply(dp, wide, kRows, T, dq, D, rows, D, seen, 0, tile);
          copyHead(dq, D, i32.add(i32.add(dQkv, queryAt), i32.mul(t, i32.mul(width, 4))), width, rows, t, 1, -1);
          multiplyTransposed(dp, wide, qHere, D, dk, D, seen, D, rows, columns, block, tile);
          multiplyTransposed(p, wide, dHere, heads, dv, D, seen, D, rows, columns, block, tile);
        });
      });
      copyHead(dk, D, i32.add(dQkv, keyAt), width, T, 0, 0, -1);
      copyHead(dv, D, i32.add(dQkv, valueAt), width, T, 0, 0, 0);
    });
  },
});

/** Runs `body` for each unit, with addresses as byte offsets: the unit's key head in qkv, and for each query head that and its row of out. */
function overHeads(f: FunctionBuilder, { first, last, T, H, KV, D }: Readonly<Record<'first' | 'last' | 'T' | 'H' | 'KV' | 'D', Int>>, body: (unit: {
  readonly width: Int;
  readonly wide: Int;
  readonly keyAt: Int;
  eachQueryHead(body: (head: { readonly queryAt: Int; readonly outAt: Int; readonly rowAt: Int }) => void): void;
}) => void): void {
  const width = f.keep(i32.mul(i32.add(H, i32.mul(KV, 2)), D)), wide = f.keep(panelsWide(T)), group = f.keep(i32.div(H, KV));
  const [b, kv, keyAt, h, queryAt, outAt, rowAt] = f.locals('i32', 7) as [Int, Int, Int, Int, Int, Int, Int], unit = f.keep(first);
  const firstToken = i32.mul(b, T), headBytes = i32.mul(D, 4);
  f.while(i32.lt(unit, last), () => {
    f.set(b, i32.div(unit, KV));
    f.set(kv, i32.rem(unit, KV));
    f.set(keyAt, i32.add(i32.mul(firstToken, i32.mul(width, 4)), i32.mul(i32.add(H, kv), headBytes)));
    body({ width, wide, keyAt, eachQueryHead: (each) => {
      f.set(h, i32.mul(kv, group));
      f.while(i32.lt(h, i32.mul(i32.add(kv, 1), group)), () => {
        f.set(queryAt, i32.add(i32.mul(firstToken, i32.mul(width, 4)), i32.mul(h, headBytes)));
        f.set(outAt, i32.mul(i32.add(i32.mul(firstToken, H), h), headBytes));
        f.set(rowAt, i32.mul(i32.add(i32.mul(b, H), h), T));
        each({ queryAt, outAt, rowAt });
        f.bump(h, 1);
      });
    } });
    f.bump(unit, 1);
  });
}

/** Blocks of queries: their first, their number, and how many keys the last of them sees. */
function overBlocks(f: FunctionBuilder, T: Int, body: (t: Int, rows: Int, seen: Int) => void): void {
  const [t, rows, seen] = f.locals('i32', 3) as [Int, Int, Int];
  f.loop(t, T, QUERIES, () => {
    f.set(rows, i32.min(i32.sub(T, t), QUERIES));
    f.set(seen, i32.add(t, rows));
    body(t, rows, seen);
  });
}

/** padded() at run time. */
function panelsWide(n: Int): Expr<'i32'> {
  return i32.and(i32.add(n, COLUMNS - 1), -COLUMNS);
}

/** Calls of the products with row lengths in floats. */
function calls(f: FunctionBuilder, D: Int, table: Int, rotary: Int) {
  const [packB, packA, block, turned] = [packColumns(f.module), packRows(f.module), tiles(f.module), turn(f.module)], bytes = (row: Size): Expr<'i32'> => i32.mul(row, 4);
  /** Panels of rows x columns, to multiply [.,rows] by. */
  const panelsOf = (from: Size, row: Size, to: Size, rows: Size, columns: Size): void => f.call(packB, from, to, 4, bytes(row), columns, rows);
  return {
    panelsOf,
    /** Panels of its transpose, to multiply [.,columns] by. */
    panelsOfTransposed: (from: Size, row: Size, to: Size, rows: Size, columns: Size): void => f.call(packB, from, to, bytes(row), 4, rows, columns),
    /** out [M,N] (+)= a [M,K] times panels that were packed with `depth` rows, of which the first K are used. */
    multiply: (a: Size, aRow: Size, panels: Size, depth: Size, out: Size, outRow: Size, M: Size, N: Size, K: Size, adds: Size, tile: Size): void =>
      f.call(block, a, bytes(aRow), 4, i32.mul(aRow, 4 * ROWS), panels, i32.mul(depth, 4 * COLUMNS), out, bytes(outRow), M, N, K, adds, tile),
    /** out [M,N] += a [K,M] transposed times b [K,N]. */
    multiplyTransposed: (a: Size, aRow: Size, b: Size, bRow: Size, out: Size, outRow: Size, M: Size, N: Size, K: Size, columns: Size, panels: Size, tile: Size): void => {
      f.call(packA, a, columns, 4, bytes(aRow), M, K);
      panelsOf(b, bRow, panels, K, N);
      f.call(block, columns, 4, 4 * ROWS, i32.mul(K, 4 * ROWS), panels, i32.mul(K, 4 * COLUMNS), out, bytes(outRow), M, N, K, 1, tile);
    },
    /** Copies rows of a head at position t and after, rotated if the model says so: forwards (1), back (-1) or not at all (0); scaled by 1/sqrt(D) or not. */
    copyHead: (from: Size, fromRow: Size, to: Size, toRow: Size, rows: Size, t: Size, scaled: 0 | 1, direction: 1 | -1 | 0 = 1): void =>
      f.call(turned, from, bytes(fromRow), to, bytes(toRow), rows, D, i32.add(table, i32.mul(t, bytes(D))), scaled, direction === 0 ? 0 : rotary, direction === 1 ? 1 : 0),
  };
}
