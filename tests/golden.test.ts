// The engine against PyTorch: a fixed model's logits, five losses with their gradients, ten AdamW steps and a greedy
// continuation, in single precision with the WASM programs, in double precision with the references, and on WebGPU.
// The vectors: golden/README.md. Where the loss formulas come from: arXiv 2602.03075 (the weights), 2402.03300 (the
// policy loss).

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { add, affine, clamp, minimum, mul, sub } from '../engine/ops/arithmetic.ts';
import { logProb, weightedCrossEntropy } from '../engine/ops/cross-entropy.ts';
import { policyLoss } from '../engine/ops/policy-loss.ts';
import { sum } from '../engine/ops/reduce.ts';
import { logSoftmax } from '../engine/ops/softmax.ts';
import { tokenWeights } from '../engine/ops/token-weights.ts';
import { exp } from '../engine/ops/unary.ts';
import { rng } from '../engine/rng.ts';
import { noGrad, useBackend } from '../engine/runtime.ts';
import { step } from '../engine/step.ts';
import { backward } from '../engine/tape.ts';
import { tensor, type Tensor } from '../engine/tensor.ts';
import { generate } from '../nn/generate.ts';
import { Transformer } from '../nn/transformer.ts';
import { AdamW } from '../optim/adamw.ts';
import { schedule } from '../optim/schedule.ts';
import { remitLoss } from '../remit/weights.ts';
import { golden, type GoldenLoss, type GoldenModel } from './golden/golden.ts';
import { backendAt, gpu, places } from './support/gpu.ts';

const { scalars, config } = golden;
const { batch: B, sequence: T } = scalars;
const mask = golden.tensor('input.mask');
const count = mask.reduce((total, value) => total + value, 0);
const oldLogProb = golden.tensor('pg.logprob_old');
const advantage = golden.tensor('pg.advantage');

/**
 * What may be lost. f32 keeps 24 bits through some 10^4 sums, and ten steps multiply that. f64 loses only the rounding
 * of what the vectors store as f32; its steps differ because PyTorch clips by limit / (norm + 1e-6) and we by limit /
 * norm.
 */
const tolerances = {
  f32: { logits: 1e-4, loss: 1e-5, weights: 1e-5, gradient: 1e-4, steps: 1e-4 },
  webgpu: { logits: 1e-4, loss: 1e-5, weights: 1e-5, gradient: 1e-4, steps: 1e-4 },
  f64: { logits: 1e-6, loss: 1e-9, weights: 2e-7, gradient: 1e-6, steps: 1e-6 },
} as const;
type Group = keyof (typeof tolerances)['f32'];

const worst = new Map<string, number>();

afterAll(async () => {
  await gpu?.close();
  console.log(
    `worst against PyTorch:\n${[...worst].map(([name, value]) => `  ${name.padEnd(26)}${value.toExponential(1)}`).join('\n')}`,
  );
});

describe.each(places)('in %s', (precision) => {
  beforeAll(() => useBackend(backendAt(precision)));

  /** Remembers a deviation for the summary, and fails when it is too large. */
  function within(group: Group, name: string, deviation: number): void {
    const key = `${precision} ${group} ${name}`;
    worst.set(key, Math.max(worst.get(key) ?? 0, deviation));
    expect(deviation, key).toBeLessThanOrEqual(tolerances[precision][group]);
  }

  const relative = (actual: number, expected: number): number => Math.abs(actual - expected) / Math.abs(expected);

  function load(which: GoldenModel): Transformer {
    const model = new Transformer(config);
    model.parameters.load(golden.model(which), `golden ${which}`);
    return model;
  }

  const inputs = (): Tensor => tensor(golden.tensor('input.tokens'), [B, T], 'i32');
  const targets = (): Tensor => tensor(golden.tensor('input.targets'), [B, T], 'i32');
  /** Targets, -1 where the vectors do not count one. */
  const counted = (): Tensor =>
    tensor(
      golden.tensor('input.targets').map((target, i) => (mask[i] === 1 ? target : -1)),
      [B, T],
      'i32',
    );
  const perToken = (values: ArrayLike<number>): Tensor => tensor(values, [B, T]);

  /** Mean over the counted tokens of [B,T]. */
  const countedMean = (x: Tensor): Tensor => affine(sum(mul(x, perToken(mask))), { factor: 1 / count });

  const nextTokenLoss = (model: Transformer, weights: ArrayLike<number> = mask): Tensor =>
    weightedCrossEntropy(model.forward(inputs()), targets(), perToken(weights), { count });

  /** Compares the loss, and each of the 21 gradients by ||ours - theirs|| / ||theirs||. */
  async function compare(name: GoldenLoss, expected: number, lossOf: (model: Transformer) => Tensor): Promise<void> {
    const model = load('theta');
    const loss = lossOf(model);
    within('loss', name, relative(await loss.item(), expected));
    backward(loss);
    const ours = await model.parameters.gradientsToHost();
    const theirs = golden.gradients(name);
    expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
    for (const [parameter, { data }] of theirs) within('gradient', name, distance(ours.get(parameter)!.data, data));
  }

  /** log p of the targets under a model that is not trained, [B,T]. */
  const score = (which: GoldenModel): Tensor => noGrad(() => logProb(load(which).forward(inputs()), targets()));

  /**
   * ReMiT's weights: 2 sigmoid of the gap, centred over the counted tokens of each sequence, within 1 - eps and 1 +
   * eps.
   */
  async function remitWeights(eps: number): Promise<Float64Array> {
    const [reference, theta] = [await score('rl').read(), await score('theta').read()];
    const weights = new Float64Array(B * T);
    for (let b = 0; b < B; b++) {
      const counted = Array.from({ length: T }, (_, t) => b * T + t).filter((i) => mask[i] === 1);
      const gap = (i: number): number => reference[i]! - theta[i]!;
      const mean = counted.reduce((total, i) => total + gap(i), 0) / counted.length;
      for (const i of counted) weights[i] = Math.min(1 + eps, Math.max(1 - eps, 2 / (1 + Math.exp(mean - gap(i)))));
    }
    return weights;
  }

  test('the logits', async () => {
    const ours = await load('theta').forward(inputs()).read();
    const theirs = golden.tensor('theta.logits');
    expect(ours).toHaveLength(theirs.length);
    within('logits', '', theirs.reduce((most, value, i) => Math.max(most, Math.abs(ours[i]! - value)), 0));
  });

  test('next-token prediction', () => compare('ntp', scalars['loss.ntp'], nextTokenLoss));

  test.each([0.1, 0.2, 0.5] as const)('the ReMiT-weighted loss, eps %d', async (eps) => {
    const weights = await remitWeights(eps);
    const fused = await tokenWeights(score('rl'), score('theta'), counted(), { epsilon: eps }).read();
    const theirs = golden.tensor(`remit.weights.eps${eps}`);
    const places = [...mask.keys()].filter((i) => mask[i] === 1);
    for (const i of places) {
      within('weights', '', Math.abs(weights[i]! - theirs[i]!));
      within('weights', 'fused', Math.abs(fused[i]! - theirs[i]!));
    }
    expect(places.some((i) => weights[i]! > 1) && places.some((i) => weights[i]! < 1)).toBe(true);
    expect(fused.every((w, i) => mask[i] === 1 || w === 0)).toBe(true);
    const routes = [
      (model: Transformer): Tensor => nextTokenLoss(model, weights),
      (model: Transformer): Tensor =>
        remitLoss(model.forward(inputs()), counted(), score('rl'), { epsilon: eps, count }).loss,
    ];
    for (const lossOf of routes) {
      if (eps === 0.2) await compare('remit', scalars['loss.remit.eps0.2'], lossOf);
      else within('loss', 'remit', relative(await lossOf(load('theta')).item(), scalars[`loss.remit.eps${eps}`]));
    }
  });

  test('distillation: the divergence KL(p_rl || p_theta) over the vocabulary', () =>
    compare('kd', scalars['loss.kd'], (model) => {
      const wanted = noGrad(() => logSoftmax(load('rl').forward(inputs()))); // [B,T,V]
      const gap = sub(wanted, logSoftmax(model.forward(inputs())));
      return countedMean(sum(mul(exp(wanted), gap), { axis: -1 }));
    }));

  test('the clipped policy loss with the k3 penalty', () =>
    compare('pg', scalars['loss.pg'], (model) =>
      policyLoss(
        logProb(model.forward(inputs()), targets()),
        perToken(oldLogProb),
        perToken(golden.tensor('logprob.rl')),
        tensor(advantage, [B]),
        counted(),
        {
          clip: scalars['pg.clip'],
          klWeight: scalars['pg.kl_beta'],
          count,
        },
      ),
    ));

  test('the same in small ops', () => compare('pg', scalars['loss.pg'], (model) => {
    // [B,T]
    const clip = scalars['pg.clip'];
    const ours = logProb(model.forward(inputs()), targets());
    const ratio = exp(sub(ours, perToken(oldLogProb)));
    const gain = tensor(advantage, [B, 1]);
    const surrogate = minimum(mul(ratio, gain), mul(clamp(ratio, { low: 1 - clip, high: 1 + clip }), gain));
    const gap = sub(perToken(golden.tensor('logprob.rl')), ours);
    const k3 = affine(sub(exp(gap), gap), { offset: -1 });
    return countedMean(add(affine(surrogate, { factor: -1 }), affine(k3, { factor: scalars['pg.kl_beta'] })));
  }));

  test('ten AdamW steps: rates, losses, gradient norms, and the loss afterwards', async () => {
    const {
      betas: [beta1, beta2],
      eps: epsilon,
      weight_decay: weightDecay,
      clip,
      warmup,
      total,
      peak,
      floor,
    } = scalars.adamw;
    const model = load('theta');
    const optimiser = new AdamW(model.parameters, { beta1, beta2, epsilon, weightDecay, clip });
    const rate = schedule({ kind: 'cosine', peak, floor, steps: total, warmup });
    const train = step((i: number) => {
      const loss = nextTokenLoss(model);
      model.parameters.clearGradients();
      backward(loss);
      return { loss, norm: optimiser.update(i, rate(i)) };
    });
    for (const [i, expected] of scalars.adamw.steps.entries()) {
      const { loss, norm } = await train(i);
      expect(relative(rate(i), expected.lr)).toBeLessThan(1e-14);
      within('steps', 'loss', relative(await loss.item(), expected.loss));
      within('steps', 'gradient norm', relative(await norm.item(), expected.grad_norm));
    }
    within('steps', 'final loss', relative(await nextTokenLoss(model).item(), scalars.adamw.final_loss));
  });

  test('the greedy continuation, token for token', async () => {
    const { prompt, continuation } = scalars.greedy;
    const row = await generate(load('theta'), Int32Array.from(prompt), {
      batch: 1,
      maxNew: continuation.length,
      temperature: 0,
      seed: rng(0),
    });
    expect(Array.from(row)).toEqual([...prompt, ...continuation]);
  });
});

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
