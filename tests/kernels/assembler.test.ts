import { expect, test } from 'vitest';
import fc from 'fast-check';
import { relaxedSimd } from '../../engine/cpu/wasm/relaxed.ts';
import { WasmModule, type FunctionBuilder } from '../../kernels/wasm/assembler.ts';
import { f32, i32, i32x4, signed, unsigned, v128, type Int } from '../../kernels/wasm/instructions.ts';
import { exp, log } from '../../kernels/wasm/math.ts';


/** Runs one function (p, n) on a memory of one page, whose floats it may read and write. */
function runOn(
  memory: WebAssembly.Memory,
  build: (f: FunctionBuilder, p: { p: Int; n: Int }) => void,
  relaxed = false,
): (p: number, n: number) => void {
  const module = new WasmModule({ shared: false, maximumPages: memory.buffer.byteLength / 65536, relaxed });
  module.function('f', ['p', 'n'], build);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()), { env: { memory } });
  return exports.f as (p: number, n: number) => void;
}

const page = (pages = 1): WebAssembly.Memory => new WebAssembly.Memory({ initial: pages, maximum: pages });

test('numbers are encoded as the specification says', () => {
  expect(unsigned(0)).toEqual([0]);
  expect(unsigned(127)).toEqual([127]);
  expect(unsigned(128)).toEqual([0x80, 1]);
  expect(unsigned(624485)).toEqual([0xe5, 0x8e, 0x26]); // the example of the DWARF standard
  expect(unsigned(0xffffffff)).toEqual([0xff, 0xff, 0xff, 0xff, 0x0f]);
  expect(signed(63)).toEqual([63]);
  expect(signed(64)).toEqual([0xc0, 0]);
  expect(signed(-1)).toEqual([0x7f]);
  expect(signed(-64)).toEqual([0x40]);
  expect(signed(-65)).toEqual([0xbf, 0x7f]);
  expect(signed(-123456)).toEqual([0xc0, 0xbb, 0x78]);
});

test('every signed constant comes back as itself', () => {
  const memory = page();
  const words = new Int32Array(memory.buffer);
  fc.assert(fc.property(fc.integer(), (x) => {
    runOn(memory, (f, { p }) => f.store(p, i32.of(x)))(8, 0);
    return words[2] === x;
  }), { numRuns: 60, examples: [[0], [-1], [2 ** 31 - 1], [-(2 ** 31)], [63], [64], [-64], [-65]] });
});

test('loops, branches and nested functions of the host agree with plain code', () => {
  const memory = page();
  const words = new Int32Array(memory.buffer);
  const f = runOn(memory, (f, { p, n }) => {
    const [i, j, total] = f.locals('i32', 3) as [Int, Int, Int];
    f.loop(i, n, 2, () => f.loop(j, i, 1, () => f.if(i32.lt(j, 3), () => f.bump(total, j), () => f.bump(total, -1))));
    f.store(p, total);
  });
  for (const n of [0, 1, 2, 5, 10, 33]) {
    let total = 0;
    for (let i = 0; i < n; i += 2) for (let j = 0; j < i; j++) total += j < 3 ? j : -1;
    f(0, n);
    expect(words[0]).toBe(total);
  }
});

test('integer arithmetic is that of 32-bit integers', () => {
  const memory = page();
  const words = new Int32Array(memory.buffer);
  const f = runOn(memory, (f, { p, n }) => {
    [
      i32.add(p, n),
      i32.sub(p, n),
      i32.mul(p, n),
      i32.and(p, n),
      i32.eq(p, n),
      i32.ne(p, n),
      i32.lt(p, n),
      i32.gt(p, n),
      i32.ge(p, n),
      i32.min(p, n),
      i32.shiftRight(n, 1),
    ].forEach((value, k) => f.store(256, value, 4 * k));
  });
  fc.assert(fc.property(fc.integer(), fc.integer(), (a, b) => {
    f(a, b);
    expect([...words.subarray(64, 75)]).toEqual([
      (a + b) | 0,
      (a - b) | 0,
      Math.imul(a, b),
      a & b,
      +(a === b),
      +(a !== b),
      +(a < b),
      +(a > b),
      +(a >= b),
      Math.min(a, b),
      b >> 1,
    ]);
  }), { examples: [[1, 1], [-1, 1]] });
});

test('vectors: sums, lanes, splats and integer views', () => {
  const memory = page();
  const floats = new Float32Array(memory.buffer);
  floats.set([1.5, -2, 3, 100]);
  runOn(memory, (f, { p }) => {
    const v = f.local('v128');
    f.set(v, v128.load(p));
    f.store(p, v128.sum(v), 16);
    f.store(p, v128.largest(v), 20);
    f.store(p, v128.lane(v, 2), 24);
    f.store(p, f32.sqrt(f32.fromInt(81)), 28);
    f.store(p, v128.nearest(v), 32);
    f.store(p, i32x4.toFloats(i32x4.add(i32x4.fromFloats(v), i32x4.of(7))), 48);
  })(0, 0);
  expect([...floats.subarray(4, 16)]).toEqual([102.5, 100, 3, 9, 2, -2, 3, 100, 8, 5, 10, 107]);
});

/** Largest relative error of a function over `xs`, in units of float32's half spacing 2^-24. */
function worstError(build: typeof exp, of: (x: number) => number, relaxed: boolean, xs: Float32Array): number {
  const memory = page(Math.ceil((8 * xs.length) / 65536) + 1);
  const floats = new Float32Array(memory.buffer);
  const n = xs.length & ~3;
  floats.set(xs);
  runOn(memory, (f, { p, n }) => {
    const at = f.local('i32');
    f.loop(at, n, 16, () => f.store(i32.add(p, at), build(f, v128.load(at))));
  }, relaxed)(4 * n, 4 * n);
  let worst = 0;
  for (let i = 0; i < n; i++) {
    const right = of(floats[i]!);
    worst = Math.max(worst, Math.abs(floats[n + i]! - right) / Math.max(Math.abs(right), 2 ** -24) * 2 ** 24);
  }
  return worst;
}

const variants = [false, ...(relaxedSimd() ? [true] : [])];

test.each(variants)('exp is within 3 half-spacings from -87 to 88 (relaxed: %s)', (relaxed) => {
  const xs = Float32Array.from({ length: 400_000 }, (_, i) => -87 + (175 * i) / 400_000);
  expect(worstError(exp, Math.exp, relaxed, xs.map((x) => (x < -16 ? x / 6 : x)))).toBeLessThan(3);
});

test.each(variants)(
  'log is within 4 half-spacings, or 2^-23 absolute near 1, over 1e-30 to 1e30 (relaxed: %s)',
  (relaxed) => {
    const far = Float32Array.from({ length: 200_000 }, (_, i) => 10 ** (-30 + (60 * i) / 200_000));
    const near = Float32Array.from({ length: 200_000 }, (_, i) => 0.5 + i / 100_000);
    for (const xs of [far, near]) expect(worstError(log, Math.log, relaxed, xs)).toBeLessThan(4);
  },
);

test('exp is exactly 1 at 0, 0 and infinite far out, and keeps what is not a number', () => {
  const memory = page();
  const floats = new Float32Array(memory.buffer);
  floats.set([0, -1e30, 1e30, NaN]);
  runOn(memory, (f, { p }) => {
    f.store(p, exp(f, v128.load(p)), 16);
  })(0, 0);
  expect(floats[4]).toBe(1);
  expect(floats[5]).toBe(0);
  expect(floats[6]).toBe(Infinity);
  expect(floats[7]).toBeNaN();
});
