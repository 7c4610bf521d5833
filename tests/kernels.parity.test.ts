// The WASM programs against the references where it counts: in whole ops and whole models, at the sizes that they are
// used at. (Odd sizes, guard bands and so on, kernel by kernel: kernels/wasm.test.ts.) And a check that nothing is
// dispatched that a GPU could not bind: support/backends.ts.

import { describe, expect, test } from 'vitest';
import type { Backend } from '../engine/backend.ts';
import { CpuBackend } from '../engine/cpu/backend.ts';
import { swiglu } from '../engine/ops/activation.ts';
import { add, div, mul, sub } from '../engine/ops/arithmetic.ts';
import { matmul } from '../engine/ops/matmul.ts';
import { attention, rotaryTable } from '../engine/ops/attention.ts';
import { crossEntropy } from '../engine/ops/cross-entropy.ts';
import { sum } from '../engine/ops/reduce.ts';
import { rng } from '../engine/rng.ts';
import { sizeOf, type Shape } from '../engine/shape.ts';
import { step } from '../engine/step.ts';
import { backward } from '../engine/tape.ts';
import { tensor, variable, type Tensor } from '../engine/tensor.ts';
import { fillKernel } from '../kernels/copy/copy.ts';
import { binaryKernels } from '../kernels/elementwise/elementwise.ts';
import { generate } from '../nn/generate.ts';
import { Transformer, type TransformerConfig } from '../nn/transformer.ts';
import { AdamW } from '../optim/adamw.ts';
import { onBackend, StrictBackend } from './support/backends.ts';
import { caseOf, everyVariant, fillAll, largest, upload } from './support/fill.ts';
import { relativeError } from './support/gradient.ts';

const fast = new CpuBackend({ wasm: true });
const plain = new CpuBackend({ wasm: false });

/** ||a - b|| / ||b||. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let difference = 0;
  let length = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    length += b[i]! ** 2;
  }
  return Math.sqrt(difference / length);
}

describe('ops', () => {
  const B = 8;
  const T = 23;
  const C = 64;
  const F = 176;
  const D = 16;
  const normals = (shape: Shape, i: number): Float64Array => rng(1).fold('input').at(i).normals(sizeOf(shape));
  const table = rotaryTable(T, D, 100);

  const cases: Record<string, readonly [shapes: readonly Shape[], f: (...inputs: Tensor[]) => Tensor]> = {
    'add, a residual': [
      [
        [B, T, C],
        [B, T, C],
      ],
      (x, y) => add(x!, y!),
    ],
    'add, a bias': [[[B, T, C], [C]], (x, b) => add(x!, b!)],
    'sub, a column': [
      [
        [B, T, C],
        [B, T, 1],
      ],
      (x, m) => sub(x!, m!),
    ],
    'mul, a scalar': [[[B, T, C], []], (x, s) => mul(x!, s!)],
    'div, by a row': [
      [
        [B, T, C],
        [1, 1, C],
      ],
      (x, r) => div(x!, add(mul(r!, r!), tensor([1], []))),
    ],
    'matmul, a linear layer': [
      [
        [B, T, C],
        [3 * C, C],
      ],
      (x, w) => matmul(x!, w!, { transB: true }),
    ],
    'matmul, one row': [
      [
        [1, C],
        [F, C],
      ],
      (x, w) => matmul(x!, w!, { transB: true }),
    ],
    'matmul, scores': [
      [
        [B, 4, T, D],
        [B, 4, T, D],
      ],
      (q, k) => matmul(q!, k!, { transB: true }),
    ],
    'matmul, from the left': [
      [
        [C, T],
        [C, F],
      ],
      (a, b) => matmul(a!, b!, { transA: true }),
    ],
    swiglu: [[[B, T, 2 * F]], (x) => swiglu(x!)],
    attention: [[[B, T, 3 * C]], (qkv) => attention(qkv!, tensor(table, [T, D]), { heads: 4 })],
    'attention, grouped': [[[B, T, 2 * C]], (qkv) => attention(qkv!, tensor(table, [T, D]), { heads: 4, kvHeads: 2 })],
    'attention, without positions': [
      [[B, T, 3 * C]],
      (qkv) => attention(qkv!, tensor(table, [T, D]), { heads: 4, rotary: false }),
    ],
  };

  test.each(Object.entries(cases))('%s: values and gradients agree', async (_, [shapes, f]) => {
    const valuesOn = (backend: Backend): Promise<ArrayLike<number>[]> => onBackend(backend, async () => {
      const inputs = shapes.map((shape, i) => variable(normals(shape, i), shape));
      const y = f(...inputs);
      const gradients = backward(y, tensor(normals(y.shape, 99), y.shape));
      return Promise.all([y, ...inputs.map((x) => gradients.of(x)!)].map((x) => x.read()));
    });
    const [found, wanted] = [await valuesOn(fast), await valuesOn(plain)];
    // float32 sums, in another order
    for (const [i, values] of wanted.entries()) expect(distance(found[i]!, values)).toBeLessThan(1e-6);
  });

  test('no reference ran in the place of a WASM program, and none of these where there should be none', () => {
    expect(fast.calls.size).toBeGreaterThan(10);
    for (const [name, { reference }] of fast.calls) expect(reference, name).toBe(0);
    for (const [name, { wasm }] of plain.calls) expect(wasm, name).toBe(0);
  });
});

const shape: TransformerConfig = {
  vocabulary: 70,
  context: 24,
  width: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  hidden: 176,
  norm: 'rms',
  positions: 'rotary',
  rotaryBase: 100,
  mlp: 'swiglu',
  bias: false,
  tied: false,
  epsilon: 1e-5,
};
const shapes: Readonly<Record<string, TransformerConfig>> = {
  Llama: shape,
  'GPT-2': { ...shape, kvHeads: 4, norm: 'layer', positions: 'learned', mlp: 'gelu', bias: true, tied: true },
};

/** Some training steps, then what they made. */
async function train(
  config: TransformerConfig,
  steps: number,
): Promise<{ losses: number[]; norms: number[]; model: Transformer }> {
  const model = new Transformer(config, rng(1));
  const optimiser = new AdamW(model.parameters);
  const B = 4;
  const T = 23;
  const advance = step(
    (i: number) => {
      const stream = rng(2).at(i).stream();
      const draw = (): Tensor =>
        tensor(
          Int32Array.from({ length: B * T }, () => stream.int(70)),
          [B, T],
          'i32',
        );
      const loss = crossEntropy(model.forward(draw()), draw());
      model.parameters.clearGradients();
      backward(loss);
      return { loss, norm: optimiser.update(i, 1e-3) };
    },
    { poison: true },
  );
  const losses: number[] = [];
  const norms: number[] = [];
  for (let i = 0; i < steps; i++) {
    const { loss, norm } = await advance(i);
    losses.push(await loss.item());
    norms.push(await norm.item());
  }
  advance.free();
  optimiser.free();
  return { losses, norms, model };
}

const prompts = Int32Array.from({ length: 15 }, (_, i) => (i * 11) % 70);

describe.each(Object.entries(shapes))('a %s-shaped model', (_, config) => {
  test('trains the same with WASM programs as with references', async () => {
    const [found, wanted] = [
      await onBackend(fast, () => train(config, 5)),
      await onBackend(plain, () => train(config, 5)),
    ];
    for (const key of ['losses', 'norms'] as const) {
      found[key].forEach((value, i) => expect(relativeError(value, wanted[key][i]!)).toBeLessThan(1e-5));
    }
    const read = async ({ model }: typeof found, backend: Backend): Promise<ArrayLike<number>> =>
      onBackend(backend, () => backend.read(model.parameters.flat.values));
    // AdamW's first steps are nearly the gradient's sign, which rounding can turn where the gradient is nearly 0.
    expect(distance(await read(found, fast), await read(wanted, plain))).toBeLessThan(1e-3);
  });

  test('binds nothing that a GPU could not, in training and generation', async () => {
    const strict = new StrictBackend();
    const tokens = await onBackend(strict, async () => {
      const { model } = await train(config, 2);
      const copy = model.clone();
      return generate(copy, prompts, { batch: 3, maxNew: 6, temperature: 1, topK: 9, seed: rng(3), stop: 1 });
    });
    expect(tokens).toHaveLength(3 * (5 + 6));
    expect(strict.checked).toBeGreaterThan(200);
  });
});

test.each(everyVariant)('$title binds nothing that a GPU could not', async ({ op, variant }) => {
  await onBackend(new StrictBackend(), async () => {
    const { fills, attrs } = caseOf(op, variant, largest(op));
    const inputs = fillAll(fills, 1);
    const leaves = inputs.map((input) => (input.dtype === 'f32' ? variable(input.values, input.shape) : upload(input)));
    const y = op(...leaves, attrs);
    backward(sum(mul(y, y)));
    await y.read();
  });
});

describe('the strict backend', () => {
  const strict = new StrictBackend();
  const flat = { d0: 1, d1: 1, d2: 1, d3: 64, a0: 0, a1: 0, a2: 0, a3: 1, b0: 0, b1: 0, b2: 0, b3: 1 };
  const [a, b, out] = [strict.alloc(256, 'f32'), strict.alloc(256, 'f32'), strict.alloc(256, 'f32')];
  const dispatch = (buffers: { a: typeof a; b: typeof a; out: typeof a }): void =>
    strict.dispatch(binaryKernels.add, buffers, flat);

  test('lets through what is allowed', () => {
    expect(() => dispatch({ a, b, out })).not.toThrow();
    expect(() => dispatch({ a, b: a, out })).not.toThrow(); // reading twice is fine
    expect(() => dispatch({ a: strict.view(a, 0, 64), b: strict.view(a, 64, 64), out })).not.toThrow();
  });

  test('refuses a written buffer that is bound twice, as a whole or in parts', () => {
    expect(() => dispatch({ a, b, out: a })).toThrow('strict: add: writes out, which shares its buffer with a');
    expect(() => dispatch({ a, b: strict.view(out, 0, 64), out })).toThrow(
      'writes out, which shares its buffer with b',
    );
    expect(() => dispatch({ a: strict.view(out, 0, 64), b, out: strict.view(out, 64, 64) })).toThrow(
      'writes out, which shares its buffer with a',
    );
  });

  test('refuses parts that are not aligned or too long, missing buffers and numbers, and what was freed', () => {
    expect(() => strict.view(a, 32, 64)).toThrow('strict: view from element 32: must be a multiple of 64');
    expect(() => strict.view(a, 192, 65)).toThrow('strict: view of elements 192 to 257: the storage has 256');
    expect(() => dispatch({ a, out } as never)).toThrow('strict: add: binds a,out: needs a,b,out');
    expect(() => strict.dispatch(fillKernel, { out }, { n: 3 } as never)).toThrow('strict: fill: value is undefined');
    const gone = strict.alloc(64, 'f32');
    const part = strict.view(gone, 0, 64);
    strict.free(gone);
    expect(() => dispatch({ a, b, out: part })).toThrow('strict: add.out: the storage was freed');
    expect(() => strict.free(gone)).toThrow('strict: free: the storage was freed');
  });
});
