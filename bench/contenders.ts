// What is timed, as contenders: a kernel by each of its programs on a device, a training step, a generation. Each is
// checked first: a kernel against its reference, the others against the same on plain references. Read after: cases.ts,
// timing.ts. Used by: command.ts.

import type { Backend } from '../engine/backend.ts';
import { CpuBackend } from '../engine/cpu/backend.ts';
import { RemitError } from '../engine/errors.ts';
import { Probe, type Difference } from '../engine/probe.ts';
import { rng } from '../engine/rng.ts';
import { useBackend } from '../engine/runtime.ts';
import { WebGpuBackend } from '../engine/webgpu/backend.ts';
import { PORTABLE } from '../engine/webgpu/variants.ts';
import type { Kernel } from '../kernels/kernel.ts';
import { ladder, matmulKernel } from '../kernels/matmul/matmul.ts';
import { generate } from '../nn/generate.ts';
import type { Case } from './cases.ts';
import type { Least } from './ceilings.ts';
import { models, training, type Trained } from './models.ts';
import type { Contender } from './timing.ts';

/** A kernel at a shape by every program that is worth it on this device. */
export function kernelContenders(backend: Backend, one: Case): Contender[] {
  return programsOf(backend, one).map(([program, kernel]) => kernelContender(backend, one, program, kernel));
}

/** The same by one program. Memory is taken when it is checked. */
export function kernelContender(backend: Backend, one: Case, program: string, kernel: Kernel): Contender {
  let probe: Probe | undefined;
  return {
    label: one.label,
    program,
    least: leastOf(one),
    async check() {
      probe ??= new Probe(backend, one.work);
      const { values, most } = one.expected();
      const { first } = await probe.check(values, program === 'matrices' ? HALF * most : most, kernel);
      if (first) throw new RemitError(`bench: ${one.label}, ${program}: ${differs(first)}: nothing was timed`);
    },
    sample: (count) => probe!.sample(count, kernel),
    free: () => probe?.free(),
  };
}

export function leastOf({ flops, bytes, work: { buffers } }: Case): Least {
  const touched = [...new Set(Object.values(buffers))].reduce((total, { byteLength }) => total + byteLength, 0);
  return { flops, bytes, touched };
}

const HALF = 100; // times: factors are rounded to 11 bits
const FEW_ROWS = 32; // beyond, gemv reads b over and over

export function differs({ binding, index, found, expected }: Difference): string {
  return `${binding}[${index}] is ${found}, the reference says ${expected}`;
}

/** By name: the WASM program on the CPU; on a GPU the ladder of the product, or what runs and what runs anywhere. */
function programsOf(backend: Backend, { work: { kernel, params } }: Case): [string, Kernel][] {
  if (!(backend instanceof WebGpuBackend)) return [[kernel.wasm ? 'wasm' : 'reference', kernel]];
  const only = (wgsl: NonNullable<Kernel['wgsl']>): Kernel => ({ ...kernel, wgsl, variants: {} });
  if (kernel.name === matmulKernel.name) {
    // dividing K among threads takes minutes where barriers are slow
    const isWorthIt = (rung: string): boolean =>
      rung === 'gemv' ? params.M! <= FEW_ROWS : !backend.software || !/^(split|tiled|large|medium)/.test(rung);
    return Object.entries(ladder as Readonly<Record<string, NonNullable<Kernel['wgsl']>>>)
      .filter(([rung, program]) => isWorthIt(rung) && backend.canRun(program, params))
      .map(([rung, program]) => [rung, only(program)]);
  }
  const chosen = backend.chosen(kernel, params);
  return [
    [chosen, kernel],
    ...(chosen === PORTABLE ? [] : [[PORTABLE, only(kernel.wgsl!)] satisfies [string, Kernel]]),
  ];
}

const RELATIVE = 1e-4; // between losses of two steps: sums in another order

/** A training step of a model, its loss waited for. */
export function stepContender(backend: Backend, name: string): Contender {
  const trained = models[name]!;
  useBackend(backend);
  const { model, train } = training(trained);
  const batches = batchesOf(trained);
  let i = 0;
  return {
    label: `step ${name}`,
    program: `${model.parameters.count} parameters, ${trained.batch} x ${trained.T} tokens`,
    async check() {
      const [found, right] = [await firstLosses(backend, trained), await firstLosses(plainBackend(), trained)];
      useBackend(backend);
      found.forEach((loss, k) => {
        if (Math.abs(loss / right[k]! - 1) < RELATIVE) return;
        throw new RemitError(`bench: step ${name}: loss ${k + 1} is ${loss}, the references say ${right[k]}`);
      });
    },
    async sample(count) {
      useBackend(backend);
      const start = performance.now();
      for (let k = 0; k < count; k++) await (await train(...batches[i % batches.length]!, i++)).item();
      return performance.now() - start;
    },
    free: () => train.free(),
  };
}

/** Two steps on one row: the second has the first one's gradients in it. */
async function firstLosses(backend: Backend, trained: Trained): Promise<number[]> {
  useBackend(backend);
  const one = { ...trained, batch: 1 };
  const { train } = training(one);
  const losses: number[] = [];
  for (let i = 0; i < 2; i++) losses.push(await (await train(...batchesOf(one)[i]!, i)).item());
  train.free();
  return losses;
}

const PROMPT = 4;
const TOKENS = 16;

/** Greedy continuations of `batch` prompts. */
export function generationContender(backend: Backend, name: string, batch: number): Contender {
  const run = (prompts: number): Promise<Int32Array> => {
    const { config } = models[name]!;
    const stream = rng(3).stream();
    const tokens = Int32Array.from({ length: prompts * PROMPT }, () => stream.int(config.vocabulary));
    return generate(model, tokens, { batch: prompts, maxNew: TOKENS, temperature: 0, seed: rng(1) });
  };
  useBackend(backend);
  let { model } = training(models[name]!);
  const own = model;
  return {
    label: `generate ${name} ${batch}x${TOKENS}`,
    program: `after ${PROMPT} tokens`,
    async check() {
      useBackend(backend);
      const found = await run(1);
      useBackend(plainBackend());
      model = training(models[name]!).model;
      const right = await run(1);
      model = own;
      useBackend(backend);
      const at = found.findIndex((token, i) => token !== right[i]);
      if (at < 0) return;
      throw new RemitError(`bench: generate ${name}: token ${at} is ${found[at]}, the references say ${right[at]}`);
    },
    async sample(count) {
      useBackend(backend);
      const start = performance.now();
      for (let i = 0; i < count; i++) await run(batch);
      return performance.now() - start;
    },
    free() {},
  };
}

let plain: CpuBackend | undefined;

/** Where every kernel is its reference. */
function plainBackend(): Backend {
  return (plain ??= new CpuBackend({ wasm: false }));
}

/** Eight batches of random tokens, drawn beforehand: inputs and targets. */
function batchesOf({ batch, T, config }: Trained): (readonly [Int32Array, Int32Array])[] {
  const stream = rng(2).stream();
  const tokens = (): Int32Array => Int32Array.from({ length: batch * T }, () => stream.int(config.vocabulary));
  return Array.from({ length: 8 }, () => [tokens(), tokens()] as const);
}
