// A step of a share of the way for the CPU, in WASM SIMD. Read after: blend.ts, ../wasm/program.ts.

import { f32, i32 } from '../wasm/instructions.ts';
import { overFloats } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';

const BLOCK = 1024; // floats: a unit

export const blendWasm = program({ buffers: ['y', 'x', 'scale'], counts: ['n'], floats: ['keep', 'share'] }, {
  name: 'blend',
  units: ({ n }) => Math.ceil(n / BLOCK),
  cost: () => BLOCK,
  emit(f, { y, x, scale, n, keep, share }, { first, last }) {
    const by = f.keep(f32.load(scale));
    f.if(f32.gt(by, f32.zero), () => {
      f.set(by, f32.mul(share, by));
      const from = f.keep(i32.mul(first, BLOCK));
      const count = f.keep(i32.sub(i32.min(i32.mul(last, BLOCK), n), from));
      const offset = f.keep(i32.mul(from, 4));
      const place = f.local('i32');
      overFloats(f, count, (lanes, at) => {
        f.set(place, i32.add(offset, at));
        const step = lanes.mul(lanes.splat(by), lanes.load(i32.add(x, place)));
        f.store(i32.add(y, place), lanes.madd(lanes.splat(keep), lanes.load(i32.add(y, place)), step));
      });
    });
  },
});
