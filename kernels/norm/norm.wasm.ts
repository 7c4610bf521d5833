// RMSNorm and LayerNorm for the CPU, in WASM SIMD: a unit of the forward is a row. The backward makes dx row by row
// and, on the way, sums for the parameters over a group of rows; its second part adds up the groups, in order. Read
// after: norm.ts, ../wasm/program.ts.

import type { FunctionBuilder } from '../wasm/assembler.ts';
import { f32, i32, type Expr, type Int, type Local } from '../wasm/instructions.ts';
import { overFloats, type Lanes, type LaneType } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';
import { MANY, sumOfRow, sumsOfRow } from '../reduce/long-sum.wasm.ts';

const GROUP = 32; // rows per partial sum: a constant, so that sums do not depend on the threads
const COLUMNS = 16; // floats that are added up at a time: a cache line


/** Runs `body` for each row; pointers to rows of C floats, and to one float per row, move on with it. */
function overRows(
  f: FunctionBuilder,
  first: Int,
  last: Int,
  C: Int,
  rows: readonly Int[],
  perRow: readonly Int[],
  body: () => void,
): void {
  const r = f.keep(first);
  const width = f.keep(i32.mul(C, 4));
  for (const pointer of rows) f.bump(pointer, i32.mul(first, width));
  for (const pointer of perRow) f.bump(pointer, i32.mul(first, 4));
  f.while(i32.lt(r, last), () => {
    body();
    for (const pointer of rows) f.bump(pointer, width);
    for (const pointer of perRow) f.bump(pointer, 4);
    f.bump(r, 1);
  });
}

/** 1 / sqrt(total / C + epsilon). */
function reciprocalRoot(total: Expr<'f32'>, C: Int, epsilon: Expr<'f32'>): Expr<'f32'> {
  return f32.div(f32.of(1), f32.sqrt(f32.add(f32.div(total, f32.fromInt(C)), epsilon)));
}

/** Where squares overflowed, so that the scale is 0: makes it anew, from the squares of 2^-80 times the numbers. */
function ofLargeNumbers(
  f: FunctionBuilder,
  scale: Local<'f32'>,
  C: Int,
  number: <T extends LaneType>(lanes: Lanes<T>, at: Local<'i32'>) => Expr<T>,
): void {
  f.if(f32.eq(scale, f32.zero), () => {
    const square = sumOfRow(f, C, (lanes, at) => {
      const small = lanes.keep(lanes.mul(number(lanes, at), lanes.of(2 ** -80)));
      return lanes.mul(small, small);
    });
    f.set(scale, f32.mul(f32.of(2 ** -80), reciprocalRoot(square, C, f32.zero)));
  });
}

export const rmsNormWasm = program(
  { buffers: ['x', 'weight', 'out', 'rstd'], counts: ['rows', 'C'], floats: ['epsilon'] },
  {
    name: 'rmsNorm',
    units: ({ rows }) => rows,
    cost: ({ C }) => 8 + C,
    emit: (f, { x, weight, out, rstd, C, epsilon }, { first, last }) =>
      overRows(f, first, last, C, [x, out], [rstd], () => {
        const square = sumOfRow(f, C, (lanes, at) => lanes.mul(lanes.load(i32.add(x, at)), lanes.load(i32.add(x, at))));
        const scale = f.keep(reciprocalRoot(square, C, epsilon));
        ofLargeNumbers(f, scale, C, (lanes, at) => lanes.load(i32.add(x, at)));
        f.store(rstd, scale);
        overFloats(f, C, (lanes, at) =>
          f.store(
            i32.add(out, at),
            lanes.mul(lanes.mul(lanes.load(i32.add(x, at)), lanes.splat(scale)), lanes.load(i32.add(weight, at))),
          ),
        );
      }),
  },
);

export const layerNormWasm = program(
  { buffers: ['x', 'weight', 'bias', 'out', 'mean', 'rstd'], counts: ['rows', 'C'], floats: ['epsilon'] },
  {
    name: 'layerNorm',
    units: ({ rows }) => rows,
    cost: ({ C }) => 8 + 2 * C,
    emit: (f, { x, weight, bias, out, mean, rstd, C, epsilon }, { first, last }) =>
      overRows(f, first, last, C, [x, out], [mean, rstd], () => {
        const centre = f.keep(
          f32.div(
            sumOfRow(f, C, (lanes, at) => lanes.load(i32.add(x, at))),
            f32.fromInt(C),
          ),
        );
        const square = sumOfRow(f, C, (lanes, at) => {
          const offset = lanes.keep(lanes.sub(lanes.load(i32.add(x, at)), lanes.splat(centre)));
          return lanes.mul(offset, offset);
        });
        const scale = f.keep(reciprocalRoot(square, C, epsilon));
        ofLargeNumbers(f, scale, C, (lanes, at) => lanes.sub(lanes.load(i32.add(x, at)), lanes.splat(centre)));
        f.store(mean, centre);
        f.store(rstd, scale);
        overFloats(f, C, (lanes, at) => {
          const normal = lanes.mul(lanes.sub(lanes.load(i32.add(x, at)), lanes.splat(centre)), lanes.splat(scale));
          f.store(i32.add(out, at), lanes.madd(normal, lanes.load(i32.add(weight, at)), lanes.load(i32.add(bias, at))));
        });
      }),
  },
);

/**
 * Runs `body` for each group of rows among units first .. last-1, with its rows and the address of its `sums` sums of C
 * floats, which are 0.
 */
function overGroups(
  f: FunctionBuilder,
  first: Int,
  last: Int,
  rows: Int,
  C: Int,
  shared: Int,
  sums: number,
  body: (from: Int, to: Int, partial: Int) => void,
): void {
  const g = f.keep(first);
  const from = f.local('i32');
  const to = f.local('i32');
  const bytes = f.keep(i32.mul(C, 4 * sums));
  const partial = f.keep(i32.add(shared, i32.mul(first, bytes)));
  f.while(i32.lt(g, last), () => {
    f.set(from, i32.mul(g, GROUP));
    f.set(to, i32.min(i32.add(from, GROUP), rows));
    overFloats(f, i32.mul(C, sums), (lanes, at) => f.store(i32.add(partial, at), lanes.zero));
    body(from, to, partial);
    f.bump(partial, bytes);
    f.bump(g, 1);
  });
}

/**
 * out [C] = the sum over `groups` groups of the floats at partial + offset, `stride` bytes apart; added to out with
 * `adds`. Columns first .. last-1. Of more than 512 groups, 512 are first added up where the first of them lies.
 */
function addGroups(
  f: FunctionBuilder,
  out: Int,
  adds: Int,
  partial: Int,
  stride: Expr<'i32'>,
  groups: Expr<'i32'>,
  C: Int,
  { first, last }: { first: Int; last: Int },
): void {
  const from = f.keep(i32.mul(first, COLUMNS));
  const count = f.keep(i32.sub(i32.min(i32.mul(last, COLUMNS), C), from));
  const g = f.local('i32');
  const step = f.local('i32');
  const into = f.local('i32');
  const add = (to: Int, more: Int): void =>
    overFloats(f, count, (lanes, at) => {
      f.store(i32.add(to, at), lanes.add(lanes.load(i32.add(to, at)), lanes.load(i32.add(more, at))));
    });
  f.bump(out, i32.mul(from, 4));
  f.bump(partial, i32.mul(from, 4));
  f.if(i32.eq(adds, 0), () => overFloats(f, count, (lanes, at) => f.store(i32.add(out, at), lanes.zero)));
  f.set(step, 1);
  f.if(i32.gt(groups, MANY), () => {
    f.set(step, MANY);
    f.set(into, partial);
    const next = f.keep(partial);
    f.loop(g, groups, 1, () => {
      f.if(
        i32.eq(i32.rem(g, MANY), 0),
        () => f.set(into, next),
        () => add(into, next),
      );
      f.bump(next, stride);
    });
  });
  f.set(g, 0);
  f.while(i32.lt(g, groups), () => {
    add(out, partial);
    f.bump(partial, i32.mul(stride, step));
    f.bump(g, step);
  });
}

const groupsOf = ({ rows }: { rows: number }): number => Math.ceil(rows / GROUP);
const groups = (rows: Int): Expr<'i32'> => i32.div(i32.add(rows, GROUP - 1), GROUP);

export const rmsNormBackwardWasm = program(
  {
    buffers: ['x', 'weight', 'rstd', 'dOut', 'dx', 'dWeight'],
    counts: ['rows', 'C', 'accumulate'],
    shared: ({ rows, C }) => 4 * C * groupsOf({ rows }),
  },
  {
    name: 'rmsNormBackward',
    units: groupsOf,
    cost: ({ C }) => 3 * C * GROUP,
    emit: (f, { x, weight, rstd, dOut, dx, rows, C }, { first, last, shared }) =>
      overGroups(f, first, last, rows, C, shared, 1, (from, to, partial) => {
        const [px, pg, pdx, pr] = [x, dOut, dx, rstd].map((pointer) => f.keep(pointer)) as [Int, Int, Int, Int];
        overRows(f, from, to, C, [px, pg, pdx], [pr], () => {
          const scale = f.keep(f32.load(pr));
          const dot = sumOfRow(f, C, (lanes, at) => {
            const product = lanes.keep(lanes.mul(lanes.load(i32.add(pg, at)), lanes.load(i32.add(px, at))));
            f.store(i32.add(partial, at), lanes.madd(product, lanes.splat(scale), lanes.load(i32.add(partial, at))));
            return lanes.mul(product, lanes.load(i32.add(weight, at)));
          });
          const pull = f.keep(f32.div(f32.mul(f32.mul(dot, scale), scale), f32.fromInt(C)));
          overFloats(f, C, (lanes, at) => {
            const g = lanes.mul(lanes.load(i32.add(pg, at)), lanes.load(i32.add(weight, at)));
            f.store(
              i32.add(pdx, at),
              lanes.mul(lanes.splat(scale), lanes.sub(g, lanes.mul(lanes.load(i32.add(px, at)), lanes.splat(pull)))),
            );
          });
        });
      }),
  },
  {
    name: 'rmsNormBackwardSums',
    units: ({ C }) => Math.ceil(C / COLUMNS),
    cost: ({ rows }) => groupsOf({ rows }) * 8,
    emit: (f, { dWeight, rows, C, accumulate }, { shared, ...range }) =>
      addGroups(f, dWeight, accumulate, shared, i32.mul(C, 4), groups(rows), C, range),
  },
);

export const layerNormBackwardWasm = program(
  {
    buffers: ['x', 'weight', 'mean', 'rstd', 'dOut', 'dx', 'dWeight', 'dBias'],
    counts: ['rows', 'C', 'accumulateWeight', 'accumulateBias'],
    shared: ({ rows, C }) => 8 * C * groupsOf({ rows }),
  },
  {
    name: 'layerNormBackward',
    units: groupsOf,
    cost: ({ C }) => 4 * C * GROUP,
    emit: (f, { x, weight, mean, rstd, dOut, dx, rows, C }, { first, last, shared }) =>
      overGroups(f, first, last, rows, C, shared, 2, (from, to, partial) => {
        const [px, pg, pdx, pm, pr] = [x, dOut, dx, mean, rstd].map((pointer) => f.keep(pointer)) as [
          Int,
          Int,
          Int,
          Int,
          Int,
        ];
        const forBias = f.keep(i32.add(partial, i32.mul(C, 4)));
        overRows(f, from, to, C, [px, pg, pdx], [pm, pr], () => {
          const scale = f.keep(f32.load(pr));
          const centre = f.keep(f32.load(pm));
          const [dot, total] = sumsOfRow(f, C, 2, (lanes, at) => {
            const d = lanes.keep(lanes.load(i32.add(pg, at)));
            const g = lanes.keep(lanes.mul(d, lanes.load(i32.add(weight, at))));
            const normal = lanes.keep(
              lanes.mul(lanes.sub(lanes.load(i32.add(px, at)), lanes.splat(centre)), lanes.splat(scale)),
            );
            f.store(i32.add(partial, at), lanes.madd(d, normal, lanes.load(i32.add(partial, at))));
            f.store(i32.add(forBias, at), lanes.add(lanes.load(i32.add(forBias, at)), d));
            return [lanes.mul(g, normal), g];
          });
          const shift = f.keep(f32.div(total!, f32.fromInt(C)));
          const pull = f.keep(f32.div(dot!, f32.fromInt(C)));
          overFloats(f, C, (lanes, at) => {
            const g = lanes.mul(lanes.load(i32.add(pg, at)), lanes.load(i32.add(weight, at)));
            const normal = lanes.mul(lanes.sub(lanes.load(i32.add(px, at)), lanes.splat(centre)), lanes.splat(scale));
            f.store(
              i32.add(pdx, at),
              lanes.mul(
                lanes.splat(scale),
                lanes.sub(lanes.sub(g, lanes.splat(shift)), lanes.mul(normal, lanes.splat(pull))),
              ),
            );
          });
        });
      }),
  },
  {
    name: 'layerNormBackwardSums',
    units: ({ C }) => Math.ceil(C / COLUMNS),
    cost: ({ rows }) => groupsOf({ rows }) * 16,
    emit(f, { dWeight, dBias, rows, C, accumulateWeight, accumulateBias }, { shared, ...range }) {
      const partial = f.keep(shared);
      const stride = i32.mul(C, 8);
      addGroups(f, dWeight, accumulateWeight, partial, stride, groups(rows), C, range);
      f.set(partial, i32.add(shared, i32.mul(C, 4)));
      addGroups(f, dBias, accumulateBias, partial, stride, groups(rows), C, range);
    },
  },
);
