// npm run bench kernels [cpu] [webgpu] [--peak GFLOPS,GBS] [--out FILE]: representative kernels at the shapes of a
// training step, and at larger ones on a real GPU; on each device given (both, if none is). Every result is checked
// against the kernel's reference first. Then: median and spread, GFLOP/s or GB/s, and how many times the napkin lower
// bound that is, which is the arithmetic or the bytes, whichever takes longer, at the hardware's peak rates; where
// --peak does not tell them, at the best rates that any kernel of the run has reached. Dispatches follow each other and
//  write the same memory, so they do not overlap. --out appends one JSON line per figure.

import { appendFileSync } from 'node:fs';
import { arch, cpus, release } from 'node:os';
import { createRequire } from 'node:module';
import type { Backend, TensorStorage } from '../engine/backend.ts';
import { CpuBackend } from '../engine/cpu/backend.ts';
import { relaxedSimd } from '../engine/cpu/wasm/relaxed.ts';
import { highest } from '../engine/extremes.ts';
import { rotaryTable } from '../engine/ops/attention.ts';
import { ConfigError, DeviceError } from '../engine/errors.ts';
import { rng } from '../engine/rng.ts';
import { openGpu } from '../engine/webgpu/adapter.ts';
import { WebGpuBackend } from '../engine/webgpu/backend.ts';
import { PORTABLE } from '../engine/webgpu/variants.ts';
import { swigluBackwardKernel, swigluKernel } from '../kernels/activation/activation.ts';
import { attentionBackwardKernel, attentionForwardKernel } from '../kernels/attention/attention.ts';
import { crossEntropyKernel } from '../kernels/cross-entropy/cross-entropy.ts';
import { binaryKernels } from '../kernels/elementwise/elementwise.ts';
import type { HostArray, Kernel } from '../kernels/kernel.ts';
import { ladder, matmulKernel } from '../kernels/matmul/matmul.ts';
import { rmsNormBackwardKernel, rmsNormKernel } from '../kernels/norm/norm.ts';
import { adamwKernel } from '../kernels/optim/adamw.ts';
import { benchArguments, oneOf } from './arguments.ts';

/** One thing to time: a kernel at a shape, with what it must at least do. */
interface Entry {
  readonly label: string;
  readonly kernel: Kernel;
  readonly buffers: Readonly<Record<string, HostArray>>;
  readonly params: Readonly<Record<string, number>>;
  /** Multiplications and additions. */
  readonly flops: number;
  /** Bytes that must be read and written once. */
  readonly bytes: number;
  /** The one device that this is for; default: all. */
  readonly only?: 'cpu' | 'webgpu';
}

interface Figure {
  readonly entry: Entry;
  /** Milliseconds per dispatch. */
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
  readonly error: number;
}

// no fewer than 3 samples, however long they take
const SAMPLES = 15;
const SAMPLE_MS = 20;
const MOST_PER_SAMPLE = 2000;
const FIGURE_MS = 2000;
// of the largest magnitude: enough to catch a wrong kernel, not to judge a right one (tests/webgpu does)
const TOLERANCE = 1e-4;
const HALF_TOLERANCE = 1e-3; // where factors are rounded to 11 bits

export const help = `npm run bench kernels -- [cpu] [webgpu] [flags]

Representative kernels at the shapes of a training step, and at larger ones on a real GPU; on each device given, or on both. Every result is
checked first.

  --peak <GFLOPS,GBS>   the hardware's peak rates, such as 67000,4800; by default the best rates of this run
  --out <file>          appends one JSON line per figure
`;

const DEVICES = ['cpu', 'webgpu'] as const;

export async function run(argv: readonly string[]): Promise<void> {
  const args = benchArguments('kernels', argv, { out: { type: 'string' }, peak: { type: 'string' } }, DEVICES.length);
  const out = args.text('out');
  const peak = args.text('peak');
  const peaks = peak?.split(',').map(Number);
  if (peaks && !(peaks.length === 2 && peaks.every((rate) => rate > 0))) {
    throw new ConfigError(`bench kernels: --peak ${peak}: must be GFLOP/s,GB/s, such as 67000,4800`);
  }
  const chosen = args.positionals.map((word) => oneOf('kernels', word, DEVICES));
  for (const name of chosen.length > 0 ? chosen : DEVICES) {
    const { backend, versions } = name === 'cpu' ? openCpu() : await openWebGpu();
    const isReal = backend instanceof WebGpuBackend && !backend.software;
    console.log(
      `\n${backend.name}; ${versions}; median (10th to 90th percentile) of samples of at least ${SAMPLE_MS} ms`,
    );
    const figures: Figure[] = [];
    const here = entries(isReal).filter(
      ({ only, kernel, params }) =>
        (only ?? name) === name && (!(backend instanceof WebGpuBackend) || backend.canRun(kernel.wgsl!, params)),
    );
    for (const entry of here.flatMap((entry) => withPortable(entry, backend))) {
      figures.push(await measured(backend, entry));
    }
    report(figures, peaks);
    if (out !== undefined) {
      for (const figure of figures) appendFileSync(out, `${JSON.stringify(lineOf(figure, backend, versions))}\n`);
    }
    if (backend instanceof WebGpuBackend) await backend.close();
  }
}

function openCpu(): { backend: Backend; versions: string } {
  return {
    backend: new CpuBackend(),
    versions:
      `${cpus()[0]?.model ?? arch()}, node ${process.version}, relaxed SIMD ${relaxedSimd() ? 'on' : 'off'}, one ` +
      'thread',
  };
}

async function openWebGpu(): Promise<{ backend: WebGpuBackend; versions: string }> {
  const gpu = await openGpu({ software: 'allowed' });
  if (typeof gpu === 'string') throw new DeviceError(`bench kernels: webgpu: ${gpu}`);
  const { version } = createRequire(import.meta.url)('webgpu/package.json') as { version: string };
  return {
    backend: new WebGpuBackend(gpu.device, gpu),
    versions: `webgpu ${version}, node ${process.version}, ${process.platform} ${release()}`,
  };
}

/** The shapes: those of the tiny world's training step (736 tokens of 64 channels), and larger ones. */
function entries(large: boolean): Entry[] {
  const found: Entry[] = [];
  for (const [M, N, K, transA, transB] of [
    [736, 192, 64, 0, 1],
    [736, 64, 192, 0, 0],
    [192, 64, 736, 1, 0],
    [1, 512, 512, 0, 1],
    [256, 256, 256, 0, 0],
    [512, 512, 512, 0, 0],
    ...(large
      ? ([
          [2048, 512, 128, 0, 1],
          [2048, 2048, 2048, 0, 0],
          [4096, 4096, 4096, 0, 0],
        ] as const)
      : []),
  ] as const) {
    for (const entry of matmuls([M, N, K], transA, transB, large)) found.push(entry);
  }
  for (const [B, T, H, D] of [[32, 23, 4, 16], ...(large ? ([[32, 256, 8, 64]] as const) : [])] as const) {
    for (const entry of attentions(B, T, H, D)) found.push(entry);
  }
  for (const [rows, C] of [[736, 64], ...(large ? ([[16384, 512]] as const) : [])] as const) {
    for (const entry of norms(rows, C)) found.push(entry);
  }
  for (const [rows, V] of [[736, 70], [512, 4096], ...(large ? ([[2048, 32768]] as const) : [])] as const) {
    found.push(crossEntropy(rows, V));
  }
  for (const [rows, F] of [[736, 176], ...(large ? ([[16384, 1376]] as const) : [])] as const) {
    for (const entry of gates(rows, F)) found.push(entry);
  }
  for (const n of [110_000, 1_000_000, ...(large ? [16_000_000] : [])]) found.push(adamw(n), sum(n));
  return found;
}

/** On a GPU, a kernel for which another program runs than the one that runs anywhere is timed with that, too. */
function withPortable(entry: Entry, backend: Backend): Entry[] {
  const { kernel, label, params } = entry;
  if (!(backend instanceof WebGpuBackend) || backend.chosen(kernel, params) === PORTABLE) return [entry];
  return [entry, { ...entry, label: `${label} portable`, kernel: { ...kernel, variants: {} } }];
}

const normals = (n: number, seed: number): Float32Array => {
  const some = rng(seed).normals(Math.min(n, 100_003)); // drawn once and repeated: large arrays take long to draw
  return Float32Array.from({ length: n }, (_, i) => some[i % some.length]!);
};
const floats = (n: number, value = 0): Float32Array => new Float32Array(n).fill(value);
const bytesOf = (buffers: Readonly<Record<string, HostArray>>): number =>
  Object.values(buffers).reduce((total, { length }) => total + 4 * length, 0);

function matmuls(
  [M, N, K]: readonly [number, number, number],
  transA: number,
  transB: number,
  isReal: boolean,
): Entry[] {
  const params = {
    batch: 1, M, N, K, transA, transB, strideA: 0, strideB: 0, accumulate: 0, addBias: 0, addResidual: 0,
  };
  const operands = { a: normals(M * K, 1), b: normals(K * N, 2), out: floats(M * N) };
  const flops = 2 * M * N * K;
  const bytes = bytesOf(operands);
  const none = floats(1);
  const buffers = { ...operands, bias: none, residual: none };
  const shape = `${M}x${N}x${K} ${transA ? 'T' : 'N'}${transB ? 'T' : 'N'}`;
  // elsewhere they take minutes
  const isWorthIt = (rung: string): boolean => (rung === 'gemv' ? M <= 32 : isReal || !rung.startsWith('split'));
  const rungs = Object.entries(ladder)
    .filter(([rung]) => isWorthIt(rung))
    .map(([rung, program]): Entry => ({
      label: `matmul ${shape} ${rung}`,
      kernel: { ...matmulKernel, wgsl: program, variants: {} },
      buffers,
      params,
      flops,
      bytes,
      only: 'webgpu',
    }));
  return [
    { label: `matmul ${shape}`, kernel: matmulKernel, buffers, params, flops, bytes, only: 'cpu' },
    ...rungs,
  ];
}

function attentions(B: number, T: number, H: number, D: number): Entry[] {
  const params = { B, T, H, KV: H, D, rotary: 1 };
  const n = B * T * H * D;
  const pairs = (B * H * T * (T + 1)) / 2;
  const forward = {
    qkv: normals(3 * n, 3),
    table: Float32Array.from(rotaryTable(T, D, 10000)),
    out: floats(n),
    logSumExp: floats(B * H * T),
  };
  const saved = { ...forward, out: floats(n), logSumExp: floats(B * H * T) };
  attentionForwardKernel.reference(saved, params);
  const backward = { ...saved, dOut: normals(n, 4), dQkv: floats(3 * n) };
  const shape = `B${B} T${T} H${H} D${D}`;
  return [
    {
      label: `attention ${shape}`,
      kernel: attentionForwardKernel,
      buffers: forward,
      params,
      flops: 4 * pairs * D,
      bytes: bytesOf(forward),
    },
    {
      label: `attentionBackward ${shape}`,
      kernel: attentionBackwardKernel,
      buffers: backward,
      params,
      flops: 10 * pairs * D,
      bytes: bytesOf(backward),
    },
  ];
}

function norms(rows: number, C: number): Entry[] {
  const x = normals(rows * C, 5);
  const weight = normals(C, 6);
  const dOut = normals(rows * C, 7);
  const rstd = floats(rows);
  const params = { rows, C, epsilon: 1e-5, accumulate: 0 };
  const n = rows * C;
  rmsNormKernel.reference({ x, weight, out: floats(n), rstd }, params);
  return [
    entry('rmsNorm', rmsNormKernel, { x, weight, out: floats(n), rstd: floats(rows) }, params, 4 * n),
    entry(
      'rmsNormBackward',
      rmsNormBackwardKernel,
      { x, weight, rstd, dOut, dx: floats(n), dWeight: floats(C) },
      params,
      10 * n,
    ),
  ].map((one) => ({ ...one, label: `${one.label} ${rows}x${C}` }));
}

function crossEntropy(rows: number, V: number): Entry {
  const stream = rng(8).stream();
  const buffers = {
    logits: normals(rows * V, 9),
    targets: Int32Array.from({ length: rows }, () => stream.int(V)),
    weights: floats(rows, 1),
    logProb: floats(rows),
    losses: floats(rows),
    dLogits: floats(rows * V),
  };
  return entry(`crossEntropy ${rows}x${V}`, crossEntropyKernel, buffers, { rows, V, scale: 1 / rows }, 6 * rows * V);
}

function gates(rows: number, F: number): Entry[] {
  const gateUp = normals(2 * rows * F, 10);
  const n = rows * F;
  const params = { rows, F };
  return [
    entry(`swiglu ${rows}x${F}`, swigluKernel, { gateUp, out: floats(n) }, params, 6 * n),
    entry(
      `swigluBackward ${rows}x${F}`,
      swigluBackwardKernel,
      { gateUp, dOut: normals(n, 11), dGateUp: floats(2 * n) },
      params,
      12 * n,
    ),
  ];
}

function adamw(n: number): Entry {
  const buffers = {
    values: normals(n, 12),
    m: floats(n),
    v: floats(n, 1),
    gradients: normals(n, 13),
    norm: Float32Array.of(1, 1),
    correction: Float32Array.of(0.1, 0.05),
  };
  const params = {
    n, nDecay: n, rate: 1e-3, beta1: 0.9, beta2: 0.95, rest1: 0.1, rest2: 0.05, epsilon: 1e-8, weightDecay: 0.05,
  };
  const one = entry(`adamw ${n}`, adamwKernel, buffers, params, 14 * n);
  return { ...one, bytes: 28 * n }; // values, m and v are both read and written
}

function sum(n: number): Entry {
  const flat = { d0: 1, d1: 1, d2: 1, d3: n, a0: 0, a1: 0, a2: 0, a3: 1, b0: 0, b1: 0, b2: 0, b3: 1 };
  return entry(`add ${n}`, binaryKernels.add, { a: normals(n, 14), b: normals(n, 15), out: floats(n) }, flat, n);
}

function entry<B extends string, P extends string>(
  label: string,
  kernel: Kernel<B, P>,
  buffers: Readonly<Record<B, HostArray>>,
  params: Readonly<Record<P, number>>,
  flops: number,
): Entry {
  return { label, kernel, buffers, params, flops, bytes: bytesOf(buffers) };
}

/** Checks a kernel's result, then times it. Throws when it differs from the reference. */
async function measured(backend: Backend, one: Entry): Promise<Figure> {
  const { kernel, buffers, params } = one;
  const storages: Record<string, TensorStorage> = {};
  for (const [name, values] of Object.entries(buffers)) {
    storages[name] = backend.alloc(values.length, values instanceof Int32Array ? 'i32' : 'f32');
    backend.write(storages[name], values);
  }
  const dispatch = (): void => backend.dispatch(kernel, storages, params);
  const owner = {};
  dispatch();
  const error = await check(backend, one, storages);
  const sample = async (count: number): Promise<number> => {
    const start = performance.now();
    backend.beginStep(owner); // so that commands are remembered
    for (let i = 0; i < count; i++) dispatch();
    await backend.endStep();
    await backend.read(probe);
    return performance.now() - start;
  };
  const probe = backend.alloc(1, 'f32'); // reading it waits for everything before
  backend.write(probe, [0]);
  let count = 1;
  for (let ms = await sample(1); ms < SAMPLE_MS && count < MOST_PER_SAMPLE; ms = await sample(count)) {
    count = Math.min(MOST_PER_SAMPLE, Math.ceil(count * Math.min(10, (1.2 * SAMPLE_MS) / ms)));
  }
  const times: number[] = [];
  const begun = performance.now();
  while (times.length < SAMPLES && (times.length < 3 || performance.now() - begun < FIGURE_MS)) {
    times.push((await sample(count)) / count);
  }
  times.sort((a, b) => a - b);
  for (const storage of [...Object.values(storages), probe]) backend.free(storage);
  const at = (share: number): number => times[Math.round(share * (times.length - 1))]!;
  return { entry: one, median: at(0.5), p10: at(0.1), p90: at(0.9), error };
}

// the rungs of a ladder share a reference
let last: { readonly key: string; readonly expected: Readonly<Record<string, HostArray>> } | undefined;

/** The largest error of what a first dispatch made, relative to the largest magnitude. */
async function check(
  backend: Backend,
  { label, kernel, buffers, params }: Entry,
  storages: Readonly<Record<string, TensorStorage>>,
): Promise<number> {
  if (label.startsWith('matmul') && params.M! * params.N! * params.K! > 2 ** 28) {
    return spotCheck(backend, label, buffers, params, storages.out!);
  }
  const key = `${kernel.name} ${JSON.stringify(params)}`;
  if (last?.key !== key) {
    const copies = Object.fromEntries(
      Object.entries(buffers).map(([name, values]) => [
        name,
        values instanceof Float32Array ? Float64Array.from(values) : values,
      ]),
    );
    kernel.reference(copies, params);
    last = {
      key,
      expected: Object.fromEntries(Object.entries(copies).filter(([name]) => kernel.bindings[name] !== 'read')),
    };
  }
  let worst = 0;
  for (const [name, right] of Object.entries(last.expected)) {
    const found = await backend.read(storages[name]!);
    worst = Math.max(
      worst,
      judge(label, name, (i) => found[i]!, right),
    );
  }
  return worst;
}

/** A large matrix product, at 64 elements. */
async function spotCheck(
  backend: Backend,
  label: string,
  { a, b }: Readonly<Record<string, HostArray>>,
  params: Readonly<Record<string, number>>,
  out: TensorStorage,
): Promise<number> {
  const { M, N, K, transA, transB } = params as Record<'M' | 'N' | 'K' | 'transA' | 'transB', number>;
  const found = await backend.read(out);
  const stream = rng(16).stream();
  const places = Array.from({ length: 64 }, () => [stream.int(M), stream.int(N)] as const);
  const right = Float64Array.from(places, ([m, n]) => {
    let total = 0;
    for (let k = 0; k < K; k++) total += a![transA ? k * M + m : m * K + k]! * b![transB ? n * K + k : k * N + n]!;
    return total;
  });
  return judge(label, 'out', (i) => found[places[i]![0] * N + places[i]![1]]!, right);
}

function judge(label: string, name: string, found: (i: number) => number, right: HostArray): number {
  const most = label.endsWith(' matrices') ? HALF_TOLERANCE : TOLERANCE;
  let scale = 1e-30;
  let worst = 0;
  for (let i = 0; i < right.length; i++) scale = Math.max(scale, Math.abs(right[i]!));
  for (let i = 0; i < right.length; i++) {
    const error = Math.abs(found(i) - right[i]!) / scale;
    if (!(error <= worst)) worst = error;
    if (!(error < most)) {
      throw new Error(`bench kernels: ${label}: ${name}[${i}] = ${found(i)}, the reference says ${right[i]}`);
    }
  }
  return worst;
}

/** Prints a table. peaks: GFLOP/s and GB/s. */
function report(figures: readonly Figure[], peaks?: readonly number[]): void {
  const best = (of: 'flops' | 'bytes'): number => highest(figures.map(({ entry, median }) => entry[of] / median)) / 1e6;
  const [gflops, gbs] = (peaks ?? [best('flops'), best('bytes')]) as [number, number];
  const flopsPerMs = 1e6 * gflops;
  const bytesPerMs = 1e6 * gbs;
  console.log(
    `bounds at ${gflops.toFixed(1)} GFLOP/s and ${gbs.toFixed(1)} GB/s, ${peaks ? 'as given' : 'the best of this run'}`,
  );
  for (const { entry: { label, flops, bytes }, median, p10, p90 } of figures) {
    const bound = Math.max(flops / flopsPerMs, bytes / bytesPerMs);
    const isArithmetic = flops / flopsPerMs >= bytes / bytesPerMs;
    const rate = isArithmetic
      ? `${(flops / median / 1e6).toFixed(1)} GFLOP/s`
      : `${(bytes / median / 1e6).toFixed(2)} GB/s`;
    console.log(
      `${label.padEnd(36)} ${micros(median)} (${micros(p10).trim()} .. ${micros(p90).trim()}) us  ` +
      `${rate.padStart(16)}  bound ${micros(bound)} us, x ${(median / bound).toFixed(1)}`,
    );
  }
}

function micros(ms: number): string {
  return (1000 * ms).toFixed(1).padStart(9);
}

function lineOf(
  { entry: { label, flops, bytes, kernel, params }, median, p10, p90, error }: Figure,
  backend: Backend,
  versions: string,
): object {
  return {
    date: new Date().toISOString(),
    adapter: backend.name,
    versions,
    label,
    kernel: kernel.name,
    params,
    flops,
    bytes,
    medianMs: median,
    p10Ms: p10,
    p90Ms: p90,
    error,
  };
}
