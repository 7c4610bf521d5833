// Drawing tokens on the CPU, in WASM SIMD: a unit is a row of logits. Four logits at a time get their noise; the
// largest score wins, and of equal ones the first. The last four of a row overlap those before when the row is no
// multiple of four, which changes no maximum. Read after: random.ts, threefry.ts, ../wasm/program.ts.

import type { FunctionBuilder } from '../wasm/assembler.ts';
import { f32, i32, i32x4, v128, type Expr, type Int, type Local, type Vector } from '../wasm/instructions.ts';
import { log, logOnePlus } from '../wasm/math.ts';
import { program } from '../wasm/program.ts';
import { GROUPS, PARITY, rotationsOf } from './threefry.ts';


const SIGN = -0x80000000;

export const sampleWasm = program(
  {
    buffers: ['logits', 'tokens', 'next'],
    counts: ['B', 'V', 'T', 'position', 'first', 'topK', 'force', 'stop', 'key0', 'key1'],
    floats: ['temperature'],
  },
  {
    name: 'sample',
    units: ({ B }) => B,
    cost: ({ V, topK }) => 30 * V + (topK > 0 ? 32 * V : 0),
    scratch: ({ V }) => 4 * Math.max(4, V),
    emit(
      f,
      { logits, tokens, next, V, T, position, first, topK, force, stop, key0, key1, temperature },
      { first: from, last: to, scratch },
    ) {
      const row = f.keep(from);
      const [token, place, x, width] = f.locals('i32', 4) as [Int, Int, Int, Int];
      f.set(width, i32.mul(V, 4));
      f.while(i32.lt(row, to), () => {
        f.set(place, i32.add(tokens, i32.mul(4, i32.add(i32.mul(row, T), position))));
        f.set(token, force);
        f.if(i32.and(i32.ge(stop, 0), i32.gt(position, first)), () =>
          f.if(i32.eq(i32.load(i32.sub(place, 4)), stop), () => f.set(token, stop)),
        );
        f.if(i32.ge(i32.load(place), 0), () => f.set(token, i32.load(place)));
        f.if(i32.lt(token, 0), () => {
          f.set(x, i32.add(logits, i32.mul(row, width)));
          padShortRow(f, x, V, scratch);
          const floor = f.keep(f32.of(-Infinity));
          f.if(i32.and(i32.gt(topK, 0), i32.lt(topK, V)), () => f.set(floor, kthLargest(f, x, V, topK)));
          f.set(token, drawn(f, x, V, floor, temperature, i32.mul(row, V), position, key0, key1));
        });
        f.store(place, token);
        f.store(i32.add(next, i32.mul(row, 4)), token);
        f.bump(row, 1);
      });
    },
  },
);

/** Rows of fewer than four logits move to scratch, followed by values that never win. */
function padShortRow(f: FunctionBuilder, x: Int, V: Int, scratch: Int): void {
  const at = f.local('i32');
  f.if(i32.lt(V, 4), () => {
    f.store(scratch, v128.of(-Infinity));
    f.loop(at, i32.mul(V, 4), 4, () => f.store(i32.add(scratch, at), f32.load(i32.add(x, at))));
    f.set(x, scratch);
  });
}

/** Runs `body` on the first of every four neighbours; the last four may overlap. */
function overFours(f: FunctionBuilder, V: Int, body: (v: Int) => void): void {
  const v = f.local('i32');
  const end = f.keep(i32.sub(V, 4));
  f.set(v, 0);
  f.while(i32.lt(v, end), () => {
    body(v);
    f.bump(v, 4);
  });
  f.if(i32.gt(end, 0), () => f.set(v, end), () => f.set(v, 0));
  body(v);
}

/** Floats as integers of the same order: of negative ones all bits but the sign are turned. */
export function order(x: Expr<'v128'>): Expr<'v128'> {
  return i32x4.xor(x, i32x4.and(i32x4.shiftRightSigned(x, 31), i32x4.of(0x7fffffff)));
}

/** The k-th largest of V floats: the highest bound that k of them reach, found bit by bit. */
export function kthLargest(f: FunctionBuilder, x: Int, V: Int, k: Int): Expr<'f32'> {
  const bound = f.keep(i32.of(SIGN));
  const bit = f.keep(i32.of(SIGN));
  const higher = f.local('i32');
  const count = f.local('i32');
  const at = f.local('i32');
  const result = f.local('v128');
  f.while(i32.ne(bit, 0), () => {
    f.set(higher, i32.xor(bound, bit)); // the sign's bit first: from the lowest integer to 0
    f.set(count, 0);
    f.loop(at, i32.mul(V, 4), 4, () =>
      f.bump(count, i32.ge(i32x4.lane(order(v128.splat(f32.load(i32.add(x, at)))), 0), higher)),
    );
    f.if(i32.ge(count, k), () => f.set(bound, higher));
    f.set(bit, i32.and(i32.shiftRight(bit, 1), 0x7fffffff));
  });
  f.set(result, order(i32x4.splat(bound)));
  return v128.lane(result, 0);
}

/**
 * The number of the first largest score among logits of at least `floor`; -1 when one is NaN or infinite, or none above
 * -infinity.
 */
function drawn(
  f: FunctionBuilder,
  x: Int,
  V: Int,
  floor: Local<'f32'>,
  temperature: Local<'f32'>,
  counter: Expr<'i32'>,
  position: Int,
  key0: Int,
  key1: Int,
): Expr<'i32'> {
  const best = f.keep(v128.of(-Infinity));
  const who = f.keep(i32x4.of(-1));
  const ordinary = f.keep(i32x4.of(-1));
  const first = f.keep(counter);
  const noisy = f.keep(f32.gt(temperature, f32.zero));
  const [logit, score, index, better] = f.locals('v128', 4) as [Vector, Vector, Vector, Vector];
  overFours(f, V, (v) => {
    f.set(logit, v128.load(i32.add(x, i32.mul(v, 4))));
    f.set(index, i32x4.add(i32x4.splat(v), i32x4.words(0, 1, 2, 3)));
    f.set(ordinary, i32x4.and(ordinary, v128.gt(v128.of(Infinity), logit)));
    f.set(score, logit);
    f.if(noisy, () => {
      const bits = threefry(f, key0, key1, i32x4.add(i32x4.splat(first), index), position);
      f.set(score, v128.add(v128.div(logit, v128.splat(temperature)), gumbel(f, bits)));
    });
    f.set(better, i32x4.and(v128.gt(score, best), v128.ge(logit, v128.splat(floor))));
    f.set(best, v128.select(better, score, best));
    f.set(who, v128.select(better, index, who));
  });
  // Of the four lanes' winners the best; of equals, the first.
  const most = f.keep(v128.largest(best));
  const token = f.keep(i32.of(0x7fffffff));
  for (let lane = 0; lane < 4; lane++) {
    f.if(f32.ge(v128.lane(best, lane), most), () => f.set(token, i32.min(token, i32x4.lane(who, lane))));
  }
  for (let lane = 0; lane < 4; lane++) f.if(i32.eq(i32x4.lane(ordinary, lane), 0), () => f.set(token, -1));
  return token;
}

/**
 * Standard Gumbel noise, -log(-log(u)) with u = (n + 1/2) / 2^24 from the upper 24 bits; where u is near 1, 1 - u is
 * what is exact.
 */
function gumbel(f: FunctionBuilder, bits: Expr<'v128'>): Expr<'v128'> {
  const n = f.keep(i32x4.shiftRight(bits, 8));
  const step = v128.of(2 ** -24);
  const half = v128.of(0.5);
  const u = v128.mul(v128.add(i32x4.toFloats(n), half), step);
  const rest = f.keep(v128.mul(v128.add(i32x4.toFloats(i32x4.sub(i32x4.of(0xffffff), n)), half), step));
  const near = f.keep(v128.sub(v128.zero, logOnePlus(f, f.keep(v128.sub(v128.zero, v128.min(rest, v128.of(0.29)))))));
  const minusLog = f.keep(v128.select(v128.gt(v128.of(0.29), rest), near, v128.sub(v128.zero, log(f, u))));
  return v128.sub(v128.zero, log(f, minusLog));
}

/** First words of threefry2x32 for four counters (counter, second). */
function threefry(f: FunctionBuilder, key0: Int, key1: Int, counter: Expr<'v128'>, second: Int): Expr<'v128'> {
  const keys = [key0, key1, f.keep(i32.xor(i32.xor(key0, key1), PARITY))] as const;
  const x = f.keep(i32x4.add(counter, i32x4.splat(key0)));
  const y = f.keep(i32x4.splat(i32.add(second, key1)));
  for (let group = 1; group <= GROUPS; group++) {
    for (const r of rotationsOf(group)) {
      f.set(x, i32x4.add(x, y));
      f.set(y, i32x4.xor(i32x4.or(i32x4.shiftLeft(y, r), i32x4.shiftRight(y, 32 - r)), x));
    }
    f.set(x, i32x4.add(x, i32x4.splat(keys[group % 3]!)));
    f.set(y, i32x4.add(y, i32x4.splat(i32.add(keys[(group + 1) % 3]!, group))));
  }
  return x;
}
