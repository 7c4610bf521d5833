// Every kernel on NaN, infinities, zeros, denormals, the largest floats, and on ids of rows that there are not:
// reference, WASM and WGSL mean the same, and touch nothing outside of their buffers. What is not promised is in the
// tables below, by name, and in docs/not-a-number.md.

import { afterAll, describe, expect, test } from 'vitest';
import type { Backend, TensorStorage } from '../../engine/backend.ts';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { kernels } from '../../kernels/index.ts';
import type { HostArray } from '../../kernels/kernel.ts';
import { describeGpu, gpu } from '../support/gpu.ts';
import { expectedOf, firstDifference, leastOf, specialCases, type SpecialCase } from '../support/special-values.ts';

const GUARD = 1024; // elements before each buffer and after its end
const MARK = 77777;

/**
 * Kernels that add up or multiply what they read: of the largest floats that may overflow, where double precision does
 * not.
 */
const mayOverflow = new Set([
  'swigluBackward', 'geluBackward', 'squareBackward', 'tanhBackward', 'crossEntropy', 'logProb', 'logProbBackward',
  'matmul', 'rmsNorm', 'rmsNormBackward', 'layerNorm', 'layerNormBackward', 'adamw', 'policyLoss', 'sum',
  'softmaxBackward', 'logSoftmax', 'logSoftmaxBackward', 'tokenWeights', 'tokenWeightsBackward', 'rope',
  'attentionForward', 'attentionBackward', 'attentionCached',
]);

/**
 * Where an infinite input makes a result that is not finite here as there, but NaN for one and infinite for the other.
 */
const anyInfinity: Readonly<Record<string, readonly string[]>> = {
  crossEntropy: ['weights'],
  logProbBackward: ['dLogProb'],
  layerNormBackward: ['rstd'],
  softmaxBackward: ['y', 'dy'],
  logSoftmaxBackward: ['dy'],
};

/**
 * Bindings that hold what another kernel makes, which is finite; and infinite log-probabilities in the policy loss,
 * where NaN tells of them.
 */
const neverInfinite: Readonly<Record<string, readonly string[]>> = {
  adamw: ['norm', 'correction', 'values'],
  biasCorrection: ['skipped'],
  policyLoss: ['logProb', 'reference'],
  attentionBackward: ['out', 'logSumExp'],
};

/**
 * Attention may carry what is not finite to other tokens and heads of a batch: what is so in the reference must be so
 * on a device.
 */
const spreads = (one: SpecialCase): boolean => one.kernel.name.startsWith('attention');

function isPromised({ kernel: { name }, special, binding }: SpecialCase): boolean {
  if (mayOverflow.has(name) && (special === 'the largest' || special === 'the lowest')) return false;
  if (neverInfinite[name]?.includes(binding)) {
    return special === 'NaN' && (name === 'policyLoss' || binding === 'values');
  }
  return !(name === 'attentionBackward' && Number.isFinite(one(special)));
}

/** What a name of a special float stands for, as far as this file asks. */
function one(special: string): number {
  return special === 'NaN' ? NaN : special.endsWith('infinity') ? Infinity : 0;
}

/** What is wrong with the results of a case; undefined when nothing is. */
function wrongWith(found: Readonly<Record<string, HostArray>>, special: SpecialCase): string | undefined {
  const expected = expectedOf(special);
  const least = leastOf(special.original);
  const isLoose = anyInfinity[special.kernel.name]?.includes(special.binding) && special.special.endsWith('infinity');
  for (const [binding, guarded] of Object.entries(found)) {
    const end = guarded.length - GUARD;
    const values = guarded.subarray(GUARD, end);
    if (!isUntouched(guarded.subarray(0, GUARD)) || !isUntouched(guarded.subarray(end))) {
      return `writes outside of ${binding}`;
    }
    if (special.kernel.bindings[binding] === 'read') {
      if (values.some((value, i) => !Object.is(value, special.buffers[binding]![i]))) return `writes to ${binding}`;
      continue;
    }
    const places = expected.map((results) => {
      const right = results[binding]!;
      if (spreads(special)) {
        return right.findIndex((value, i) => !Number.isFinite(value) && Number.isFinite(values[i]!));
      }
      if (!isLoose) return firstDifference(values, right, least);
      return values.findIndex((value, i) => Number.isFinite(value) !== Number.isFinite(right[i]!));
    });
    if (places.every((place) => place >= 0)) {
      return `${binding}[${places[0]}] is ${values[places[0]!]}, not ${expected[0]![binding]![places[0]!]}`;
    }
  }
  return undefined;
}

function isUntouched(guard: HostArray): boolean {
  for (let i = 0; i < guard.length; i++) if (guard[i] !== MARK) return false;
  return true;
}

type Started = () => Promise<Record<string, HostArray>>;

/** Dispatches a case; what it returns reads all its buffers, each with its guard, and frees them. */
function start(backend: Backend, { kernel, buffers, params }: SpecialCase): Started {
  const inside: Record<string, TensorStorage> = {};
  const storages = Object.entries(buffers).map(([name, values]): [string, TensorStorage] => {
    const guarded = new (values.constructor as Float32ArrayConstructor)(GUARD + values.length + GUARD).fill(MARK);
    guarded.set(values, GUARD);
    const storage = backend.alloc(
      guarded.length,
      values instanceof Int32Array ? 'i32' : values instanceof Uint32Array ? 'u32' : 'f32',
    );
    backend.write(storage, guarded);
    inside[name] = backend.view(storage, GUARD, values.length);
    return [name, storage];
  });
  backend.dispatch(kernel, inside, params);
  return async () => {
    const results = await Promise.all(
      storages.map(async ([name, storage]) => [name, await backend.read(storage)] as const),
    );
    for (const [, storage] of storages) backend.free(storage);
    return Object.fromEntries(results);
  };
}

const AT_ONCE = 64;

async function check(backend: Backend, cases: readonly SpecialCase[]): Promise<void> {
  for (let i = 0; i < cases.length; i += AT_ONCE) {
    const some = cases.slice(i, i + AT_ONCE);
    const results = await Promise.all(some.map((special) => start(backend, special)).map((read) => read()));
    some.forEach((special, k) => expect(wrongWith(results[k]!, special), special.title).toBeUndefined());
  }
}

const byKernel = (mostCases: number) => {
  const all = specialCases(mostCases).filter(isPromised);
  return kernels
    .map(({ name }, i) => ({ name, cases: all.filter(({ kernel }) => kernel === kernels[i]) }))
    .filter(({ cases }) => cases.length > 0);
};

test('every kernel that reads anything has cases', () => {
  const names = byKernel(1).map(({ name }) => name);
  expect(kernels.map(({ name }) => name).filter((name) => !names.includes(name))).toEqual(['fill', 'bits']);
});

describe('on the CPU', () => {
  const backend = new CpuBackend();

  test.each(byKernel(3))('$name', ({ cases }) => check(backend, cases));
});

describeGpu('on a GPU', () => {
  test.each(byKernel(1))('$name', async ({ cases }) => {
    const { name, wgsl, variants } = cases[0]!.kernel;
    // products are sums of products in all of them, and long to compile
    const others = name === 'matmul' ? [] : Object.values(variants ?? {});
    for (const program of [wgsl!, ...others]) {
      const own = cases.filter(
        ({ params, special }) => gpu.canRun(program, params) && special !== '0' && special !== '-0',
      );
      await check(
        gpu,
        own.map((special) => ({ ...special, kernel: { ...special.kernel, wgsl: program, variants: {} } })),
      );
    }
  });

  afterAll(() => gpu.close());
});
