// Rollouts of a model that is a Markov chain, so that what it writes is known: which tokens count, what is rewarded,
// what is cut off. And the questions of the tiny world: round robin, from the training split, judged by the verdict.

import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../../engine/cpu/backend.ts';
import { ConfigError } from '../../../engine/errors.ts';
import { rng } from '../../../engine/rng.ts';
import { useBackend } from '../../../engine/runtime.ts';
import { Transformer } from '../../../nn/transformer.ts';
import { decode, encode, instance, PROMPT, RESPONSE, ROW, splitOf, TASKS } from '../../../remit/worlds/tiny/index.ts';
import { worldTask } from '../../../remit/worlds/tiny/reward.ts';
import { rollout } from '../../../remit/rl/rollout.ts';
import type { Task } from '../../../remit/rl/task.ts';

beforeAll(() => useBackend(new CpuBackend()));

const V = 8;
const STOP = 7;
const P = 3;

/**
 * The next token depends on the last one alone: chain[v] lists those that may follow v, each as likely. Attention and
 * MLP are all 0, so what reaches the head is the last token's embedding, one-hot.
 */
function markov(chain: Readonly<Record<number, readonly number[]>>): Transformer {
  const model = new Transformer({
    vocabulary: V, context: 16, width: V, layers: 1, heads: 2, kvHeads: 2, hidden: 4, norm: 'rms', positions: 'rotary',
    rotaryBase: 100, mlp: 'swiglu', bias: false, tied: false, epsilon: 1e-5,
  });
  const values = new Map(
    model.parameters
      .entries()
      .map(({ name, shape }) => [name, { shape, data: new Float64Array(shape.reduce((n, size) => n * size, 1)) }]),
  );
  for (const [name, { data }] of values) if (name.includes('norm')) data.fill(1);
  for (let v = 0; v < V; v++) {
    values.get('model.embed_tokens.weight')!.data[v * V + v] = 1;
    // times sqrt(8), after the norm
    for (const next of chain[v] ?? []) values.get('lm_head.weight')!.data[next * V + v] = 20;
  }
  model.parameters.load(values, 'a chain');
  return model;
}

/**
 * Prompts [0, 0, first of the question]; the reward is the number of the question, plus a half when the row has a 5 in
 * it.
 */
const task = (prompt: (n: number) => number): Task & { readonly judged: number[][] } => ({
  judged: [], maxNew: 5, stop: STOP,
  measures: { first: (row) => row[P]! },
  question(n) {
    return {
      prompt: Int32Array.of(0, 0, prompt(n)),
      reward: (row) => {
        this.judged.push(Array.from(row));
        return n + (row.includes(5) ? 0.5 : 0);
      },
    };
  },
});

const options = { from: 0, prompts: 3, samples: 2, temperature: 1, seed: rng(1) };

describe('refused, in one line:', () => {
  const refusal = (change: object): Promise<unknown> =>
    rollout(markov({ 0: [0] }), { ...task(() => 1), ...change } as Task, options).catch((error: unknown) => error);

  test.each<[string, object, string]>([
    [
      'a prompt that is a list',
      { question: () => ({ prompt: [1, 2], reward: () => 0 }) },
      'rollout: task.question(0).prompt = [1,2]: must be an Int32Array',
    ],
    [
      'a measure that is no number',
      { measures: { first: () => NaN } },
      'rollout: task.measures.first: of sample 0 of question 0 = NaN: must be a finite number',
    ],
    [
      'questions that are promises',
      { question: async () => ({}) },
      'rollout: task.question(0) = a promise: await it first: must be a question',
    ],
    ...(
      [
        ['a promise', async () => 1, ' = a promise: await it first'],
        ['a promise that fails', async () => Promise.reject(new Error('x')), ' = a promise: await it first'],
        ['nothing', () => {}, ' is missing'],
        ['null', () => null, ' = null'],
        ['NaN', () => NaN, ' = NaN'],
        ['infinite', () => -Infinity, ' = -Infinity'],
        ['a BigInt', () => 1n, ' = 1n'],
        ['text', () => '1', ' = "1"'],
        ['more than a float holds', () => 1e39, ' = 1e+39'],
      ] as const
    ).map(([what, reward, shown]): [string, object, string] => [
      `a reward that is ${what}`,
      { question: (n: number) => ({ prompt: Int32Array.of(0, 0, 0), reward: n === 1 ? reward : () => 0 }) },
      `rollout: task.question(1): reward of sample 0${shown}: must be a number at least -1e+30 and at most 1e+30`,
    ]),
    [
      'a reward that throws',
      {
        question: () => ({
          prompt: Int32Array.of(0, 0, 0),
          reward: () => {
            throw new TypeError('no such key');
          },
        }),
      },
      'rollout: task.question(0): reward of sample 0: no such key: reward() must return a number and never throw',
    ],
    ['no stop token', { stop: undefined }, 'rollout: task.stop is missing: must be a whole number of at least 0'],
  ])('%s', async (_, change, message) => {
    expect(await refusal(change)).toEqual(new ConfigError(message));
  });

  test('a word that is no option', async () => {
    const given = { ...options, promts: 3 };
    await expect(
      rollout(
        markov({ 0: [0] }),
        task(() => 1),
        given,
      ),
    ).rejects.toThrow(
      'rollout: promts: no such option: did you mean prompts? There are from, prompts, samples, temperature, seed',
    );
  });
});

describe('a batch with a row that stops at once, one that stops later and one that never does', () => {
  const model = () => markov({ 1: [STOP], 2: [5], 5: [6], 6: [STOP], 3: [4], 4: [4] });
  const asked = () => task((n) => [1, 2, 3][n % 3]!);

  test('the answer counts up to and including its stop token', async () => {
    const { rows, mask, lengths, measured } = await rollout(model(), asked(), options);
    const L = P + 5;
    const answers = [[7, 7, 7, 7, 7], [5, 6, 7, 7, 7], [4, 4, 4, 4, 4]];
    const masks = [[1, 0, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]];
    for (let b = 0; b < 6; b++) {
      const question = b >> 1; // two samples of each, side by side
      expect(Array.from(rows.subarray(b * L, (b + 1) * L))).toEqual([0, 0, question + 1, ...answers[question]!]);
      // of targets, tokens 1 to 7
      expect(Array.from(mask.subarray(b * (L - 1), (b + 1) * (L - 1)))).toEqual([0, 0, ...masks[question]!]);
    }
    expect(Array.from(lengths)).toEqual([1, 1, 3, 3, 5, 5]);
    expect(Array.from(measured.first!)).toEqual([7, 7, 5, 5, 4, 4]);
  });

  test('each row is judged by its own question, whole', async () => {
    const judge = asked();
    const { rewards } = await rollout(model(), judge, { ...options, from: 9 });
    expect(Array.from(rewards)).toEqual([9, 9, 10.5, 10.5, 11, 11]);
    expect(judge.judged.every((row) => row.length === P + 5)).toBe(true);
  });
});

test('when every answer is short, the batch is cut off after the longest', async () => {
  const { rows, mask, lengths } = await rollout(
    markov({ 1: [STOP], 2: [5], 5: [STOP] }),
    task((n) => 1 + (n % 2)),
    { ...options, prompts: 2, samples: 1 },
  );
  expect(Array.from(lengths)).toEqual([1, 2]);
  expect(Array.from(rows)).toEqual([0, 0, 1, 7, 7, 0, 0, 2, 5, 7]);
  expect(Array.from(mask)).toEqual([0, 0, 1, 0, 0, 0, 1, 1]);
});

test('prompts of different lengths: each answer begins behind its own prompt, and the mask lies on it', async () => {
  const judged: number[][] = [];
  const prompts = [[1], [0, 0, 0, 2], [0, 3]];
  const ragged: Task = {
    maxNew: 3, stop: STOP,
    question: (n) => ({
      prompt: Int32Array.from(prompts[n]!),
      reward: (row) => judged.push(Array.from(row)),
    }),
  };
  const model = markov({ 1: [5], 2: [STOP], 3: [4], 4: [4], 5: [STOP] });
  const { rows, mask, lengths, rewards } = await rollout(model, ragged, { ...options, samples: 1 });
  expect(judged).toEqual([[1, 5, 7, 7], [0, 0, 0, 2, 7, 7, 7], [0, 3, 4, 4, 4]]);
  expect(Array.from(lengths)).toEqual([2, 1, 3]);
  expect(Array.from(rewards)).toEqual([1, 2, 3]);
  expect(Array.from(rows)).toEqual([[1, 5, 7, 7, 7], [0, 0, 0, 2, 7], [0, 3, 4, 4, 4]].flat());
  expect(Array.from(mask)).toEqual([[1, 1, 0, 0], [0, 0, 0, 1], [0, 1, 1, 1]].flat());
});

test('samples of one question differ, and follow from the seed', async () => {
  const model = markov({ 1: [4, 5, 6], 4: [4, 5, 6, STOP], 5: [4, 5, 6, STOP], 6: [4, 5, 6, STOP] });
  const sample = (seed: number) => rollout(model, task(() => 1), { ...options, samples: 8, seed: rng(seed) });
  const [one, again, other] = [await sample(1), await sample(1), await sample(2)];
  expect(again).toEqual(one);
  expect(other.rows).not.toEqual(one.rows);
  expect(new Set(one.measured.first)).toEqual(new Set([4, 5, 6]));
  one.lengths.forEach((length, b) => { // whatever was drawn, the mask says how long
    const L = one.rows.length / 24;
    const answer = Array.from(one.rows.subarray(b * L + P, (b + 1) * L));
    const stop = answer.indexOf(STOP);
    expect(length).toBe(stop < 0 ? answer.length : stop + 1);
    expect(Array.from(one.mask.subarray(b * (L - 1), (b + 1) * (L - 1)))).toEqual(
      Array.from({ length: L - 1 }, (_, j) => +(j >= P - 1 && j < P - 1 + length)),
    );
  });
});

test('at temperature t, choices are as likely as log-odds / t says', async () => {
  const model = markov({ 1: [4] }); // 4 is 20 sqrt(8) nats likelier than each other token
  const share = async (temperature: number): Promise<number> => {
    const { measured } = await rollout(model, task(() => 1), { ...options, prompts: 1, samples: 4000, temperature });
    return measured.first!.filter((token) => token === 4).length / 4000;
  };
  for (const temperature of [20, 40]) {
    const logit = (20 * Math.sqrt(8)) / temperature;
    const p = Math.exp(logit) / (Math.exp(logit) + V - 1);
    expect(Math.abs((await share(temperature)) - p)).toBeLessThan(4 * Math.sqrt(p * (1 - p) / 4000));
  }
});

describe('the questions of the tiny world', () => {
  const questions = worldTask(rng(3));
  const problem = (n: number) => instance(TASKS[n % 10]!, rng(3).at(n).stream(), 'train');

  test('take turns over the ten tasks, are functions of their number, and all come from the training split', () => {
    for (let n = 0; n < 400; n++) {
      const { prompt } = questions.question(n);
      const text = decode(prompt);
      expect(prompt).toHaveLength(PROMPT);
      expect(text).toBe(`^${problem(n).question}?`);
      expect(text[1]).toBe(TASKS[n % 10]!.tag);
      expect(splitOf(text.slice(1, 11))).toBe('train');
      expect(questions.question(n).prompt).toEqual(prompt);
    }
    expect(new Set(Array.from({ length: 400 }, (_, n) => decode(questions.question(n).prompt))).size).toBeGreaterThan(
      390,
    );
  });

  test('an answer ends at a full stop, and fits the row', () => {
    expect(decode([questions.stop])).toBe('.');
    expect([questions.maxNew, PROMPT + questions.maxNew]).toEqual([RESPONSE, ROW]);
  });

  test('the reward is 1 for the right answer in any style, else 0', () => {
    for (let n = 0; n < 20; n++) {
      const { answer, states } = problem(n);
      const wrong = /\d/.test(answer) ? (answer === '0' ? '1' : '0') : answer === 'a' ? 'b' : 'a';
      const reward = (response: string): number => {
        const { prompt, reward: judge } = questions.question(n);
        return judge(Int32Array.from([...prompt, ...encode(response.padEnd(RESPONSE, '.'))]));
      };
      for (const right of [
        `]${answer}.`,
        `[${Array.from(states, (s) => `,${s}`).join('')}]${answer}.`,
        `~,,,]${answer}.`,
      ]) {
        expect(reward(right)).toBe(1);
      }
      for (const bad of [
        `]${wrong}.`,
        `${answer}.`,
        `]${answer}${answer}.`,
        `.]${answer}.`,
        `[${Array.from(states, (s) => `,${s}`).join('')}]${wrong}.`,
      ]) {
        expect(reward(bad)).toBe(0);
      }
      // never stops
      expect(
        questions
          .question(n)
          .reward(Int32Array.from([...questions.question(n).prompt, ...encode(`]${answer}`.padEnd(RESPONSE, ','))])),
      ).toBe(0);
    }
  });
});
