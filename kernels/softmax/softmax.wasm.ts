// Softmax, its logarithm, and their gradients for the CPU, in WASM SIMD: a unit is a row. Read after: softmax.ts,
// ../wasm/program.ts. Read next: rows.wasm.ts.

import { f32, i32 } from '../wasm/instructions.ts';
import { overFloats } from '../wasm/lanes.ts';
import { program } from '../wasm/program.ts';
import { sumOfRow } from '../reduce/long-sum.wasm.ts';
import { logSumExp, overRows, powers } from './rows.wasm.ts';

const units = ({ rows }: { readonly rows: number }): number => rows;

export const softmaxWasm = program({ buffers: ['x', 'out'], counts: ['rows', 'V'] }, {
  name: 'softmax', units, cost: ({ V }) => 20 + 10 * V,
  emit: (f, args, { first, last }) => overRows(f, first, last, args.V, (_, wide) => {
    const x = f.keep(i32.add(args.x, wide));
    const out = f.keep(i32.add(args.out, wide));
    const share = f.keep(f32.div(f32.of(1), powers(f, x, out, args.V).total));
    overFloats(f, args.V, (lanes, at) =>
      f.store(i32.add(out, at), lanes.mul(lanes.load(i32.add(out, at)), lanes.splat(share))),
    );
  }),
});

export const logSoftmaxWasm = program({ buffers: ['x', 'out'], counts: ['rows', 'V'] }, {
  name: 'logSoftmax', units, cost: ({ V }) => 20 + 6 * V,
  emit: (f, args, { first, last }) => overRows(f, first, last, args.V, (_, wide) => {
    const x = f.keep(i32.add(args.x, wide));
    const out = f.keep(i32.add(args.out, wide));
    const total = logSumExp(f, x, args.V);
    overFloats(f, args.V, (lanes, at) =>
      f.store(i32.add(out, at), lanes.sub(lanes.load(i32.add(x, at)), lanes.splat(total))),
    );
  }),
});

export const softmaxBackwardWasm = program({ buffers: ['y', 'dy', 'dx'], counts: ['rows', 'V'] }, {
  name: 'softmaxBackward', units, cost: ({ V }) => 10 + 2 * V,
  emit: (f, args, { first, last }) => overRows(f, first, last, args.V, (_, wide) => {
    const [y, dy, dx] = [f.keep(i32.add(args.y, wide)), f.keep(i32.add(args.dy, wide)), f.keep(i32.add(args.dx, wide))];
    const dot = sumOfRow(f, args.V, (lanes, at) => lanes.mul(lanes.load(i32.add(dy, at)), lanes.load(i32.add(y, at))));
    overFloats(f, args.V, (lanes, at) =>
      f.store(
        i32.add(dx, at),
        lanes.mul(lanes.load(i32.add(y, at)), lanes.sub(lanes.load(i32.add(dy, at)), lanes.splat(dot))),
      ),
    );
  }),
});

export const logSoftmaxBackwardWasm = program({ buffers: ['y', 'dy', 'dx'], counts: ['rows', 'V'] }, {
  name: 'logSoftmaxBackward', units, cost: ({ V }) => 10 + 6 * V,
  emit: (f, args, { first, last }) => overRows(f, first, last, args.V, (_, wide) => {
    const [y, dy, dx] = [f.keep(i32.add(args.y, wide)), f.keep(i32.add(args.dy, wide)), f.keep(i32.add(args.dx, wide))];
    const total = sumOfRow(f, args.V, (lanes, at) => lanes.load(i32.add(dy, at)));
    overFloats(f, args.V, (lanes, at) =>
      f.store(
        i32.add(dx, at),
        lanes.sub(lanes.load(i32.add(dy, at)), lanes.mul(lanes.exp(lanes.load(i32.add(y, at))), lanes.splat(total))),
      ),
    );
  }),
});
