// The gradient of every op against central differences, over the sizes and attributes that each op declares beside its
// definition. A new op is in here as soon as engine/ops/index.ts exports it. How the check works: support/gradient.ts.

import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../engine/cpu/backend.ts';
import { defineOp, integers, normal, run, type OpDef } from '../engine/op.ts';
import * as ops from '../engine/ops/index.ts';
import { useBackend } from '../engine/runtime.ts';
import type { Tensor } from '../engine/tensor.ts';
import { copyKernel } from '../kernels/copy/copy.ts';
import {
  allSizes, caseOf, drawnSizes, everyOp, everyVariant, fillAll, isOp, upload, variantsOf, type AnyOp, type Case,
} from './support/fill.ts';
import { checkGradient, checkSlots, type TensorFunction } from './support/gradient.ts';

const TOLERANCE = 1e-6;   // what is found is rounding, near 1e-8 at most
const RUNS = 24;          // sizes drawn per op and variant

/** Inputs that an op documents as constants, by position. */
const constants: Readonly<Record<string, readonly number[]>> = {
  attention: [1],              // the table of angles
  policyLoss: [1, 2, 3],       // what wrote the tokens, what is kept close to, how good they were
  rope: [1],
  weightedCrossEntropy: [2],   // the weights of the step
};

const worst = { error: 0, where: 'nowhere', slots: 0, checks: 0 };

beforeAll(() => useBackend(new CpuBackend({ precision: 'f64' })));

afterAll(() => {
  const { error, where, slots, checks } = worst;
  console.log(
    `gradients: ${everyOp.length} ops, ${checks} checks, worst relative error ${error.toExponential(1)} (${where}), ` +
    `worst slot ${slots.toExponential(1)}`,
  );
});

function note(name: string, error: number): void {
  worst.checks++;
  if (error > worst.error) Object.assign(worst, { error, where: name });
  expect(error).toBeLessThanOrEqual(TOLERANCE);
}

const call = ({ op, attrs }: Case) => (...inputs: Tensor[]): Tensor => op(...inputs, attrs);

describe.each(everyVariant)('$title', ({ op, variant, title }) => {
  test('backward is the derivative', () =>
    fc.assert(
      fc.asyncProperty(drawnSizes(op), fc.nat(1e6), async (sizes, seed) => {
        const one = caseOf(op, variant, sizes);
        note(
          title,
          await checkGradient(call(one), fillAll(one.fills, seed), { seed, constants: constants[op.def.name] ?? [] }),
        );
      }),
      { numRuns: RUNS },
    ));

  test('gradients of parameters are added to their slots', () =>
    fc.assert(
      fc.asyncProperty(drawnSizes(op), fc.nat(1e6), async (sizes, seed) => {
        const one = caseOf(op, variant, sizes);
        const error = await checkSlots(call(one), fillAll(one.fills, seed), {
          seed,
          constants: constants[op.def.name] ?? [],
        });
        worst.slots = Math.max(worst.slots, error);
        expect(error).toBeLessThan(1e-10); // sums in another order, in double precision
      }),
      { numRuns: Math.ceil(RUNS / 2) },
    ));
});

describe('one tensor fed in twice', () => {
  const MOST = 12; // sizes per op and pair of inputs
  const pairs = everyOp.flatMap((op) =>
    twins(op).map((twin) => ({ ...twin, title: `${op.def.name}, inputs ${twin.i} and ${twin.j}` })),
  );

  test.each(pairs)('$title', async ({ cases, i, j, title }) => {
    for (let k = 0; k < Math.min(MOST, cases.length); k++) {
      const one = cases[Math.floor((k * cases.length) / Math.min(MOST, cases.length))]!;
      // the twin keeps the values of j
      const inputs = fillAll(one.fills, k);
      const rest = inputs.filter((_, at) => at !== i);
      const fed = (...given: Tensor[]): Tensor => call(one)(...given.slice(0, i), given[j - 1]!, ...given.slice(i));
      note(title, await checkGradient(fed, rest, { seed: k }));
    }
  });

  test('covers every op that takes two real tensors', () => {
    expect([...new Set(pairs.map(({ cases }) => cases[0]!.op.def.name))].sort()).toEqual([
      'add', 'concat', 'div', 'layerNorm', 'linear', 'matmul', 'maximum', 'minimum', 'mul', 'sub', 'tokenWeights',
    ]);
  });

  /** Pairs of inputs that can be one tensor, each with the cases in which they can. */
  function twins(op: AnyOp): { i: number; j: number; cases: Case[] }[] {
    const all = variantsOf(op).flatMap((variant) => allSizes(op).map((sizes) => caseOf(op, variant, sizes)));
    const fixed = constants[op.def.name] ?? [];
    const found = new Map<string, { i: number; j: number; cases: Case[] }>();
    for (const one of all) {
      for (const [j, b] of one.fills.entries()) {
        for (const [i, a] of one.fills.slice(0, j).entries()) {
          const real =
            [a, b].every(({ values }) => typeof values !== 'object') && !fixed.includes(i) && !fixed.includes(j);
          if (!real || String(a.shape) !== String(b.shape)) continue;
          if (!found.has(`${i} ${j}`)) found.set(`${i} ${j}`, { i, j, cases: [] });
          found.get(`${i} ${j}`)!.cases.push(one);
        }
      }
    }
    return [...found.values()];
  }
});

// Functions that are put together from ops have no cases; these are theirs.
describe('functions made of ops', () => {
  const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
  const sizes = fc.record({ B: size(2), T: size(4), KV: size(2), group: size(2), half: size(2), rotary: fc.boolean() });

  test('attentionInSmallOps', () =>
    fc.assert(
      fc.asyncProperty(sizes, fc.nat(1e6), async ({ B, T, KV, group, half, rotary }, seed) => {
        const heads = KV * group;
        const D = 2 * half;
        const fills = [normal(B, T, (heads + 2 * KV) * D), normal(T + 1, D)];
        const f = (qkv: Tensor): Tensor => ops.attentionInSmallOps(qkv, upload(table!), { heads, kvHeads: KV, rotary });
        const [qkv, table] = fillAll(fills, seed);
        note('attentionInSmallOps', await checkGradient(f as TensorFunction, [qkv!], { seed }));
      }),
      { numRuns: RUNS },
    ));

  test('crossEntropy', () => fc.assert(fc.asyncProperty(size(4), size(6), fc.nat(1e6), async (N, V, seed) => {
    note(
      'crossEntropy',
      await checkGradient(ops.crossEntropy as TensorFunction, fillAll([normal(N, V), integers(V, N)], seed), { seed }),
    );
  }), { numRuns: RUNS }));

  test('sumTo', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(size(3), { minLength: 1, maxLength: 4 }),
        fc.nat(15),
        fc.nat(4),
        fc.nat(1e6),
        async (shape, ones, dropped, seed) => {
          const target = shape.map((d, i) => ((ones >> i) & 1 ? 1 : d)).slice(dropped);
          note('sumTo', await checkGradient((x) => ops.sumTo(x!, target), fillAll([normal(...shape)], seed), { seed }));
        },
      ),
      { numRuns: RUNS },
    ));
});

describe('the registry', () => {
  test('every op of every file in engine/ops is exported by its index, under its own name', async () => {
    const files = readdirSync(new URL('../engine/ops', import.meta.url))
      .map((file) => file.replace('.ts', ''))
      .filter((file) => file !== 'index');
    expect(files.length).toBeGreaterThan(5);
    for (const file of files) {
      const module = await import(`../engine/ops/${file}.ts`) as Record<string, unknown>;
      for (const [name, value] of Object.entries(module)) {
        expect((ops as Record<string, unknown>)[name], `${name} of ${file}.ts`).toBe(value);
        if (isOp(value)) expect(value.def.name).toBe(name);
      }
    }
  });

  test('every op has cases with something real to differentiate', () => {
    for (const op of everyOp) {
      for (const variant of variantsOf(op)) {
        for (const sizes of allSizes(op)) {
          expect(caseOf(op, variant, sizes).fills.some(({ values }) => typeof values !== 'object')).toBe(true);
        }
      }
    }
  });

  test('no list of constants names an op that is gone', () => {
    expect(Object.keys(constants).filter((name) => !everyOp.some(({ def }) => def.name === name))).toEqual([]);
  });
});

describe('the check itself', () => {
  const { def } = ops.square as unknown as AnyOp;
  const wrong = (backward: OpDef<readonly Tensor[], object>['backward']): AnyOp => defineOp({ ...def, backward });
  const inputs = fillAll([normal(3, 4)], 1);

  test('finds a gradient that is off by a hundred-thousandth', async () => {
    const off = wrong((grad, { inputs: [x] }) => [ops.mul(grad, ops.affine(x!, { factor: 2.00002 }))]);
    expect(await checkGradient((x) => off(x), inputs, { seed: 1 })).toBeGreaterThan(5e-6);
    expect(await checkGradient((x) => ops.square(x), inputs, { seed: 1 })).toBeLessThan(1e-8);
  });

  test('finds a gradient that is missing, and one that should be', async () => {
    await expect(checkGradient((x) => wrong(() => [null])(x), inputs, { seed: 1 })).rejects.toThrow(
      'input 0 has no gradient of its shape, [3,4]',
    );
    await expect(checkGradient((x) => ops.square(x), inputs, { seed: 1, constants: [0] })).rejects.toThrow(
      'input 0 is a constant',
    );
  });

  test('finds a gradient that is NaN', async () => {
    const none = wrong((grad) => [ops.affine(ops.affine(grad, { factor: Infinity }), { factor: 0 })]);
    expect(await checkGradient((x) => none(x), inputs, { seed: 1 })).toBe(Infinity);
  });

  test('finds an op that overwrites a slot', async () => {
    const overwrites = wrong((grad, { inputs: [x] }, need) => [need(0, (into) => {
      const right = ops.mul(grad, ops.affine(x!, { factor: 2 }));
      if (!into) return right;
      run(copyKernel, { x: right.storage, out: into.storage }, { n: right.size });
      return into;
    })]);
    expect(await checkSlots((x) => overwrites(x), inputs, { seed: 1 })).toBeGreaterThan(0.1);
    expect(await checkSlots((x) => ops.square(x), inputs, { seed: 1 })).toBeLessThan(1e-12);
  });
});
