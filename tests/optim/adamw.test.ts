// AdamW against the formulas of its paper (arXiv 1711.05101, algorithm 2), written out for one number at a time.

import { beforeEach, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { Parameters, type Parameter } from '../../engine/parameters.ts';
import { backend, useBackend } from '../../engine/runtime.ts';
import { AdamW, adamwDefaults, type AdamWOptions } from '../../optim/adamw.ts';

beforeEach(() => useBackend(new CpuBackend({ precision: 'f64' })));

const start = { matrix: [0.5, -1, 2, 0.25, 0, -3], gain: [1, -0.5, 4] };
const gradients = [
  { matrix: [3, -4, 0, 1, 2, -1], gain: [0.5, -2, 0] },
  { matrix: [-1, 0.5, 2, 0, 1e-3, 7], gain: [-3, 0.25, 1] },
];

/** Parameters with a matrix [2,3] and a gain [3] that hold `start`. */
function parameters(): { parameters: Parameters; matrix: Parameter; gain: Parameter } {
  const all = new Parameters();
  // first, so that its place in memory has to move
  const gain = all.declare({ name: 'gain', shape: [3], initial: { constant: 0 } });
  const matrix = all.declare({ name: 'matrix', shape: [2, 3], initial: { constant: 0 } });
  all.allocate();
  backend().write(matrix.tensor.storage, start.matrix);
  backend().write(gain.tensor.storage, start.gain);
  return { parameters: all, matrix, gain };
}

/** Two updates at these rates; returns the values after each, and the norms that update() told. */
async function run(options: Partial<AdamWOptions>, rates = [0.1, 0.02]) {
  const { parameters: all, matrix, gain } = parameters();
  const optimiser = new AdamW(all, options);
  const values: { matrix: number[]; gain: number[] }[] = [];
  const norms: number[] = [];
  for (const [step, gradient] of gradients.entries()) {
    backend().write(matrix.tensor.gradient!.storage, gradient.matrix);
    backend().write(gain.tensor.gradient!.storage, gradient.gain);
    norms.push(await optimiser.update(step, rates[step]!).item());
    values.push({ matrix: Array.from(await matrix.tensor.read()), gain: Array.from(await gain.tensor.read()) });
  }
  return { values, norms, flat: Array.from(await backend().read(all.flat.values)) };
}

const norm = ({ matrix, gain }: { matrix: number[]; gain: number[] }): number => Math.hypot(...matrix, ...gain);

/** The same by the paper's lines: m, v, their corrections, the step, the decay. */
function byHand({ beta1, beta2, epsilon, weightDecay, clip }: AdamWOptions, rates = [0.1, 0.02]) {
  return (['matrix', 'gain'] as const).map((name) => start[name].map((_, i) => {
    let theta = start[name][i]!;
    let m = 0;
    let v = 0;
    return gradients.map((gradient, step) => {
      const length = norm(gradient);
      const g = gradient[name][i]! * (clip > 0 && length > clip ? clip / length : 1);
      const t = step + 1;
      m = beta1 * m + (1 - beta1) * g;
      v = beta2 * v + (1 - beta2) * g ** 2;
      const [mHat, vHat] = [m / (1 - beta1 ** t), v / (1 - beta2 ** t)];
      const decay = name === 'matrix' ? weightDecay : 0;
      theta -= rates[step]! * (mHat / (Math.sqrt(vHat) + epsilon) + decay * theta);
      return theta;
    });
  }));
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 13));
}

test.each<[object, string]>([
  [
    { weight_decay: 0.1 },
    'AdamW: weight_decay: no such option: did you mean weightDecay? There are beta1, beta2, epsilon, weightDecay, clip',
  ],
  [{ beta2: 1 }, 'AdamW: beta2 = 1: must be a number at least 0 and below 1'],
  [{ clip: null }, 'AdamW: clip = null: must be a number at least 0 and at most 1000000000'],
])('%o is refused', (options, message) => {
  expect(() => new AdamW(parameters().parameters, options)).toThrow(message);
});

test('what is undefined has its default; rates are from 0 to 1', () => {
  const optimiser = new AdamW(parameters().parameters, { beta1: undefined as never });
  expect(optimiser.options).toEqual(adamwDefaults);
  expect(() => optimiser.update(0, NaN)).toThrow('AdamW.update: rate = NaN: must be a number at least 0 and at most 1');
});

describe('two steps are those of the paper', () => {
  test.each([
    ['the defaults', {}],
    ['no decay, no limit', { weightDecay: 0, clip: 0 }],
    ['a strong decay and a tight limit', { weightDecay: 2, clip: 0.1 }],
    ['other memories and a large epsilon', { beta1: 0.5, beta2: 0.6, epsilon: 0.3 }],
    ['no memory', { beta1: 0, beta2: 0 }],
  ])('with %s', async (_, options) => {
    const { values } = await run(options);
    const [matrix, gain] = byHand({ ...adamwDefaults, ...options });
    for (const step of [0, 1]) {
      expectClose(values[step]!.matrix, matrix!.map((theta) => theta[step]!));
      expectClose(values[step]!.gain, gain!.map((theta) => theta[step]!));
    }
  });
});

test('the first step moves each number by the rate, against its gradient, whatever its size', async () => {
  const { values } = await run({ weightDecay: 0, epsilon: 1e-30 });
  for (const name of ['matrix', 'gain'] as const) {
    expectClose(values[0]![name], start[name].map((value, i) => value - 0.1 * Math.sign(gradients[0]![name][i]!)));
  }
});

test('decay shrinks matrices and leaves gains alone', async () => {
  const [without, decayed] = [await run({ weightDecay: 0 }), await run({ weightDecay: 0.5 })];
  expect(decayed.values[0]!.gain).toEqual(without.values[0]!.gain);
  expectClose(
    decayed.values[0]!.matrix,
    without.values[0]!.matrix.map((value, i) => value - 0.1 * 0.5 * start.matrix[i]!),
  );
});

describe('the norm', () => {
  test('is that of all gradients together, before clipping', async () => {
    for (const clip of [0, 0.1, 1, 1000]) expectClose((await run({ clip })).norms, gradients.map(norm));
  });

  test('limit 0 is no limit, and a limit that is not reached changes nothing', async () => {
    const free = await run({ clip: 0 });
    expect((await run({ clip: 1000 })).values).toEqual(free.values);
    expect((await run({ clip: 1 })).values[1]).not.toEqual(free.values[1]);
  });

});

test('what lies between the parameters in memory stays 0', async () => {
  const { flat } = await run({ weightDecay: 2 });
  // matrix and gain, of six and three elements, begin at multiples of 64
  const gaps = flat.filter((_, i) => i % 64 >= 6);
  expect(gaps).toHaveLength(2 * 58);
  expect(gaps.every((value) => value === 0)).toBe(true);
});

test('freed and made again, an optimiser starts without memory', async () => {
  useBackend(new CpuBackend()); // f32, whose memory is recycled
  const { parameters: all, matrix, gain } = parameters();
  const first = async (): Promise<number[]> => {
    backend().write(matrix.tensor.storage, start.matrix);
    backend().write(matrix.tensor.gradient!.storage, gradients[0]!.matrix);
    backend().write(gain.tensor.gradient!.storage, gradients[0]!.gain);
    const optimiser = new AdamW(all);
    optimiser.update(0, 0.1);
    const values = Array.from(await matrix.tensor.read());
    optimiser.free();
    return values;
  };
  expect(await first()).toEqual(await first());
});

describe.each([
  ['references', { wasm: false }],
  ['WASM', { wasm: true }],
] as const)('in single precision, %s', (_, options) => {
  beforeEach(() => useBackend(new CpuBackend(options)));

  /** One update with this gradient, from scratch or by `optimiser`; the weights after it. */
  async function updated(
    all: Parameters,
    optimiser: AdamW,
    step: number,
    gradient: (i: number) => number,
  ): Promise<{ norm: number; values: number[] }> {
    const { gradients: flat, values, size } = all.flat;
    backend().write(
      flat,
      Float32Array.from({ length: size }, (_, i) => gradient(i)),
    );
    const length = await optimiser.update(step, 0.1).item();
    return { norm: length, values: [...(await backend().read(values))] };
  }

  test('an update that is left out does not count in the bias correction, wherever it is', async () => {
    const settings = { weightDecay: 0, clip: 0 };
    const gradient = (i: number): number => 1 + i / 100;
    const clean = parameters().parameters;
    const optimiser = new AdamW(clean, settings);
    const wanted: number[][] = [];
    for (const step of [0, 1, 2]) wanted.push((await updated(clean, optimiser, step, gradient)).values);

    const other = parameters().parameters;
    const interrupted = new AdamW(other, settings);
    const found: number[][] = [];
    for (const [step, what] of [NaN, 1, Infinity, -Infinity, 1, 1].entries()) {
      const { values } = await updated(other, interrupted, step, (i) => what * gradient(i));
      if (what === 1) found.push(values);
    }
    expect(found).toEqual(wanted); // to the bit
    expect(await interrupted.readSkipped()).toBe(3);
  });

  test('what was left out goes with the moments to who goes on', async () => {
    const settings = { weightDecay: 0, clip: 0 };
    const one = parameters().parameters;
    const first = new AdamW(one, settings);
    await updated(one, first, 0, () => NaN);
    await updated(one, first, 1, (i) => i);
    const two = parameters().parameters;
    const second = new AdamW(two, settings);
    two.copyFrom(one);
    for (const key of ['m', 'v'] as const) {
      backend().write(second.moments[key], await backend().read(first.moments[key]));
    }
    second.setSkipped(await first.readSkipped());
    const next = (i: number): number => 3 - i;
    expect((await updated(two, second, 2, next)).values).toEqual((await updated(one, first, 2, next)).values);
  });

  test.each([1e19, 1e30, 3e37, 1e-30, 1e-36])(
    'a gradient of %d has its norm, and moves the weights as one of 1 does',
    async (size) => {
      const sign = (i: number): number => (i % 2 ? -1 : 1);
      for (const clip of [0, 1]) {
        const all = parameters().parameters;
        const { norm: length, values } = await updated(
          all,
          new AdamW(all, { clip, weightDecay: 0 }),
          0,
          (i) => size * sign(i),
        );
        const n = all.flat.size;
        const exact = Math.fround(size) * Math.sqrt(n);
        expect(Math.abs(length / exact - 1)).toBeLessThan(1e-6);
        if (size < 1) continue; // whose squares vanish in v
        const before = [...(await backend().read(parameters().parameters.flat.values))];
        values.forEach((value, i) => expect(value).toBeCloseTo(before[i]! - 0.1 * sign(i), 5));
      }
    },
  );

  test('a norm beyond single precision leaves everything as it is', async () => {
    const all = parameters().parameters;
    const before = [...(await backend().read(all.flat.values))];
    const { norm: length, values } = await updated(all, new AdamW(all), 0, () => 3.4e38);
    expect(length).toBe(Infinity);
    expect(values).toEqual(before);
  });
});
