// Every op with every mistake: what is no tensor, another element type, another device, memory that was given back,
// arguments missing and too many, attributes misspelled and of the wrong kind. Each ends in an error of the project's
// own that names the function, before a number comes out. A new op is in here as soon as engine/ops/index.ts exports
// it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../engine/cpu/backend.ts';
import { ConfigError, DeviceError, RemitError, ShapeError, StepError } from '../engine/errors.ts';
import * as ops from '../engine/ops/index.ts';
import { backend, useBackend, withBackend } from '../engine/runtime.ts';
import { dtypes } from '../engine/shape.ts';
import { step } from '../engine/step.ts';
import { Tensor, tensor } from '../engine/tensor.ts';
import { caseOf, everyOp, fillAll, isOp, largest, upload, variantsOf } from './support/fill.ts';
import { backendAt, gpu, places } from './support/gpu.ts';

/**
 * A call that is right, argument by argument; the first `tensors` of them are tensors, the next, if any, holds
 * attributes.
 */
interface Call {
  readonly name: string;
  readonly f: (...args: never[]) => Tensor;
  readonly args: readonly unknown[];
  readonly tensors: number;
  /** Names of the tensors; '...rest' for any number of them. */
  readonly names: readonly string[];
  /** Whether it moves elements of whatever type. */
  readonly takesAny?: boolean;
}

type Mistake = readonly [what: string, args: readonly unknown[], kind?: abstract new (...args: never[]) => RemitError];

const ones = (...shape: number[]): Tensor => tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1), shape);
const ids = (...shape: number[]): Tensor => tensor(new Int32Array(shape.reduce((a, b) => a * b, 1)), shape, 'i32');

/** Functions of tensors that are no ops: what they take, as far as a list of arguments says it. */
const functions: Readonly<Record<string, () => Omit<Call, 'name'>>> = {
  atLeast: () => ({ f: ops.atLeast, args: [ones(2), ones(2)], tensors: 2, names: ['a', 'b'] }),
  attentionInSmallOps: () => ({
    f: ops.attentionInSmallOps,
    args: [ones(1, 2, 6), ones(2, 2), { heads: 1 }],
    tensors: 2,
    names: ['qkv', 'table'],
  }),
  attentionWeights: () => ({
    f: ops.attentionWeights,
    args: [ones(1, 2, 6), ones(2, 2), { heads: 1 }],
    tensors: 2,
    names: ['qkv', 'table'],
  }),
  attentionCached: () => ({
    f: (qkv: Tensor, table: Tensor, k: Tensor, v: Tensor, ...attrs: [ops.CachedAttrs]) =>
      ops.attentionCached(qkv, table, { k, v }, ...attrs),
    args: [ones(1, 1, 6), ones(2, 2), ones(1, 1, 2, 2), ones(1, 1, 2, 2), { heads: 1, position: 0 }],
    tensors: 4,
    names: ['qkv', 'table', 'cache.k', 'cache.v'],
  }),
  crossEntropy: () => ({
    f: ops.crossEntropy,
    args: [ones(2, 3), ids(2), {}],
    tensors: 2,
    names: ['logits', 'targets'],
  }),
  keepLargest: () => ({
    f: ops.keepLargest,
    args: [ones(2), ids(2), { keep: 1 }],
    tensors: 2,
    names: ['x', 'targets'],
  }),
  rotaryTable: () => ({
    f: (...args: [number, number, number]) => ones(ops.rotaryTable(...args).length),
    args: [2, 2, 100],
    tensors: 0,
    names: [],
  }),
  mean: () => ({ f: ops.mean, args: [ones(2, 3), { axis: 1 }], tensors: 1, names: ['x'] }),
  sumTo: () => ({ f: ops.sumTo, args: [ones(2, 3), [3]], tensors: 1, names: ['x'] }),
};

const noTensors = [
  2,
  '2',
  NaN,
  null,
  undefined,
  true,
  1n,
  Symbol('x'),
  [1, 2],
  [[1], [2]],
  new Float32Array(2),
  {},
  Promise.resolve(1),
  () => 1,
  new Map(),
];
const noAttribute = [NaN, null, 'x', 1n, Symbol('x'), {}, [NaN], [[1]], Promise.resolve(1), () => 1, new Date(0)];
const noAttributes = [null, 0, 1, 'x', true, 1n, [0], [[1]], Promise.resolve({}), () => 1, new Map(), new Date(0)];

const drawn: Record<string, number> = {};
let foreign: Tensor;

afterAll(async () => {
  console.log(
    `mistakes drawn, all refused: ${Object.entries(drawn)
      .map(([place, n]) => `${n} on ${place}`)
      .join(', ')}`,
  );
  await gpu?.close();
});

describe.each(places)('on %s', (place) => {
  beforeAll(() => {
    useBackend(backendAt(place));
    foreign = withBackend(new CpuBackend(), () => tensor([1, 2]));
  });

  test.each(everyOp.map((op) => [op.def.name, op] as const))('%s', async (name, op) => {
    for (const variant of variantsOf(op)) {
      const { attrs, fills } = caseOf(op, variant, largest(op));
      const inputs = fillAll(fills, 1).map(upload);
      const names = Object.keys(op.def.takes);
      const takesAny = Object.values(op.def.takes).includes('any');
      await expectRefused(place, { name, f: op, args: [...inputs, attrs], tensors: inputs.length, names, takesAny });
    }
  });

  test.each(Object.keys(functions))('%s', async (name) => expectRefused(place, { name, ...functions[name]!() }));

  test('after all of it, sums are right', async () => {
    expect([...await ops.add(tensor([1, 2, 3]), tensor([10, 20, 30])).read()]).toEqual([11, 22, 33]);
  });
});

test('every function that the ops export is among these', () => {
  const all = Object.entries(ops as Record<string, unknown>).filter(
    ([, value]) => typeof value === 'function' && !isOp(value),
  );
  expect(all.map(([name]) => name).sort()).toEqual(Object.keys(functions).sort());
});

test('an op says how many tensors it takes', () => {
  for (const op of everyOp) {
    const names = Object.keys(op.def.takes);
    const { length } = caseOf(op, 0, largest(op)).fills;
    if (names.at(-1)!.startsWith('...')) expect(length).toBeGreaterThanOrEqual(names.length - 1);
    else expect(length, op.def.name).toBe(names.length);
  }
});

test('an attribute that an op looks at has a rule', () => {
  for (const op of everyOp) {
    const tried = new Set(variantsOf(op).flatMap((variant) => Object.keys(caseOf(op, variant, largest(op)).attrs)));
    expect([...tried].filter((name) => !Object.hasOwn(op.def.attrs ?? {}, name)), op.def.name).toEqual([]);
  }
});

/** The right call works; each mistake in it is refused. */
async function expectRefused(place: string, call: Call): Promise<void> {
  await (call.f as (...args: unknown[]) => Tensor)(...call.args).read();
  for (const [what, args, kind = RemitError] of [
    ...wrongTensors(call),
    ...(await lostTensors(call)),
    ...wrongAttributes(call),
    ...wrongCounts(call),
  ]) {
    const where = `${call.name}: ${what}`;
    const error = await failure(() => (call.f as (...args: unknown[]) => Tensor)(...args).read());
    expect(error, where).toBeInstanceOf(kind as typeof RemitError);
    expect((error as Error).message, where).toMatch(/^\S+: [^\n]+$/);
    expect((error as Error).message, where).not.toMatch(/internal:|\[object|undefined is not/);
    drawn[place] = (drawn[place] ?? 0) + 1;
  }
}

function wrongTensors({ args, tensors, takesAny }: Call): Mistake[] {
  return Array.from({ length: tensors }, (_, i) => i).flatMap((i): Mistake[] => {
    const right = args[i] as Tensor;
    const others = dtypes.filter((dtype) => dtype !== right.dtype && !takesAny);
    return [
      ...noTensors.map((value): Mistake => [`${String(value)} for tensor ${i}`, args.with(i, value), ShapeError]),
      ...others.map((dtype): Mistake => [
        `${dtype} for tensor ${i}`,
        args.with(i, tensor(new Uint8Array(right.size), right.shape, dtype)),
        ShapeError,
      ]),
    ];
  });
}

/** Tensors of another device, of memory that was given back, and of a step that has begun again. */
async function lostTensors({ args, tensors }: Call): Promise<Mistake[]> {
  const mistakes: Mistake[] = [];
  for (let i = 0; i < tensors; i++) {
    const right = args[i] as Tensor;
    const { shape, dtype, size } = right;
    const zeros = new Uint8Array(size);
    const other = withBackend(foreign.storage.owner!, () => tensor(zeros, shape, dtype));
    mistakes.push([`another device for tensor ${i}`, args.with(i, other), DeviceError]);
    const freed = tensor(zeros, shape, dtype);
    backend().free(freed.storage);
    mistakes.push([`freed memory for tensor ${i}`, args.with(i, freed), StepError]);
    const part = new Tensor({ shape, dtype, storage: freed.storage });
    mistakes.push([`a part of freed memory for tensor ${i}`, args.with(i, part), StepError]);
    const body = step(() => tensor(zeros, shape, dtype));
    const stale = await body();
    await body();
    mistakes.push([`a tensor of an earlier step for tensor ${i}`, args.with(i, stale), StepError]);
  }
  return mistakes;
}

function wrongAttributes({ args, tensors }: Call): Mistake[] {
  const inputs = args.slice(0, tensors);
  const attrs = args[tensors];
  if (attrs === undefined || Array.isArray(attrs) || typeof attrs !== 'object') {
    return args
      .slice(tensors)
      .flatMap((_, i) =>
        noAttribute.map((value): Mistake => [
          `${String(value)} for argument ${tensors + i}`,
          args.with(tensors + i, value),
        ]),
      );
  }
  return [
    ...Object.keys(attrs!).flatMap((name) =>
      noAttribute.map((value): Mistake => [
        `${name}: ${String(value)}`,
        [...inputs, { ...attrs, [name]: value }],
        ConfigError,
      ]),
    ),
    ...['axes', 'eps', 'toString', '__x'].map((name): Mistake => [
      `an attribute ${name}`,
      [...inputs, { ...attrs, [name]: 1 }],
      ConfigError,
    ]),
    ...noAttributes.map((value): Mistake => [`${String(value)} for attributes`, [...inputs, value]]),
    ['attributes twice', [...inputs, attrs, attrs]],
    ['a tensor after the attributes', [...inputs, attrs, inputs[0]]],
  ];
}

function wrongCounts({ args, tensors, names }: Call): Mistake[] {
  const isFixed = !names.at(-1)?.startsWith('...');
  const required = isFixed ? tensors : names.length - 1;
  const fewer = Array.from({ length: required }, (_, n): Mistake => [`${n} tensors`, args.slice(0, n)]);
  const more: Mistake[] = isFixed ? [['one argument too many', [...args, args[0]]]] : [];
  const between: Mistake[] =
    isFixed && tensors > 0
      ? [['one tensor too many', [...args.slice(0, tensors), args[0], ...args.slice(tensors)]]]
      : [];
  return [...fewer, ...more, ...between];
}

async function failure(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return `no error, but ${String(await call())}`;
  } catch (error) {
    return error;
  }
}
