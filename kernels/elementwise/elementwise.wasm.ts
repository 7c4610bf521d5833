// Sums, differences, products and quotients for the CPU, in WASM SIMD: one function per operation over the innermost axis, where an
// operand steps by 1 or, broadcast, by 0. The outer axes are loops on the host. Read after: elementwise.ts.

import type { WasmProgram } from '../kernel.ts';
import { i32, type Local } from '../wasm/assembler.ts';
import { overFloats, type Lanes } from '../wasm/math.ts';

type Sizes = 'd0' | 'd1' | 'd2' | 'd3' | 'a0' | 'a1' | 'a2' | 'a3' | 'b0' | 'b1' | 'b2' | 'b3';

/** Functions <name>11, <name>10, <name>01, <name>00 (a, b, out, n), after the steps of a and b along the axis. */
export function binaryWasm(name: 'add' | 'sub' | 'mul' | 'div'): WasmProgram<'a' | 'b' | 'out', Sizes> {
  return {
    emit(module, { relaxed }) {
      for (const [stepA, stepB] of [[1, 1], [1, 0], [0, 1], [0, 0]] as const) {
        module.function(`${name}${stepA}${stepB}`, ['a', 'b', 'out', 'n'], (f, { a, b, out, n }) => overFloats(f, n, relaxed, (lanes, at) => {
          const read = (from: Local<'i32'>, step: 0 | 1): ReturnType<typeof lanes.load> => (step ? lanes.load(i32.add(from, at)) : lanes.splat(from));
          f.store(i32.add(out, at), (lanes as Lanes<typeof lanes.type>)[name](read(a, stepA), read(b, stepB)));
        }));
      }
    },
    bind: (functions) => ({ a, b, out }, { d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3 }) => {
      const row = functions[`${name}${a3}${b3}`]!;
      let to = out;
      for (let i = 0; i < d0; i++) {
        for (let j = 0; j < d1; j++) {
          for (let k = 0; k < d2; k++, to += 4 * d3) row(a + 4 * (i * a0 + j * a1 + k * a2), b + 4 * (i * b0 + j * b1 + k * b2), to, d3);
        }
      }
    },
  };
}
