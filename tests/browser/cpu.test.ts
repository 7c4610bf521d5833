// The CPU backend in a page as most are: not isolated from other origins, hence without SharedArrayBuffer. Its memory
// is then of the unshared kind, whose views become empty when it grows.

import { expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { Heap } from '../../engine/cpu/memory.ts';
import { matmul } from '../../engine/ops/matmul.ts';
import { tanh } from '../../engine/ops/unary.ts';
import { rng } from '../../engine/rng.ts';
import { useBackend } from '../../engine/runtime.ts';
import { tensor } from '../../engine/tensor.ts';

const MIB = 2 ** 20;

test('memory is not shared, and a block outlives the growth of the memory under it', () => {
  expect([crossOriginIsolated, typeof SharedArrayBuffer]).toEqual([false, 'undefined']);
  const heap = new Heap(new CpuBackend({ precision: 'f64' }));
  const block = heap.alloc(3, 'f32');
  const before = block.data;
  expect(heap.shared).toBe(false);
  before.set([1, 2, 3]);
  // four times what there was
  const bytes = heap.memory.buffer.byteLength;
  const large = heap.alloc(bytes, 'i32');
  expect(heap.memory.buffer.byteLength).toBeGreaterThan(4 * bytes);
  expect(before).toHaveLength(0); // what would go wrong with a view that is kept
  expect([...block.data]).toEqual([1, 2, 3]);
  large.data[bytes - 1] = 7;
  expect([large.data.length, large.data.at(-1)]).toEqual([bytes, 7]);
});

test('fast programs and references go on where they were when the memory has grown', async () => {
  const device = new CpuBackend();
  const n = 24;
  useBackend(device);
  const [a, b] = [rng(5).normals(n * n), rng(6).normals(n * n)].map((values) => tensor(values, [n, n]));
  const results = async (): Promise<ArrayLike<number>[]> => [
    await a!.read(),
    await tanh(a!).read(),
    await matmul(a!, b!).read(),
  ];
  const before = await results();
  device.alloc(20 * MIB, 'f32'); // 80 MiB, where there were 16
  expect(await results()).toEqual(before);
  expect([device.calls.get('matmul'), device.calls.get('tanh')]).toEqual([
    { wasm: 2, reference: 0 },
    { wasm: 0, reference: 2 },
  ]);
});

test('memory that cannot be had is refused in one line', () => {
  const heap = new Heap(new CpuBackend({ precision: 'f64' }));
  expect(() => heap.alloc(2 ** 30, 'f32')).toThrow(
    /^cpu: 4294967296 bytes on top of 0 in use: out of memory \(limit 4 GiB\): put a loop's body in a step\(\), or .*$/,
  );
  expect(heap.alloc(16, 'f32').data).toHaveLength(16);
});
