// What this device can do at most, measured: how much it multiplies when nothing else is to be done, how much memory it
// moves, and what a dispatch and a read cost however small. A kernel is judged by these, not by a data sheet. How each
// is measured: docs/measuring.md. Read after: engine/probe.ts. Used by: command.ts.

import type { Backend } from '../engine/backend.ts';
import { defaultThreads, startWorkers } from '../engine/cpu/threads.ts';
import { compileKernels, type CompiledKernels } from '../engine/cpu/wasm/compile.ts';
import { lowest } from '../engine/extremes.ts';
import { countFor, Probe, type Work } from '../engine/probe.ts';
import { WebGpuBackend } from '../engine/webgpu/backend.ts';
import { accumulateKernel, copyKernel } from '../kernels/copy/copy.ts';
import type { Kernel } from '../kernels/kernel.ts';
import { widest } from '../kernels/wasm/lanes.ts';
import { i32 } from '../kernels/wasm/instructions.ts';
import { program } from '../kernels/wasm/program.ts';

export interface Ceilings {
  /** Multiplications and additions in 10^9 a second, from registers. */
  readonly gflops: number;
  /** Bytes in 10^9 a second, by how many bytes of memory are touched: caches are faster than memory. */
  readonly bandwidth: readonly { readonly touched: number; readonly gbs: number }[];
  /** Milliseconds that a kernel which does next to nothing takes among others. */
  readonly dispatchMs: number;
  /** Milliseconds from the call to the number, of one float. */
  readonly readMs: number;
}

/** What a kernel cannot be faster than, in milliseconds, and why. */
export interface Bound {
  readonly ms: number;
  readonly by: 'arithmetic' | 'memory' | 'dispatch';
}

/** What a kernel must at least do: operations, bytes read and written; and how many bytes its buffers have. */
export interface Least {
  readonly flops: number;
  readonly bytes: number;
  readonly touched: number;
}

export function boundOf({ flops, bytes, touched }: Least, ceilings: Ceilings): Bound {
  const bounds: readonly Bound[] = [
    { by: 'arithmetic', ms: flops / (1e6 * ceilings.gflops) },
    { by: 'memory', ms: bytes / (1e6 * bandwidthAt(touched, ceilings)) },
    { by: 'dispatch', ms: ceilings.dispatchMs },
  ];
  return bounds.reduce((worst, bound) => (bound.ms > worst.ms ? bound : worst));
}

/** Of the size that was measured next to this one, by their ratio. */
export function bandwidthAt(touched: number, { bandwidth }: Ceilings): number {
  const distance = (size: number): number => Math.abs(Math.log(size / Math.max(1, touched)));
  return bandwidth.reduce((best, one) => (distance(one.touched) < distance(best.touched) ? one : best)).gbs;
}

/** Of two measurements the better: disturbances only ever make a device seem slower. */
export function better(a: Ceilings, b: Ceilings): Ceilings {
  return {
    gflops: Math.max(a.gflops, b.gflops),
    bandwidth: a.bandwidth.map(({ touched, gbs }, i) => ({ touched, gbs: Math.max(gbs, b.bandwidth[i]!.gbs) })),
    dispatchMs: Math.min(a.dispatchMs, b.dispatchMs),
    readMs: Math.min(a.readMs, b.readMs),
  };
}

const MOST_SAMPLE_MS = 15;
const SAMPLES = 7;
const SMALL = 64; // floats of a kernel that does next to nothing
const COUNTS = [2 ** 13, 2 ** 15, 2 ** 17, 2 ** 19, 2 ** 21, 2 ** 23] as const; // floats of each operand

export interface Effort {
  /** Of the CPU. */
  readonly threads: number;
  /** What a kernel is given; a ceiling takes about four times that, two seconds at most. */
  readonly timeMs: number;
}

/** Throws what the backend throws. */
export async function measureCeilings(backend: Backend, { threads, timeMs }: Effort): Promise<Ceilings> {
  const sampleMs = Math.min(MOST_SAMPLE_MS, timeMs / SAMPLES);
  const best = (sample: Sample): Promise<number> => bestOf(sample, sampleMs);
  const gflops = backend instanceof WebGpuBackend ? await gpuArithmetic(backend, best) : await cpuArithmetic(threads, best);
  const small = new Probe(backend, copyWork(SMALL));
  const dispatchMs = await best((count) => small.sample(count));
  small.free();
  const readMs = await readTime(backend, best);
  const bandwidth = [];
  const software = backend instanceof WebGpuBackend && backend.software;
  for (const count of software ? COUNTS.slice(0, -2) : COUNTS) {
    let gbs = 0;
    // one that only writes its result, and one in place, for which no line is fetched to be overwritten
    for (const { work, bytes } of [{ work: copyWork(count), bytes: 8 }, { work: inPlaceWork(count), bytes: 12 }]) {
      const probe = new Probe(backend, work);
      gbs = Math.max(gbs, (bytes * count) / (1e6 * (await best((n) => probe.sample(n)))));
      probe.free();
    }
    bandwidth.push({ touched: 8 * count, gbs });
  }
  return { gflops, bandwidth, dispatchMs, readMs };
}

/** Milliseconds for so many. */
type Sample = (count: number) => Promise<number>;
type Best = (sample: Sample) => Promise<number>;

/** The best milliseconds per unit of several samples: disturbances only ever add time. */
async function bestOf(sample: Sample, sampleMs: number): Promise<number> {
  const { count } = await countFor(sample, sampleMs);
  const times: number[] = [];
  for (let i = 0; i < SAMPLES; i++) times.push((await sample(count)) / count);
  return lowest(times);
}

async function readTime(backend: Backend, best: Best): Promise<number> {
  const one = backend.alloc(1, 'f32');
  backend.write(one, [0]);
  const ms = await best(async (count) => {
    const start = performance.now();
    for (let i = 0; i < count; i++) await backend.read(one);
    return performance.now() - start;
  });
  backend.free(one);
  return ms;
}

function copyWork(n: number): Work {
  return { kernel: copyKernel, buffers: { x: new Float32Array(n), out: new Float32Array(n) }, params: { n } };
}

function inPlaceWork(n: number): Work {
  return { kernel: accumulateKernel, buffers: { x: new Float32Array(n), out: new Float32Array(n) }, params: { n } };
}

const CHAINS = 12; // sums that do not wait for each other: as many as fit beside two operands in 16 registers
const TURNS = 2000;
const UNITS = 64; // a multiple of any likely number of threads

/** Multiply-adds of registers: `rows` units of `n` turns each. */
const arithmeticKernel: Kernel<'out', 'rows' | 'n'> = {
  name: 'arithmetic',
  bindings: { out: 'write' },
  params: ['rows', 'n'],
  reference() {},
  wasm: program(
    { buffers: ['out'], counts: ['rows', 'n'] },
    {
      name: 'arithmeticUnits',
      units: ({ rows }) => rows,
      cost: ({ n }) => n * CHAINS,
      emit(f, { out, n }, { first, last }) {
        const lanes = widest(f);
        const x = lanes.keep(lanes.of(0.999));
        const y = lanes.keep(lanes.of(0.001));
        const sums = Array.from({ length: CHAINS }, (_, i) => lanes.keep(lanes.of(i)));
        const unit = f.local('i32');
        const turn = f.local('i32');
        f.loop(unit, i32.sub(last, first), 1, () => {
          f.loop(turn, n, 1, () => {
            for (const sum of sums) f.set(sum, lanes.madd(sum, x, y) as never);
          });
        });
        const total = sums.reduce((all, sum) => lanes.add(all, sum) as never);
        f.store(i32.add(out, i32.mul(first, 4 * lanes.floats)), total);
      },
    },
  ),
};

async function cpuArithmetic(threads: number, best: Best): Promise<number> {
  const shared = typeof SharedArrayBuffer !== 'undefined';
  const maximumPages = 64;
  const memory = new WebAssembly.Memory({ initial: maximumPages, maximum: maximumPages, shared });
  let used = 64;
  const alloc = (bytes: number): number => {
    const place = used;
    used += Math.ceil(bytes / 64) * 64;
    return place;
  };
  let stop = async (): Promise<void> => {};
  const compiled: CompiledKernels = compileKernels(
    [arithmeticKernel as Kernel],
    {
      memory, shared, maximumPages, threads: Math.min(threads, defaultThreads()), scratch: alloc,
      onShare: (made) => (stop = startWorkers(threads, memory, made)),
    },
    alloc,
  );
  const run = compiled.runners.get(arithmeticKernel as Kernel)!;
  const out = alloc(4 * 8 * UNITS);
  const ms = await best(async (count) => {
    const start = performance.now();
    for (let i = 0; i < count; i++) run({ out }, { rows: UNITS, n: TURNS });
    return performance.now() - start;
  });
  await stop();
  const floats = compiled.width.wide ? 8 : 4;
  return (2 * CHAINS * floats * UNITS * TURNS) / (1e6 * ms);
}

const GPU_CHAINS = 8; // vectors of four
const GROUP = 64;

const arithmeticWgsl = `
struct Params { n: u32, }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(${GROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let x = vec4f(0.999);
  let y = vec4f(f32(id.x) * 1e-6);
${Array.from({ length: GPU_CHAINS }, (_, i) => `  var s${i} = vec4f(${i}.0) + y;`).join('\n')}
  for (var i = 0u; i < p.n; i++) {
${Array.from({ length: GPU_CHAINS }, (_, i) => `    s${i} = s${i} * x + y;`).join('\n')}
  }
  out[id.x] = dot(${Array.from({ length: GPU_CHAINS }, (_, i) => `s${i}`).join(' + ')}, vec4f(1.0));
}
`;

async function gpuArithmetic(backend: WebGpuBackend, best: Best): Promise<number> {
  const groups = backend.software ? 16 : 4096;
  const turns = backend.software ? 50 : 1000;
  const kernel: Kernel = {
    name: 'arithmetic',
    bindings: { out: 'write' },
    params: ['n'],
    reference() {},
    wgsl: {
      shader: {
        path: 'bench/ceilings.ts',
        source: arithmeticWgsl,
        bindings: [{ name: 'out', access: 'read_write' }],
        params: [{ name: 'n', type: 'u32' }],
      },
      grid: () => [groups, 1, 1],
    },
  };
  const probe = new Probe(backend, { kernel, buffers: { out: new Float32Array(groups * GROUP) }, params: { n: turns } });
  const ms = await best((count) => probe.sample(count));
  probe.free();
  return (2 * 4 * GPU_CHAINS * GROUP * groups * turns) / (1e6 * ms);
}
