// The arms of mid-training: which of them are the same thing when they should be, and what each does with the weights.

import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { ConfigError } from '../../engine/errors.ts';
import { crossEntropy, logProb } from '../../engine/ops/cross-entropy.ts';
import { logSoftmax } from '../../engine/ops/softmax.ts';
import { rng } from '../../engine/rng.ts';
import { backend, noGrad, useBackend } from '../../engine/runtime.ts';
import { backward } from '../../engine/tape.ts';
import { Transformer } from '../../nn/transformer.ts';
import { armLoss, referenceOf, type Arm, type ArmLoss, type ArmName } from '../../remit/arms.ts';
import { resolveConfig, type Config } from '../../remit/settings/resolve.ts';
import { corpus } from '../../remit/worlds/tiny/index.ts';
import { midtrain, type Guide } from '../../remit/phases/midtrain.ts';
import { nextTokens } from '../../remit/phases/next-token.ts';
import { quietRun, type StepRecord } from '../../remit/phases/run.ts';
import { remitLoss } from '../../remit/weights.ts';

beforeAll(() => useBackend(new CpuBackend()));

const V = 70;
const B = 5;
const T = 23;
const every = Object.keys(referenceOf) as ArmName[];

const configOf = (arm: ArmName, ...flags: [string, string][]): Config =>
  resolveConfig({
    flags: [
      ['model.width', '16'],
      ['model.heads', '2'],
      ['model.layers', '1'],
      ['midtrain.steps', '3'],
      ['midtrain.batch', `${B}`],
      ['remit.arm', arm],
      ...flags,
    ],
  }).config;

const modelOf = (seed: number): Transformer =>
  new Transformer({ ...configOf('remit').model, vocabulary: V }, rng(seed).fold('init'));
const rowsOf = ({ seed, midtrain }: Config) => corpus(midtrain.corpus, rng(seed).fold('rows'));

/** What an arm makes of step i: its loss, weights, and the flat gradient, bit for bit. */
async function once(config: Config, { model = modelOf(1), reference = modelOf(2), i = 0 } = {}) {
  const lossOf = armLoss(config.remit, { model, reference }, rng(config.seed).fold('arm'));
  const found: ArmLoss = lossOf(nextTokens(rowsOf(config).rows(i, B), B), i);
  model.parameters.clearGradients();
  backward(found.loss);
  const [loss, weights, logProb, gradient] = [
    await found.loss.item(),
    await found.weights?.read(),
    await found.logProb?.read(),
    await backend().read(model.parameters.flat.gradients),
  ];
  return { loss, weights: weights && Array.from(weights), logProb: logProb && Array.from(logProb), gradient };
}

/** Mid-training of modelOf(1), guided unless the reference is null. */
async function train(config: Config, reference: Transformer | null = modelOf(2)) {
  const records: StepRecord[] = [];
  const run = { ...quietRun, log: ({ phase: _, ...record }: StepRecord) => void records.push(record as StepRecord) };
  const model = await midtrain(
    config,
    rowsOf(config),
    modelOf(1),
    run,
    reference === null ? undefined : { phase: 'guided', reference },
  );
  return { records, weights: await model.parameters.toHost() };
}

const sorted = (x: readonly number[]): number[] => [...x].sort((a, b) => a - b);
const rows = (x: readonly number[]): number[][] => Array.from({ length: B }, (_, b) => x.slice(b * T, (b + 1) * T));

describe('the same thing, bit for bit, in loss, norm and weights:', () => {
  test('vanilla with a guide, and mid-training without', async () => {
    expect(await train(configOf('vanilla'))).toEqual(await train(configOf('remit'), null));
  });

  test('distillation with share 0, and vanilla', async () => {
    expect(await train(configOf('kd', ['remit.distil', '0']))).toEqual(await train(configOf('vanilla')));
  });

  test('hard selection that keeps all, and vanilla', async () => {
    const [kept, vanilla] = [await train(configOf('rho', ['remit.keep', '1'])), await train(configOf('vanilla'))];
    expect(kept.weights).toEqual(vanilla.weights);
    expect(kept.records.map(({ loss, gradNorm }) => [loss, gradNorm])).toEqual(
      vanilla.records.map(({ loss, gradNorm }) => [loss, gradNorm]),
    );
  });

  test('ReMiT guided by the model itself is vanilla for the first step; then the model moves, its guide does not', async () => {
    const [first, vanilla] = [
      await train(configOf('remit', ['midtrain.steps', '1']), modelOf(1)),
      await train(configOf('vanilla', ['midtrain.steps', '1'])),
    ];
    expect(first.weights).toEqual(vanilla.weights);
    expect(first.records[0]).toMatchObject({
      ...vanilla.records[0],
      weightMean: 1,
      weightDeviation: 0,
      weightsHigh: 0,
      weightsLow: 0,
    });
    const later = await train(configOf('remit'), modelOf(1));
    expect(later.weights).not.toEqual((await train(configOf('vanilla'))).weights);
    expect(later.records[1]!.weightDeviation).toBeGreaterThan(0);
  });

  test('sft-guided and remit, with one reference', async () => {
    expect(await train(configOf('sft-guided'))).toEqual(await train(configOf('remit')));
    expect([referenceOf['sft-guided'], referenceOf.remit, referenceOf.vanilla]).toEqual(['sft', 'rl', 'none']);
  });

  test.each(every)('%s, twice', async (arm) => {
    expect(await train(configOf(arm))).toEqual(await train(configOf(arm)));
  });
});

test('no two other arms are the same', async () => {
  const gradients = await Promise.all(
    every.filter((arm) => arm !== 'sft-guided').map(async (arm) => (await once(configOf(arm))).gradient.join()),
  );
  expect(new Set(gradients).size).toBe(7);
});

test('each setting reaches its arm', async () => {
  for (const [arm, name, value] of [
    ['remit', 'epsilon', '0.05'],
    ['remit', 'scale', '3'],
    ['remit', 'centre', 'false'],
    ['remit', 'detach', 'false'],
    ['shuffled', 'epsilon', '0.05'],
    ['normalised', 'scale', '3'],
    ['kd', 'distil', '0.9'],
    ['rho', 'keep', '0.3'],
  ] as const) {
    expect((await once(configOf(arm, [`remit.${name}`, value]))).gradient, `${arm} ${name}`).not.toEqual(
      (await once(configOf(arm))).gradient,
    );
  }
});

describe('rho', () => {
  test.each([0.001, 0.3, 0.6, 1])(
    'keeps floor(%d n) tokens, at least one: those that the reference expects most above the model',
    async (keep) => {
      const { weights, loss, logProb } = await once(configOf('rho', ['remit.keep', `${keep}`]));
      const n = B * T;
      const kept = Math.max(1, Math.floor(keep * n));
      expect(sorted(weights!)).toEqual([...new Array<number>(n - kept).fill(0), ...new Array<number>(kept).fill(1)]);
      const theirs = (await once(configOf('rho'), { model: modelOf(2) })).logProb!;
      const gap = theirs.map((x, i) => x - logProb![i]!);
      const of = (weight: number): number[] => gap.filter((_, i) => weights![i] === weight);
      // the gaps are rounded once more here
      if (kept < n) expect(Math.min(...of(1))).toBeGreaterThanOrEqual(Math.max(...of(0)) - 1e-6);
      // a mean over those kept
      expect(loss).toBeCloseTo(-weights!.reduce((total, w, i) => total + w * logProb![i]!, 0) / kept, 5);
    },
  );
});

describe.each(['shuffled', 'shuffled-rows'] as const)('%s', (arm) => {
  /** Weights that change places with each other: all of the batch, or a row each. */
  const parts = (x: ArrayLike<number>): number[][] => (arm === 'shuffled' ? [Array.from(x)] : rows(Array.from(x)));

  test('has the weights of ReMiT, in another order', async () => {
    const [ours, theirs] = [await once(configOf('remit')), await once(configOf(arm))];
    expect(parts(theirs.weights!).map(sorted)).toEqual(parts(ours.weights!).map(sorted));
    rows(theirs.weights!).forEach((row, b) => expect(row).not.toEqual(rows(ours.weights!)[b]));
    expect(theirs.logProb).toEqual(ours.logProb);
  });

  test('the order differs between parts, steps and seeds, and is a function of them', async () => {
    /** Where each of a part's weights went, by its size. */
    const orders = async (i: number, seed = '0'): Promise<string[]> => {
      const config = configOf(arm, ['seed', seed]);
      const { weights } = await once(config, { i });
      const { weights: straight } = await once({ ...config, remit: { ...config.remit, arm: 'remit' } }, { i });
      return parts(weights!).map((part, b) => part.map((w) => parts(straight!)[b]!.indexOf(w)).join());
    };
    const [first, second, other] = [await orders(0), await orders(1), await orders(0, '1')];
    expect(new Set([...first, ...second, ...other]).size).toBe(3 * first.length);
    expect(await orders(1)).toEqual(second);
  });
});

test('shuffled over the batch, some rows count more than they did; within rows, and normalised, none does', async () => {
  const totals = async (arm: ArmName): Promise<number[]> =>
    rows((await once(configOf(arm))).weights!).map((row) => row.reduce((a, b) => a + b, 0));
  const straight = await totals('remit');
  const close = (a: readonly number[], b: readonly number[]): boolean => a.every((x, i) => Math.abs(x - b[i]!) < 1e-4);
  expect(close(await totals('shuffled-rows'), straight)).toBe(true);
  expect(close(await totals('shuffled'), straight)).toBe(false);
  expect(close(await totals('normalised'), straight.map(() => T))).toBe(true);
  expect(close(straight, straight.map(() => T))).toBe(false);
});

describe('kd', () => {
  test('whole, guided by the model itself, has nothing to learn', async () => {
    const { loss, gradient } = await once(configOf('kd', ['remit.distil', '1']), { reference: modelOf(1) });
    expect(Math.abs(loss)).toBeLessThan(1e-6);
    expect(Math.max(...Array.from(gradient, Math.abs))).toBeLessThan(1e-6); // softmax by two roads, rounded
  });

  test('is KL(reference || model) over the vocabulary, not the other way round', async () => {
    const config = configOf('kd', ['remit.distil', '1']);
    const { inputs } = nextTokens(rowsOf(config).rows(0, B), B);
    const [ours, theirs] = await Promise.all(
      [1, 2].map((seed) => noGrad(() => logSoftmax(modelOf(seed).forward(inputs))).read()),
    );
    const divergence = (p: ArrayLike<number>, q: ArrayLike<number>): number =>
      Array.from(p).reduce((total, x, i) => total + Math.exp(x) * (x - q[i]!), 0) / (B * T);
    const { loss } = await once(config);
    expect(loss / divergence(theirs!, ours!)).toBeCloseTo(1, 4);
    // fresh models: alike, yet told apart
    expect(Math.abs(divergence(ours!, theirs!) / divergence(theirs!, ours!) - 1)).toBeGreaterThan(1e-3);
  });

  test('is a mixture: share a of the way from next-token prediction to the divergence', async () => {
    const of = async (a: number): Promise<number> => (await once(configOf('kd', ['remit.distil', `${a}`]))).loss;
    expect(await of(1)).toBeGreaterThan(0);
    expect(await of(0.25)).toBeCloseTo(0.75 * (await of(0)) + 0.25 * (await of(1)), 5);
  });
});

test('the reference is frozen: no arm gives it a gradient or changes it', async () => {
  for (const arm of every) {
    const reference = modelOf(2);
    await train(configOf(arm), reference);
    expect(await reference.parameters.toHost()).toEqual(await modelOf(2).parameters.toHost());
    expect((await backend().read(reference.parameters.flat.gradients)).every((g) => g === 0)).toBe(true);
  }
});

test('an arm that needs a reference and has none says so', () => {
  for (const arm of every.filter((name) => name !== 'vanilla')) {
    const lossOf = armLoss(configOf(arm).remit, { model: modelOf(1) }, rng(0));
    expect(() => lossOf(nextTokens(rowsOf(configOf(arm)).rows(0, B), B), 0)).toThrow(
      new ConfigError('midtrain: the loss asks for a guide: give { reference } with it'),
    );
  }
});

describe('a loss of one\'s own', () => {
  const config = configOf('remit');
  const train = (guide: Guide) => midtrain(config, rowsOf(config), modelOf(1), quietRun, guide);
  const plain: Arm = ({ batch: { targets }, logits }) => ({ loss: crossEntropy(logits, targets) });

  test('takes the place of the arm of the settings: next-token prediction said again is vanilla, bit for bit', async () => {
    const own = await train({ phase: 'own', loss: plain });
    const vanilla = await midtrain(config, rowsOf(config), modelOf(1), quietRun);
    const [a, b] = await Promise.all([own, vanilla].map(({ parameters }) => backend().read(parameters.flat.values)));
    expect(a).toEqual(b);
  });

  test('sees what ours see: ReMiT said again is ReMiT', async () => {
    const reference = modelOf(2);
    const loss: Arm = ({ batch: { targets }, logits, guide }) =>
      remitLoss(logits, targets, noGrad(() => logProb(guide(), targets)));
    const [own, remit] = [await train({ phase: 'own', reference, loss }), await train({ phase: 'remit', reference })];
    const [a, b] = await Promise.all([own, remit].map(({ parameters }) => backend().read(parameters.flat.values)));
    expect(a).toEqual(b);
  });

  test.each<[string, Guide, string]>([
    ['nothing', { phase: 'x' }, 'midtrain: guide: has neither reference nor loss: arm remit needs a reference'],
    ['a name', { phase: 'x', loss: 'softplus' as never }, 'guide.loss = "softplus": must be a function'],
    ['a guide that it asks for', { phase: 'x', loss: ({ guide }) => ({ loss: guide() }) }, 'the loss asks for a guide'],
    ['no scalar', { phase: 'x', loss: ({ logits }) => ({ loss: logits }) }, 'what the loss returned.loss = a tensor'],
    ['a promise', { phase: 'x', loss: (async () => ({})) as never }, 'midtrain: what the loss returned = a promise'],
  ])('%s is a ConfigError', async (_, guide, message) => {
    await expect(train(guide)).rejects.toThrow(ConfigError);
    await expect(train(guide)).rejects.toThrow(message);
  });
});

test('the metrics tell of the weights: mean, deviation, shares at the bounds, and the unweighted loss', async () => {
  const { records } = await train(configOf('remit', ['remit.epsilon', '0.1'], ['remit.scale', '50']));
  const vanilla = await train(configOf('vanilla'));
  const [first] = records;
  expect(first!.nextToken).toBeCloseTo(vanilla.records[0]!.loss, 5);
  expect(first!.weightsHigh).toBeGreaterThan(0.3); // so steep that nearly all are at a bound
  expect(Number(first!.weightsHigh) + Number(first!.weightsLow)).toBeGreaterThan(0.8);
  expect(Number(first!.weightsHigh) + Number(first!.weightsLow)).toBeLessThanOrEqual(1);
  expect(
    Math.abs(Number(first!.weightMean) - (1 + 0.1 * (Number(first!.weightsHigh) - Number(first!.weightsLow)))),
  ).toBeLessThan(0.02);
  expect(Number(first!.weightDeviation)).toBeLessThanOrEqual(0.1);
  expect(vanilla.records[0]).not.toHaveProperty('weightMean');
});
