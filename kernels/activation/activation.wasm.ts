// The nonlinearities for the CPU, in WASM SIMD. Read after: activation.ts, ../wasm/program.ts.

import { i32, type Expr } from '../wasm/instructions.ts';
import { overFloats, type Lanes, type LaneType } from '../wasm/lanes.ts';
import { elementwise, program } from '../wasm/program.ts';

export const swigluWasm = program({ buffers: ['gateUp', 'out'], counts: ['rows', 'F'] }, {
  name: 'swiglu',
  units: ({ rows }) => rows,
  cost: ({ F }) => 6 * F,
  emit(f, { gateUp, out, F }, { first, last }) {
    const row = f.keep(first);
    const width = f.keep(i32.mul(F, 4));
    const up = f.local('i32');
    f.bump(gateUp, i32.mul(first, i32.mul(width, 2)));
    f.bump(out, i32.mul(first, width));
    f.while(i32.lt(row, last), () => {
      f.set(up, i32.add(gateUp, width));
      overFloats(f, F, (lanes, at) => {
        const gate = lanes.keep(lanes.load(i32.add(gateUp, at)));
        f.store(i32.add(out, at), lanes.mul(lanes.mul(gate, lanes.logistic(gate)), lanes.load(i32.add(up, at))));
      });
      f.bump(gateUp, i32.mul(width, 2));
      f.bump(out, width);
      f.bump(row, 1);
    });
  },
});

export const swigluBackwardWasm = program({ buffers: ['gateUp', 'dOut', 'dGateUp'], counts: ['rows', 'F'] }, {
  name: 'swigluBackward',
  units: ({ rows }) => rows,
  cost: ({ F }) => 8 * F,
  emit(f, { gateUp, dOut, dGateUp, F }, { first, last }) {
    const row = f.keep(first);
    const width = f.keep(i32.mul(F, 4));
    for (const both of [gateUp, dGateUp]) f.bump(both, i32.mul(first, i32.mul(width, 2)));
    f.bump(dOut, i32.mul(first, width));
    f.while(i32.lt(row, last), () => {
      overFloats(f, F, (lanes, at) => {
        const gate = lanes.keep(lanes.load(i32.add(gateUp, at)));
        const s = lanes.logistic(gate);
        const dSilu = lanes.mul(s, lanes.madd(gate, lanes.sub(lanes.of(1), s), lanes.of(1)));
        const d = lanes.keep(lanes.load(i32.add(dOut, at)));
        const up = lanes.load(i32.add(i32.add(gateUp, width), at));
        f.store(i32.add(dGateUp, at), lanes.mul(lanes.mul(d, up), dSilu));
        f.store(i32.add(i32.add(dGateUp, width), at), lanes.mul(d, lanes.mul(gate, s)));
      });
      for (const both of [gateUp, dGateUp]) f.bump(both, i32.mul(width, 2));
      f.bump(dOut, width);
      f.bump(row, 1);
    });
  },
});

/** 2u / x, given x²: 2u = x (c + c k x²), as in activation.ts. */
function slope<T extends LaneType>(lanes: Lanes<T>, square: Expr<T>, twiceRoot: number, cube: number): Expr<T> {
  return lanes.madd(square, lanes.of(twiceRoot * cube), lanes.of(twiceRoot));
}

export function geluWasm(twiceRoot: number, cube: number) {
  return elementwise({
    name: 'gelu',
    buffers: ['x', 'out'],
    cost: 8,
    body(f, lanes, places) {
      const x = lanes.keep(lanes.load(places.x));
      const s = lanes.logistic(lanes.mul(x, slope(lanes, lanes.mul(x, x), twiceRoot, cube)));
      f.store(places.out, lanes.mul(x, s));
    },
  });
}

export function geluBackwardWasm(twiceRoot: number, cube: number) {
  return elementwise({
    name: 'geluBackward',
    buffers: ['x', 'dOut', 'dx'],
    cost: 10,
    body(f, lanes, places) {
      const x = lanes.keep(lanes.load(places.x));
      const square = lanes.keep(lanes.mul(x, x));
      const s = lanes.logistic(lanes.mul(x, slope(lanes, square, twiceRoot, cube)));
      const ds = lanes.mul(lanes.mul(s, lanes.sub(lanes.of(1), s)), slope(lanes, square, twiceRoot, 3 * cube)); // ds/dx
      f.store(places.dx, lanes.mul(lanes.load(places.dOut), lanes.madd(x, ds, s)));
    },
  });
}
