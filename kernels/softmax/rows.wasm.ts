// Rows of numbers that become powers, or the logarithm of their sum, for the CPU: what softmax, the loss and attention
// share. Read after: ../wasm/lanes.ts. Used by: softmax.wasm.ts, ../cross-entropy/cross-entropy.wasm.ts,
// ../attention/rows.wasm.ts.

import { sumOfRow } from '../reduce/long-sum.wasm.ts';
import type { FunctionBuilder } from '../wasm/assembler.ts';
import { f32, i32, v128, type Expr, type Int, type Local } from '../wasm/instructions.ts';
import { largestOf } from '../wasm/lanes.ts';
import { log } from '../wasm/math.ts';

/**
 * Runs `body` for each row, with the row's number, its place in a [rows,V] buffer and in one [rows], both to be added
 * to addresses.
 */
export function overRows(
  f: FunctionBuilder,
  first: Int,
  last: Int,
  V: Int,
  body: (row: Int, wide: Int, narrow: Int) => void,
): void {
  const row = f.keep(first);
  const wide = f.keep(i32.mul(first, i32.mul(V, 4)));
  const narrow = f.keep(i32.mul(first, 4));
  f.while(i32.lt(row, last), () => {
    body(row, wide, narrow);
    f.bump(wide, i32.mul(V, 4));
    f.bump(narrow, 4);
    f.bump(row, 1);
  });
}

/** out = exp(x - most) of V floats, with the largest of them, and the sum of the powers. */
export function powers(f: FunctionBuilder, x: Int, out: Int, V: Int): { most: Local<'f32'>; total: Local<'f32'> } {
  const most = largestOf(f, V, -Infinity, (lanes, at) => lanes.load(i32.add(x, at)));
  const total = sumOfRow(f, V, (lanes, at) => {
    const power = lanes.keep(lanes.exp(lanes.sub(lanes.load(i32.add(x, at)), lanes.splat(most))));
    f.store(i32.add(out, at), power);
    return power;
  });
  return { most, total };
}

/** log(sum(exp(x))) of V floats. */
export function logSumExp(f: FunctionBuilder, x: Int, V: Int): Local<'f32'> {
  const most = largestOf(f, V, -Infinity, (lanes, at) => lanes.load(i32.add(x, at)));
  const total = sumOfRow(f, V, (lanes, at) => lanes.exp(lanes.sub(lanes.load(i32.add(x, at)), lanes.splat(most))));
  return f.keep(f32.add(most, logOf(f, total)));
}

/** log(x) of a float of at least 1; NaN of what is no number. */
export function logOf(f: FunctionBuilder, x: Local<'f32'>): Expr<'f32'> {
  return f32.add(v128.lane(log(f, v128.splat(x)), 0), f32.sub(x, x)); // which is 0 of a number
}
