// --kernel ./mine.mjs: somebody's own program for a kernel that we have. It is checked against our reference at odd
// sizes, and refused with the place where it differs first; then it is timed beside ours, by turns. What such a file
// exports: docs/own-kernel.md. Read after: cases.ts, contenders.ts. Used by: command.ts.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Backend } from '../engine/backend.ts';
import { ConfigError, RemitError } from '../engine/errors.ts';
import { didYouMean } from '../engine/nearest.ts';
import { judge, Probe, type Verdict } from '../engine/probe.ts';
import { WebGpuBackend } from '../engine/webgpu/backend.ts';
import type { HostArray, Kernel } from '../kernels/kernel.ts';
import { caseOf, families, type Case, type Family } from './cases.ts';
import { differs, leastOf } from './contenders.ts';
import type { Contender } from './timing.ts';

type Params = Readonly<Record<string, number>>;
type Buffers = Readonly<Record<string, HostArray>>;

/** What the file exports by default: one of `js`, `wasm` and `wgsl`. */
export interface OwnKernel {
  /** The kernel of ours whose buffers and numbers it takes. */
  readonly like: string;
  /** In the table; the file's name unless given. */
  readonly name?: string;
  /** Plain JavaScript on arrays, which it reads and writes. */
  js?(buffers: Buffers, params: Params): void;
  /** A module that imports `env.memory` and exports `run(addresses of the buffers ..., numbers ...)`, as ours names them. */
  readonly wasm?: Uint8Array;
  /** A shader with the bindings and the `Params` of ours, and entry point `main`. */
  readonly wgsl?: string;
  /** Workgroups to launch. */
  grid?(params: Params): readonly [number, number, number];
  /** Sizes at which it is meant to be right; all unless given. */
  fits?(params: Params): boolean;
}

export interface Loaded {
  readonly own: OwnKernel;
  readonly family: Family;
  readonly name: string;
  /** Where it runs. */
  readonly device: 'cpu' | 'webgpu';
}

/** Throws ConfigError for a file that cannot be loaded or does not export such a thing. */
export async function loadOwnKernel(path: string): Promise<Loaded> {
  const fail = (why: string): never => {
    throw new ConfigError(`bench: --kernel ${path}: ${why}: see docs/own-kernel.md`);
  };
  let module: { readonly default?: Partial<OwnKernel> };
  try {
    module = await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    return fail(`cannot be loaded: ${(error as Error).message.split('\n')[0]}`);
  }
  const own = module.default;
  if (typeof own !== 'object' || own === null) return fail('exports nothing by default: must be an object { like, ... }');
  const family = families.find(({ name }) => name === own.like);
  if (!family) {
    const names = families.map(({ name }) => name);
    return fail(`like ${String(own.like)}: must be one of ${names.join(', ')}${didYouMean(String(own.like), names)}`);
  }
  const given = (['js', 'wasm', 'wgsl'] as const).filter((kind) => own[kind] !== undefined);
  if (given.length !== 1) return fail(`has ${given.join(' and ') || 'no program'}: must have one of js, wasm and wgsl`);
  const types = { js: 'function', wasm: 'object', wgsl: 'string' } as const;
  const [kind] = given as ['js' | 'wasm' | 'wgsl'];
  if (typeof own[kind] !== types[kind] || (kind === 'wasm' && !(own.wasm instanceof Uint8Array))) {
    return fail(`${kind}: must be ${{ js: 'a function', wasm: 'a Uint8Array', wgsl: 'text' }[kind]}`);
  }
  if (kind === 'wgsl' && typeof own.grid !== 'function') return fail('grid: must be a function of the sizes');
  if (own.fits !== undefined && typeof own.fits !== 'function') return fail('fits: must be a function of the sizes');
  const name = own.name ?? path.split(/[\\/]/).at(-1)!;
  return { own: own as OwnKernel, family, name, device: kind === 'wgsl' ? 'webgpu' : 'cpu' };
}

/** Runs it at every odd size that it is meant for. Throws RemitError with the first element that differs. */
export async function checkAtOddSizes(backend: Backend, loaded: Loaded): Promise<number> {
  const { own, family, name } = loaded;
  const cases = family.odd.map((shape) => caseOf(family, shape)).filter(({ work }) => own.fits?.(work.params) ?? true);
  if (cases.length === 0) {
    throw new ConfigError(`bench: ${name}: fits none of ${family.odd.join(', ')}: nothing to check it at`);
  }
  for (const one of cases) {
    const contender = ownContender(backend, one, loaded);
    await contender.check();
    contender.free();
  }
  return cases.length;
}

/** It at a shape, as something to time; its check() is against our reference. */
export function ownContender(backend: Backend, one: Case, { own, name }: Loaded): Contender {
  const runner = own.wgsl === undefined ? onHost(one, own) : onDevice(backend, one, own, name);
  return {
    label: one.label,
    program: name,
    least: leastOf(one),
    async check() {
      const { values, most } = one.expected();
      let verdict: Verdict;
      try {
        verdict = await runner.check(values, most);
      } catch (error) {
        if (error instanceof RemitError && own.wgsl === undefined) throw error;
        throw new RemitError(`bench: ${name} at ${one.label}: ${(error as Error).message.split('\n')[0]}`, { cause: error });
      }
      if (verdict.first) {
        throw new RemitError(`bench: ${name} at ${one.label}: ${differs(verdict.first)}: nothing was timed`);
      }
    },
    sample: (count) => runner.sample(count),
    free: () => runner.free(),
  };
}

type Runner = Pick<Probe, 'sample' | 'free'> & { check(...given: Parameters<Probe['check']>): Promise<Verdict> };

function onDevice(backend: Backend, { work }: Case, own: OwnKernel, path: string): Runner {
  if (!(backend instanceof WebGpuBackend)) throw new Error('internal: WGSL on a CPU');
  const shader = work.kernel.wgsl!.shader;
  const kernel: Kernel = {
    ...work.kernel,
    variants: {},
    wgsl: { shader: { ...shader, path, source: own.wgsl! }, grid: (params) => own.grid!(params) },
  };
  return new Probe(backend, { ...work, kernel });
}

/** On arrays of this process: JavaScript, or WASM on a memory of its own. */
function onHost({ work }: Case, own: OwnKernel): Runner {
  const names = Object.keys(work.kernel.bindings);
  const { run, arrays } = own.js ? inJs(work.buffers, own.js.bind(own), work.params) : inWasm(work, names, own.wasm!);
  const fill = (): void => {
    for (const name of names) {
      const isWritten = work.kernel.bindings[name] === 'write' && work.buffers[name] instanceof Float32Array;
      if (isWritten) arrays[name]!.fill(NaN); // what is left out, shows
      else arrays[name]!.set(work.buffers[name]!);
    }
  };
  return {
    async check(values, most) {
      fill();
      run();
      return judge(arrays, values, most);
    },
    async sample(count) {
      const start = performance.now();
      for (let i = 0; i < count; i++) run();
      return performance.now() - start;
    },
    free() {},
  };
}

interface OnHost {
  run(): void;
  readonly arrays: Buffers;
}

function inJs(buffers: Buffers, js: NonNullable<OwnKernel['js']>, params: Params): OnHost {
  const made = new Map<HostArray, HostArray>(); // an array that is bound twice is one array
  for (const array of Object.values(buffers)) if (!made.has(array)) made.set(array, array.slice());
  const arrays = Object.fromEntries(Object.entries(buffers).map(([name, array]) => [name, made.get(array)!]));
  return { run: () => js(arrays, params), arrays };
}

const PAGE = 65536;
const LINE = 64; // bytes; addresses are multiples of it, and begin there

function inWasm({ kernel, buffers, params }: Case['work'], names: readonly string[], bytes: Uint8Array): OnHost {
  let end = LINE;
  const addresses = names.map((name) => {
    const place = end;
    end = Math.ceil((place + 4 * buffers[name]!.length) / LINE) * LINE;
    return place;
  });
  const memory = new WebAssembly.Memory({ initial: Math.ceil(end / PAGE) });
  const { exports } = instantiate(bytes, memory);
  if (typeof exports.run !== 'function') throw new ConfigError('bench: --kernel: its WASM exports no function run');
  const numbers = [...addresses, ...kernel.params.map((name) => params[name] ?? 0)];
  const run = exports.run as (...numbers: number[]) => void;
  const arrays = Object.fromEntries(
    names.map((name, i) => {
      const { length } = buffers[name]!;
      const Typed = buffers[name] instanceof Int32Array ? Int32Array : Float32Array;
      return [name, new Typed(memory.buffer, addresses[i], length)];
    }),
  );
  return { run: () => run(...numbers), arrays };
}

function instantiate(bytes: Uint8Array, memory: WebAssembly.Memory): WebAssembly.Instance {
  try {
    return new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), { env: { memory } });
  } catch (error) {
    throw new ConfigError(`bench: --kernel: its WASM: ${(error as Error).message}`, { cause: error });
  }
}
