// Causal attention for the CPU, in WASM SIMD: forward and backward. A unit is four pairs of a batch row and a key head, one per lane, with
// the query heads that share them (heads.wasm.ts): every score, weight and gradient below is a vector of four heads' own. Queries and keys
// are taken by fours; only tiles on the diagonal hold scores that a query must not see, and their weights are set to 0.
// Where there are fewer than four pairs left, the last one is computed in more than one lane, and stored as often.
// Read after: attention.ts (what it computes), heads.wasm.ts.

import type { FunctionBuilder } from '../wasm/assembler.ts';
import { i32, v128, type Expr, type Local } from '../wasm/instructions.ts';
import { program } from '../wasm/program.ts';
import { gradientRows, softmaxRows } from './four-rows.wasm.ts';
import { interleave, LANES, product, rotate, ROWS, spread, VECTOR } from './heads.wasm.ts';

const QUERIES = 32; // whose weights the backward holds at once

type Int = Local<'i32'>;
type Size = Expr<'i32'> | number;
type Sizes = Readonly<Record<'B' | 'T' | 'H' | 'KV' | 'D' | 'rotary', number>>;

const counts = ['B', 'T', 'H', 'KV', 'D', 'rotary'] as const;
const units = ({ B, KV }: Sizes): number => Math.ceil((B * KV) / LANES);
const padded = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple;

/** Bytes from row to row: of a head's channels, and of scores. A cache line more than a power of two keeps rows out of each other's way. */
const row = ({ D }: Sizes): number => padded(D, 2) * VECTOR + 64;
const scoresRow = ({ T }: Sizes): number => padded(T, ROWS) * VECTOR + 64;
/** Bytes of one head's rows. */
const head = (sizes: Sizes): number => padded(sizes.T, ROWS) * row(sizes);
const logs = ({ T }: Sizes): number => padded(T, ROWS) * VECTOR;

export const attentionForwardWasm = program({ buffers: ['qkv', 'table', 'out', 'logSumExp'], counts, derived: { row, scoresRow, head, logs } }, {
  name: 'attentionForward',
  units,
  cost: ({ T, H, KV, D }) => (H / KV) * T * T * (D + 8),
  scratch: (sizes) => 3 * head(sizes) + ROWS * scoresRow(sizes) + logs(sizes),
  emit(f, { qkv, table, out, logSumExp, row, scoresRow, head, logs, ...sizes }, { first, last, scratch: q }) {
    const { T, H, D } = sizes, i = f.local('i32');
    const k = f.keep(i32.add(q, head)), v = f.keep(i32.add(k, head)), logTotals = f.keep(i32.add(v, head)), scores = f.keep(i32.add(logTotals, logs));
    const { heads, eachUnit, gather, scatter, channels, weights, multiply, zeroPadding } = setting(f, { ...sizes, row, scoresRow, table }), softmax = softmaxRows(f.module);
    zeroPadding([q, k, v]);
    eachUnit(first, last, ({ key, value, eachQuery }) => {
      gather(qkv, heads, key, k, true);
      gather(qkv, heads, value, v, false);
      eachQuery((query, logAt) => {
        gather(qkv, heads, query, q, true);
        f.loop(i, T, ROWS, () => {
          const seen = f.keep(i32.add(i, ROWS)), here = f.keep(i32.add(q, i32.mul(i, row)));
          multiply(channels(here), transposed(channels(k)), weights(scores), seen, D);
          f.call(softmax, scores, scoresRow, i, D, i32.add(logTotals, i32.mul(i, VECTOR)));
          multiply(weights(scores), channels(v), channels(here), D, seen); // takes the place of q
        });
        scatter(q, out, H, query, false);
        f.call(spread(f.module), ...logAt(logSumExp), 0, logTotals, 0, 1, T);
      });
    });
  },
});

export const attentionBackwardWasm = program({ buffers: ['qkv', 'table', 'out', 'logSumExp', 'dOut', 'dQkv'], counts, derived: { row, scoresRow, head, logs } }, {
  name: 'attentionBackward',
  units,
  cost: ({ T, H, KV, D }) => (H / KV) * T * T * (2.5 * D + 12),
  scratch: (sizes) => 6 * head(sizes) + 2 * QUERIES * scoresRow(sizes) + logs(sizes),
  emit(f, { qkv, table, logSumExp, dOut, dQkv, row, scoresRow, head, logs, ...sizes }, { first, last, scratch: q }) {
    const { T, H, D } = sizes, [t, end, i, j, from] = f.locals('i32', 5) as [Int, Int, Int, Int, Int];
    const after = (place: Int, bytes: Expr<'i32'>): Int => f.keep(i32.add(place, bytes)), at = (base: Int, n: Expr<'i32'>, bytes: Int): Int => after(base, i32.mul(n, bytes));
    const k = after(q, head), v = after(k, head), dO = after(v, head), dk = after(dO, head), dv = after(dk, head), logTotals = after(dv, head), p = after(logTotals, logs), ds = at(p, i32.of(QUERIES), scoresRow);
    const { heads, eachUnit, gather, scatter, channels, weights, multiply, zeroPadding } = setting(f, { ...sizes, row, scoresRow, table }), gradients = gradientRows(f.module);
    zeroPadding([q, k, v, dO]);
    f.set(i, T);
    f.while(i32.lt(i32.mul(i, VECTOR), logs), () => (f.store(i32.add(logTotals, i32.mul(i, VECTOR)), v128.zero), f.bump(i, 1)));
    eachUnit(first, last, ({ key, value, eachQuery, again }) => {
      gather(qkv, heads, key, k, true);
      gather(qkv, heads, value, v, false);
      eachQuery((query, logAt) => {
        gather(qkv, heads, query, q, true);
        gather(dOut, H, query, dO, false);
        f.call(interleave(f.module), ...logAt(logSumExp), 0, logTotals, 0, 1, T);
        f.loop(t, T, QUERIES, () => {
          f.set(end, i32.and(i32.add(i32.min(i32.add(t, QUERIES), T), ROWS - 1), -ROWS));
          const byFours = (counter: Int, start: Expr<'i32'>, body: () => void): void => {
            f.set(counter, start);
            f.while(i32.lt(counter, end), () => (body(), f.bump(counter, ROWS)));
          };
          byFours(i, t, () => {
            const seen = f.keep(i32.add(i, ROWS)), pHere = at(p, i32.sub(i, t), scoresRow), dsHere = at(ds, i32.sub(i, t), scoresRow);
            multiply(channels(at(q, i, row)), transposed(channels(k)), weights(pHere), seen, D);
            multiply(channels(at(dO, i, row)), transposed(channels(v)), weights(dsHere), seen, D);
            f.call(gradients, pHere, dsHere, scoresRow, i, D, i32.add(logTotals, i32.mul(i, VECTOR)));
          });
          byFours(j, i32.of(0), () => { // keys, and the queries that see them
            f.set(from, t);
            f.if(i32.gt(j, t), () => f.set(from, j));
            const count = f.keep(i32.sub(end, from)), adds = f.keep(i32.or(i32.lt(j, t), again)), here = f.keep(i32.add(i32.mul(i32.sub(from, t), scoresRow), i32.mul(j, VECTOR)));
            multiply(transposed(weights(after(ds, here))), channels(at(q, from, row)), channels(at(dk, j, row)), D, count, adds);
            multiply(transposed(weights(after(p, here))), channels(at(dO, from, row)), channels(at(dv, j, row)), D, count, adds);
          });
          byFours(i, t, () => multiply(weights(at(ds, i32.sub(i, t), scoresRow)), channels(k), channels(at(q, i, row)), D, i32.add(i, ROWS))); // takes the place of q
        });
        scatter(q, dQkv, heads, query, true);
      });
      scatter(dk, dQkv, heads, key, true);
      scatter(dv, dQkv, heads, value, false);
    });
  },
});

/** Of vectors: its address, and the bytes from row to row and from column to column. */
interface Matrix {
  readonly at: Int;
  readonly row: Size;
  readonly column: Size;
}

const transposed = ({ at, row, column }: Matrix): Matrix => ({ at, row: column, column: row });

/** Of each lane, a head's number in its token. */
type HeadOf = (lane: number) => Expr<'i32'>;
type Places = [Expr<'i32'>, Expr<'i32'>, Expr<'i32'>, Expr<'i32'>];

/** A unit: its key and value heads, and its query heads one after the other, of which `again` is 0 for the first. */
interface Unit {
  readonly key: HeadOf;
  readonly value: HeadOf;
  readonly again: Int;
  eachQuery(body: (query: HeadOf, logAt: (buffer: Int) => Places) => void): void;
}

/** What forward and backward share: the walk over units, and calls with the sizes filled in. */
function setting(f: FunctionBuilder, { B, T, H, KV, D, rotary, row, scoresRow, table }: Readonly<Record<keyof Sizes | 'row' | 'scoresRow' | 'table', Int>>) {
  const heads = f.keep(i32.add(H, i32.mul(KV, 2))), group = f.keep(i32.div(H, KV)), bytes = f.keep(i32.mul(D, 4)), evenD = f.keep(i32.and(i32.add(D, 1), -2));
  const b = f.locals('i32', LANES), kv = f.locals('i32', LANES), [unit, pair, member, at, end] = f.locals('i32', 5) as [Int, Int, Int, Int, Int];
  const [interleaved, spreadOut, rotated, multiplied] = [interleave(f.module), spread(f.module), rotate(f.module), product(f.module)];
  /** Of each lane, its row of a buffer of [B,n,...] of which a row takes so many bytes. */
  const placesIn = (buffer: Int, bytesOf: (lane: number) => Expr<'i32'>): Places => b.map((_, lane) => i32.add(buffer, bytesOf(lane))) as Places;
  const places = (buffer: Int, heads: Int, head: HeadOf): Places => placesIn(buffer, (lane) => i32.mul(i32.add(i32.mul(i32.mul(b[lane]!, T), heads), head(lane)), bytes));
  const turn = (x: Int, back: 0 | 1): void => f.if(rotary, () => f.call(rotated, x, row, T, D, table, back));
  const query: HeadOf = (lane) => i32.add(i32.mul(kv[lane]!, group), member);
  const logAt = (buffer: Int): Places => placesIn(buffer, (lane) => i32.mul(i32.add(i32.mul(b[lane]!, H), query(lane)), i32.mul(T, 4)));
  const zeros = (start: Expr<'i32'>, step: Size, until: Expr<'i32'>): void => {
    f.set(at, start);
    f.set(end, until);
    f.while(i32.ne(at, end), () => (f.store(at, v128.zero), f.bump(at, step)));
  };
  return {
    /** Heads in a token of qkv. */
    heads,
    /** Rows of a head of a buffer [B,T,heads,D], and back. */
    gather(buffer: Int, heads: Int, head: HeadOf, to: Int, rotates: boolean): void {
      f.call(interleaved, ...places(buffer, heads, head), i32.mul(heads, bytes), to, row, T, D);
      if (rotates) turn(to, 0);
    },
    scatter(from: Int, buffer: Int, heads: Int, head: HeadOf, rotates: boolean): void {
      if (rotates) turn(from, 1);
      f.call(spreadOut, ...places(buffer, heads, head), i32.mul(heads, bytes), from, row, T, D);
    },
    /** [T,D] and [queries,keys] at an address. */
    channels: (at: Int): Matrix => ({ at, row, column: VECTOR }),
    weights: (at: Int): Matrix => ({ at, row: scoresRow, column: VECTOR }),
    /** out [4,N] (+)= a [4,K] b [K,N]; D columns are one more if D is odd. */
    multiply(a: Matrix, b: Matrix, out: Matrix, N: Size, K: Size, adds: Size = 0): void {
      f.call(multiplied, a.at, a.row, a.column, b.at, b.column, b.row, out.at, out.row, out.column, N === D ? evenD : N, K, adds);
    },
    /** What products read beyond T rows, and beyond D columns if D is odd. */
    zeroPadding(arrays: readonly Int[]): void {
      for (const array of arrays) {
        zeros(i32.add(array, i32.mul(row, T)), VECTOR, i32.add(array, i32.mul(row, i32.and(i32.add(T, ROWS - 1), -ROWS))));
        const column = i32.add(array, i32.mul(D, VECTOR));
        zeros(column, row, i32.add(column, i32.mul(row, T)));
      }
    },
    eachUnit(first: Int, last: Int, body: (unit: Unit) => void): void {
      f.set(unit, first);
      f.while(i32.lt(unit, last), () => {
        b.forEach((row, lane) => {
          f.set(pair, i32.min(i32.add(i32.mul(unit, LANES), lane), i32.sub(i32.mul(B, KV), 1)));
          f.set(row, i32.div(pair, KV));
          f.set(kv[lane]!, i32.rem(pair, KV));
        });
        body({
          key: (lane) => i32.add(H, kv[lane]!),
          value: (lane) => i32.add(i32.add(H, KV), kv[lane]!),
          again: member,
          eachQuery: (each) => f.loop(member, group, 1, () => each(query, logAt)),
        });
        f.bump(unit, 1);
      });
    },
  };
}
