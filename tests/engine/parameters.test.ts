// Parameters: where each one lies in the flat buffers, how it starts, and how values come in and out by name.

import { beforeEach, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { FormatError } from '../../engine/errors.ts';
import { mul } from '../../engine/ops/arithmetic.ts';
import { matmul } from '../../engine/ops/matmul.ts';
import { embedding } from '../../engine/ops/embedding.ts';
import { layerNorm, rmsNorm } from '../../engine/ops/norm.ts';
import { sum } from '../../engine/ops/reduce.ts';
import { square } from '../../engine/ops/unary.ts';
import { Parameters, type HostTensor, type Parameter, type Part } from '../../engine/parameters.ts';
import { rng } from '../../engine/rng.ts';
import { useBackend } from '../../engine/runtime.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, variable, type Tensor } from '../../engine/tensor.ts';
import { messageOf } from '../ops/oracle.ts';

const device = new CpuBackend();

beforeEach(() => useBackend(device));

const part = (name: string, shape: number[], initial: Part['initial'] = { deviation: 0.5 }): Part => ({
  name,
  shape,
  initial,
});

/** A gain, a packed pair of matrices, and another matrix. */
function three(): { parameters: Parameters; gain: Parameter; pair: Parameter; matrix: Parameter } {
  const parameters = new Parameters();
  const gain = parameters.declare(part('gain', [5], { constant: 1 }));
  const pair = parameters.declare(part('q', [2, 3]), part('k', [1, 3]));
  return { parameters, gain, pair, matrix: parameters.declare(part('w', [20, 4])) };
}

const data = (tensors: ReadonlyMap<string, { data: Float32Array }>, name: string): number[] => [
  ...tensors.get(name)!.data,
];

describe('layout', () => {
  test('parts of a slot are stacked along their first axis', () => {
    const { pair, parameters } = three();
    expect(pair.shape).toEqual([3, 3]);
    expect(parameters.count).toBe(5 + 9 + 80);
    expect(parameters.entries()).toEqual([
      { name: 'gain', shape: [5] },
      { name: 'q', shape: [2, 3] },
      { name: 'k', shape: [1, 3] },
      { name: 'w', shape: [20, 4] },
    ]);
  });

  test('matrices come first, and each slot begins at a multiple of 256 bytes', () => {
    const { parameters, gain, pair, matrix } = three();
    parameters.allocate(rng(1));
    const { size, decayed, values, gradients } = parameters.flat;
    expect([size, decayed]).toEqual([64 + 128 + 64, 64 + 128]);
    const place = (storage: unknown, of: unknown): number =>
      ((storage as { address: number }).address - (of as { address: number }).address) / 4;
    expect([pair, matrix, gain].map(({ tensor }) => place(tensor.storage, values))).toEqual([0, 64, 192]);
    expect([pair, matrix, gain].map(({ tensor }) => place(tensor.gradient!.storage, gradients))).toEqual([0, 64, 192]);
  });

  test('the gaps between slots are 0', async () => {
    const { parameters } = three();
    parameters.allocate(rng(1));
    const all = await device.read(parameters.flat.values);
    for (const [from, to] of [
      [9, 64],
      [64 + 80, 192],
      [192 + 5, 256],
    ]) {
      expect([...all.slice(from, to)].every((x) => x === 0)).toBe(true);
    }
  });

  test('the tensors want gradients and outlive every step', () => {
    const { parameters, matrix } = three();
    parameters.allocate(rng(1));
    expect(matrix.tensor).toMatchObject({ shape: [20, 4], needsGrad: true, arena: null, node: null });
  });

  test('before allocate() there is nothing to read', () => {
    expect(messageOf(() => three().parameters.flat)).toBe('parameters: used before allocate(), or after free()');
  });
});

describe('initial values', () => {
  test('constants are constant, the others have their deviation', async () => {
    const parameters = new Parameters();
    parameters.declare(part('big', [100, 100], { deviation: 0.3 }));
    parameters.declare(part('ones', [7], { constant: 1 }));
    parameters.allocate(rng(3));
    const host = await parameters.toHost();
    const big = data(host, 'big');
    expect(data(host, 'ones')).toEqual(Array(7).fill(1));
    const mean = big.reduce((total, x) => total + x, 0) / 1e4;
    const variance = big.reduce((total, x) => total + x * x, 0) / 1e4;
    expect(Math.abs(mean)).toBeLessThan(4 * 0.3 / 100);                  // four standard errors of a mean of 10^4
    expect(Math.abs(Math.sqrt(variance) / 0.3 - 1)).toBeLessThan(4 / Math.sqrt(2e4));
  });

  test('depend on the seed and the name, not on what else is declared', async () => {
    const { parameters: one } = three();
    const two = new Parameters();
    two.declare(part('other', [9, 9]));
    two.declare(part('w', [20, 4]));
    one.allocate(rng(1));
    two.allocate(rng(1));
    expect(data(await one.toHost(), 'w')).toEqual(data(await two.toHost(), 'w'));
    expect(data(await two.toHost(), 'w').slice(0, 9)).not.toEqual(data(await two.toHost(), 'other').slice(0, 9));
    const again = three().parameters;
    again.allocate(rng(2));
    expect(data(await again.toHost(), 'w')).not.toEqual(data(await one.toHost(), 'w'));
  });

  test('without random numbers everything is 0, constants too: to be loaded', async () => {
    const { parameters } = three();
    parameters.allocate();
    for (const { data } of (await parameters.toHost()).values()) expect([...data].every((x) => x === 0)).toBe(true);
  });
});

describe('gradients', () => {
  test('land in their slots, under their names', async () => {
    const { parameters, pair, gain } = three();
    parameters.allocate(rng(1));
    backward(sum(mul(pair.tensor, pair.tensor)));
    const values = await parameters.toHost();
    const gradients = await parameters.gradientsToHost();
    for (const name of ['q', 'k']) expect(data(gradients, name)).toEqual(data(values, name).map((x) => 2 * x));
    expect([...await gain.tensor.gradient!.read()]).toEqual([0, 0, 0, 0, 0]);
    expect(gradients.get('k')!.shape).toEqual([1, 3]);
    parameters.clearGradients();
    expect(data(await parameters.gradientsToHost(), 'q')).toEqual(Array(6).fill(0));
  });

  type Use = (w: Tensor) => Tensor;
  const x = (): Tensor => tensor([0.5, -1, 2, 3, -0.25, 1.5, 1, 4, -2, 0.125, 7, -3], [3, 4]);
  const scale = (): Tensor => tensor([1, 1, 1, 1]);
  const uses: readonly (readonly [string, number[], Use])[] = [
    ['matmul', [4, 2], (w) => matmul(x(), w)],
    ['matmul, a transposed', [3, 2], (w) => matmul(x(), w, { transA: true })],
    ['matmul, b transposed', [2, 4], (w) => matmul(x(), w, { transB: true })],
    ['matmul, both transposed', [2, 3], (w) => matmul(x(), w, { transA: true, transB: true })],
    ['matmul, on the left', [2, 3], (w) => matmul(w, x())],
    ['embedding', [5, 4], (w) => embedding(w, tensor([1, 4, 1], [3], 'i32'))],
    ['rmsNorm', [4], (w) => rmsNorm(x(), w)],
    ['layerNorm', [4], (w) => layerNorm(x(), w, scale())],
    ["layerNorm's bias", [4], (w) => layerNorm(x(), scale(), w)],
  ];

  test.each(uses)('two backward passes add up: %s', async (_, shape, use) => {
    const parameters = new Parameters();
    const neighbour = (name: string): Parameter => parameters.declare(part(name, shape));
    const [before, w, after] = [neighbour('before'), neighbour('w'), neighbour('after')];
    parameters.allocate(rng(1));
    backward(sum(square(use(w.tensor))));
    const once = data(await parameters.gradientsToHost(), 'w');
    expect(once.some((g) => g !== 0)).toBe(true);
    backward(sum(square(use(w.tensor))));
    expect(data(await parameters.gradientsToHost(), 'w')).toEqual(once.map((g) => 2 * g)); // doubling is exact
    for (const {
      tensor: { gradient },
    } of [before, after]) {
      expect([...(await gradient!.read())].every((g) => g === 0)).toBe(true);
    }

    const alone = variable(await w.tensor.read(), shape);
    const plain = await backward(sum(square(use(alone)))).of(alone)!.read();
    // a slot may be summed in another order
    plain.forEach((g, i) => expect(Math.abs(g - once[i]!)).toBeLessThanOrEqual(1e-5 * Math.abs(g)));
  });

  test('start at 0, whatever the memory held before', async () => {
    for (let i = 0; i < 2; i++) {
      const { parameters } = three();
      parameters.allocate(rng(1));
      expect([...await device.read(parameters.flat.gradients)].every((x) => x === 0)).toBe(true);
      device.write(parameters.flat.gradients, new Float32Array(parameters.flat.size).fill(9));
      parameters.free(); // the next one gets this memory
    }
  });
});

describe('values by name', () => {
  const full = (): Map<string, HostTensor> =>
    new Map<string, HostTensor>([
      ['gain', { shape: [5], data: [1, 2, 3, 4, 5] }],
      ['q', { shape: [2, 3], data: [1, 2, 3, 4, 5, 6] }],
      ['k', { shape: [1, 3], data: [7, 8, 9] }],
      ['w', { shape: [20, 4], data: Float32Array.from({ length: 80 }, (_, i) => i) }],
    ]);

  test('go in and come out', async () => {
    const { parameters, pair } = three();
    parameters.allocate();
    parameters.load(full(), 'here');
    expect([...await pair.tensor.read()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]); // packed: q, then k
    const host = await parameters.toHost();
    for (const [name, { shape, data: expected }] of full()) {
      expect(host.get(name)!.shape).toEqual(shape);
      expect(data(host, name)).toEqual(Array.from(expected));
    }
  });

  test('copyFrom takes another model over, and leaves it independent', async () => {
    const [one, two] = [three().parameters, three().parameters];
    one.allocate(rng(1));
    two.allocate(rng(2));
    two.copyFrom(one);
    expect(await two.toHost()).toEqual(await one.toHost());
    two.load(full(), 'here');
    expect(data(await one.toHost(), 'k')).not.toEqual([7, 8, 9]);
  });

  test.each<[string, (tensors: Map<string, HostTensor>) => unknown]>([
    ['model.safetensors: has no tensor "k" [1,3]', (tensors) => tensors.delete('k')],
    [
      'model.safetensors: tensor "w" is [4,20]: the model needs [20,4]',
      (tensors) => tensors.set('w', { shape: [4, 20], data: new Float32Array(80) }),
    ],
    [
      'model.safetensors: has a tensor "extra" that the model does not',
      (tensors) => tensors.set('extra', { shape: [1], data: [1] }),
    ],
  ])('%s', async (message, damage) => {
    const { parameters } = three();
    const tensors = full();
    parameters.allocate(rng(1));
    const before = await parameters.toHost();
    damage(tensors);
    expect(() => parameters.load(tensors, 'model.safetensors')).toThrow(new FormatError(message));
    expect(await parameters.toHost()).toEqual(before); // nothing was taken over
  });
});
