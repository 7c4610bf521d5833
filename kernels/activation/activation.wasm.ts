// SwiGLU for the CPU, in WASM SIMD: one function for the forward and one for the backward, each over one row.
// Read after: activation.ts, ../wasm/math.ts.

import type { WasmProgram } from '../kernel.ts';
import { i32, type Expr, type FunctionBuilder, type Type } from '../wasm/assembler.ts';
import { overFloats, type Lanes } from '../wasm/math.ts';

export const swigluWasm: WasmProgram<'gateUp' | 'out', 'rows' | 'F'> = {
  emit(module, { relaxed }) {
    module.function('swiglu', ['gateUp', 'out', 'rows', 'F'], (f, { gateUp, out, rows, F }) => {
      const r = f.local('i32'), up = f.local('i32');
      f.loop(r, rows, 1, () => {
        f.set(up, i32.add(gateUp, i32.mul(F, 4)));
        overFloats(f, F, relaxed, (lanes, at) => {
          const gate = keep(f, lanes, lanes.load(i32.add(gateUp, at)));
          f.store(i32.add(out, at), lanes.mul(lanes.mul(gate, logistic(lanes, gate)), lanes.load(i32.add(up, at))));
        });
        f.bump(gateUp, i32.mul(F, 8));
        f.bump(out, i32.mul(F, 4));
      });
    });
  },
  bind: ({ swiglu }) => ({ gateUp, out }, { rows, F }) => swiglu!(gateUp, out, rows, F),
};

export const swigluBackwardWasm: WasmProgram<'gateUp' | 'dOut' | 'dGateUp', 'rows' | 'F'> = {
  emit(module, { relaxed }) {
    module.function('swigluBackward', ['gateUp', 'dOut', 'dGateUp', 'rows', 'F'], (f, { gateUp, dOut, dGateUp, rows, F }) => {
      const r = f.local('i32'), width = f.local('i32');
      f.set(width, i32.mul(F, 4));
      f.loop(r, rows, 1, () => {
        overFloats(f, F, relaxed, (lanes, at) => {
          const gate = keep(f, lanes, lanes.load(i32.add(gateUp, at))), s = keep(f, lanes, logistic(lanes, gate));
          const dSilu = lanes.mul(s, lanes.add(lanes.of(1), lanes.mul(gate, lanes.sub(lanes.of(1), s))));
          const d = keep(f, lanes, lanes.load(i32.add(dOut, at))), up = lanes.load(i32.add(i32.add(gateUp, width), at));
          f.store(i32.add(dGateUp, at), lanes.mul(lanes.mul(d, up), dSilu));
          f.store(i32.add(i32.add(dGateUp, width), at), lanes.mul(d, lanes.mul(gate, s)));
        });
        f.bump(gateUp, i32.mul(width, 2));
        f.bump(dGateUp, i32.mul(width, 2));
        f.bump(dOut, width);
      });
    });
  },
  bind: ({ swigluBackward }) => ({ gateUp, dOut, dGateUp }, { rows, F }) => swigluBackward!(gateUp, dOut, dGateUp, rows, F),
};

/** 1 / (1 + exp(-x)). */
function logistic<T extends 'f32' | 'v128'>(lanes: Lanes<T>, x: Expr<T>): Expr<T> {
  return lanes.div(lanes.of(1), lanes.add(lanes.of(1), lanes.exp(lanes.sub(lanes.zero, x))));
}

/** Computes a value once, to be used several times. */
function keep<T extends Type>(f: FunctionBuilder, lanes: { readonly type: T }, value: Expr<T>): Expr<T> {
  const local = f.local(lanes.type);
  f.set(local, value as never);
  return local;
}
