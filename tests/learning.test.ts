// The whole of it learns: forward, backward and AdamW together memorise a handful of random sequences.

import { beforeAll, expect, test } from 'vitest';
import { CpuBackend } from '../engine/cpu/backend.ts';
import { crossEntropy } from '../engine/ops/cross-entropy.ts';
import { rng } from '../engine/rng.ts';
import { useBackend } from '../engine/runtime.ts';
import { step } from '../engine/step.ts';
import { backward } from '../engine/tape.ts';
import { generate } from '../nn/generate.ts';
import { Transformer } from '../nn/transformer.ts';
import { AdamW } from '../optim/adamw.ts';
import { schedule } from '../optim/schedule.ts';
import { nextTokens } from '../remit/phases/next-token.ts';
import { gpt2, llama } from './nn/shapes.ts';

beforeAll(() => useBackend(new CpuBackend()));

const B = 8;
const T = 16;
const V = 20;
const STEPS = 200;

/** Eight rows of T + 1 random tokens, each beginning with its own, so that everything after it can be known. */
function sequences(): Int32Array {
  const stream = rng(1).stream();
  return Int32Array.from({ length: B * (T + 1) }, (_, i) => (i % (T + 1) === 0 ? i / (T + 1) : stream.int(V)));
}

test.each([
  ['Llama', llama],
  ['GPT-2', gpt2],
] as const)('a %s memorises 8 fixed sequences: loss under 0.1 within 200 steps, and recites them', async (_, shape) => {
  const model = new Transformer({ ...shape, vocabulary: V, context: T + 1, width: 32, hidden: 64 }, rng(1));
  const optimiser = new AdamW(model.parameters);
  const rate = schedule({ kind: 'linear', peak: 0.01, steps: STEPS, warmup: 10 });
  const rows = sequences();
  const train = step((i: number) => {
    const { inputs, targets } = nextTokens(rows, B);
    const loss = crossEntropy(model.forward(inputs), targets);
    model.parameters.clearGradients();
    backward(loss);
    optimiser.update(i, rate(i));
    return loss;
  });

  const losses: number[] = [];
  while (losses.length < STEPS) losses.push(await (await train(losses.length)).item());
  expect(Math.abs(losses[0]! - Math.log(V))).toBeLessThan(0.1);
  expect(losses.at(-1)).toBeLessThan(0.1);

  const starts = rows.filter((_, i) => i % (T + 1) === 0);
  expect(await generate(model, starts, { batch: B, maxNew: T, temperature: 0, seed: rng(0) })).toEqual(rows);
});
