// Every rung of the matrix product's ladder against the reference, at odd shapes, transposed or not, batched,
// accumulating, with a bias and a residual; the rest of the output's buffer stays as it was, and twice gives the same
// bits.

import { afterAll, expect, test } from 'vitest';
import type { TensorStorage } from '../../engine/backend.ts';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { rng } from '../../engine/rng.ts';
import { ladder, matmulKernel } from '../../kernels/matmul/matmul.ts';
import { Pipelines, sourceOf } from '../../engine/webgpu/pipelines.ts';
import type { HostArray } from '../../kernels/kernel.ts';
import { describeGpu, everyCaseAsked, gpu } from '../support/gpu.ts';

const exact = new CpuBackend({ precision: 'f64' });
const GUARD = 8;
const MARK = 12345.5;
const shapes = [
  [1, 1, 1],
  [1, 7, 5],
  [3, 17, 9],
  [33, 65, 17],
  [64, 64, 16],
  [65, 63, 33],
  [5, 130, 40],
  [130, 5, 3],
  [2, 33, 70],
  [19, 35, 300],
] as const;
const even = [[4, 4, 4], [132, 260, 36], [68, 12, 100]] as const; // for programs that take four at a time

const switches = [
  // transA, transB, accumulate, batch, addBias, addResidual
  [0, 0, 0, 1, 0, 0],
  [0, 1, 1, 1, 0, 0],
  [1, 0, 0, 2, 1, 0],
  [1, 1, 1, 3, 0, 1],
  [0, 1, 0, 2, 1, 1],
  [0, 1, 0, 1, 0, 1],
  [0, 1, 0, 1, 1, 0],
] as const;

/** All on a GPU; on software, where each costs a compilation, two of the seven, other ones at each shape. */
function switchesOf(nthShape: number): (typeof switches)[number][] {
  return switches.filter((_, i) => !gpu.software || everyCaseAsked || (i + 2 * nthShape) % 7 < 2);
}

describeGpu('matmul', () => {
  test.each(
    Object.entries<NonNullable<typeof matmulKernel.wgsl>>(ladder).filter(
      ([name, program]) => name !== 'matrices' && gpu.canRun(program),
    ),
  )('%s', async (name, program) => {
    const kernel = { ...matmulKernel, wgsl: program, variants: {} };
    for (const [nth, [M, N, K]] of (program.fits ? [...shapes, ...even] : shapes).entries()) {
      for (const [transA, transB, accumulate, batch, addBias, addResidual] of switchesOf(nth)) {
        const params = {
          batch,
          M,
          N,
          K,
          transA,
          transB,
          strideA: M * K,
          strideB: batch === 3 ? 0 : K * N,
          accumulate,
          addBias,
          addResidual,
        };
        if (!gpu.canRun(program, params)) continue;
        // a read past the end must not count
        const random = rng(M * N + K);
        const beyond = new Array<number>(64).fill(NaN);
        const operand = (name: string, size: number): Float32Array =>
          floats([...random.fold(name).normals(size), ...beyond]);
        const inputs = {
          a: operand('a', batch * M * K),
          b: operand('b', batch * K * N),
          bias: operand('bias', N),
          residual: operand('residual', batch * M * N),
        };
        const before = floats([
          ...(accumulate ? random.fold('out').normals(batch * M * N) : new Float64Array(batch * M * N).fill(NaN)),
          ...new Array<number>(GUARD).fill(MARK),
        ]);
        const results = [];
        for (const backend of [exact, gpu, gpu]) {
          const upload = (values: Float32Array): TensorStorage => {
            const storage = backend.alloc(values.length, 'f32');
            backend.write(storage, values);
            return storage;
          };
          const buffers = {
            a: upload(inputs.a),
            b: upload(inputs.b),
            bias: upload(inputs.bias),
            residual: upload(inputs.residual),
            out: upload(before),
          };
          backend.dispatch(backend === exact ? matmulKernel : kernel, buffers, params);
          results.push(await backend.read(buffers.out));
        }
        const [right, first, second] = results;
        const worst = Math.max(
          ...Array.from(right!, (value, i) => (Number.isNaN(first![i]) ? Infinity : Math.abs(first![i]! - value))),
        );
        expect(worst, `${name} ${JSON.stringify(params)}`).toBeLessThan(1e-6 * (K + 8)); // float32 sums of K products
        expect([...first!.slice(-GUARD)].every((x) => x === MARK)).toBe(true);
        expect(second).toEqual(first);
      }
    }
  });

  test.skipIf(!gpu?.canRun(ladder.matrices))(
    'matrices, to half precision (skipped: no adapter with subgroup matrices, or REMIT_SUBGROUP_MATRIX=1 is not set)',
    async () => {
      const kernel = { ...matmulKernel, wgsl: ladder.matrices, variants: {} };
      const [M, N, K] = [128, 64, 100];
      for (const [transA, transB, accumulate, , addBias, addResidual] of switches) {
        const params = {
          batch: 2,
          M,
          N,
          K,
          transA,
          transB,
          strideA: M * K,
          strideB: K * N,
          accumulate,
          addBias,
          addResidual,
        };
        const random = rng(K);
        const results: HostArray[] = [];
        for (const backend of [exact, gpu]) {
          const [a, b, bias, residual, out] = [2 * M * K, 2 * K * N, N, 2 * M * N, 2 * M * N].map((size) =>
            backend.alloc(size, 'f32'),
          ) as TensorStorage[] as [TensorStorage, TensorStorage, TensorStorage, TensorStorage, TensorStorage];
          const buffers = { a, b, bias, residual, out };
          for (const [key, storage] of Object.entries(buffers)) {
            backend.write(storage, random.fold(key).normals(storage.size));
          }
          backend.dispatch(backend === exact ? matmulKernel : kernel, buffers, params);
          results.push(await backend.read(buffers.out));
        }
        const worst = Math.max(...Array.from(results[0]!, (value, i) => Math.abs(results[1]![i]! - value)));
        // both factors rounded to 11 bits, K errors of random sign, five deviations
        expect(worst).toBeLessThan(5 * Math.sqrt(2 * K) * 2 ** -11);
      }
    },
  );

  afterAll(() => gpu.close());
});

test("the program for subgroup matrices is valid, by Dawn's null backend, which offers them and computes nothing", async ({
  skip,
}) => {
  const dawn = await import('webgpu').catch(() => undefined);
  if (!dawn) return skip('no package webgpu');
  Object.assign(globalThis, dawn.globals);
  const instance = dawn.create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
  const adapter = await instance.requestAdapter();
  const features = ['chromium-experimental-subgroup-matrix', 'shader-f16', 'subgroups'] as GPUFeatureName[];
  const device = await adapter!.requestDevice({ requiredFeatures: features });
  const pipelines = new Pipelines(device, (message) => faults.push(message));
  const faults: string[] = [];
  pipelines.get(ladder.matrices, { batch: 1, M: 64, N: 64, K: 16 });
  await pipelines.checked;
  expect(faults).toEqual([]);
  pipelines.get(
    {
      ...ladder.matrices,
      shader: {
        ...ladder.matrices.shader,
        source: sourceOf(ladder.matrices.shader).replace('<f16, 16, 16>', '<f32, 16, 16>'),
      },
    },
    { M: 64 },
  );
  await pipelines.checked;
  expect(faults).toHaveLength(1);
  device.destroy();
  expect(instance).toBeDefined(); // held until here: it must outlive its devices
});

function floats(values: ArrayLike<number>): Float32Array {
  return Float32Array.from(values);
}
