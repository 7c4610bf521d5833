// The weighted loss through a whole transformer: what is left of the method when model and reference are real.
// Read after: weights.property.test.ts.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { crossEntropy, logProb, weightedCrossEntropy } from '../../engine/ops/cross-entropy.ts';
import { rng } from '../../engine/rng.ts';
import { backend, noGrad, useBackend } from '../../engine/runtime.ts';
import { backward } from '../../engine/tape.ts';
import { type Tensor } from '../../engine/tensor.ts';
import { Transformer, type TransformerConfig } from '../../nn/transformer.ts';
import { nextTokens, type NextTokenBatch } from '../../remit/phases/next-token.ts';
import { remitLoss } from '../../remit/weights.ts';
import { backendAt, gpu, places } from '../support/gpu.ts';

const B = 3;
const T = 9;
const V = 11;
const llama: TransformerConfig = {
  vocabulary: V,
  context: 16,
  width: 12,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  hidden: 20,
  norm: 'rms',
  positions: 'rotary',
  rotaryBase: 100,
  mlp: 'swiglu',
  bias: false,
  tied: false,
  epsilon: 1e-5,
};
const gpt2: TransformerConfig = {
  ...llama,
  kvHeads: 2,
  norm: 'layer',
  positions: 'learned',
  mlp: 'gelu',
  bias: true,
  tied: true,
};
const shapes = [['a Llama', llama], ['a GPT-2', gpt2]] as const;

/** Rows of random tokens; `masked` of their targets are not counted. */
function batch(seed: number, masked: number): NextTokenBatch {
  const stream = rng(seed).stream();
  const rows = Int32Array.from({ length: B * (T + 1) }, () => stream.int(V));
  return nextTokens(rows, B, Float32Array.from({ length: B * T }, () => +(stream.uniform() >= masked)));
}

const score = (model: Transformer, { inputs, targets }: NextTokenBatch): Tensor =>
  noGrad(() => logProb(model.forward(inputs), targets));

/** Loss and flat gradient, bit for bit as the backend holds them. */
async function learn(model: Transformer, lossOf: (model: Transformer) => Tensor) {
  model.parameters.clearGradients();
  const loss = lossOf(model);
  backward(loss);
  return { loss: await loss.item(), gradient: await backend().read(model.parameters.flat.gradients) };
}

describe.each(places)('in %s', (place) => {
  beforeAll(() => useBackend(backendAt(place)));

  test.each(shapes)(
    '%s guided by itself, or by its clone, learns exactly as in next-token prediction',
    async (_, shape) => {
      for (const masked of [0, 0.4]) {
        const model = new Transformer(shape, rng(3));
        const tokens = batch(5, masked);
        const { targets, inputs, count } = tokens;
        const plain = await learn(model, () => crossEntropy(model.forward(inputs), targets, { count }));
        for (const guide of [model, model.clone()]) {
          for (const options of [{}, { epsilon: 0.5, scale: 3 }, { centre: false }]) {
            let weights: Tensor | undefined;
            const guided = await learn(model, () => {
              const found = remitLoss(model.forward(inputs), targets, score(guide, tokens), { count, ...options });
              weights = found.weights;
              return found.loss;
            });
            expect(Array.from(await weights!.read())).toEqual(
              Array.from(await targets.read(), (target) => (target < 0 ? 0 : 1)),
            );
            expect(guided).toEqual(plain);
          }
        }
      }
    },
  );

  test.each(shapes)(
    '%s guided by another learns otherwise, within epsilon: no weight is further from 1',
    async (_, shape) => {
      const model = new Transformer(shape, rng(3));
      const guide = new Transformer(shape, rng(4));
      const tokens = batch(5, 0);
      const { targets, inputs } = tokens;
      const plain = await learn(model, () => crossEntropy(model.forward(inputs), targets));
      for (const epsilon of [0.01, 0.2]) {
        const guided = await learn(
          model,
          () => remitLoss(model.forward(inputs), targets, score(guide, tokens), { epsilon, scale: 100 }).loss,
        );
        expect(guided.gradient).not.toEqual(plain.gradient);
        // rounding of a sum of 27 losses
        expect(Math.abs(guided.loss / plain.loss - 1)).toBeLessThanOrEqual(epsilon + 1e-6);
        expect(guided.loss).not.toBe(plain.loss);
      }
    },
  );
});

describe('against central differences of all parameters at once, in f64', () => {
  beforeAll(() => useBackend(backendAt('f64')));

  test.each(shapes.flatMap(([name, shape]) => [true, false].map((detach) => ({ name, shape, detach }))))(
    '$name, detach $detach',
    async ({ shape, detach }) => {
      const model = new Transformer(shape, rng(3));
      const guide = new Transformer(shape, rng(4));
      const tokens = batch(5, 0.3);
      const { targets, inputs, count } = tokens;
      // epsilon 1 clips nothing: a kink has no derivative
      const reference = score(guide, tokens);
      const options = { epsilon: 1, scale: 2, detach, count };
      let weights: Tensor | undefined;
      const { gradient } = await learn(model, () => {
        const found = remitLoss(model.forward(inputs), targets, reference, options);
        weights = found.weights;
        return found.loss;
      });
      const lossAt = (): Promise<number> =>
        noGrad(() => {
          const logits = model.forward(inputs);
          return detach
            ? weightedCrossEntropy(logits, targets, weights!, { count })
            : remitLoss(logits, targets, reference, options).loss;
        }).item();

      const { values } = model.parameters.flat;
      const start = Float64Array.from(await backend().read(values));
      const h = 3e-6;
      for (const seed of [1, 2, 3]) {
        const direction = rng(seed).normals(start.length);
        const along = async (step: number): Promise<number> => {
          backend().write(
            values,
            start.map((x, i) => x + step * direction[i]!),
          );
          return lossAt();
        };
        const near = (await along(h)) - (await along(-h));
        const far = (await along(2 * h)) - (await along(-2 * h));
        const numeric = (8 * near - far) / (12 * h);
        const analytic = direction.reduce((total, d, i) => total + d * gradient[i]!, 0);
        // losses of size 3 in double precision over h; 0.02 of an embedding bends at its own size
        expect(Math.abs(numeric - analytic)).toBeLessThan(1e-7 * Math.abs(analytic) + 1e-9);
      }
      backend().write(values, start);
    },
  );
});

afterAll(() => gpu?.close());
