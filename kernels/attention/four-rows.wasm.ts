// Four rows of attention's weights and of their gradients, in vectors that hold four heads: row r belongs to query first + r, which sees
// the keys up to itself. Read after: heads.wasm.ts. Used by: attention.wasm.ts.

import type { Callable, FunctionBuilder, WasmModule } from '../wasm/assembler.ts';
import { f32, i32, v128, type Expr, type Local } from '../wasm/instructions.ts';
import { exp, log } from '../wasm/math.ts';
import { ROWS, VECTOR } from './heads.wasm.ts';

type Int = Local<'i32'>;

/**
 * (s, row, first, D, logSumExp): q.k of four rows become weights, softmax(q.k / sqrt(D)), and logSumExp that of each row. What a row does not
 * see up to key first + 3 becomes 0.
 */
export function softmaxRows(module: WasmModule): Callable {
  return module.function('attentionSoftmaxOfFour', ['s', 'row', 'first', 'D', 'logSumExp'], (f, { s, row, first, D, logSumExp }) => {
    const scale = scaleOf(f, D), [at, best, total, share] = [f.local('i32'), ...f.locals('v128', 3)] as [Int, Local<'v128'>, Local<'v128'>, Local<'v128'>];
    overRows(f, s, first, (end) => {
      f.set(best, v128.of(-Infinity));
      each(f, at, s, end, () => f.set(best, v128.greater(v128.load(at), best)));
      f.set(total, v128.zero);
      each(f, at, s, end, () => {
        const power = exp(f, v128.mul(v128.sub(v128.load(at), best), scale));
        f.store(at, power);
        f.set(total, v128.add(total, power));
      });
      f.set(share, v128.div(v128.of(1), total));
      each(f, at, s, end, () => f.store(at, v128.mul(v128.load(at), share)));
      const logTotal = v128.add(log(f, total), v128.sub(total, total)); // the difference is 0, or NaN where there is no sum
      f.store(logSumExp, f.madd(best, scale, logTotal));
      f.bump(logSumExp, VECTOR);
    }, [s], row);
  });
}

/**
 * (p, ds, row, first, D, logSumExp): p holds q.k, ds the gradients dp of the weights; they become the weights, p = exp(q.k / sqrt(D) - logSumExp),
 * and the gradients of q.k, p (dp - sum(p dp)) / sqrt(D). What a row does not see up to key first + 3 becomes 0.
 */
export function gradientRows(module: WasmModule): Callable {
  return module.function('attentionGradientOfFour', ['p', 'ds', 'row', 'first', 'D', 'logSumExp'], (f, { p, ds, row, first, D, logSumExp }) => {
    const scale = scaleOf(f, D), [at, other, delta, logTotal] = [...f.locals('i32', 2), ...f.locals('v128', 2)] as [Int, Int, Local<'v128'>, Local<'v128'>];
    overRows(f, p, first, (end) => {
      f.set(delta, v128.zero);
      f.set(logTotal, v128.sub(v128.zero, v128.load(logSumExp)));
      f.set(other, ds);
      each(f, at, p, end, () => {
        const weight = exp(f, f.madd(v128.load(at), scale, logTotal));
        f.store(at, weight);
        f.set(delta, f.madd(weight, v128.load(other), delta));
        f.bump(other, VECTOR);
      });
      f.set(other, ds);
      each(f, at, p, end, () => {
        f.store(other, v128.mul(v128.mul(v128.load(at), scale), v128.sub(v128.load(other), delta)));
        f.bump(other, VECTOR);
      });
      f.bump(logSumExp, VECTOR);
    }, [p, ds], row);
  });
}

/** 1 / sqrt(D), in every lane. */
function scaleOf(f: FunctionBuilder, D: Int): Local<'v128'> {
  return f.keep(v128.splat(f32.div(f32.of(1), f32.sqrt(f32.fromInt(D)))));
}

/** Runs `body` for each of four rows, with the end of what it sees of the first of `arrays`; then fills up each array's row with zeros. */
function overRows(f: FunctionBuilder, rows: Int, first: Int, body: (end: Int) => void, arrays: readonly Int[], row: Int): void {
  const end = f.keep(i32.add(rows, i32.mul(first, VECTOR)));
  for (let r = 0; r < ROWS; r++) {
    f.bump(end, VECTOR);
    body(end);
    for (const array of arrays) {
      for (let unseen = r + 1; unseen < ROWS; unseen++) f.store(i32.add(array, i32.mul(first, VECTOR)), v128.zero, unseen * VECTOR);
      f.bump(array, row);
    }
    f.bump(end, row);
  }
}

/** For each vector from `start` to `end`, of which there is one at least. */
function each(f: FunctionBuilder, at: Int, start: Expr<'i32'>, end: Int, body: () => void): void {
  f.set(at, start);
  f.doWhile(i32.ne(at, end), () => (body(), f.bump(at, VECTOR)));
}
