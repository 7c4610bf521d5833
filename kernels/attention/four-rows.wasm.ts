// Four rows of attention's weights and of their gradients, in vectors that hold several heads: row r belongs to query
// first + r, which sees the keys up to itself. Read after: heads.wasm.ts. Used by: attention.wasm.ts.

import type { FunctionBuilder, WasmModule } from '../wasm/assembler.ts';
import { at, f32, i32, type Expr, type Int, type Local } from '../wasm/instructions.ts';
import { widest, type Wide } from '../wasm/lanes.ts';
import { bytesOfVector, ROWS } from './heads.wasm.ts';

/**
 * q.k of four rows at s become weights, softmax(q.k / sqrt(D)), and logSumExp that of each row. What a row does not see
 * up to key first + 3 becomes 0.
 */
export function softmaxRows(module: WasmModule) {
  return module.function(
    'attentionSoftmaxOfFour',
    ['s', 'row', 'first', 'D', 'logSumExp'],
    (f, { s, row, first, D, logSumExp }) => {
      const lanes = widest(f);
      const scale = scaleOf(f, D);
      const [place, end] = f.locals('i32', 2);
      const [best, total, share] = f.locals(lanes.type, 3);
      eachOfFour(f, { first, row, end, rows: [s] }, () => {
        f.set(best, lanes.of(-Infinity));
        each(f, place, s, end, () => f.set(best, lanes.greater(lanes.load(place), best)));
        f.set(total, lanes.zero);
        each(f, place, s, end, () => {
          const power = f.keep(lanes.exp(lanes.mul(lanes.sub(lanes.load(place), best), scale)));
          f.store(place, power);
          f.set(total, lanes.add(total, power));
        });
        f.set(share, lanes.div(lanes.of(1), total));
        each(f, place, s, end, () => f.store(place, lanes.mul(lanes.load(place), share)));
        // the difference is 0, or NaN where there is no sum
        const logTotal = lanes.add(lanes.log(total), lanes.sub(total, total));
        f.store(logSumExp, lanes.madd(best, scale, logTotal));
        f.bump(logSumExp, bytesOfVector(module));
      });
    },
  );
}

/**
 * p holds q.k of four rows, ds the gradients dp of the weights; they become the weights, p = exp(q.k / sqrt(D) -
 * logSumExp), and the gradients of q.k, p (dp - sum(p dp)) / sqrt(D). What a row does not see up to key first + 3
 * becomes 0.
 */
export function gradientRows(module: WasmModule) {
  return module.function(
    'attentionGradientOfFour',
    ['p', 'ds', 'row', 'first', 'D', 'logSumExp'],
    (f, { p, ds, row, first, D, logSumExp }) => {
      const lanes = widest(f);
      const scale = scaleOf(f, D);
      const [place, other, end] = f.locals('i32', 3);
      const [delta, logTotal] = f.locals(lanes.type, 2);
      eachOfFour(f, { first, row, end, rows: [p, ds] }, () => {
        f.set(delta, lanes.zero);
        f.set(logTotal, lanes.sub(lanes.zero, lanes.load(logSumExp)));
        f.set(other, ds);
        each(f, place, p, end, () => {
          const weight = f.keep(lanes.exp(lanes.madd(lanes.load(place), scale, logTotal)));
          f.store(place, weight);
          f.set(delta, lanes.madd(weight, lanes.load(other), delta));
          f.bump(other, bytesOfVector(module));
        });
        f.set(other, ds);
        each(f, place, p, end, () => {
          f.store(other, lanes.mul(lanes.mul(lanes.load(place), scale), lanes.sub(lanes.load(other), delta)));
          f.bump(other, bytesOfVector(module));
        });
        f.bump(logSumExp, bytesOfVector(module));
      });
    },
  );
}

/** 1 / sqrt(D), in every lane. */
function scaleOf(f: FunctionBuilder, D: Int): Local<Wide> {
  return f.keep(widest(f).splat(f32.div(f32.of(1), f32.sqrt(f32.fromInt(D)))));
}

/** The first of the four queries, and the places of their rows in one array or more, `row` bytes apart. */
interface FourRows {
  readonly first: Int;
  readonly row: Int;
  readonly rows: readonly [Int, ...Int[]];
  /** Set for `body`: the end of what its query sees of the first array. */
  readonly end: Int;
}

/** Runs `body` for each of four rows, whose places move on; then fills up each array's row with zeros. */
function eachOfFour(f: FunctionBuilder, { first, row, rows, end }: FourRows, body: () => void): void {
  const bytes = bytesOfVector(f.module);
  const { zero } = widest(f);
  const unseen = f.local('i32');
  f.set(end, at(rows[0], [first, bytes]));
  for (let r = 0; r < ROWS; r++) {
    f.bump(end, bytes);
    body();
    for (const array of rows) {
      f.set(unseen, at(array, [first, bytes]));
      for (let key = r + 1; key < ROWS; key++) f.store(unseen, zero, key * bytes);
      f.bump(array, row);
    }
    f.bump(end, row);
  }
}

/** For each vector from `start` to `end`, of which there is one at least. */
function each(f: FunctionBuilder, place: Int, start: Expr<'i32'>, end: Int, body: () => void): void {
  f.set(place, start);
  f.doWhile(i32.ne(place, end), () => {
    body();
    f.bump(place, bytesOfVector(f.module));
  });
}
