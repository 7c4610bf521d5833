// Step-owned memory by itself: order, size classes, poison.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Arena, sizeClass } from '../../engine/arena.ts';
import { CpuBackend } from '../../engine/cpu/backend.ts';

const backend = new CpuBackend();
const size = fc.integer({ min: 1, max: 2 ** 30 });

test('after a rewind the same storages come again, in order', () => {
  const arena = new Arena(backend, false);
  const ask = () => [40, 300, 40, 40, 300].map((n) => arena.alloc(n, 'f32'));
  const first = ask();
  expect(new Set(first).size).toBe(5);
  arena.rewind();
  expect(ask()).toEqual(first);
  arena.rewind();
  expect(arena.alloc(300, 'f32')).toBe(first[1]); // sizes have lists of their own
});

test('without a rewind nothing is handed out twice', () => {
  const arena = new Arena(backend, false);
  const all = Array.from({ length: 20 }, () => arena.alloc(64, 'f32'));
  expect(new Set(all).size).toBe(20);
});

test('sizes of one class share memory, element types do not', () => {
  const arena = new Arena(backend, false);
  const one = arena.alloc(63, 'f32');
  arena.rewind();
  expect(arena.alloc(64, 'f32')).toBe(one);
  arena.rewind();
  const other = arena.alloc(64, 'i32');
  expect(other).not.toBe(one);
  expect(other.dtype).toBe('i32');
});

test('a rewind counts', () => {
  const arena = new Arena(backend, false);
  expect(arena.generation).toBe(0);
  arena.rewind();
  arena.rewind();
  expect(arena.generation).toBe(2);
  arena.free();
  expect(arena.generation).toBe(3);
});

test('poisoned memory holds NaN, or an index far out, at every hand-out', () => {
  const arena = new Arena(backend, true);
  for (let call = 0; call < 2; call++) {
    const [real, whole] = [
      arena.alloc(50, 'f32') as ReturnType<CpuBackend['alloc']>,
      arena.alloc(50, 'i32') as ReturnType<CpuBackend['alloc']>,
    ];
    expect([...real.data].every(Number.isNaN)).toBe(true);
    expect([...whole.data].every((x) => x === 0x7fffffff)).toBe(true);
    real.data.fill(1);
    whole.data.fill(1);
    arena.rewind();
  }
});

test('freed memory goes back to the backend, all of it', () => {
  const arena = new Arena(backend, false);
  const address = (storage: unknown): number => (storage as { address: number }).address;
  const before = Array.from({ length: 3 }, () => arena.alloc(5000, 'f32'));
  arena.free();
  const after = before.map(({ size }) => backend.alloc(size, 'f32'));
  expect(after.map(address).sort()).toEqual(before.map(address).sort());
});

test('a size class holds its size, and wastes at most a quarter of it', () => {
  fc.assert(fc.property(size, (n) => {
    const rounded = sizeClass(n);
    expect(rounded).toBeGreaterThanOrEqual(n);
    expect(rounded).toBeLessThanOrEqual(Math.max(16, 1.25 * n));
    expect(sizeClass(rounded)).toBe(rounded);
  }));
});

test('there are four classes per octave', () => {
  const classes = new Set(Array.from({ length: 1024 }, (_, i) => sizeClass(1025 + i)));
  expect([...classes]).toEqual([1280, 1536, 1792, 2048]);
  expect([1, 15, 16, 17].map(sizeClass)).toEqual([16, 16, 16, 20]);
});
