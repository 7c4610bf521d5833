// One head's rows for decoding on the CPU, in WASM SIMD: copying them with rotation, and softmax over what a query
// sees.
// Read after: attention.ts, ../wasm/lanes.ts. Used by: cached.wasm.ts.

import type { WasmModule } from '../wasm/assembler.ts';
import { at, f32, i32 } from '../wasm/instructions.ts';
import { overFloats } from '../wasm/lanes.ts';
import { powers } from '../softmax/rows.wasm.ts';

/**
 * Copies rows of one head, times 1/sqrt(D) if `scaled`; row r is rotated by the angles at table + r D (kernels/rope) if
 * `rotary`.
 */
export function turn(module: WasmModule) {
  const names = ['from', 'fromRow', 'to', 'toRow', 'rows', 'D', 'table', 'scaled', 'rotary'] as const;
  return module.function('attentionTurn', names, (f, { from, fromRow, to, toRow, rows, D, table, scaled, rotary }) => {
    const r = f.local('i32');
    const half = f.keep(i32.shiftRight(D, 1));
    // from a channel to the one that it is turned with, and from cosine to sine
    const distance = f.keep(i32.mul(half, 4));
    const factor = f.keep(f32.of(1));
    f.if(scaled, () => f.set(factor, f32.div(f32.of(1), f32.sqrt(f32.fromInt(D)))));
    const rotateRow = (): void => overFloats(f, half, (lanes, place) => {
      const x = i32.add(from, place);
      const y = i32.add(to, place);
      const angle = i32.add(table, place);
      const scale = lanes.splat(factor);
      const a = lanes.keep(lanes.load(x));
      const b = lanes.keep(lanes.load(i32.add(x, distance)));
      const cos = lanes.keep(lanes.load(angle));
      const sin = lanes.keep(lanes.load(i32.add(angle, distance)));
      f.store(y, lanes.mul(scale, lanes.sub(lanes.mul(a, cos), lanes.mul(b, sin))));
      f.store(i32.add(y, distance), lanes.mul(scale, lanes.add(lanes.mul(b, cos), lanes.mul(a, sin))));
    });
    const copyRow = (): void => overFloats(f, D, (lanes, place) => {
      f.store(i32.add(to, place), lanes.mul(lanes.splat(factor), lanes.load(i32.add(from, place))));
    });
    f.loop(r, rows, 1, () => {
      f.if(rotary, rotateRow, copyRow);
      f.bump(from, fromRow);
      f.bump(to, toRow);
      f.set(table, at(table, [D, 4]));
    });
  });
}

/** Softmax of n scores, in place. */
export function softmaxRow(module: WasmModule) {
  return module.function('attentionSoftmaxRow', ['s', 'n'], (f, { s, n }) => {
    const share = f.keep(f32.div(f32.of(1), powers(f, s, s, n).total));
    overFloats(f, n, (lanes, place) => {
      const here = f.keep(i32.add(s, place));
      f.store(here, lanes.mul(lanes.load(here), lanes.splat(share)));
    });
  });
}
