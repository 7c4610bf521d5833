// Looking rows up for the CPU, in WASM SIMD: a unit is a token; and the way back, where a unit is a cache line of
// columns: who owns a column goes through all tokens in order. Read after: embedding.ts, ../wasm/program.ts.

import { i32, type Expr, type Local } from '../wasm/instructions.ts';
import { overFloats } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';

const COLUMNS = 16; // floats

/** Whether the table has a row of this number. */
function isRow(id: Local<'i32'>, V: Local<'i32'>): Expr<'i32'> {
  return i32.and(i32.ge(id, 0), i32.lt(id, V));
}

export const embeddingWasm = program({ buffers: ['table', 'ids', 'out'], counts: ['N', 'V', 'C'] }, {
  name: 'embedding',
  units: ({ N }) => N,
  cost: ({ C }) => 4 + C / 2,
  emit(f, { table, ids, out, V, C }, { first, last }) {
    const n = f.keep(first);
    const id = f.local('i32');
    const row = f.local('i32');
    const width = f.keep(i32.mul(C, 4));
    f.bump(out, i32.mul(first, width));
    f.while(i32.lt(n, last), () => {
      f.set(id, i32.load(i32.add(ids, i32.mul(n, 4))));
      f.if(isRow(id, V), () => {
        f.set(row, i32.add(table, i32.mul(id, width)));
        overFloats(f, C, (lanes, at) => f.store(i32.add(out, at), lanes.load(i32.add(row, at))));
      }, () => overFloats(f, C, (lanes, at) => f.store(i32.add(out, at), lanes.of(NaN))));
      f.bump(out, width);
      f.bump(n, 1);
    });
  },
});

export const embeddingBackwardWasm = program(
  { buffers: ['ids', 'dOut', 'dTable'], counts: ['N', 'V', 'C', 'accumulate'] },
  {
    name: 'embeddingBackward',
    units: ({ C }) => Math.ceil(C / COLUMNS),
    cost: ({ N, V, accumulate }) => ((N + (accumulate ? 0 : V)) * COLUMNS) / 2,
    emit(f, { ids, dOut, dTable, N, V, C, accumulate }, { first, last }) {
      const [n, id, row] = f.locals('i32', 3) as [Local<'i32'>, Local<'i32'>, Local<'i32'>];
      const width = f.keep(i32.mul(C, 4));
      const from = f.keep(i32.mul(first, COLUMNS));
      const count = f.keep(i32.sub(i32.min(i32.mul(last, COLUMNS), C), from));
      f.bump(dOut, i32.mul(from, 4));
      f.bump(dTable, i32.mul(from, 4));
      f.if(i32.eq(accumulate, 0), () =>
        f.loop(n, V, 1, () => {
          f.set(row, i32.add(dTable, i32.mul(n, width)));
          overFloats(f, count, (lanes, at) => f.store(i32.add(row, at), lanes.zero));
        }),
      );
      f.loop(n, N, 1, () => {
        f.set(id, i32.load(i32.add(ids, i32.mul(n, 4))));
        f.if(isRow(id, V), () => {
          f.set(row, i32.add(dTable, i32.mul(id, width)));
          overFloats(f, count, (lanes, at) => {
            f.store(i32.add(row, at), lanes.add(lanes.load(i32.add(row, at)), lanes.load(i32.add(dOut, at))));
          });
        });
        f.bump(dOut, width);
      });
    },
  },
);
