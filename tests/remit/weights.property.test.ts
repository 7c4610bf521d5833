// The gradient of the weighted loss, and the weights in it, as properties over shapes, masks, epsilon, scale, centring
// and seeds: on the CPU in single and double precision, and on WebGPU. Differences are taken in double precision only.
// What is called exact is compared bit for bit. Read next: weights.model.test.ts, the same through a whole transformer.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mul, sub } from '../../engine/ops/arithmetic.ts';
import { crossEntropy, logProb, weightedCrossEntropy } from '../../engine/ops/cross-entropy.ts';
import { sum } from '../../engine/ops/reduce.ts';
import { logSoftmax } from '../../engine/ops/softmax.ts';
import { tokenWeights } from '../../engine/ops/token-weights.ts';
import { rng } from '../../engine/rng.ts';
import { noGrad, useBackend } from '../../engine/runtime.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, variable, type Tensor } from '../../engine/tensor.ts';
import { remitLoss, tokenWeightsInSmallOps } from '../../remit/weights.ts';
import { backendAt, gpu, places } from '../support/gpu.ts';

/** A batch of rows with a model's logits and a reference's log-probabilities: all that the loss sees. */
interface Scene {
  readonly B: number;
  readonly T: number;
  readonly V: number;
  /** [B,T,V]. */
  readonly logits: Float64Array;
  /** log p_reference of the targets, [B,T]; of a masked target, anything. */
  readonly reference: Float64Array;
  /** [B,T], -1 where masked. A row may hold no counted target. */
  readonly targets: Int32Array;
  /** Counted targets; at least 1. */
  readonly count: number;
  readonly options: { readonly epsilon: number; readonly scale: number; readonly centre: boolean };
}

const options = fc.record({
  epsilon: fc.double({ min: 0.05, max: 1, noNaN: true }).map(Math.fround),
  scale: fc.double({ min: 0.2, max: 4, noNaN: true }).map(Math.fround),
  centre: fc.boolean(),
});
const scenes: fc.Arbitrary<Scene> = fc.record({
  B: fc.integer({ min: 1, max: 4 }), T: fc.integer({ min: 1, max: 7 }), V: fc.integer({ min: 2, max: 9 }),
  masked: fc.constantFrom(0, 0.3, 0.8), seed: fc.nat(1e6), options,
}).map(({ masked, seed, ...rest }) => {
  const { B, T, V } = rest;
  const random = rng(seed);
  const stream = random.fold('targets').stream();
  const drawn = Int32Array.from({ length: B * T }, () => (stream.uniform() < masked ? -1 : stream.int(V)));
  if (drawn.every((target) => target < 0)) drawn[stream.int(B * T)] = stream.int(V);
  const [logits, theirs] = [
    random
      .fold('model')
      .normals(B * T * V)
      .map(Math.fround),
    random.fold('reference').normals(B * T * V, 1.5),
  ];
  const reference = Float64Array.from(drawn, (target, i) =>
    target < 0 ? 100 * stream.uniform() - 50 : Math.fround(logProbByHand(theirs, V, i, target)),
  );
  return { ...rest, logits, reference, targets: drawn, count: drawn.filter((target) => target >= 0).length };
});

/** In single precision, log-probabilities of size 10 at a steepness of 4: 4 / 2 * 10 * 2^-22 is 5e-6. */
const TOLERANCE = { f32: 1e-5, f64: 1e-12, webgpu: 1e-5 } as const;

describe.each(places)('in %s', (place) => {
  beforeAll(() => useBackend(backendAt(place)));

  const tolerance: number = TOLERANCE[place];
  const always = (property: (scene: Scene, seed: number) => Promise<void>): Promise<void> =>
    fc.assert(fc.asyncProperty(scenes, fc.nat(1e6), property), { numRuns: place === 'webgpu' ? 25 : 100 });

  const logitsOf = ({ logits, B, T, V }: Scene): Tensor => variable(logits, [B, T, V]);
  const targetsOf = ({ targets, B, T }: Scene): Tensor => tensor(targets, [B, T], 'i32');
  const referenceOf = ({ reference, B, T }: Scene): Tensor => tensor(reference, [B, T]);

  /** What remitLoss makes of a scene, on the host. */
  async function remitOf(
    scene: Scene,
    { detach = true, reference = referenceOf(scene) }: { detach?: boolean; reference?: Tensor } = {},
  ) {
    const logits = logitsOf(scene);
    const { loss, weights, logProb } = remitLoss(logits, targetsOf(scene), reference, {
      ...scene.options,
      detach,
      count: scene.count,
    });
    const gradient = backward(loss).of(logits)!;
    return {
      loss: await loss.item(),
      weights: await weights.read(),
      logProb: await logProb.read(),
      gradient: await gradient.read(),
    };
  }

  /** Loss and gradient of the cross entropy with weights that are given. */
  async function frozen(scene: Scene, weights: ArrayLike<number>) {
    const logits = logitsOf(scene);
    const loss = weightedCrossEntropy(logits, targetsOf(scene), tensor(weights, [scene.B, scene.T]), {
      count: scene.count,
    });
    return { loss: await loss.item(), gradient: await backward(loss).of(logits)!.read() };
  }

  function expectNear(found: ArrayLike<number>, wanted: ArrayLike<number>, within = tolerance): void {
    expect(found).toHaveLength(wanted.length);
    for (let i = 0; i < wanted.length; i++) {
      if (!(Math.abs(found[i]! - wanted[i]!) <= within)) expect.fail(`[${i}]: ${found[i]}, not ${wanted[i]}`);
    }
  }

  describe('the weights', () => {
    test('are what the formula says, 0 where masked', () => always(async (scene) => {
      expectNear((await remitOf(scene)).weights, weightsByHand(scene));
    }));

    test('lie within 1 - epsilon and 1 + epsilon', () => always(async (scene) => {
      // 1 - epsilon is rounded to single precision
      const { epsilon } = scene.options;
      const ulp = 2 ** -23;
      (await remitOf(scene)).weights.forEach((w, i) => {
        if (scene.targets[i]! < 0) return;
        expect(w).toBeGreaterThanOrEqual(1 - epsilon - ulp);
        expect(w).toBeLessThanOrEqual(1 + epsilon + ulp);
      });
    }));

    test('rise with the gap: of two tokens of a row, the one with the larger gap weighs no less', () =>
      always(async (scene) => {
        const { weights, logProb } = await remitOf(scene);
        const gap = (i: number): number => scene.reference[i]! - logProb[i]!;
        const slack = place === 'f64' ? 0 : tolerance; // near ties are told apart in double precision only
        for (const row of countedRows(scene)) {
          for (const i of row) {
            for (const j of row) if (gap(i) > gap(j)) expect(weights[i]!).toBeGreaterThanOrEqual(weights[j]! - slack);
          }
        }
      }));

    test('when the reference expects one token more, that token weighs no less and, centred, the others of its row no more', () =>
      always(async (scene, seed) => {
        const counted = [...scene.targets.keys()].filter((i) => scene.targets[i]! >= 0);
        const chosen = counted[seed % counted.length]!;
        const before = (await remitOf(scene)).weights;
        const reference = scene.reference.map((x, i) => (i === chosen ? x + 0.5 : x));
        const after = (await remitOf({ ...scene, reference })).weights;
        expect(after[chosen]!).toBeGreaterThanOrEqual(before[chosen]! - tolerance);
        counted.forEach((i) => {
          if (i === chosen) return;
          if (!scene.options.centre || Math.floor(i / scene.T) !== Math.floor(chosen / scene.T)) {
            expect(after[i]).toBe(before[i]);
          } else expect(after[i]!).toBeLessThanOrEqual(before[i]! + tolerance);
        });
      }));

    test('centred, do not change when a constant is added to a row of the reference', () =>
      always(async (scene, seed) => {
        const centred = { ...scene, options: { ...scene.options, centre: true } };
        const shifts = rng(seed).normals(scene.B);
        const moved = { ...centred, reference: scene.reference.map((x, i) => x + shifts[Math.floor(i / scene.T)]!) };
        expectNear((await remitOf(moved)).weights, (await remitOf(centred)).weights);
      }));

    test('of permuted sequences are the permuted weights, exactly, and so is the gradient', () =>
      always(async (scene, seed) => {
        const { B, T, V } = scene;
        const order = rng(seed)
          .stream()
          .sample(
            Array.from({ length: B }, (_, b) => b),
            B,
          );
        const permuted = (x: ArrayLike<number>, length: number): number[] =>
          order.flatMap((from) => Array.from(x).slice(from * length, (from + 1) * length));
        const moved = {
          ...scene,
          logits: Float64Array.from(permuted(scene.logits, T * V)),
          reference: Float64Array.from(permuted(scene.reference, T)),
          targets: Int32Array.from(permuted(scene.targets, T)),
        };
        for (const detach of [true, false]) {
          const before = await remitOf(scene, { detach });
          const after = await remitOf(moved, { detach });
          expect(Array.from(after.weights)).toEqual(permuted(before.weights, T));
          expect(Array.from(after.gradient)).toEqual(permuted(before.gradient, T * V));
        }
      }));

    test('a gap of 1 on one token of 23: 1.4448 and 0.9783 unclipped, 1.2 and 0.9783 at epsilon 0.2', async () => {
      const gap = Float64Array.from({ length: 23 }, (_, i) => +(i === 4));
      const none = tensor(new Float64Array(23), [1, 23]);
      const targets = tensor(new Int32Array(23), [1, 23], 'i32');
      for (const [epsilon, high] of [[1, 1.4448], [0.2, 1.2]] as const) {
        const weights = await tokenWeights(tensor(gap, [1, 23]), none, targets, { epsilon }).read();
        weights.forEach((w, i) => expect(w).toBeCloseTo(i === 4 ? high : 0.9783, 4));
      }
    });

    test('fused and in small ops are the same, with the gradients that they let through', () =>
      always(async (scene, seed) => {
        const { B, T, targets } = scene;
        const counted = targets.map((target) => +(target >= 0));
        fc.pre(
          awayFromBounds(scene) &&
            Array.from({ length: B }, (_, b) => b).every((b) => counted.subarray(b * T, (b + 1) * T).includes(1)),
        );
        const seeds = tensor(rng(seed).normals(B * T), [B, T]);
        const own = scene.logits.filter((_, i) => i % scene.V === 0);
        const run = async (make: (reference: Tensor, model: Tensor) => Tensor): Promise<ArrayLike<number>[]> => {
          const reference = variable(
            scene.reference.map((x, i) => (counted[i] === 1 ? x : 0)),
            [B, T],
          );
          const model = variable(own, [B, T]);
          const weights = make(reference, model);
          const gradients = backward(weights, seeds);
          return [await weights.read(), await gradients.of(reference)!.read(), await gradients.of(model)!.read()];
        };
        const fused = await run((reference, model) => tokenWeights(reference, model, targetsOf(scene), scene.options));
        const small = await run((reference, model) =>
          tokenWeightsInSmallOps(reference, model, tensor(counted, [B, T]), scene.options),
        );
        // up to seven gradients of size 10 are summed for the mean
        fused.forEach((values, k) => expectNear(values, small[k]!, 10 * tolerance));
      }));
  });

  describe('when the reference agrees with the model', () => {
    test('every weight is exactly 1, and loss and gradient are exactly those of next-token prediction', () =>
      always(async (scene) => {
        const logits = logitsOf(scene);
        const plain = crossEntropy(logits, targetsOf(scene), { count: scene.count });
        const gradient = await backward(plain).of(logits)!.read();
        const found = await remitOf(scene, { reference: noGrad(() => logProb(logitsOf(scene), targetsOf(scene))) });
        found.weights.forEach((w, i) => expect(w).toBe(scene.targets[i]! < 0 ? 0 : 1));
        expect(found.loss).toBe(await plain.item());
        expect(found.gradient).toEqual(gradient);
      }));
  });

  describe('the gradient of the detached loss', () => {
    test('is w (softmax - onehot) / counted tokens, at each token with its own weight', () => always(async (scene) => {
      const { gradient, loss } = await remitOf(scene);
      const { V, targets, count } = scene;
      const weights = weightsByHand(scene);
      const wanted = scene.logits.map((_, k) => {
        const i = Math.floor(k / V);
        const v = k % V;
        return targets[i]! < 0
          ? 0
          : (weights[i]! * (Math.exp(logProbByHand(scene.logits, V, i, v)) - +(v === targets[i]))) / count;
      });
      expectNear(gradient, wanted);
      expectNear([loss], [lossByHand(scene, scene.logits, weights)], 10 * tolerance); // a sum over tokens
    }));

    test('is, exactly, that of the cross entropy with these weights as constants', () => always(async (scene) => {
      const found = await remitOf(scene);
      const again = await frozen(scene, found.weights);
      expect(again).toEqual({ loss: found.loss, gradient: found.gradient });
    }));

    test('the weights themselves, and the reference, get none', () => always(async (scene) => {
      const reference = variable(scene.reference, [scene.B, scene.T]);
      const logits = logitsOf(scene);
      const { loss, weights } = remitLoss(logits, targetsOf(scene), reference, {
        ...scene.options,
        count: scene.count,
      });
      const gradients = backward(loss);
      expect(gradients.of(reference)).toBeUndefined();
      expect(gradients.of(weights)).toBeUndefined();
    }));

    test('is linear in the weights', () => always(async (scene, seed) => {
      const [a, b] = [0, 1].map((k) => rng(seed).at(k).normals(scene.B * scene.T)) as [Float64Array, Float64Array];
      const both = await frozen(scene, a.map((x, i) => 2 * x - 0.5 * b[i]!));
      const [left, right] = [await frozen(scene, a), await frozen(scene, b)];
      expectNear(both.gradient, Float64Array.from(left.gradient, (x, i) => 2 * x - 0.5 * right.gradient[i]!));
    }));

    test('with one weight c for all, is c times that of next-token prediction: exactly, where c is a power of 2', () =>
      always(async (scene, seed) => {
        const all = (c: number): Float64Array => new Float64Array(scene.B * scene.T).fill(c);
        const [c, one] = [0.1 + (seed % 1000) / 300, await frozen(scene, all(1))];
        expect((await frozen(scene, all(4))).gradient).toEqual(one.gradient.map((x) => 4 * x));
        expectNear(
          (await frozen(scene, all(c))).gradient,
          Float64Array.from(one.gradient, (x) => c * x),
        );
      }));
  });

  test.each([true, false])('masked tokens get exactly no gradient and have exactly no influence, detach %s', (detach) =>
    always(async (scene, seed) => {
      const { V, targets } = scene;
      const noise = rng(seed).normals(scene.logits.length, 20);
      const counted = (i: number): boolean => targets[i]! >= 0;
      const other = {
        ...scene,
        logits: scene.logits.map((x, k) => (counted(Math.floor(k / V)) ? x : noise[k]!)),
        reference: scene.reference.map((x, i) => (counted(i) ? x : noise[i]!)),
      };
      const found = await remitOf(scene, { detach });
      expect(await remitOf(other, { detach })).toEqual(found);
      found.gradient.forEach((g, k) => {
        if (!counted(Math.floor(k / V))) expect(Math.abs(g)).toBe(0);
      });
    }),
  );

  // Over an enumerable vocabulary the data are a row of N tokens that holds each word v exactly N p_data(v) times, all
  // in one context. Then the loss is the expectation over the data, and its centring takes off the data's mean gap.
  test('the implicit target: the gradient of the expected loss is Z times that of KL(q || p_model), q = p_data w / Z', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 6 }),
        fc.nat(1e6),
        options,
        async (copies, seed, chosen) => {
          const V = copies.length;
          const words = copies.flatMap((n, v) => Array.from({ length: n }, () => v));
          const N = words.length;
          const [own, theirs] = ['model', 'reference'].map((name) =>
            rng(seed).fold(name).normals(V).map(Math.fround),
          ) as [Float64Array, Float64Array];
          const scene: Scene = {
            B: 1,
            T: N,
            V,
            logits: Float64Array.from({ length: N * V }, (_, k) => own[k % V]!),
            reference: Float64Array.from(words, (v) => Math.fround(logProbByHand(theirs, V, 0, v))),
            targets: Int32Array.from(words),
            count: N,
            options: chosen,
          };
          const { gradient, weights } = await remitOf(scene);
          const byContext = Float64Array.from(gradient).reduce((out, g, k) => {
            out[k % V]! += g;
            return out;
          }, new Float64Array(V));

          const mass = words.reduce((out, v, i) => {
            out[v]! += weights[i]! / N;
            return out;
          }, new Float64Array(V));
          const Z = mass.reduce((total, m) => total + m);
          const q = tensor(
            mass.map((m) => m / Z),
            [V],
          );
          const logits = variable(own, [V]);
          const divergence = sum(
            mul(
              q,
              sub(
                tensor(
                  mass.map((m) => Math.log(m / Z)),
                  [V],
                ),
                logSoftmax(logits),
              ),
            ),
          );
          expect(await divergence.item()).toBeGreaterThanOrEqual(-tolerance);
          // sums over N tokens
          expectNear(
            byContext,
            Float64Array.from(await backward(divergence).of(logits)!.read(), (g) => Z * g),
            10 * tolerance,
          );
        },
      ),
      { numRuns: place === 'webgpu' ? 25 : 100 },
    ));

  test('detached or not, loss and weights are the same', () => always(async (scene) => {
    const [detached, through] = [await remitOf(scene), await remitOf(scene, { detach: false })];
    expectNear([through.loss], [detached.loss], 10 * tolerance);
    expect(through.weights).toEqual(detached.weights);
  }));
});

describe('against central differences, in f64', () => {
  beforeAll(() => useBackend(backendAt('f64')));

  test.each([true, false])(
    'detach %s: the gradient is the derivative of the loss, with the weights frozen exactly when they are detached',
    (detach) =>
      fc.assert(
        fc.asyncProperty(scenes, fc.nat(1e6), async (scene, seed) => {
          fc.pre(detach || awayFromBounds(scene));
          const { B, T, V } = scene;
          const targets = tensor(scene.targets, [B, T], 'i32');
          const reference = tensor(scene.reference, [B, T]);
          const given = { ...scene.options, detach, count: scene.count };
          const logits = variable(scene.logits, [B, T, V]);
          const { loss, weights } = remitLoss(logits, targets, reference, given);
          const gradient = await backward(loss).of(logits)!.read();
          const lossAt = (moved: Tensor): Promise<number> =>
            noGrad(() =>
              detach
                ? weightedCrossEntropy(moved, targets, weights, { count: scene.count })
                : remitLoss(moved, targets, reference, given).loss,
            ).item();
          const random = rng(seed).normals(B * T * V);
          const most = Math.max(...random.map(Math.abs));
          const entry = seed % (B * T * V);
          for (const direction of [random.map((x) => x / most), random.map((_, k) => +(k === entry))]) {
            const along = (h: number): Promise<number> =>
              lossAt(
                tensor(
                  scene.logits.map((x, k) => x + h * direction[k]!),
                  [B, T, V],
                ),
              );
            const h = 1e-4;
            const near = (await along(h)) - (await along(-h));
            const far = (await along(2 * h)) - (await along(-2 * h));
            const numeric = (8 * near - far) / (12 * h);
            const analytic = direction.reduce((total, d, k) => total + d * gradient[k]!, 0);
            // losses of size 10 in double precision, over 1e-4
            expect(Math.abs(numeric - analytic)).toBeLessThan(1e-10);
          }
        }),
        { numRuns: 100 },
      ),
  );
});

afterAll(() => gpu?.close());

/** log softmax(row i of logits)[v]. */
function logProbByHand(logits: Float64Array, V: number, i: number, v: number): number {
  const row = logits.subarray(i * V, (i + 1) * V);
  const most = Math.max(...row);
  return row[v]! - most - Math.log(row.reduce((total, x) => total + Math.exp(x - most), 0));
}

/** The places of each row's counted tokens. */
function countedRows({ B, T, targets }: Scene): number[][] {
  return Array.from({ length: B }, (_, b) =>
    Array.from({ length: T }, (_, t) => b * T + t).filter((i) => targets[i]! >= 0),
  );
}

/** The formula in plain numbers. */
function weightsByHand(scene: Scene, epsilon = scene.options.epsilon): Float64Array {
  const { V, logits, reference, targets, options: { scale, centre } } = scene;
  const weights = new Float64Array(targets.length);
  for (const row of countedRows(scene)) {
    const gap = row.map((i) => reference[i]! - logProbByHand(logits, V, i, targets[i]!));
    const mean = centre ? gap.reduce((total, g) => total + g, 0) / gap.length : 0;
    row.forEach(
      (i, k) =>
        (weights[i] = Math.min(1 + epsilon, Math.max(1 - epsilon, 2 / (1 + Math.exp(-scale * (gap[k]! - mean)))))),
    );
  }
  return weights;
}

function lossByHand({ V, targets, count }: Scene, logits: Float64Array, weights: ArrayLike<number>): number {
  return (
    targets.reduce(
      (total, target, i) => total - (target < 0 ? 0 : weights[i]! * logProbByHand(logits, V, i, target)),
      0,
    ) / count
  );
}

/** Whether no weight is so near a bound that a step of the differences, or a rounding, could carry it across. */
function awayFromBounds(scene: Scene): boolean {
  const { epsilon } = scene.options;
  return weightsByHand(scene, 1).every((w) => Math.abs(Math.abs(w - 1) - epsilon) > 2e-3);
}
