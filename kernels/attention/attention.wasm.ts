// Causal attention for the CPU, in WASM SIMD. Per batch row and head, blocks of QUERIES queries: scores, mixtures and gradients are
// small matrix products by the functions of matmul.wasm.ts (same module), on panels packed once per head; what is left is here:
// rotating heads into and out of scratch, and the rows of softmax and of its gradient. Keys after a block's last query are not touched.
// q is loaded scaled by 1/sqrt(D), so scores need no scaling; its gradient is scaled on the way out.
// Read after: attention.ts (what it computes), ../matmul/matmul.wasm.ts, ../wasm/math.ts.

import { COLUMNS, ROWS, TILE_BYTES } from '../matmul/matmul.wasm.ts';
import type { WasmEnvironment, WasmFunction, WasmProgram } from '../kernel.ts';
import { f32, i32, v128, type FunctionBuilder, type Local, type WasmModule } from '../wasm/assembler.ts';
import { exp, log, overFloats } from '../wasm/math.ts';

const QUERIES = 32; // per block

type Int = Local<'i32'>;
type Sizes = Readonly<Record<'B' | 'T' | 'H' | 'KV' | 'D' | 'rotary', number>>;

export const attentionForwardWasm: WasmProgram<'qkv' | 'table' | 'out' | 'logSumExp', keyof Sizes & string> = {
  emit(module, { relaxed }) {
    emitScales(module);
    emitTurn(module, relaxed);
    emitSoftmaxRows(module, relaxed);
  },
  bind(functions, env) {
    const { turn, softmaxRows, multiply, packRows, packTransposed } = calls(functions);
    return ({ qkv, table, out, logSumExp }, sizes) => {
      const { B, T, H, KV, D } = sizes, width = (H + 2 * KV) * D, group = H / KV, wide = padded(T);
      const [scales, tile, q, k, kPanels, vPanels, scores] = carve(env, [2, TILE_BYTES / 4, T * D, T * D, wide * D, padded(D) * T, QUERIES * wide]);
      functions.attentionScales!(scales, D);
      for (let b = 0; b < B; b++) {
        for (let kv = 0; kv < KV; kv++) {
          const keyAt = qkv + 4 * (b * T * width + (H + kv) * D), valueAt = keyAt + 4 * KV * D;
          turn(keyAt, width, k, D, T, table, sizes, scales, 1);
          packTransposed(k, D, kPanels, T, D);
          packRows(valueAt, width, vPanels, T, D);
          for (let h = kv * group; h < (kv + 1) * group; h++) {
            turn(qkv + 4 * (b * T * width + h * D), width, q, D, T, table, sizes, scales + 4, 1);
            for (let t = 0; t < T; t += QUERIES) {
              const rows = Math.min(QUERIES, T - t), seen = t + rows;
              multiply(q + 4 * t * D, D, kPanels, D, scores, wide, rows, padded(seen), D, 0, tile);
              softmaxRows(scores, wide, rows, t, padded(seen), logSumExp + 4 * ((b * H + h) * T + t));
              multiply(scores, wide, vPanels, T, out + 4 * ((b * T + t) * H + h) * D, H * D, rows, D, seen, 0, tile);
            }
          }
        }
      }
    };
  },
};

export const attentionBackwardWasm: WasmProgram<'qkv' | 'table' | 'out' | 'logSumExp' | 'dOut' | 'dQkv', keyof Sizes & string> = {
  emit(module, { relaxed }) {
    emitGradientRows(module, relaxed);
    emitClear(module, relaxed);
  },
  bind(functions, env) {
    const { turn, gradientRows, clear, multiply, multiplyTransposed, packRows, packTransposed } = calls(functions);
    return ({ qkv, table, out, logSumExp, dOut, dQkv }, sizes) => {
      const { B, T, H, KV, D } = sizes, width = (H + 2 * KV) * D, group = H / KV, wide = padded(T), heads = H * D;
      const [scales, tile, q, k, dq, dk, dv, kPanels, kRows, vPanels, p, dp, block, columns] = carve(env, [
        2, TILE_BYTES / 4, T * D, T * D, QUERIES * D, T * D, T * D, wide * D, padded(D) * T, wide * D,
        QUERIES * wide, QUERIES * wide, QUERIES * padded(D), (T + ROWS) * QUERIES,
      ]);
      functions.attentionScales!(scales, D);
      for (let b = 0; b < B; b++) {
        for (let kv = 0; kv < KV; kv++) {
          const keyAt = 4 * (b * T * width + (H + kv) * D), valueAt = keyAt + 4 * KV * D;
          turn(qkv + keyAt, width, k, D, T, table, sizes, scales, 1);
          packTransposed(k, D, kPanels, T, D);
          packRows(k, D, kRows, T, D);
          packTransposed(qkv + valueAt, width, vPanels, T, D);
          clear(dk, T * D);
          clear(dv, T * D);
          for (let h = kv * group; h < (kv + 1) * group; h++) {
            const queryAt = 4 * (b * T * width + h * D);
            turn(qkv + queryAt, width, q, D, T, table, sizes, scales + 4, 1);
            for (let t = 0; t < T; t += QUERIES) {
              const rows = Math.min(QUERIES, T - t), seen = t + rows, outAt = 4 * ((b * T + t) * H + h) * D;
              multiply(q + 4 * t * D, D, kPanels, D, p, wide, rows, padded(seen), D, 0, tile);
              multiply(dOut + outAt, heads, vPanels, D, dp, wide, rows, padded(seen), D, 0, tile);
              gradientRows(p, dp, wide, rows, t, padded(seen), logSumExp + 4 * ((b * H + h) * T + t), out + outAt, dOut + outAt, heads, D);
              multiply(dp, wide, kRows, T, dq, D, rows, D, seen, 0, tile);
              turn(dq, D, dQkv + queryAt + 4 * t * width, width, rows, table + 4 * t * D, sizes, scales + 4, 0);
              multiplyTransposed(dp, wide, q + 4 * t * D, D, dk, D, seen, D, rows, columns, block, tile);
              multiplyTransposed(p, wide, dOut + outAt, heads, dv, D, seen, D, rows, columns, block, tile);
            }
          }
          turn(dk, D, dQkv + keyAt, width, T, table, sizes, scales, 0);
          turn(dv, D, dQkv + valueAt, width, T, table, { ...sizes, rotary: 0 }, scales, 0);
        }
      }
    };
  },
};

/** Up to a whole number of panels. */
function padded(n: number): number {
  return Math.ceil(n / COLUMNS) * COLUMNS;
}

/** Addresses of pieces of scratch, sizes in floats, each at a multiple of 64 bytes. */
function carve<const N extends readonly number[]>(env: WasmEnvironment, floats: N): { [K in keyof N]: number } {
  const bytes = floats.map((n) => Math.ceil(n / 16) * 64);
  let next = env.scratch(bytes.reduce((total, n) => total + n, 0));
  return bytes.map((n) => (next += n) - n) as { [K in keyof N]: number };
}

/** The module's functions under short names, with row lengths in floats. */
function calls(functions: Readonly<Record<string, WasmFunction>>) {
  const { matmulBlock: block, matmulPackA: packA, matmulPackB: packB, attentionTurn, attentionSoftmaxRows: softmaxRows, attentionGradientRows: gradientRows, attentionClear: clear } = functions as Record<string, WasmFunction>;
  /** Panels of rows x columns, to multiply [.,rows] by. */
  const packRows = (from: number, row: number, to: number, rows: number, columns: number): void => packB!(from, to, 4, 4 * row, columns, rows);
  /** Panels of its transpose, to multiply [.,columns] by. */
  const packTransposed = (from: number, row: number, to: number, rows: number, columns: number): void => packB!(from, to, 4 * row, 4, rows, columns);
  /** out [M,N] (+)= a [M,K] times panels that were packed with `depth` rows, of which the first K are used. */
  const multiply = (a: number, aRow: number, panels: number, depth: number, out: number, outRow: number, M: number, N: number, K: number, adds: number, tile: number): void => {
    const step = depth === K ? N : COLUMNS; // panels of another depth are not next to each other: one by one
    for (let n = 0; n < N; n += step) block!(a, 4 * aRow, 4, panels + 4 * n * depth, out + 4 * n, 4 * outRow, M, Math.min(step, N - n), K, adds, tile, 4 * ROWS * aRow);
  };
  /** out [M,N] += a [K,M] transposed times b [K,N]. */
  const multiplyTransposed = (a: number, aRow: number, b: number, bRow: number, out: number, outRow: number, M: number, N: number, K: number, columns: number, panels: number, tile: number): void => {
    packA!(a, columns, 4, 4 * aRow, M, K);
    packRows(b, bRow, panels, K, N);
    block!(columns, 4, 4 * ROWS, panels, out, 4 * outRow, M, N, K, 1, tile, 4 * ROWS * K);
  };
  const turn = (from: number, fromRow: number, to: number, toRow: number, rows: number, table: number, { D, rotary }: Sizes, scale: number, forward: 0 | 1): void =>
    attentionTurn!(from, 4 * fromRow, to, 4 * toRow, rows, D, table, scale, rotary, forward);
  return { packRows, packTransposed, multiply, multiplyTransposed, turn, softmaxRows: softmaxRows!, gradientRows: gradientRows!, clear: clear! };
}

/** (to, D): writes 1 and 1/sqrt(D). */
function emitScales(module: WasmModule): void {
  module.function('attentionScales', ['to', 'D'], (f, { to, D }) => {
    f.store(to, f32.of(1));
    f.store(to, f32.div(f32.of(1), f32.sqrt(f32.fromInt(D))), 4);
  });
}

/**
 * (from, fromRow, to, toRow, rows, D, table, scale, rotary, forward): copies rows of one head, times the float at `scale`; row r is
 * rotated by the angles at table + r D (kernels/rope), forward or back.
 */
function emitTurn(module: WasmModule, relaxed: boolean): void {
  module.function('attentionTurn', ['from', 'fromRow', 'to', 'toRow', 'rows', 'D', 'table', 'scale', 'rotary', 'forward'], (f, p) => {
    const { from, fromRow, to, toRow, rows, D, table, scale, rotary, forward } = p;
    const r = f.local('i32'), half = f.local('i32'), second = f.local('i32');
    f.set(half, i32.shiftRight(D, 1));
    f.set(second, i32.mul(half, 4));
    const rotateRow = (sign: 1 | -1) => () => overFloats(f, half, relaxed, (lanes, at) => {
      const x = i32.add(from, at), y = i32.add(to, at), angle = i32.add(table, at), factor = lanes.splat(scale);
      const a = lanes.load(x), b = lanes.load(i32.add(x, second)), cos = lanes.load(angle), sin = lanes.load(i32.add(angle, second));
      const plus = sign === 1 ? lanes.add : lanes.sub, minus = sign === 1 ? lanes.sub : lanes.add;
      f.store(y, lanes.mul(factor, minus(lanes.mul(a, cos), lanes.mul(b, sin))));
      f.store(i32.add(y, second), lanes.mul(factor, plus(lanes.mul(b, cos), lanes.mul(a, sin))));
    });
    f.loop(r, rows, 1, () => {
      f.if(rotary, () => f.if(forward, rotateRow(1), rotateRow(-1)), () => {
        overFloats(f, D, relaxed, (lanes, at) => f.store(i32.add(to, at), lanes.mul(lanes.splat(scale), lanes.load(i32.add(from, at)))));
      });
      f.bump(from, fromRow);
      f.bump(to, toRow);
      f.bump(table, i32.mul(D, 4));
    });
  });
}

/** Sets columns first .. last-1 of the row at `row` to a constant. */
function fillRow(f: FunctionBuilder, row: Int, first: Int, last: Int, value: number): void {
  const at = f.local('i32'), end = f.local('i32');
  f.set(at, i32.add(row, i32.mul(first, 4)));
  f.set(end, i32.add(row, i32.mul(last, 4)));
  f.while(i32.ne(at, end), () => { // not lt: it is signed, and addresses reach 4 GiB
    f.store(at, f32.of(value));
    f.bump(at, 4);
  });
}

/**
 * (s, wide, rows, first, columns, logSumExp): softmax of each row over its first + r + 1 leading scores; the rest of its columns, up to
 * a multiple of 4, become 0.
 */
function emitSoftmaxRows(module: WasmModule, relaxed: boolean): void {
  module.function('attentionSoftmaxRows', ['s', 'wide', 'rows', 'first', 'columns', 'logSumExp'], (f, { s, wide, rows, first, columns, logSumExp }) => {
    const [r, seen, at, end] = f.locals('i32', 4) as [Int, Int, Int, Int];
    const [best, total, y, m] = f.locals('v128', 4) as [Local<'v128'>, Local<'v128'>, Local<'v128'>, Local<'v128'>];
    const everyFour = (body: () => void): void => {
      f.set(at, s);
      f.while(i32.ne(at, end), () => {
        body();
        f.bump(at, 16);
      });
    };
    f.loop(r, rows, 1, () => {
      f.set(seen, i32.add(i32.add(first, r), 1));
      f.set(end, i32.add(s, i32.mul(columns, 4)));
      fillRow(f, s, seen, columns, -1e30);
      f.set(best, v128.of(-1e30));
      everyFour(() => f.set(best, v128.max(best, v128.load(at))));
      f.set(m, v128.splat(v128.largest(best)));
      f.set(total, v128.zero);
      everyFour(() => {
        exp(f, relaxed, y, v128.sub(v128.load(at), m));
        f.store(at, y);
      });
      fillRow(f, s, seen, columns, 0);
      everyFour(() => f.set(total, v128.add(total, v128.load(at))));
      f.set(total, v128.splat(v128.sum(total)));
      everyFour(() => f.store(at, v128.div(v128.load(at), total)));
      log(f, relaxed, y, total);
      f.store(logSumExp, v128.lane(v128.add(m, y), 0));
      f.bump(logSumExp, 4);
      f.bump(s, i32.mul(wide, 4));
    });
  });
}

/**
 * (p, dp, wide, rows, first, columns, logSumExp, out, dOut, outRow, D): p holds scores and dp = dOut v'; afterwards p holds the weights
 * exp(score - logSumExp) and dp the scores' gradients, weight (dp - dOut.out); both are 0 where a query does not see.
 */
function emitGradientRows(module: WasmModule, relaxed: boolean): void {
  const names = ['p', 'dp', 'wide', 'rows', 'first', 'columns', 'logSumExp', 'out', 'dOut', 'outRow', 'D'] as const;
  module.function('attentionGradientRows', names, (f, { p, dp, wide, rows, first, columns, logSumExp, out, dOut, outRow, D }) => {
    const [r, seen, at, d] = f.locals('i32', 4) as [Int, Int, Int, Int], dot = f.local('f32');
    const [delta, logTotal, weight, x] = f.locals('v128', 4) as [Local<'v128'>, Local<'v128'>, Local<'v128'>, Local<'v128'>];
    f.loop(r, rows, 1, () => {
      f.set(seen, i32.add(i32.add(first, r), 1));
      f.set(dot, f32.zero);
      f.loop(d, i32.mul(D, 4), 4, () => f.set(dot, f32.add(dot, f32.mul(f32.load(i32.add(out, d)), f32.load(i32.add(dOut, d))))));
      f.set(delta, v128.splat(dot));
      f.set(logTotal, v128.loadSplat(logSumExp));
      f.loop(at, i32.mul(columns, 4), 16, () => {
        f.set(x, v128.sub(v128.load(i32.add(p, at)), logTotal));
        exp(f, relaxed, weight, x);
        f.store(i32.add(p, at), weight);
        f.store(i32.add(dp, at), v128.mul(weight, v128.sub(v128.load(i32.add(dp, at)), delta)));
      });
      fillRow(f, p, seen, columns, 0);
      fillRow(f, dp, seen, columns, 0);
      f.bump(p, i32.mul(wide, 4));
      f.bump(dp, i32.mul(wide, 4));
      f.bump(logSumExp, 4);
      f.bump(out, i32.mul(outRow, 4));
      f.bump(dOut, i32.mul(outRow, 4));
    });
  });
}

/** (to, n): n zeros. */
function emitClear(module: WasmModule, relaxed: boolean): void {
  module.function('attentionClear', ['to', 'n'], (f, { to, n }) => {
    overFloats(f, n, relaxed, (lanes, at) => f.store(i32.add(to, at), lanes.zero));
  });
}
