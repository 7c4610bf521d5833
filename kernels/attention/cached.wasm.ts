// Decoding for the CPU, in WASM SIMD: a unit is a batch row and a key head. New keys and values go into the cache; then each query's
// scores, softmax and mixture are a product with a vector each (../matmul/vector.wasm.ts). Read after: attention.ts, rows.wasm.ts.

import { i32, type Local } from '../wasm/instructions.ts';
import { program } from '../wasm/program.ts';
import { rowTimesColumns, rowTimesRows } from '../matmul/vector.wasm.ts';
import { softmaxRow, turn } from './rows.wasm.ts';

type Int = Local<'i32'>;

/** Bytes of n floats, and of the rest of their cache line. */
const lines = (n: number): number => Math.ceil(n / 16) * 64;

export const attentionCachedWasm = program({
  buffers: ['qkv', 'table', 'cacheK', 'cacheV', 'out'],
  counts: ['B', 'N', 'H', 'KV', 'D', 'context', 'rotary', 'position'],
  derived: { scoresAt: ({ D }) => lines(D) },
}, {
  name: 'attentionCached',
  units: ({ B, KV }) => B * KV,
  cost: ({ H, KV, N, D, position }) => N * (40 + (H / KV) * (position + N) * (D / 2 + 4)),
  scratch: ({ D, position, N }) => lines(D) + lines(position + N + 3),
  emit(f, { qkv, table, cacheK, cacheV, out, N, H, KV, D, context, rotary, position, scoresAt }, { first, last, scratch: q }) {
    const [turned, softmax, rows, columns] = [turn(f.module), softmaxRow(f.module), rowTimesRows(f.module), rowTimesColumns(f.module)];
    const scores = f.keep(i32.add(q, scoresAt)), head = f.keep(i32.mul(D, 4)), width = f.keep(i32.mul(i32.add(H, i32.mul(KV, 2)), head));
    const [b, kv, cacheAt, to, keyAt, n, h, seen, from] = f.locals('i32', 9) as [Int, Int, Int, Int, Int, Int, Int, Int, Int];
    const unit = f.keep(first), group = f.keep(i32.div(H, KV)), angles = f.keep(i32.add(table, i32.mul(position, head)));
    f.while(i32.lt(unit, last), () => {
      f.set(b, i32.div(unit, KV));
      f.set(kv, i32.rem(unit, KV));
      f.set(cacheAt, i32.mul(i32.mul(unit, context), head));
      f.set(to, i32.add(cacheAt, i32.mul(position, head)));
      f.set(keyAt, i32.add(i32.add(qkv, i32.mul(i32.mul(b, N), width)), i32.mul(i32.add(H, kv), head)));
      f.call(turned, keyAt, width, i32.add(cacheK, to), head, N, D, angles, 0, rotary);
      f.call(turned, i32.add(keyAt, i32.mul(KV, head)), width, i32.add(cacheV, to), head, N, D, angles, 0, 0);
      f.loop(n, N, 1, () => {
        f.set(seen, i32.add(i32.add(position, n), 1));
        f.set(h, i32.mul(kv, group));
        f.while(i32.lt(h, i32.mul(i32.add(kv, 1), group)), () => {
          f.set(from, i32.add(i32.mul(b, N), n)); // the token
          f.call(turned, i32.add(i32.add(qkv, i32.mul(from, width)), i32.mul(h, head)), width, q, head, 1, D, i32.add(angles, i32.mul(n, head)), 1, rotary);
          f.call(rows, q, i32.add(cacheK, cacheAt), scores, seen, D, 0);
          f.call(softmax, scores, seen);
          f.call(columns, scores, i32.add(cacheV, cacheAt), head, i32.add(out, i32.mul(i32.add(i32.mul(from, H), h), head)), D, seen, 0);
          f.bump(h, 1);
        });
      });
      f.bump(unit, 1);
    });
  },
});
