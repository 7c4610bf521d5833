// How wide the CPU's vectors are: that wide programs come on where they must, are checked before they are used, and
// change no bit of a run.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { Heap, type Block } from '../../engine/cpu/memory.ts';
import { startWorkers } from '../../engine/cpu/threads.ts';
import { compileKernels, type CompiledKernels } from '../../engine/cpu/wasm/compile.ts';
import { bitsOf } from '../../engine/cpu/wasm/program-width.ts';
import { width } from '../../engine/cpu/wasm/width.ts';
import { unaryKernels } from '../../kernels/elementwise/elementwise.ts';
import { kernelsWithWasm } from '../../kernels/index.ts';
import type { Kernel } from '../../kernels/kernel.ts';
import { FunctionBuilder } from '../../kernels/wasm/assembler.ts';
import { pairOf, lower, type Expr } from '../../kernels/wasm/instructions.ts';
import { elementwise } from '../../kernels/wasm/program.ts';

const required = process.env.REMIT_REQUIRE_WIDE === '1';

test.runIf(required)('wide programs come on, and none is distrusted', () => {
  expect(width()).toMatchObject({ wide: true });
  expect(compiled(kernelsWithWasm).width).toMatchObject({ wide: true, distrusted: [] });
});

test('REMIT_WIDE=0 turns them off, and is given as the reason', () => {
  const program = `import('./engine/cpu/wasm/width.ts').then(({ width }) => console.log(JSON.stringify(width())))`;
  const args = ['--import', import.meta.resolve('tsx'), '--eval', program];
  const stdout = execFileSync(process.execPath, args, {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, REMIT_WIDE: '0' },
  });
  expect(JSON.parse(String(stdout))).toEqual({ wide: false, reason: 'turned off by REMIT_WIDE=0' });
});

test('what is in use, in words', () => {
  expect(bitsOf({ wide: false, reason: '', distrusted: [] })).toBe('128 bits');
  expect(bitsOf({ wide: true, reason: '', distrusted: [] })).toBe('256 bits');
  expect(bitsOf({ wide: true, reason: '', distrusted: ['softmax', 'sum'] })).toBe(
    '256 bits, but softmax and sum in 128',
  );
});

const heap = new Heap(new CpuBackend({ precision: 'f64' }));
const kept: Block[] = [];
const alloc = (bytes: number): number => kept[kept.push(heap.alloc(Math.ceil(bytes / 4), 'i32')) - 1]!.address;
const compiled = (kernels: readonly Kernel[], threads = 1): CompiledKernels =>
  compileKernels(
    kernels,
    {
      memory: heap.memory,
      shared: heap.shared,
      maximumPages: heap.maximumPages,
      wide: true,
      threads,
      worthSharing: 0,
      scratch: alloc,
    },
    alloc,
  );

/** x², but that the upper half of a pair is stored as its lower half once more. */
const wrongLane = {
  ...unaryKernels.square, name: 'wrongLane',
  wasm: elementwise({
    name: 'wrongLane', buffers: ['x', 'out'], cost: 1,
    body(f, lanes, { x, out }) {
      const square = lanes.mul(lanes.load(x), lanes.load(x));
      f.store(out, lanes.type === 'pair' ? twice(square as Expr<never>) : square);
    },
  }),
};

function twice(pair: Expr<'pair'>): Expr<'pair'> {
  return pairOf(lower(pair), lower(pair));
}

describe('a program whose wide variant has a wrong lane', () => {
  const kernels = [unaryKernels.relu, wrongLane, unaryKernels.sqrt];

  test('is found by the check at the start, and the others are not suspected', () => {
    expect(compiled(kernels).width).toMatchObject({ wide: true, distrusted: ['wrongLane'] });
  });

  test('is taken narrow, on one thread and on two', async () => {
    for (const threads of [1, 2]) {
      const machine = compiled(kernels, threads);
      const end = startWorkers(threads, heap.memory, machine);
      const n = 100_003;
      const x = heap.alloc(n, 'f32');
      const out = heap.alloc(n, 'f32');
      x.data.forEach((_, i) => (x.data[i] = i % 1000));
      for (let round = 0; round < 20; round++) {
        out.data.fill(NaN);
        machine.runners.get(wrongLane)!({ x: x.address, out: out.address }, { n });
        expect(out.data.every((value, i) => value === (i % 1000) ** 2)).toBe(true);
      }
      await end();
    }
  });
});

test('the check reaches the pairs of every program that stores any', () => {
  const { store } = FunctionBuilder.prototype;
  const stored = new Set<string>();
  const broken = vi.spyOn(FunctionBuilder.prototype, 'store').mockImplementation(function (
    this: FunctionBuilder,
    address,
    value,
    offset,
  ) {
    store.call(this, address, value.type === 'pair' ? twice(value as Expr<'pair'>) : value, offset);
  });
  try {
    for (const kernel of kernelsWithWasm) {
      if (compiled([kernel]).width.distrusted.length > 0) stored.add(kernel.name);
    }
  } finally {
    broken.mockRestore();
  }
  const others = kernelsWithWasm.map(({ name }) => name).filter((name) => !stored.has(name)).sort();
  // The same in every lane; or no pair is stored, or none that the result shows; or the narrow program, whose sums come
  // in pairs, stores wrong ones as well.
  expect(others).toEqual([
    'crossEntropy', 'fill', 'gradientNorm', 'keepLargest', 'keepLikely', 'logProb', 'sample', 'softmax',
  ]);
});
