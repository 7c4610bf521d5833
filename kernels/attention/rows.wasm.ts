// The rows of attention on the CPU, in WASM SIMD: copying heads with rotation, softmax over what a query sees, and its gradient.
// Read after: attention.ts, ../wasm/lanes.ts. Used by: attention.wasm.ts, cached.wasm.ts.

import { f32, i32, v128, type Callable, type FunctionBuilder, type Local, type WasmModule } from '../wasm/assembler.ts';
import { overFloats } from '../wasm/lanes.ts';
import { exp, log } from '../wasm/math.ts';

type Int = Local<'i32'>;

/**
 * (from, fromRow, to, toRow, rows, D, table, scaled, rotary, forward): copies rows of one head, times 1/sqrt(D) if scaled; row r is
 * rotated by the angles at table + r D (kernels/rope), forward or back.
 */
export function turn(module: WasmModule): Callable {
  return module.function('attentionTurn', ['from', 'fromRow', 'to', 'toRow', 'rows', 'D', 'table', 'scaled', 'rotary', 'forward'], (f, p) => {
    const { from, fromRow, to, toRow, rows, D, table, scaled, rotary, forward } = p;
    const r = f.local('i32'), half = f.keep(i32.shiftRight(D, 1)), second = f.keep(i32.mul(half, 4)), factor = f.keep(f32.of(1));
    f.if(scaled, () => f.set(factor, f32.div(f32.of(1), f32.sqrt(f32.fromInt(D)))));
    const rotateRow = (sign: 1 | -1) => () => overFloats(f, half, (lanes, at) => {
      const x = i32.add(from, at), y = i32.add(to, at), angle = i32.add(table, at), scale = lanes.splat(factor);
      const a = lanes.keep(lanes.load(x)), b = lanes.keep(lanes.load(i32.add(x, second))), cos = lanes.keep(lanes.load(angle)), sin = lanes.keep(lanes.load(i32.add(angle, second)));
      const plus = sign === 1 ? lanes.add : lanes.sub, minus = sign === 1 ? lanes.sub : lanes.add;
      f.store(y, lanes.mul(scale, minus(lanes.mul(a, cos), lanes.mul(b, sin))));
      f.store(i32.add(y, second), lanes.mul(scale, plus(lanes.mul(b, cos), lanes.mul(a, sin))));
    });
    f.loop(r, rows, 1, () => {
      f.if(rotary, () => f.if(forward, rotateRow(1), rotateRow(-1)), () => {
        overFloats(f, D, (lanes, at) => f.store(i32.add(to, at), lanes.mul(lanes.splat(factor), lanes.load(i32.add(from, at)))));
      });
      f.bump(from, fromRow);
      f.bump(to, toRow);
      f.bump(table, i32.mul(D, 4));
    });
  });
}

/** Sets columns first .. last-1 of the row at `row` to a constant. */
function fillRow(f: FunctionBuilder, row: Int, first: Int, last: Int, value: number): void {
  const at = f.keep(i32.add(row, i32.mul(first, 4))), end = f.keep(i32.add(row, i32.mul(last, 4)));
  f.while(i32.ne(at, end), () => { // not lt: it is signed, and addresses reach 4 GiB
    f.store(at, f32.of(value));
    f.bump(at, 4);
  });
}

/**
 * (s, row, rows, first, columns, logSumExp): softmax of each row over its first + r + 1 leading scores; the rest of its columns, up to
 * a multiple of 4, become 0. Rows are `row` bytes apart.
 */
export function softmaxRows(module: WasmModule): Callable {
  return module.function('attentionSoftmaxRows', ['s', 'row', 'rows', 'first', 'columns', 'logSumExp'], (f, { s, row, rows, first, columns, logSumExp }) => {
    const [r, seen, at, end] = f.locals('i32', 4) as [Int, Int, Int, Int], [best, total, most, share] = f.locals('v128', 4) as [Four, Four, Four, Four];
    const everyFour = (body: () => void): void => {
      f.set(at, s);
      f.doWhile(i32.ne(at, end), () => {
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
      f.set(most, v128.splat(v128.largest(best)));
      f.set(total, v128.zero);
      everyFour(() => {
        const power = exp(f, v128.sub(v128.load(at), most));
        f.store(at, power);
        f.set(total, v128.add(total, power)); // what is not seen adds exp(-87), which is nothing beside the largest's 1
      });
      f.set(total, v128.splat(v128.sum(total)));
      f.set(share, v128.div(v128.of(1), total));
      everyFour(() => f.store(at, v128.mul(v128.load(at), share)));
      fillRow(f, s, seen, columns, 0);
      f.store(logSumExp, v128.lane(f.keep(v128.add(most, log(f, total))), 0));
      f.bump(logSumExp, 4);
      f.bump(s, row);
    });
  });
}

type Four = Local<'v128'>;
