// Decoding for the CPU, in WASM SIMD: a unit is a batch row and a key head. New keys and values go into the cache; then
// each query's scores, softmax and mixture are a product with a vector each (../matmul/vector.wasm.ts). Read after:
// attention.ts, rows.wasm.ts.

import { at, i32 } from '../wasm/instructions.ts';
import { bytesOf, carve, program } from '../wasm/program.ts';
import { rowTimesColumns, rowTimesRows } from '../matmul/vector.wasm.ts';
import { softmaxRow, turn } from './rows.wasm.ts';

type Sizes = Readonly<Record<'D' | 'position' | 'N', number>>;

/** Bytes of n floats, and of the rest of their cache line. */
const lines = (n: number): number => Math.ceil(n / 16) * 64;

const derived = { query: ({ D }: Sizes) => lines(D), scores: ({ position, N }: Sizes) => lines(position + N) };
const layout = { q: 'query', scores: 'scores' } as const;

export const attentionCachedWasm = program(
  {
    buffers: ['qkv', 'table', 'cacheK', 'cacheV', 'out'],
    counts: ['B', 'N', 'H', 'KV', 'D', 'context', 'rotary', 'position'],
    derived,
  },
  {
    name: 'attentionCached',
    units: ({ B, KV }) => B * KV,
    cost: ({ H, KV, N, D, position }) => N * (40 + (H / KV) * (position + N) * (D / 2 + 4)),
    scratch: (sizes) => bytesOf(layout, derived, sizes),
    emit(
      f,
      { qkv, table, cacheK, cacheV, out, N, H, KV, D, context, rotary, position, ...sizes },
      { first, last, scratch },
    ) {
      const turned = turn(f.module);
      const softmax = softmaxRow(f.module);
      const rows = rowTimesRows(f.module);
      const columns = rowTimesColumns(f.module);
      const { q, scores } = carve(f, scratch, layout, sizes);
      const head = f.keep(i32.mul(D, 4)); // bytes
      const width = f.keep(i32.mul(at(H, [KV, 2]), head)); // bytes of a token
      const group = f.keep(i32.div(H, KV));
      const angles = f.keep(at(table, [position, head]));
      const [b, kv, cacheAt, to, keyAt, n, h, seen, token] = f.locals('i32', 9);
      const unit = f.keep(first);
      f.while(i32.lt(unit, last), () => {
        f.set(b, i32.div(unit, KV));
        f.set(kv, i32.rem(unit, KV));
        f.set(cacheAt, i32.mul(i32.mul(unit, context), head));
        f.set(to, at(cacheAt, [position, head]));
        f.set(keyAt, at(qkv, [i32.mul(b, N), width], [i32.add(H, kv), head]));
        const copied = { fromRow: width, toRow: head, rows: N, D, table: angles, scaled: 0 };
        f.call(turned, { ...copied, from: keyAt, to: i32.add(cacheK, to), rotary });
        f.call(turned, { ...copied, from: at(keyAt, [KV, head]), to: i32.add(cacheV, to), rotary: 0 });
        f.loop(n, N, 1, () => {
          f.set(seen, i32.add(i32.add(position, n), 1));
          f.set(token, at(n, [b, N]));
          f.set(h, i32.mul(kv, group));
          f.while(i32.lt(h, i32.mul(i32.add(kv, 1), group)), () => {
            const from = at(qkv, [token, width], [h, head]);
            f.call(turned, {
              from,
              fromRow: width,
              to: q,
              toRow: head,
              rows: 1,
              D,
              table: at(angles, [n, head]),
              scaled: 1,
              rotary,
            });
            f.call(rows, { a: q, b: i32.add(cacheK, cacheAt), out: scores, N: seen, K: D, adds: 0 });
            f.call(softmax, { s: scores, n: seen });
            f.call(columns, {
              a: scores,
              b: i32.add(cacheV, cacheAt),
              bRow: head,
              out: at(out, [at(h, [token, H]), head]),
              N: D,
              K: seen,
              adds: 0,
            });
            f.bump(h, 1);
          });
        });
        f.bump(unit, 1);
      });
    },
  },
);
