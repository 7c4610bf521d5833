// Attention with heads side by side: where each float lies, and the algorithm of attention.wasm.ts once more, over plain
// arrays of lanes, without blocks, tiles and addresses. Read beside kernels/attention/heads.wasm.ts.

import { describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { rng } from '../../engine/rng.ts';
import { attentionForwardKernel } from '../../kernels/attention/attention.ts';
import { interleave, spread } from '../../kernels/attention/heads.wasm.ts';
import { WasmModule } from '../../kernels/wasm/assembler.ts';

describe.each([{ wide: false, lanes: 4 }, { wide: true, lanes: 8 }])('in vectors of $lanes heads', ({ wide, lanes }) => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const floats = new Float32Array(memory.buffer);
  const module = new WasmModule({ shared: false, maximumPages: 1, relaxed: false, wide });
  const [inward, outward] = [interleave(module), spread(module)];
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()), { env: { memory } });
  const [T, D] = [3, 2];
  const row = 4 * (lanes * D + 5); // bytes of a row of vectors, and a pad
  const VECTORS = 4096;

  /** For four heads at a time: those from `first` on. */
  function walk(callee: typeof inward, name: string, first: number): void {
    const headAt = (head: number): number => 4 * head * D;
    const places = { a0: headAt(first), a1: headAt(first + 1), a2: headAt(first + 2), a3: headAt(first + 3) };
    const values: Readonly<Record<string, number>> = {
      ...places, row: 4 * lanes * D, to: VECTORS + 4 * first, toRow: row, rows: T, n: D,
    };
    (exports[name] as (...integers: number[]) => void)(...callee.parameters.map((parameter) => values[parameter]!));
  }

  test('three tokens of two channels become rows of vectors, and come back', () => {
    const memoryOf = Array.from({ length: T * lanes * D }, (_, i) => i + 1); // [token][head][channel]
    floats.set(memoryOf);
    for (let first = 0; first < lanes; first += 4) walk(inward, 'attentionInterleave', first);
    for (let t = 0; t < T; t++) {
      for (let d = 0; d < D; d++) {
        const vector = (VECTORS + t * row) / 4 + d * lanes;
        const expected = Array.from({ length: lanes }, (_, head) => memoryOf[(t * lanes + head) * D + d]);
        expect([...floats.subarray(vector, vector + lanes)], `token ${t}, channel ${d}`).toEqual(expected);
      }
    }
    floats.fill(0, 0, memoryOf.length);
    for (let first = 0; first < lanes; first += 4) walk(outward, 'attentionSpread', first);
    expect([...floats.subarray(0, memoryOf.length)]).toEqual(memoryOf);
  });
});

/** One number of each of several heads. */
type Lanes = readonly number[];

const map = (of: (...numbers: number[]) => number, ...vectors: readonly Lanes[]): Lanes =>
  vectors[0]!.map((_, lane) => of(...vectors.map((vector) => vector[lane]!)));
const add = (a: Lanes, b: Lanes): Lanes => map((x, y) => x + y, a, b);
const multiply = (a: Lanes, b: Lanes): Lanes => map((x, y) => x * y, a, b);
const dot = (a: readonly Lanes[], b: readonly Lanes[]): Lanes => a.map((x, i) => multiply(x, b[i]!)).reduce(add);

interface Sizes { readonly B: number; readonly T: number; readonly H: number; readonly KV: number; readonly D: number }

/** qkv [B,T,(H+2KV)*D] -> out [B,T,H*D], `lanes` pairs of a batch row and a key head at a time. */
function attention(qkv: ArrayLike<number>, { B, T, H, KV, D }: Sizes, lanes: number): number[] {
  const out: number[] = [];
  const pairs = Array.from({ length: B * KV }, (_, i) => ({ b: Math.floor(i / KV), kv: i % KV }));
  const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
  for (let first = 0; first < pairs.length; first += lanes) {
    const unit = upTo(lanes).map((lane) => pairs[Math.min(first + lane, pairs.length - 1)]!); // the last, again and again
    const placeOf = (b: number, t: number, heads: number, head: number): number => ((b * T + t) * heads + head) * D;
    const gather = (headOf: (kv: number) => number): Lanes[][] =>
      upTo(T).map((t) =>
        upTo(D).map((d) => unit.map(({ b, kv }) => qkv[placeOf(b, t, H + 2 * KV, headOf(kv)) + d]!)),
      );
    const keys = gather((kv) => H + kv);
    const values = gather((kv) => H + KV + kv);
    for (let member = 0; member < H / KV; member++) {
      const queryHead = (kv: number): number => (kv * H) / KV + member;
      gather(queryHead).forEach((query, t) => {
        const scores = keys.slice(0, t + 1).map((key) => dot(query, key)); // of what it may see
        const most = scores.reduce((a, b) => map(Math.max, a, b));
        const powers = scores.map((score) => map((s, m) => Math.exp((s - m) / Math.sqrt(D)), score, most));
        const total = powers.reduce(add);
        const weights = powers.map((power) => map((p, sum) => p / sum, power, total));
        for (let d = 0; d < D; d++) {
          const mixed = dot(weights, values.slice(0, t + 1).map((value) => value[d]!));
          unit.forEach(({ b, kv }, lane) => (out[placeOf(b, t, H, queryHead(kv)) + d] = mixed[lane]!));
        }
      });
    }
  }
  return out;
}

test.each<Sizes>([
  { B: 1, T: 3, H: 4, KV: 4, D: 2 },
  { B: 2, T: 7, H: 6, KV: 3, D: 4 },
  { B: 3, T: 5, H: 1, KV: 1, D: 3 },
])('the algorithm over arrays of lanes gives what the kernel gives: %o', async (sizes) => {
  const { B, T, H, KV, D } = sizes;
  const qkv = Float32Array.from(rng(7).normals(B * T * (H + 2 * KV) * D));
  const expected = attention(qkv, sizes, 4);
  expect(attention(qkv, sizes, 8)).toEqual(expected); // sums never cross lanes
  const cpu = new CpuBackend();
  const upload = (values: Float32Array) => {
    const storage = cpu.alloc(values.length, 'f32');
    cpu.write(storage, values);
    return storage;
  };
  const [out, logSumExp] = [cpu.alloc(B * T * H * D, 'f32'), cpu.alloc(B * H * T, 'f32')];
  const buffers = { qkv: upload(qkv), table: upload(new Float32Array(1)), out, logSumExp };
  cpu.dispatch(attentionForwardKernel, buffers, { ...sizes, rotary: 0 });
  const found = await cpu.read(out);
  expect(found.length).toBe(expected.length);
  expected.forEach((x, i) => expect(Math.abs(found[i]! - x)).toBeLessThan(1e-6));
});
