// npm run bench gpu [--out FOLDER] [--only TEXT,...] [--python PROGRAM] [--small]: everything there is to know of a
// card, in one go and in minutes: what it is, whether every program is right on it, the ladder of the matrix product,
// attention, kernels that memory bounds, what a dispatch and a read cost, training steps, generation, and which program
// wins at the shapes of a step. Where the Python (default: python3) has PyTorch, its figures of the same work are taken
// by turns with ours. FOLDER (default: runs/gpu) gets gpu.json and gpu.md. A software adapter is taken where there is
// no GPU, with --small, to try the command: such adapters are right, not fast.

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { TensorStorage } from '../engine/backend.ts';
import { CpuBackend } from '../engine/cpu/backend.ts';
import { highest } from '../engine/extremes.ts';
import { ConfigError, DeviceError } from '../engine/errors.ts';
import { rotaryTable } from '../engine/ops/attention.ts';
import type { MatmulParams } from '../engine/matmul-probe.ts';
import { rng } from '../engine/rng.ts';
import { useBackend } from '../engine/runtime.ts';
import { openGpu, type Gpu } from '../engine/webgpu/adapter.ts';
import { WebGpuBackend } from '../engine/webgpu/backend.ts';
import { shapeKey } from '../engine/webgpu/variants.ts';
import { attentionBackwardKernel, attentionForwardKernel } from '../kernels/attention/attention.ts';
import { copyKernel } from '../kernels/copy/copy.ts';
import { crossEntropyKernel } from '../kernels/cross-entropy/cross-entropy.ts';
import { binaryKernels } from '../kernels/elementwise/elementwise.ts';
import type { Kernel } from '../kernels/kernel.ts';
import { ladder, matmulKernel } from '../kernels/matmul/matmul.ts';
import { rmsNormKernel } from '../kernels/norm/norm.ts';
import { adamwKernel, gradientNormKernel } from '../kernels/optim/adamw.ts';
import { generate } from '../nn/generate.ts';
import { timeMatmul } from '../remit/app/cli/tune-matmul.ts';
import { checkCase } from '../tests/support/check-case.ts';
import { everyCase } from '../tests/webgpu/cases.ts';
import { benchArguments } from './arguments.ts';
import { page } from './gpu-page.ts';
import { models, training, type Trained } from './models.ts';
import { Torch } from './torch.ts';
import { takeTurns, type Contender, type Turns } from './turns.ts';

type Numbers = Readonly<Record<string, number>>;

/** One row of a table: what was timed, what it must at least do, and everyone's times. */
export interface Row {
  readonly label: string;
  readonly flops?: number;
  readonly bytes?: number;
  /** The program that runs at this shape, where there are several. */
  readonly chosen?: string;
  readonly turns: readonly Turns[];
}

export interface StepRow extends Row {
  readonly tokens: number;
  readonly dispatches: number;
  /** Milliseconds that a step keeps our own thread busy with recording, encoding and submitting. */
  readonly hostMs: number;
  /** GPU milliseconds per step, by program. */
  readonly profile: readonly (readonly [program: string, ms: number, calls: number])[];
}

export interface Report {
  date: string;
  machine: Readonly<Record<string, unknown>>;
  parity?: { cases: number; programs: number; worst: number; complaints: readonly string[]; lossesApart: number };
  matmul?: Row[];
  attention?: Row[];
  memory?: Row[];
  latency?: Row[];
  step?: StepRow[];
  generation?: Row[];
  tune?: { readonly key: string; readonly table: string; readonly times: Numbers }[];
}

const PARTS = ['parity', 'matmul', 'attention', 'memory', 'latency', 'step', 'generation', 'tune'] as const;

const products = [
  [512, 512, 512, 0, 0],
  [1024, 1024, 1024, 0, 0],
  [2048, 2048, 2048, 0, 0],
  [4096, 4096, 4096, 0, 0],
  [4096, 4096, 4096, 0, 1],
  [4096, 4096, 4096, 1, 0],
  [2048, 512, 128, 0, 1],
  [2048, 128, 512, 0, 0],
  [512, 128, 2048, 1, 0],
  [2048, 384, 128, 0, 1],
  [2048, 128, 128, 0, 1],
  [736, 192, 64, 0, 1],
  [1, 512, 512, 0, 1],
  [32, 1024, 1024, 0, 1],
] as const;
const smallProducts = [[64, 64, 64, 0, 0], [132, 68, 36, 0, 1], [68, 132, 36, 1, 0], [1, 64, 64, 0, 1]] as const;

const heads = [[16, 128, 4, 32], [32, 256, 8, 64], [8, 512, 8, 64]] as const; // B, T, H, D
const smallHeads = [[2, 40, 2, 16]] as const;

export const help = `npm run bench gpu -- [flags]

Everything there is to know of a card, in minutes; PyTorch's figures of the same work are taken by turns with ours where there is PyTorch.

  --out <folder>       gets gpu.json and gpu.md (default runs/gpu)
  --only <a,b,...>     some of: ${PARTS.join(', ')}
  --python <program>   the Python that may have PyTorch (default python3)
  --small              takes a software adapter, too, and small sizes: to try the command
`;

export async function run(argv: readonly string[]): Promise<void> {
  const args = benchArguments(
    'gpu',
    argv,
    { out: { type: 'string' }, only: { type: 'string' }, python: { type: 'string' }, small: { type: 'boolean' } },
    0,
  );
  const values = {
    out: args.text('out') ?? 'runs/gpu',
    only: args.text('only') ?? PARTS.join(),
    python: args.text('python') ?? 'python3',
    small: args.has('small'),
  };
  const wanted = values.only.split(',');
  const unknown = wanted.find((part) => !PARTS.some((known) => known === part));
  if (unknown !== undefined) throw new ConfigError(`bench gpu: --only ${unknown}: must be of ${PARTS.join(', ')}`);
  const gpu = await openGpu({ software: values.small ? 'allowed' : 'never' });
  if (typeof gpu === 'string') throw new DeviceError(`bench gpu: ${gpu}`);
  const backend = new WebGpuBackend(gpu.device, gpu);
  const torch = await Torch.start(values.python);
  const report: Report = { date: new Date().toISOString(), machine: machine(gpu, torch) };
  const parts: Readonly<Record<(typeof PARTS)[number], () => Promise<unknown>>> = {
    parity: async () => (report.parity = await parity(backend, values.small)),
    matmul: async () => (report.matmul = await matmuls(backend, torch, values.small)),
    attention: async () => (report.attention = await attentions(backend, torch, values.small)),
    memory: async () => (report.memory = await memory(backend, values.small)),
    latency: async () => (report.latency = await latency(backend)),
    step: async () => (report.step = await steps(backend, torch, values.small)),
    generation: async () => (report.generation = await generations(backend, torch, values.small)),
    tune: async () => (report.tune = await tune(backend, values.small)),
  };
  mkdirSync(values.out, { recursive: true });
  useBackend(backend);
  console.log(JSON.stringify(report.machine, null, 1));
  for (const part of PARTS.filter((part) => wanted.includes(part))) {
    const start = performance.now();
    await parts[part]();
    console.log(`${part}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
    // after each part: what is there, is there
    writeFileSync(join(values.out, 'gpu.json'), `${JSON.stringify(report, null, 1)}\n`);
    writeFileSync(join(values.out, 'gpu.md'), page(report));
  }
  console.log(page(report));
  torch?.close();
  await backend.close();
  if (report.parity && report.parity.complaints.length > 0) process.exitCode = 1;
}

function machine(
  { name, kind, software, adapter, device }: Gpu,
  torch: Torch | undefined,
): Readonly<Record<string, unknown>> {
  const { vendor, architecture, description, subgroupMinSize, subgroupMaxSize } = adapter.info;
  const { version } = createRequire(import.meta.url)('webgpu/package.json') as { version: string };
  const { subgroupMatrixConfigs = [] } = adapter.info as {
    readonly subgroupMatrixConfigs?: Iterable<Readonly<Record<string, unknown>>>;
  };
  const { limits } = device;
  return {
    name,
    kind,
    software,
    vendor,
    architecture,
    description,
    subgroups: [subgroupMinSize, subgroupMaxSize],
    matrices: [...subgroupMatrixConfigs].map(
      ({ componentType, resultComponentType, M, N, K }) => `${componentType} -> ${resultComponentType} ${M}x${N}x${K}`,
    ),
    features: [...adapter.features].sort(),
    used: [...device.features].sort(),
    limits: {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    },
    driver: driver(),
    webgpu: version,
    node: process.version,
    system: `${process.platform} ${release()}`,
    processor: `${cpus().length} x ${cpus()[0]?.model}`,
    torch: torch?.about ?? 'none',
  };
}

function driver(): string {
  try {
    return execFileSync(
      'nvidia-smi',
      ['--query-gpu=name,driver_version,clocks.max.sm,power.limit', '--format=csv,noheader'],
      { encoding: 'utf8' },
    ).trim();
  } catch {
    return 'unknown'; // no such program
  }
}

/** Every case of every kernel by every program, and the losses of some training steps beside the CPU's. */
async function parity(gpu: WebGpuBackend, small: boolean): Promise<NonNullable<Report['parity']>> {
  const cases = everyCase();
  const complaints: string[] = [];
  let programs = 0;
  let worst = 0;
  for (const one of small ? cases.filter((_, i) => i % 20 === 0) : cases) {
    const verdict = await checkCase(gpu, one);
    for (const complaint of verdict.complaints) complaints.push(complaint);
    programs += verdict.programs;
    worst = Math.max(worst, verdict.error);
  }
  const found = await losses(gpu, 5);
  const right = await losses(new CpuBackend(), 5);
  useBackend(gpu);
  const lossesApart = highest(found.map((loss, i) => Math.abs(loss / right[i]! - 1)));
  if (!(lossesApart < 1e-4)) complaints.push(`training: losses ${found.join(' ')}: the CPU has ${right.join(' ')}`);
  return { cases: cases.length, programs, worst, complaints, lossesApart };
}

async function losses(backend: WebGpuBackend | CpuBackend, count: number): Promise<number[]> {
  useBackend(backend);
  const trained = models.tiny!;
  const { train } = training(trained);
  const batches = batchesOf(trained);
  const found: number[] = [];
  for (let i = 0; i < count; i++) found.push(await (await train(...batches[0]!, i)).item());
  return found;
}

/** Eight batches of random tokens, drawn beforehand: inputs and targets. */
function batchesOf({ batch, T, config }: Trained): (readonly [Int32Array, Int32Array])[] {
  const stream = rng(2).stream();
  const tokens = (): Int32Array => Int32Array.from({ length: batch * T }, () => stream.int(config.vocabulary));
  return Array.from({ length: 8 }, () => [tokens(), tokens()] as const);
}

const normals = (n: number, seed: number): Float32Array => {
  const some = rng(seed).normals(Math.min(n, 100_003)); // drawn once and repeated: large arrays take long to draw
  return Float32Array.from({ length: n }, (_, i) => some[i % some.length]!);
};

/** Uploads what a kernel is run on; numbers are lengths of arrays that need no values. */
function buffersOf(
  gpu: WebGpuBackend,
  contents: Readonly<Record<string, Float32Array | Int32Array | number>>,
): Record<string, TensorStorage> {
  return Object.fromEntries(
    Object.entries(contents).map(([name, content]) => {
      const length = typeof content === 'number' ? content : content.length;
      const storage = gpu.alloc(length, content instanceof Int32Array ? 'i32' : 'f32');
      gpu.write(storage, typeof content === 'number' ? new Float32Array(length) : content);
      return [name, storage];
    }),
  );
}

/** A kernel on these buffers, `count` times in one submit. */
function dispatching(
  gpu: WebGpuBackend,
  name: string,
  kernel: Kernel,
  buffers: Readonly<Record<string, TensorStorage>>,
  params: Numbers,
): Contender {
  const owner = {};
  const probe = gpu.alloc(1, 'f32');
  return {
    name,
    sample: async (count) => {
      const start = performance.now();
      gpu.beginStep(owner);
      for (let i = 0; i < count; i++) gpu.dispatch(kernel, buffers, params);
      await gpu.endStep();
      await gpu.read(probe); // waits for everything before
      return performance.now() - start;
    },
  };
}

/** Ours by turns with PyTorch's, if there is one. */
async function withTorch(
  torch: Torch | undefined,
  works: Parameters<Torch['with']>[0],
  ours: readonly Contender[],
  options = {},
): Promise<Turns[]> {
  if (!torch) return takeTurns(ours, options);
  return torch.with(works, (theirs) => takeTurns([...theirs, ...ours], options));
}

async function matmuls(gpu: WebGpuBackend, torch: Torch | undefined, small: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [M, N, K, transA, transB] of small ? smallProducts : products) {
    const params = {
      batch: 1, M, N, K, transA, transB, strideA: 0, strideB: 0, accumulate: 0, addBias: 0, addResidual: 0,
    };
    const operands = buffersOf(gpu, { a: normals(M * K, 1), b: normals(K * N, 2), out: M * N });
    const buffers = { ...operands, bias: operands.b!, residual: operands.b! };
    const isWorthIt = (rung: string): boolean =>
      rung === 'gemv' ? M <= 32 : M * N * K <= 2 ** 31 || !/^(naive|blocked|split)/.test(rung);
    const rungs = Object.entries<NonNullable<typeof matmulKernel.wgsl>>(ladder).filter(
      ([rung, program]) => isWorthIt(rung) && gpu.canRun(program, params),
    );
    const label = `${M} x ${N} x ${K} ${transA ? 'T' : 'N'}${transB ? 'T' : 'N'}`;
    const contenders = rungs.map(([rung, program]) =>
      dispatching(gpu, rung, { ...matmulKernel, wgsl: program, variants: {} }, buffers, params),
    );
    const turns = await withTorch(
      torch,
      [{ name: 'PyTorch', make: 'matmul', sizes: params }],
      contenders,
      small ? { rounds: 2, sampleMs: 1 } : {},
    );
    rows.push({
      label,
      flops: 2 * M * N * K,
      bytes: 4 * (M * K + K * N + M * N),
      chosen: gpu.chosen(matmulKernel, params),
      turns,
    });
    for (const storage of Object.values(operands)) gpu.free(storage);
    console.log(lineOf(rows.at(-1)!));
  }
  return rows;
}

/** Every program of a kernel that runs at these sizes. */
function programs(gpu: WebGpuBackend, { variants, wgsl, ...kernel }: Kernel, params: Numbers): [string, Kernel][] {
  const all = Object.entries({ portable: wgsl!, ...variants }).filter(([, program]) => gpu.canRun(program, params));
  return all.map(([name, program]) => [name, { ...kernel, wgsl: program, variants: {} }]);
}

async function attentions(gpu: WebGpuBackend, torch: Torch | undefined, small: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [B, T, H, D] of small ? smallHeads : heads) {
    const params = { B, T, H, KV: H, D, rotary: 0 };
    const n = B * T * H * D;
    const pairs = (B * H * T * (T + 1)) / 2;
    const buffers = buffersOf(gpu, {
      qkv: normals(3 * n, 3),
      table: Float32Array.from(rotaryTable(T, D, 10000)),
      out: n,
      logSumExp: B * H * T,
      dOut: normals(n, 4),
      dQkv: 3 * n,
    });
    for (const [kernel, make, flops] of [
      [attentionForwardKernel, 'attention', 4],
      [attentionBackwardKernel, 'attentionBackward', 10],
    ] as const) {
      const contenders = programs(gpu, kernel, params).map(([name, one]) => dispatching(gpu, name, one, buffers, params));
      const turns = await withTorch(
        torch,
        [{ name: 'PyTorch', make, sizes: params }],
        contenders,
        small ? { rounds: 2, sampleMs: 1 } : { limitMs: 400 },
      );
      rows.push({
        label: `${make} B${B} T${T} H${H} D${D}`,
        flops: flops * pairs * D,
        bytes: 4 * (make === 'attention' ? 4 : 8) * n,
        chosen: gpu.chosen(kernel, params),
        turns,
      });
      console.log(lineOf(rows.at(-1)!));
    }
    for (const storage of Object.values(buffers)) gpu.free(storage);
  }
  return rows;
}

type Contents = number | Int32Array | Float32Array;

interface MemoryWork {
  readonly kernel: Kernel;
  readonly contents: Readonly<Record<string, Contents>>;
  readonly params: Numbers;
  readonly bytes: number;
}

/** Lets the compiler compare the names with the kernel's. */
function memoryWork<B extends string, P extends string>(
  kernel: Kernel<B, P>,
  contents: Readonly<Record<NoInfer<B>, Contents>>,
  params: Readonly<Record<NoInfer<P>, number>>,
  bytes: number,
): MemoryWork {
  return { kernel, contents, params, bytes };
}

/** Kernels that read and write much, and compute little. */
async function memory(gpu: WebGpuBackend, small: boolean): Promise<Row[]> {
  const n = small ? 1000 : 64_000_000;
  const [count, C, V] = small ? [10, 64, 100] : [65536, 512, 32768];
  const flat = { d0: 1, d1: 1, d2: 1, d3: n, a0: 0, a1: 0, a2: 0, a3: 1, b0: 0, b1: 0, b2: 0, b3: 1 };
  const adamw = {
    n, nDecay: n, rate: 1e-3, beta1: 0.9, beta2: 0.95, rest1: 0.1, rest2: 0.05, epsilon: 1e-8, weightDecay: 0.05,
  };
  const tokens = small ? 10 : 2048;
  const rows: Row[] = [];
  const works = [
    memoryWork(copyKernel, { x: n, out: n }, { n }, 8 * n),
    memoryWork(binaryKernels.add, { a: n, b: n, out: n }, flat, 12 * n),
    memoryWork(
      adamwKernel,
      // a norm of 0 would leave all as it is
      { values: n, m: n, v: n, gradients: n, norm: Float32Array.of(1, 1), correction: Float32Array.of(0.1, 0.05) },
      adamw,
      28 * n,
    ),
    memoryWork(gradientNormKernel, { x: 1_000_000, norm: 2 }, { n: 1_000_000, limit: 1 }, 4_000_000),
    memoryWork(
      rmsNormKernel,
      { x: count * C, weight: C, out: count * C, rstd: count },
      { rows: count, C, epsilon: 1e-5 },
      8 * count * C,
    ),
    memoryWork(
      crossEntropyKernel,
      {
        logits: tokens * V,
        targets: new Int32Array(tokens),
        weights: tokens,
        logProb: tokens,
        losses: tokens,
        dLogits: tokens * V,
      },
      { rows: tokens, V, scale: 1 },
      8 * tokens * V,
    ),
  ];
  for (const { kernel, contents, params, bytes } of works) {
    const buffers = buffersOf(gpu, contents);
    rows.push({
      label: kernel.name,
      bytes,
      turns: await takeTurns([dispatching(gpu, gpu.chosen(kernel, params), kernel, buffers, params)], { limitMs: 300 }),
    });
    for (const storage of Object.values(buffers)) gpu.free(storage);
    console.log(lineOf(rows.at(-1)!));
  }
  return rows;
}

/** What is paid whatever is computed. */
async function latency(gpu: WebGpuBackend): Promise<Row[]> {
  const buffers = buffersOf(gpu, { x: 64, out: 64 });
  const others = Array.from({ length: 8 }, () => buffersOf(gpu, { x: 64, out: 64 }));
  const kernel: Kernel = copyKernel;
  const params = { n: 64 };
  const owner = {};
  const spread: Contender = { name: 'ours', sample: async (count) => {
    const start = performance.now();
    gpu.beginStep(owner);
    for (let i = 0; i < count; i++) gpu.dispatch(kernel, others[i % 8]!, params);
    await gpu.endStep();
    await gpu.read(buffers.x!);
    return performance.now() - start;
  } };
  const read: Contender = { name: 'ours', sample: async (count) => {
    const start = performance.now();
    for (let i = 0; i < count; i++) await gpu.read(buffers.x!);
    return performance.now() - start;
  } };
  const rows: Row[] = [];
  for (const [label, contender] of [
    ['a dispatch that waits for the one before', dispatching(gpu, 'ours', kernel, buffers, params)],
    ['a dispatch beside seven others', spread],
    ['reading 256 bytes', read],
  ] as const) rows.push({ label, turns: await takeTurns([contender], { limitMs: 300 }) });
  return rows;
}

async function steps(gpu: WebGpuBackend, torch: Torch | undefined, small: boolean): Promise<StepRow[]> {
  const rows: StepRow[] = [];
  for (const name of small ? ['tiny'] : ['tiny', 'bench']) {
    const trained = models[name]!;
    const batches = batchesOf(trained);
    const { train } = training(trained);
    let i = 0;
    let hostMs = 0;
    const call = (): Promise<{ item(): Promise<number> }> => {
      const start = performance.now();
      const result = train(...batches[i % batches.length]!, i++);
      hostMs += performance.now() - start; // what comes before the first wait
      return result;
    };
    const waiting: Contender = { name: 'waiting for each loss', sample: async (count) => {
      const start = performance.now();
      for (let k = 0; k < count; k++) await (await call()).item();
      return performance.now() - start;
    } };
    const flowing: Contender = { name: 'waiting for the last', sample: async (count) => {
      const start = performance.now();
      for (let k = 1; k < count; k++) await call();
      await (await call()).item();
      return performance.now() - start;
    } };
    const sizes = { batch: trained.batch, T: trained.T, config: trained.config };
    const theirs = [
      { name: 'PyTorch, waiting for each loss', make: 'step', sizes: { ...sizes, fused: false, waiting: true } },
      { name: 'PyTorch, waiting for the last', make: 'step', sizes: { ...sizes, fused: false, waiting: false } },
      {
        name: 'PyTorch, fused AdamW, waiting for each loss',
        make: 'step',
        sizes: { ...sizes, fused: true, waiting: true },
      },
      {
        name: 'PyTorch, fused AdamW, waiting for the last',
        make: 'step',
        sizes: { ...sizes, fused: true, waiting: false },
      },
    ];
    for (let k = 0; k < (small ? 1 : 30); k++) await (await call()).item(); // warm
    const turns = await withTorch(
      torch,
      theirs,
      [waiting, flowing],
      small ? { rounds: 2, sampleMs: 1 } : { sampleMs: 60, limitMs: 1000 },
    );

    let dispatches = 0;
    const { dispatch } = gpu;
    gpu.dispatch = (kernel, buffers, params) => {
      dispatches++;
      dispatch.call(gpu, kernel, buffers, params);
    };
    await (await call()).item();
    gpu.dispatch = dispatch;
    hostMs = 0;
    const count = small ? 2 : 50;
    for (let k = 0; k < count; k++) await (await call()).item();
    const host = hostMs / count;
    gpu.startProfile();
    for (let k = 0; k < count; k++) await call();
    const profile = [...(await gpu.endProfile())].map(
      ([program, { ms, calls }]) => [program, ms / count, calls / count] as const,
    );
    rows.push({ label: name, tokens: trained.batch * trained.T, dispatches, hostMs: host, profile, turns });
    train.free();
    console.log(lineOf(rows.at(-1)!), `host ${host.toFixed(3)} ms, ${dispatches} dispatches`);
  }
  return rows;
}

async function generations(gpu: WebGpuBackend, torch: Torch | undefined, small: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  const { config } = models[small ? 'tiny' : 'bench']!;
  const { model } = training(models[small ? 'tiny' : 'bench']!);
  for (const batch of small ? [1] : [1, 128]) {
    const [prompt, tokens] = small ? [4, 4] : [16, 64];
    const stream = rng(3).stream();
    const prompts = Int32Array.from({ length: batch * prompt }, () => stream.int(config.vocabulary));
    const ours: Contender = { name: 'ours', sample: async (count) => {
      const start = performance.now();
      for (let k = 0; k < count; k++) {
        await generate(model, prompts, { batch, maxNew: tokens, temperature: 0, seed: rng(1) });
      }
      return performance.now() - start;
    } };
    const turns = await withTorch(
      torch,
      [{ name: 'PyTorch', make: 'generate', sizes: { batch, prompt, tokens, config } }],
      [ours],
      { limitMs: 1500 },
    );
    rows.push({ label: `${batch} x ${tokens} tokens after ${prompt}`, turns });
    console.log(lineOf(rows.at(-1)!));
  }
  return rows;
}

/**
 * The programs at each product of a training step of `bench`: what the table in variants.ts takes, and everyone's
 * microseconds.
 */
async function tune(gpu: WebGpuBackend, small: boolean): Promise<NonNullable<Report['tune']>> {
  const trained = models[small ? 'tiny' : 'bench']!;
  const { train } = training(trained);
  const shapes = new Map<string, MatmulParams>();
  const { dispatch } = gpu;
  gpu.dispatch = (kernel, buffers, params) => {
    if (kernel.name === matmulKernel.name) shapes.set(shapeKey(kernel, params), params as MatmulParams);
    dispatch.call(gpu, kernel, buffers, params);
  };
  await train(...batchesOf(trained)[0]!, 0);
  gpu.dispatch = dispatch;
  const found: NonNullable<Report['tune']> = [];
  for (const [key, params] of small ? [...shapes].slice(0, 1) : shapes) {
    const timings = await timeMatmul(gpu, params);
    const times = Object.fromEntries(
      timings.filter(({ ms }) => ms < Infinity).map(({ name, ms }) => [name, 1000 * ms]),
    );
    found.push({ key, table: gpu.chosen(matmulKernel, params), times });
  }
  return found;
}

/** For whoever watches. */
function lineOf({ label, flops, bytes, chosen, turns }: Row): string {
  const cells = turns.map(({ name, median }) => {
    const rate =
      flops !== undefined
        ? ` ${(flops / median / 1e9).toFixed(2)}T`
        : bytes !== undefined
          ? ` ${(bytes / median / 1e6).toFixed(0)}GB/s`
          : '';
    return `${name}${name === chosen ? '*' : ''} ${(1000 * median).toFixed(1)}us${rate}`;
  });
  return `${label}: ${cells.join(', ')}`;
}
