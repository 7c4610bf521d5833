// Causal attention for the CPU, in WASM SIMD: forward and backward. A unit is eight pairs of a batch row and a key
// head, one per lane, with the query heads that share them (heads.wasm.ts); a narrow module takes them as two groups of
// four. Every score, weight and gradient below is a vector of the heads' own. Queries and keys are taken by fours; only
// tiles on the diagonal hold scores that a query must not see, and their weights are set to 0. Where fewer pairs are
// left than there are lanes, the last is computed in more than one, and stored as often.
//
//            keys 0..3    4..7     8..11                 each square of 4 x 4 is two tiles of heads.wasm.ts, 4 x 2
//            vectors
// queries
//    0..3   [ \      ] [        ] [        ]    \ the diagonal: above it, weights are set to 0
//    4..7   [ ###### ] [ \      ] [        ]    # computed and used
//    8..11  [ ###### ] [ ###### ] [ \      ]    blank: not computed at all
//
// Read after: attention.ts (what it computes), heads.wasm.ts.

import type { FunctionBuilder } from '../wasm/assembler.ts';
import { at, i32, type Expr, type I32, type Int } from '../wasm/instructions.ts';
import { widest } from '../wasm/lanes.ts';
import { bytesOf, carve, program } from '../wasm/program.ts';
import { gradientRows, softmaxRows } from './four-rows.wasm.ts';
import {
  bytesOfVector, interleave, MOST_BYTES, MOST_LANES, product, rotate, ROWS, spread, transposed, type Matrix,
} from './heads.wasm.ts';

const QUERIES = 32; // whose weights the backward holds at once

type Sizes = Readonly<Record<'B' | 'T' | 'H' | 'KV' | 'D' | 'rotary', number>>;

const counts = ['B', 'T', 'H', 'KV', 'D', 'rotary'] as const;
const units = ({ B, KV }: Sizes): number => Math.ceil((B * KV) / MOST_LANES);
const padded = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple;

const PAD = 128; // behind a row: what is a little more than a power of two apart does not meet in the cache

/**
 * Bytes from row to row: of a head's channels, and of scores. All these are for vectors of eight heads; of four, they
 * take half.
 */
const row = ({ D }: Sizes): number => padded(D, 2) * MOST_BYTES + PAD;
const scoresRow = ({ T }: Sizes): number => padded(T, ROWS) * MOST_BYTES + PAD;
/** Bytes of one head's rows, of a vector for each query, and of some queries' scores. */
const head = (sizes: Sizes): number => padded(sizes.T, ROWS) * row(sizes);
const logs = ({ T }: Sizes): number => padded(T, ROWS) * MOST_BYTES;
const fourRows = (sizes: Sizes): number => ROWS * scoresRow(sizes);
const block = (sizes: Sizes): number => QUERIES * scoresRow(sizes);

const derived = { row, scoresRow, head, logs, fourRows, block };
type Derived = Readonly<Record<keyof typeof derived, Int>>;
const forwardLayout = { q: 'head', k: 'head', v: 'head', logTotals: 'logs', scores: 'fourRows' } as const;
const backwardLayout = {
  q: 'head', k: 'head', v: 'head', dO: 'head', dk: 'head', dv: 'head', logTotals: 'logs', p: 'block', ds: 'block',
} as const;

export const attentionForwardWasm = program({ buffers: ['qkv', 'table', 'out', 'logSumExp'], counts, derived }, {
  name: 'attentionForward',
  units,
  cost: ({ T, H, KV, D }) => 2 * (H / KV) * T * T * (D + 8),
  scratch: (sizes) => bytesOf(forwardLayout, derived, sizes),
  emit(f, { qkv, table, out, logSumExp, ...args }, { first, last, scratch }) {
    const sizes = { ...args, ...inThisModule(f, args), table };
    const { T, H, D, row, scoresRow } = sizes;
    const { q, k, v, logTotals, scores } = carve(f, scratch, forwardLayout, sizes);
    const { heads, eachUnit, gather, scatter, scatterLogs, channels, weights, multiply, zeroPadding } = setting(
      f,
      sizes,
    );
    const softmax = softmaxRows(f.module);
    const [i, seen, here] = f.locals('i32', 3);
    zeroPadding([q, k, v]);
    eachUnit(first, last, ({ key, value, eachQuery }) => {
      gather({ buffer: qkv, heads, head: key, rotates: true }, k);
      gather({ buffer: qkv, heads, head: value }, v);
      eachQuery((query) => {
        gather({ buffer: qkv, heads, head: query, rotates: true }, q);
        f.loop(i, T, ROWS, () => {
          f.set(seen, i32.add(i, ROWS));
          f.set(here, at(q, [i, row]));
          multiply(channels(here), transposed(channels(k)), weights(scores), { columns: seen, terms: D });
          f.call(softmax, {
            s: scores,
            row: scoresRow,
            first: i,
            D,
            logSumExp: at(logTotals, [i, bytesOfVector(f.module)]),
          });
          multiply(weights(scores), channels(v), channels(here), { columns: D, terms: seen }); // takes the place of q
        });
        scatter(q, { buffer: out, heads: H, head: query });
        scatterLogs(logTotals, logSumExp, query);
      });
    });
  },
});

export const attentionBackwardWasm = program(
  { buffers: ['qkv', 'table', 'out', 'logSumExp', 'dOut', 'dQkv'], counts, derived },
  {
    name: 'attentionBackward',
    units,
    cost: ({ T, H, KV, D }) => 2 * (H / KV) * T * T * (2.5 * D + 12),
    scratch: (sizes) => bytesOf(backwardLayout, derived, sizes),
    emit(f, { qkv, table, logSumExp, dOut, dQkv, ...args }, { first, last, scratch }) {
      const sizes = { ...args, ...inThisModule(f, args), table };
      const { T, H, D, row, scoresRow, logs } = sizes;
      const vector = bytesOfVector(f.module);
      const { q, k, v, dO, dk, dv, logTotals, p, ds } = carve(f, scratch, backwardLayout, sizes);
      const { heads, eachUnit, gather, scatter, gatherLogs, channels, weights, multiply, zeroPadding } = setting(
        f,
        sizes,
      );
      const gradients = gradientRows(f.module);
      const [t, end, i, j, from] = f.locals('i32', 5);
      const place = (base: Int, ...steps: (readonly [I32, I32])[]): Int => f.keep(at(base, ...steps));
      const byFours = (counter: Int, start: I32, body: () => void): void => {
        f.set(counter, i32.of(start));
        f.while(i32.lt(counter, end), () => {
          body();
          f.bump(counter, ROWS);
        });
      };
      zeroPadding([q, k, v, dO]);
      f.set(i, T);
      f.while(i32.lt(i32.mul(i, vector), logs), () => {
        f.store(at(logTotals, [i, vector]), widest(f).zero);
        f.bump(i, 1);
      });
      eachUnit(first, last, ({ key, value, eachQuery, again }) => {
        gather({ buffer: qkv, heads, head: key, rotates: true }, k);
        gather({ buffer: qkv, heads, head: value }, v);
        eachQuery((query) => {
          gather({ buffer: qkv, heads, head: query, rotates: true }, q);
          gather({ buffer: dOut, heads: H, head: query }, dO);
          gatherLogs(logSumExp, query, logTotals);
          f.loop(t, T, QUERIES, () => {
            f.set(end, i32.and(i32.add(i32.min(i32.add(t, QUERIES), T), ROWS - 1), -ROWS));
            byFours(i, t, () => {
              // weights and gradients of scores, of four queries
              const seen = f.keep(i32.add(i, ROWS));
              const pHere = place(p, [i32.sub(i, t), scoresRow]);
              const dsHere = place(ds, [i32.sub(i, t), scoresRow]);
              multiply(channels(place(q, [i, row])), transposed(channels(k)), weights(pHere), {
                columns: seen,
                terms: D,
              });
              multiply(channels(place(dO, [i, row])), transposed(channels(v)), weights(dsHere), {
                columns: seen,
                terms: D,
              });
              f.call(gradients, {
                p: pHere,
                ds: dsHere,
                row: scoresRow,
                first: i,
                D,
                logSumExp: at(logTotals, [i, vector]),
              });
            });
            byFours(j, 0, () => {
              // keys, and the queries from `from` on that see them
              f.set(from, t);
              f.if(i32.gt(j, t), () => f.set(from, j));
              const terms = f.keep(i32.sub(end, from));
              const adds = f.keep(i32.or(i32.lt(j, t), again)); // did an earlier block store there?
              const pHere = place(p, [i32.sub(from, t), scoresRow], [j, vector]);
              const dsHere = place(ds, [i32.sub(from, t), scoresRow], [j, vector]);
              multiply(transposed(weights(dsHere)), channels(place(q, [from, row])), channels(place(dk, [j, row])), {
                columns: D,
                terms,
                adds,
              });
              multiply(transposed(weights(pHere)), channels(place(dO, [from, row])), channels(place(dv, [j, row])), {
                columns: D,
                terms,
                adds,
              });
            });
            byFours(i, t, () => {
              // queries; the result takes the place of q
              const dsHere = place(ds, [i32.sub(i, t), scoresRow]);
              multiply(weights(dsHere), channels(k), channels(place(q, [i, row])), {
                columns: D,
                terms: i32.add(i, ROWS),
              });
            });
          });
          scatter(q, { buffer: dQkv, heads, head: query, rotates: true });
        });
        scatter(dk, { buffer: dQkv, heads, head: key, rotates: true });
        scatter(dv, { buffer: dQkv, heads, head: value });
      });
    },
  },
);

/** The derived sizes as they are for this module's vectors. */
function inThisModule(f: FunctionBuilder, { row, scoresRow, head, logs, fourRows, block }: Derived): Derived {
  if (f.module.wide) return { row, scoresRow, head, logs, fourRows, block };
  const half = (size: Int): Int => f.keep(i32.shiftRight(size, 1));
  return {
    row: half(row),
    scoresRow: half(scoresRow),
    head: half(head),
    logs: half(logs),
    fourRows: half(fourRows),
    block: half(block),
  };
}

/** Of each lane, a head's number in its token. */
type HeadOf = (lane: number) => Expr<'i32'>;

/**
 * Heads in a buffer [B,T,heads,D], one for each lane; rotated by their position on the way in, and back on the way out.
 */
interface Rows {
  readonly buffer: Int;
  readonly heads: Int;
  readonly head: HeadOf;
  readonly rotates?: boolean;
}

/** A unit: its key and value heads, and its query heads one after the other, of which `again` is 0 for the first. */
interface Unit {
  readonly key: HeadOf;
  readonly value: HeadOf;
  readonly again: Int;
  eachQuery(body: (query: HeadOf) => void): void;
}

/** Sizes of a product: out [4,columns] = a [4,terms] b [terms,columns]; D columns or terms may be odd. */
interface ProductSizes {
  readonly columns: I32;
  readonly terms: I32;
  readonly adds?: I32;
}

type Setting = Readonly<Record<keyof Sizes | 'row' | 'scoresRow' | 'table', Int>>;

/** What forward and backward share: the walk over units, and calls with the sizes filled in. */
function setting(f: FunctionBuilder, { B, T, H, KV, D, rotary, row, scoresRow, table }: Setting) {
  const lanes = widest(f).floats;
  const vector = bytesOfVector(f.module);
  const heads = f.keep(at(H, [KV, 2]));
  const group = f.keep(i32.div(H, KV));
  const bytes = f.keep(i32.mul(D, 4));
  const evenD = f.keep(i32.and(i32.add(D, 1), -2));
  const b = f.locals('i32', lanes as number);
  const kv = f.locals('i32', lanes as number);
  const [unit, pair, end, member, place, stop] = f.locals('i32', 6);
  const interleaved = interleave(f.module);
  const spreadOut = spread(f.module);
  const rotated = rotate(f.module);
  const multiplied = product(f.module);

  /** Calls what walks four heads at a time, with their places and those of their quarter of every vector. */
  const byFours = (
    callee: typeof interleaved,
    placeOf: (lane: number) => Expr<'i32'>,
    rest: Readonly<Record<'row' | 'to' | 'toRow' | 'rows' | 'n', I32>>,
  ): void => {
    for (let lane = 0; lane < lanes; lane += 4) {
      const [a0, a1, a2, a3] = [0, 1, 2, 3].map((q) => placeOf(lane + q)) as [
        Expr<'i32'>,
        Expr<'i32'>,
        Expr<'i32'>,
        Expr<'i32'>,
      ];
      f.call(callee, { a0, a1, a2, a3, ...rest, to: i32.add(rest.to, 4 * lane) });
    }
  };
  const walk = (callee: typeof interleaved, { buffer, heads, head }: Rows, vectors: Int): void => byFours(
    callee,
    (lane) => at(buffer, [at(head(lane), [i32.mul(b[lane]!, T), heads]), bytes]),
    { row: i32.mul(heads, bytes), to: vectors, toRow: row, rows: T, n: D },
  );
  const walkLogs = (callee: typeof interleaved, buffer: Int, head: HeadOf, vectors: Int): void => byFours(
    callee,
    (lane) => at(buffer, [at(head(lane), [b[lane]!, H]), i32.mul(T, 4)]),
    { row: 0, to: vectors, toRow: 0, rows: 1, n: T },
  );
  const turn = (x: Int, back: 0 | 1): void => f.if(rotary, () => f.call(rotated, { x, row, rows: T, D, table, back }));
  const query: HeadOf = (lane) => at(member, [kv[lane]!, group]);
  const zeros = (start: Expr<'i32'>, step: I32, until: Expr<'i32'>): void => {
    f.set(place, start);
    f.set(stop, until);
    f.while(i32.ne(place, stop), () => {
      f.store(place, widest(f).zero);
      f.bump(place, step);
    });
  };
  return {
    /** Heads in a token of qkv. */
    heads,
    gather(rows: Rows, to: Int): void {
      walk(interleaved, rows, to);
      if (rows.rotates) turn(to, 0);
    },
    scatter(from: Int, rows: Rows): void {
      if (rows.rotates) turn(from, 1);
      walk(spreadOut, rows, from);
    },
    /** The same of [B,H,T], a number per query. */
    gatherLogs: (buffer: Int, head: HeadOf, to: Int): void => walkLogs(interleaved, buffer, head, to),
    scatterLogs: (from: Int, buffer: Int, head: HeadOf): void => walkLogs(spreadOut, buffer, head, from),
    /** [T,D] and [queries,keys] at an address. */
    channels: (at: Int): Matrix => ({ at, row, column: vector }),
    weights: (at: Int): Matrix => ({ at, row: scoresRow, column: vector }),
    /** out (+)= a b; D columns are one more if D is odd. */
    multiply(a: Matrix, b: Matrix, out: Matrix, { columns, terms, adds = 0 }: ProductSizes): void {
      f.call(multiplied, {
        a: a.at, aRow: a.row, aK: a.column, b: b.at, bColumn: b.column, bK: b.row,
        out: out.at, outRow: out.row, outColumn: out.column, N: columns === D ? evenD : columns, K: terms, adds,
      });
    },
    /** What products read beyond T rows, and beyond D columns if D is odd. */
    zeroPadding(arrays: readonly Int[]): void {
      for (const array of arrays) {
        zeros(at(array, [row, T]), vector, at(array, [row, i32.and(i32.add(T, ROWS - 1), -ROWS)]));
        const column = at(array, [D, vector]);
        zeros(column, row, at(column, [row, T]));
      }
    },
    eachUnit(first: Int, last: Int, body: (unit: Unit) => void): void {
      f.set(unit, i32.mul(first, MOST_LANES)); // the pair in lane 0
      f.set(end, i32.min(i32.mul(last, MOST_LANES), i32.mul(B, KV)));
      f.while(i32.lt(unit, end), () => {
        b.forEach((row, lane) => {
          f.set(pair, i32.min(i32.add(unit, lane), i32.sub(i32.mul(B, KV), 1)));
          f.set(row, i32.div(pair, KV));
          f.set(kv[lane]!, i32.rem(pair, KV));
        });
        body({
          key: (lane) => i32.add(H, kv[lane]!),
          value: (lane) => i32.add(i32.add(H, KV), kv[lane]!),
          again: member,
          eachQuery: (each) => f.loop(member, group, 1, () => each(query)),
        });
        f.bump(unit, lanes);
      });
    },
  };
}
