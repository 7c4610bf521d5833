// Every WASM program against its reference, at odd sizes, with guard bands and NaN-filled outputs; twice the same bits,
// on 1, 2 and 3 threads.

import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { TensorStorage } from '../../engine/backend.ts';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { Heap, type Block } from '../../engine/cpu/memory.ts';
import { startWorkers } from '../../engine/cpu/threads.ts';
import { compileKernels } from '../../engine/cpu/wasm/compile.ts';
import { relaxedSimd } from '../../engine/cpu/wasm/relaxed.ts';
import { rotaryTable } from '../../engine/ops/attention.ts';
import { rng } from '../../engine/rng.ts';
import { swigluBackwardKernel, swigluKernel } from '../../kernels/activation/activation.ts';
import { attentionBackwardKernel, attentionForwardKernel } from '../../kernels/attention/attention.ts';
import { binaryKernels } from '../../kernels/elementwise/elementwise.ts';
import { kernelsWithWasm } from '../../kernels/index.ts';
import type { HostArray, Kernel } from '../../kernels/kernel.ts';
import { matmulKernel } from '../../kernels/matmul/matmul.ts';
import { everyCase } from '../webgpu/cases.ts';
import { errorOf } from '../support/check-case.ts';

const GUARD = 16;
const MARK = 12345.5;

/** Inputs by name, and the sizes of outputs; 'readwrite' bindings are given as inputs. */
interface Case {
  readonly inputs: Readonly<Record<string, ArrayLike<number>>>;
  readonly outputs: Readonly<Record<string, number>>;
  readonly params: Readonly<Record<string, number>>;
}

const heap = new Heap(new CpuBackend({ precision: 'f64' }));
let scratch: Block | null = null;
// what the programs hold by address alone: it would be collected, and used again, as soon as a test waits
const kept: Block[] = [];
const scratchAt = (bytes: number): number =>
  ((scratch?.size ?? 0) * 4 >= bytes ? scratch! : (scratch = heap.alloc(bytes / 4 + 1, 'f32'))).address;

/**
 * All programs, by variant; those with several threads share out even the smallest work. What is wide is so where V8
 * joins no pairs, too.
 */
const variants = [false, ...(relaxedSimd() ? [true] : [])].flatMap((relaxed) => [
  ...[1, 2, 3].map((threads) => ({ relaxed, threads, wide: false })),
  ...[1, 2].map((threads) => ({ relaxed, threads, wide: true })),
]);
const machines = variants.map(({ relaxed, threads, wide }) => {
  const options = { ...heapOptions(), relaxed, wide, threads, worthSharing: 0, scratch: scratchAt };
  const compiled = compileKernels(
    kernelsWithWasm,
    options,
    (bytes) => kept[kept.push(heap.alloc(bytes / 4, 'i32')) - 1]!.address,
  );
  startWorkers(threads, heap.memory, compiled);
  return { relaxed, threads, runners: compiled.runners };
});

function heapOptions(): Pick<Heap, 'memory' | 'shared' | 'maximumPages'> {
  return { memory: heap.memory, shared: heap.shared, maximumPages: heap.maximumPages };
}

type Results = Record<string, HostArray>;

/** What the buffers hold after a run, guard bands included. */
function runOn(
  runners: (typeof machines)[number]['runners'],
  kernel: Kernel,
  buffers: Readonly<Record<string, HostArray>>,
  params: Readonly<Record<string, number>>,
): Results {
  const blocks = Object.fromEntries(
    Object.entries(buffers).map(([name, values]) => {
      const block = heap.alloc(values.length + GUARD, values instanceof Int32Array ? 'i32' : 'f32');
      block.data.set(values);
      block.data.fill(MARK, values.length);
      return [name, block];
    }),
  );
  if (scratch) scratch.data.fill(NaN); // whatever lies there must not matter
  runners.get(kernel)!(
    Object.fromEntries(Object.entries(blocks).map(([name, { address }]) => [name, address])),
    params,
  );
  const results = Object.fromEntries(Object.entries(blocks).map(([name, { data }]) => [name, data.slice()]));
  for (const block of Object.values(blocks)) heap.free(block);
  return results;
}

const bits = (values: HostArray): Buffer => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/**
 * Runs the program on every machine, those that should agree to the bit; returns the results of each kind, without
 * guard bands.
 */
function runEverywhere(
  kernel: Kernel,
  buffers: Readonly<Record<string, HostArray>>,
  params: Readonly<Record<string, number>>,
): Results[] {
  const found: Results[] = [];
  for (const relaxed of [false, true]) {
    const mine = machines.filter((machine) => machine.relaxed === relaxed);
    if (mine.length === 0) continue;
    const [first, ...others] = [mine[0]!, ...mine].map(({ runners }) => runOn(runners, kernel, buffers, params)) as [
      Results,
      ...Results[],
    ];
    for (const [name, values] of Object.entries(first)) {
      const label = `${kernel.name}.${name} ${JSON.stringify(params)}`;
      for (const other of others) {
        expect(
          Buffer.compare(bits(values), bits(other[name]!)),
          `${label}: the same bits again, on more threads, and as wide as they get`,
        ).toBe(0);
      }
      expect(
        [...values.subarray(-GUARD)].every((x) => x === (values instanceof Int32Array ? Math.trunc(MARK) : MARK)),
        `${label}: guard band`,
      ).toBe(true);
      first[name] = values.subarray(0, -GUARD);
      if (kernel.bindings[name] === 'read') {
        expect(Buffer.compare(bits(first[name]), bits(buffers[name]!)), `${label}: as it was`).toBe(0);
      }
    }
    found.push(first);
  }
  return found;
}

/** What the kernel's reference makes of it, in double precision. */
function referenceOf(
  kernel: Kernel,
  buffers: Readonly<Record<string, HostArray>>,
  params: Readonly<Record<string, number>>,
): Results {
  const copies = Object.fromEntries(
    Object.entries(buffers).map(([name, values]) => [
      name,
      values instanceof Float32Array ? Float64Array.from(values) : values.slice(),
    ]),
  );
  kernel.reference(copies, params);
  return Object.fromEntries(Object.entries(copies).filter(([name]) => kernel.bindings[name] !== 'read'));
}

/** The largest |difference| from the reference. */
function compare(kernel: Kernel, { inputs, outputs, params }: Case): number {
  const buffers = {
    ...Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, Float32Array.from(values)])),
    ...Object.fromEntries(Object.entries(outputs).map(([name, size]) => [name, new Float32Array(size).fill(NaN)])),
  };
  const right = referenceOf(kernel, buffers, params);
  let worst = 0;
  for (const found of runEverywhere(kernel, buffers, params)) {
    for (const [name, values] of Object.entries(right)) {
      values.forEach(
        (x, i) => (worst = Math.max(worst, Number.isNaN(found[name]![i]) ? Infinity : Math.abs(found[name]![i]! - x))),
      );
    }
  }
  return worst;
}

describe('the cases of the GPU programs', () => {
  const cases = everyCase();

  test('leave no WASM program out', () => {
    expect(
      kernelsWithWasm.filter((kernel) => !cases.some((one) => one.kernel === kernel)).map(({ name }) => name),
    ).toEqual([]);
  });

  test.each(kernelsWithWasm.map((kernel) => [kernel.name, kernel] as const))('%s', (name, kernel) => {
    for (const one of cases.filter((each) => each.kernel === kernel)) {
      const right = referenceOf(kernel, one.buffers, one.params);
      for (const found of runEverywhere(kernel, one.buffers, one.params)) {
        for (const [binding, values] of Object.entries(right)) {
          const error = errorOf(found[binding]!, values, one.scale);
          if (error > one.tolerance && one.isAsGood?.(right, found)) continue;
          expect(error, `${name} ${JSON.stringify(one.params)}: ${binding}`).toBeLessThanOrEqual(one.tolerance);
        }
      }
    }
  });
});

const normals = (seed: number, name: string, n: number): Float32Array =>
  Float32Array.from(rng(seed).fold(name).normals(n));
const flag = fc.constantFrom(0, 1);

describe('matmul', () => {
  const matmul = (
    M: number,
    N: number,
    K: number,
    {
      batch = 1, transA = 0, transB = 0, accumulate = 0, addBias = 0, addResidual = 0, shareA = 0, shareB = 0, seed = 1,
    } = {},
  ): number =>
    compare(matmulKernel, {
      inputs: {
        a: normals(seed, 'a', batch * M * K),
        b: normals(seed, 'b', batch * K * N),
        bias: normals(seed, 'bias', N),
        residual: normals(seed, 'residual', batch * M * N),
        out: accumulate ? normals(seed, 'out', batch * M * N) : new Float32Array(batch * M * N).fill(NaN),
      },
      outputs: {},
      params: {
        batch,
        M,
        N,
        K,
        transA,
        transB,
        strideA: shareA ? 0 : M * K,
        strideB: shareB ? 0 : K * N,
        accumulate,
        addBias,
        addResidual,
      },
    });

  test('agrees at drawn shapes, transposed or not, batched, accumulating, with bias and residual', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 0, max: 70 }),
        flag,
        flag,
        flag,
        flag,
        flag,
        flag,
        flag,
        fc.integer({ min: 1, max: 3 }),
        fc.nat(1000),
        (M, N, K, transA, transB, accumulate, addBias, addResidual, shareA, shareB, batch, seed) => {
          // float32 sums of K products
          expect(
            matmul(M, N, K, { batch, transA, transB, accumulate, addBias, addResidual, shareA, shareB, seed }),
          ).toBeLessThan(1e-6 * (K + 8));
        },
      ),
      { numRuns: 80 },
    );
  });

  test.each([
    [1, 1, 1],
    [4, 8, 256],
    [5, 9, 257],
    [13, 31, 300],
    [7, 64, 513],
    [131, 24, 300],
    [736, 64, 64],
    [3, 129, 65],
    [130, 7, 260],
  ])('agrees at %i x %i x %i in every layout', (M, N, K) => {
    for (const transA of [0, 1]) {
      for (const transB of [0, 1]) {
        for (const accumulate of [0, 1]) {
          for (const [addBias, addResidual] of [
            [0, 0],
            [1, 0],
            [0, 1],
            [1, 1],
          ]) {
            expect(matmul(M, N, K, { transA, transB, accumulate, addBias, addResidual })).toBeLessThan(1e-6 * (K + 8));
          }
        }
      }
    }
  });

  test('a sum of no products is 0, and adds nothing', () => {
    for (const M of [2, 9]) {
      for (const transA of [0, 1]) {
        for (const transB of [0, 1]) {
          for (const accumulate of [0, 1]) {
            expect(matmul(M, 11, 0, { transA, transB, accumulate })).toBe(0);
          }
        }
      }
    }
  });

  test('addresses on both sides of 2 GiB are only numbers: signed comparison would make the upper ones negative', () => {
    // what is not touched costs nothing
    const memory = new WebAssembly.Memory({ initial: 32800, maximum: 32800 });
    const border = 2 ** 31;
    const [M, N, K] = [20, 40, 100];
    const params = { batch: 1, M, N, K, strideA: 0, strideB: 0, accumulate: 0, addBias: 1, addResidual: 1 };
    const [a, b, bias, residual] = [
      normals(1, 'a', M * K),
      normals(1, 'b', K * N),
      normals(1, 'bias', N),
      normals(1, 'residual', M * N),
    ];
    const place = (address: number, values: Float32Array): number => {
      new Float32Array(memory.buffer, address, values.length).set(values);
      return address;
    };
    for (const [scratchAt, at] of [
      [border - 1600, 64],
      [65536, border - 16 * K],
      [65536, border],
    ] as const) {
      const options = { memory, shared: false, maximumPages: 32800, threads: 1, scratch: () => scratchAt };
      const program = compileKernels([matmulKernel], options, () => 131072).runners.get(
        matmulKernel,
      )!;
      for (const transA of [0, 1]) {
        for (const transB of [0, 1]) {
          const ends = at + 4 * (M * K + K * N + M * N);
          const out = new Float64Array(M * N);
          const buffers = {
            a: place(at, a),
            b: place(at + 4 * M * K, b),
            out: at + 4 * (M * K + K * N),
            bias: place(ends, bias),
            residual: place(ends + 4 * N, residual),
          };
          program(buffers, { ...params, transA, transB });
          matmulKernel.reference({ a, b, bias, residual, out }, { ...params, transA, transB });
          const worst = new Float32Array(memory.buffer, buffers.out, M * N).reduce(
            (most, x, i) => Math.max(most, Math.abs(x - out[i]!)),
            0,
          );
          expect(worst, `scratch at ${scratchAt}, operands at ${at}`).toBeLessThan(1e-6 * K);
        }
      }
    }
  });

  test('rows of A split over several blocks give the same bits as in one', () => {
    const [M, N, K] = [700, 16, 256];
    const backend = new CpuBackend();
    const params = {
      batch: 1, N, K, transA: 0, transB: 0, strideA: 0, strideB: 0, accumulate: 0, addBias: 0, addResidual: 0,
    };
    const [a, b, all] = [backend.alloc(M * K, 'f32'), backend.alloc(K * N, 'f32'), backend.alloc(M * N, 'f32')];
    backend.write(a, normals(3, 'a', M * K));
    backend.write(b, normals(3, 'b', K * N));
    backend.dispatch(matmulKernel, { a, b, bias: b, residual: b, out: all }, { ...params, M });
    const part = backend.alloc(8 * N, 'f32');
    backend.dispatch(
      matmulKernel,
      { a: backend.view(a, 400 * K, 8 * K), b, bias: b, residual: b, out: part },
      { ...params, M: 8 },
    );
    expect([...part.data.subarray(0, 8 * N)]).toEqual([...all.data.subarray(400 * N, 408 * N)]);
  });
});

describe('the epilogue of matmul', () => {
  test.each([
    [1, 5, 3],
    [4, 70, 64],
    [9, 33, 257],
    [300, 24, 600],
    [5, 1100, 40],
  ])('gives the bits of passes of its own at %i x %i x %i, on one thread and on two', async (M, N, K) => {
    for (const threads of [1, 2]) {
      for (const addBias of [0, 1]) {
        for (const addResidual of [0, 1]) {
          const device = new CpuBackend({ threads });
          const sizes = { batch: 1, M, N, K, transA: 0, transB: 1, strideA: 0, strideB: 0, accumulate: 0 };
          const [a, b, bias, residual, once, sum] = (['a', 'b', 'bias', 'residual', 'once', 'sum'] as const).map(
            (name, i) => {
              const storage = device.alloc([M * K, K * N, N, M * N, M * N, M * N][i]!, 'f32');
              device.write(storage, normals(2, name, storage.size));
              return storage;
            },
          ) as TensorStorage[] as [
            TensorStorage,
            TensorStorage,
            TensorStorage,
            TensorStorage,
            TensorStorage,
            TensorStorage,
          ];
          device.dispatch(matmulKernel, { a, b, bias, residual, out: once }, { ...sizes, addBias, addResidual });
          device.dispatch(matmulKernel, { a, b, bias, residual, out: sum }, { ...sizes, addBias: 0, addResidual: 0 });
          const rows = { d0: 1, d1: 1, d2: M, d3: N, a0: 0, a1: 0, a2: N, a3: 1, b0: 0, b1: 0, b3: 1 };
          if (addBias) device.dispatch(binaryKernels.add, { a: sum, b: bias, out: sum }, { ...rows, b2: 0 });
          if (addResidual) device.dispatch(binaryKernels.add, { a: residual, b: sum, out: sum }, { ...rows, b2: N });
          expect(Buffer.compare(bits(await device.read(once)), bits(await device.read(sum)))).toBe(0);
          await device.close();
        }
      }
    }
  });
});

describe('attention', () => {
  test('forward and backward agree at drawn shapes, with grouped heads, rotated or not', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 1, max: 75 }),
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 17 }),
        flag,
        fc.nat(1000),
        (B, T, KV, group, size, rotary, seed) => {
          const D = rotary ? 2 * size : size;
          const H = KV * group;
          const params = { B, T, H, KV, D, rotary };
          const qkv = normals(seed, 'qkv', B * T * (H + 2 * KV) * D);
          const table = rotary ? rotaryTable(T, D, 100) : new Float64Array(1);
          const out = new Float64Array(B * T * H * D);
          const logSumExp = new Float64Array(B * H * T);
          const forward = {
            inputs: { qkv, table: Float32Array.from(table) },
            outputs: { out: out.length, logSumExp: logSumExp.length },
            params,
          };
          // exp of scores up to about 10
          expect(compare(attentionForwardKernel, forward)).toBeLessThan(2e-5);
          attentionForwardKernel.reference({ qkv, table, out, logSumExp }, params);
          const dOut = normals(seed, 'dOut', out.length);
          const backward = {
            inputs: { ...forward.inputs, out, logSumExp, dOut },
            outputs: { dQkv: qkv.length },
            params,
          };
          expect(compare(attentionBackwardKernel, backward)).toBeLessThan(2e-4);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('activations and arithmetic', () => {
  test('SwiGLU agrees at drawn shapes, far out too', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 37 }),
        fc.constantFrom(1, 30),
        fc.nat(1000),
        (rows, F, spread, seed) => {
          const gateUp = normals(seed, 'x', rows * 2 * F).map((x) => x * spread);
          const dOut = normals(seed, 'd', rows * F);
          const params = { rows, F };
          expect(
            compare(swigluKernel, { inputs: { gateUp }, outputs: { out: rows * F }, params }),
          ).toBeLessThan(1e-6 * spread ** 2 * 10);
          expect(
            compare(swigluBackwardKernel, {
              inputs: { gateUp, dOut },
              outputs: { dGateUp: rows * 2 * F },
              params,
            }),
          ).toBeLessThan(1e-6 * spread ** 2 * 10);
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each(['add', 'sub', 'mul', 'div'] as const)('%s agrees over every way to broadcast', (name) => {
    const sizes = fc.integer({ min: 1, max: 9 });
    const steps = fc.tuple(flag, flag, flag, flag);
    fc.assert(
      fc.property(fc.tuple(sizes, sizes, sizes, sizes), steps, steps, fc.nat(1000), (dims, stepsA, stepsB, seed) => {
        const strides = (kept: readonly number[]): number[] => {
          let step = 1;
          return dims
            .map((_, i) => 3 - i)
            .map((axis) => {
              const mine = kept[axis] ? step : 0;
              if (kept[axis]) step *= dims[axis]!;
              return mine;
            })
            .reverse();
        };
        const count = (kept: readonly number[]): number => dims.reduce((n, d, i) => (kept[i] ? n * d : n), 1);
        const [d0, d1, d2, d3] = dims;
        const [a0, a1, a2, a3] = strides(stepsA);
        const [b0, b1, b2, b3] = strides(stepsB);
        const a = normals(seed, 'a', count(stepsA));
        const b = normals(seed, 'b', count(stepsB)).map((x) => x + Math.sign(x));
        const params = { d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3 } as Record<string, number>;
        expect(
          compare(binaryKernels[name], {
            inputs: { a, b },
            outputs: { out: d0 * d1 * d2 * d3 },
            params,
          }),
        ).toBeLessThan(1e-5);
      }),
      { numRuns: 60 },
    );
  });
});
