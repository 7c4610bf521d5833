// Sums of very many floats in single precision: of blocks, then of 512 blocks, then of those, because a long chain of
// additions rounds too often, and stops growing where a term is less than half a unit of the sum's last digit. The
// order depends on n alone. Read after: ../wasm/lanes.ts. Used by: reduce.wasm.ts, and wherever a row may be long.

import type { FunctionBuilder } from '../wasm/assembler.ts';
import { f32, i32, type Expr, type Local } from '../wasm/instructions.ts';
import { sumOver, sumsOver, type Lanes, type LaneType } from '../wasm/lanes.ts';

type Term = <T extends LaneType>(lanes: Lanes<T>, at: Local<'i32'>) => Expr<T>;

type Terms = <T extends LaneType>(lanes: Lanes<T>, at: Local<'i32'>) => readonly Expr<T>[];

/** Sums of one level that make one of the next. */
export const MANY = 512;

/** The sum of n terms, `block` at a time. A sum of no more than 512 blocks is the chain of its blocks' sums. */
export function longSum(f: FunctionBuilder, n: Expr<'i32'>, block: number, term: Term): Local<'f32'> {
  const count = f.keep(n);
  const start = f.local('i32');
  const place = f.local('i32');
  const total = chain(f, i32.div(i32.add(count, block - 1), block), (k) => {
    f.set(start, i32.mul(k, block));
    return sumOver(f, i32.min(i32.sub(count, start), block), (lanes, at) => {
      f.set(place, i32.add(i32.mul(start, 4), at));
      return term(lanes, place);
    });
  });
  return total;
}

/** The sum of `count` numbers, of which `of` makes the k-th: 512 at a time, one after the other. */
export function chain(f: FunctionBuilder, count: Expr<'i32'>, of: (k: Local<'i32'>) => Expr<'f32'>): Local<'f32'> {
  const all = f.keep(count);
  const total = f.keep(f32.zero);
  const part = f.local('f32');
  const first = f.local('i32');
  const k = f.local('i32');
  const end = f.local('i32');
  f.loop(first, all, MANY, () => {
    f.set(part, f32.zero);
    f.set(k, first);
    f.set(end, i32.min(i32.add(first, MANY), all));
    f.while(i32.lt(k, end), () => {
      f.set(part, f32.add(part, of(k)));
      f.bump(k, 1);
    });
    f.set(total, f32.add(total, part));
  });
  return total;
}

/** The sum of a row of n terms: as sumOver() has it, unless the row is so long that it must be taken in blocks. */
export function sumOfRow(f: FunctionBuilder, n: Local<'i32'>, term: Term): Local<'f32'> {
  return sumsOfRow(f, n, 1, (lanes, at) => [term(lanes, at)])[0]!;
}

/** Several such sums over the same n. */
export function sumsOfRow(f: FunctionBuilder, n: Local<'i32'>, count: number, terms: Terms): Local<'f32'>[] {
  const totals = Array.from({ length: count }, () => f.keep(f32.zero));
  const first = f.keep(i32.of(0));
  const end = f.local('i32');
  f.doWhile(i32.lt(first, n), () => {
    f.set(end, i32.add(first, i32.min(i32.sub(n, first), LONG)));
    sumsOver(f, end, count, terms, first).forEach((sum, i) => f.set(totals[i]!, f32.add(totals[i]!, sum)));
    f.bump(first, LONG);
  });
  return totals;
}

const LONG = 1 << 16; // floats: lanes of 8192 additions
