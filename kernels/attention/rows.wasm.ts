// One head's rows for decoding on the CPU, in WASM SIMD: copying them with rotation, and softmax over what a query sees.
// Read after: attention.ts, ../wasm/lanes.ts. Used by: cached.wasm.ts.

import type { Callable, WasmModule } from '../wasm/assembler.ts';
import { f32, i32, v128, type Local } from '../wasm/instructions.ts';
import { overFloats } from '../wasm/lanes.ts';
import { exp } from '../wasm/math.ts';

type Four = Local<'v128'>;

/**
 * (from, fromRow, to, toRow, rows, D, table, scaled, rotary): copies rows of one head, times 1/sqrt(D) if scaled; row r is
 * rotated by the angles at table + r D (kernels/rope).
 */
export function turn(module: WasmModule): Callable {
  return module.function('attentionTurn', ['from', 'fromRow', 'to', 'toRow', 'rows', 'D', 'table', 'scaled', 'rotary'], (f, p) => {
    const { from, fromRow, to, toRow, rows, D, table, scaled, rotary } = p;
    const r = f.local('i32'), half = f.keep(i32.shiftRight(D, 1)), second = f.keep(i32.mul(half, 4)), factor = f.keep(f32.of(1));
    f.if(scaled, () => f.set(factor, f32.div(f32.of(1), f32.sqrt(f32.fromInt(D)))));
    const rotateRow = (): void => overFloats(f, half, (lanes, at) => {
      const x = i32.add(from, at), y = i32.add(to, at), angle = i32.add(table, at), scale = lanes.splat(factor);
      const a = lanes.keep(lanes.load(x)), b = lanes.keep(lanes.load(i32.add(x, second))), cos = lanes.keep(lanes.load(angle)), sin = lanes.keep(lanes.load(i32.add(angle, second)));
      f.store(y, lanes.mul(scale, lanes.sub(lanes.mul(a, cos), lanes.mul(b, sin))));
      f.store(i32.add(y, second), lanes.mul(scale, lanes.add(lanes.mul(b, cos), lanes.mul(a, sin))));
    });
    f.loop(r, rows, 1, () => {
      f.if(rotary, rotateRow, () => {
        overFloats(f, D, (lanes, at) => f.store(i32.add(to, at), lanes.mul(lanes.splat(factor), lanes.load(i32.add(from, at)))));
      });
      f.bump(from, fromRow);
      f.bump(to, toRow);
      f.bump(table, i32.mul(D, 4));
    });
  });
}

/** (s, n): softmax of n scores. The three floats behind them are overwritten. */
export function softmaxRow(module: WasmModule): Callable {
  return module.function('attentionSoftmaxRow', ['s', 'n'], (f, { s, n }) => {
    const at = f.local('i32'), [best, total] = f.locals('v128', 2) as [Four, Four], last = f.keep(i32.add(s, i32.mul(n, 4))), end = f.keep(i32.add(s, i32.and(i32.mul(i32.add(n, 3), 4), -16)));
    const everyFour = (body: () => void): void => {
      f.set(at, s);
      f.doWhile(i32.ne(at, end), () => {
        body();
        f.bump(at, 16);
      });
    };
    f.if(i32.and(n, 3), () => { for (const more of [0, 4, 8]) f.store(last, f32.of(-Infinity), more); });
    f.set(best, v128.of(-Infinity));
    everyFour(() => f.set(best, v128.greater(v128.load(at), best)));
    f.set(best, v128.splat(v128.largest(best)));
    f.set(total, v128.zero);
    everyFour(() => {
      const power = exp(f, v128.sub(v128.load(at), best));
      f.store(at, power);
      f.set(total, v128.add(total, power)); // what is behind adds 0
    });
    const share = f.keep(v128.div(v128.of(1), v128.splat(v128.sum(total))));
    everyFour(() => f.store(at, v128.mul(v128.load(at), share)));
  });
}
