// Phase 4 on a task that can be learned in seconds: on policy the ratio is exactly 1 and the divergence begins at
// exactly 0; several updates per batch move both; and every kind of advantage learns.

import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../../engine/cpu/backend.ts';
import { DivergedError } from '../../../engine/errors.ts';
import { affine } from '../../../engine/ops/arithmetic.ts';
import { logProb } from '../../../engine/ops/cross-entropy.ts';
import { rng } from '../../../engine/rng.ts';
import { noGrad, useBackend } from '../../../engine/runtime.ts';
import { Transformer } from '../../../nn/transformer.ts';
import { resolveConfig, type Config } from '../../../remit/settings/resolve.ts';
import { nextTokens } from '../../../remit/phases/next-token.ts';
import { rl } from '../../../remit/phases/rl.ts';
import { quietRun, type StepRecord } from '../../../remit/phases/run.ts';
import type { Answer } from '../../../remit/rl/sampling.ts';
import { advantages } from '../../../remit/rl/advantage.ts';
import { rollout } from '../../../remit/rl/rollout.ts';
import type { Task } from '../../../remit/rl/task.ts';

beforeAll(() => useBackend(new CpuBackend()));

const V = 70;
const STOP = 3;

/** Right is an answer whose first token is even: half of what a fresh model says. */
const even: Task = {
  maxNew: 3, stop: STOP,
  measures: { five: (row) => Number(row[3] === 5) },
  question: (n) => ({ prompt: Int32Array.of(0, 10 + (n % 5), 20), reward: (row) => Number(row[3]! % 2 === 0) }),
};

const configOf = (...flags: [string, string][]): Config => resolveConfig({ flags: [
  ['model.width', '16'], ['model.heads', '2'], ['model.layers', '1'], ['pretrain.warmup', '0'],
  ['rl.steps', '4'], ['rl.warmup', '0'], ['rl.prompts', '4'], ['rl.samples', '8'], ['rl.rate', '5e-3'], ...flags,
] }).config;

const fresh = (config: Config): Transformer =>
  new Transformer({ ...config.model, vocabulary: V }, rng(config.seed).fold('init'));

/** A step of RL, and what it measures beside loss and norm. */
type RlRecord = StepRecord & Record<'reward' | 'kl' | 'clipFraction' | 'entropy' | 'length' | 'five', number>;

async function learn(config: Config, base = fresh(config)) {
  const records: RlRecord[] = [];
  const saved: string[] = [];
  const model = await rl(config, even, base, {
    ...quietRun,
    log: (record) => void records.push(record as RlRecord),
    save: async (phase) => void saved.push(phase),
  });
  return { model, base, records, saved };
}

const host = (model: Transformer) => model.parameters.toHost();
const meanOf = (x: ArrayLike<number>): number => Array.from(x).reduce((total, value) => total + value, 0) / x.length;
const meanReward = (records: readonly RlRecord[]): number => meanOf(records.map(({ reward }) => reward));

describe('one update per batch', () => {
  test('is on policy: the ratio is exactly 1 at every step, so that even a clip of 1e-9 cuts nothing off', async () => {
    const { records } = await learn(configOf(['rl.ratioClip', '1e-9']));
    expect(records.map(({ clipFraction }) => clipFraction)).toEqual([0, 0, 0, 0]);
  });

  test('at the first, the model is its reference: the divergence is exactly 0; later it is not', async () => {
    const { records } = await learn(configOf());
    expect(records[0]!.kl).toBe(0);
    for (const { kl } of records.slice(1)) expect(kl).toBeGreaterThan(0);
  });

  test.each([1, 1.7])('the first record says what the samples say, at temperature %d', async (temperature) => {
    const config = configOf(['rl.temperature', `${temperature}`]);
    const { records, base } = await learn(config);
    const { rl: { prompts, samples } } = config;
    const B = prompts * samples;
    const { rows, mask, rewards, lengths, measured } = await rollout(base, even, {
      from: 0,
      prompts,
      samples,
      temperature,
      seed: rng(config.seed).fold('rollout').at(0),
    });
    const tokens = nextTokens(rows, B, mask);
    const T = tokens.inputs.shape[1]!;
    const gains = advantages(rewards, samples, 'rloo');
    const own = await noGrad(() =>
      logProb(affine(base.forward(tokens.inputs), { factor: 1 / temperature }), tokens.targets),
    ).read();
    const count = mask.reduce((n, m) => n + m, 0);
    expect(records[0]).toMatchObject({
      tokens: count,
      reward: meanOf(rewards),
      length: meanOf(lengths),
      five: meanOf(measured.five!),
      clipFraction: 0,
      kl: 0,
    });
    expect(records[0]!.entropy).toBeCloseTo(-meanOf(own) * own.length / count, 5);
    // ratio 1: minus the mean advantage of a token
    expect(records[0]!.loss).toBeCloseTo(
      -mask.reduce((total, m, i) => total + m * gains[Math.floor(i / T)]!, 0) / count,
      5,
    );
    expect(Array.from(own).every((x, i) => mask[i] === 1 || x === 0)).toBe(true);
  });
});

describe('several updates per batch', () => {
  test('move the ratio away from 1: the last of three is clipped in places, and away from the reference at once', async () => {
    const { records } = await learn(configOf(['rl.updates', '3'], ['rl.ratioClip', '0.02']));
    expect(records.some(({ clipFraction }) => clipFraction > 0)).toBe(true);
    for (const { clipFraction } of records) expect(clipFraction).toBeLessThan(1);
    expect(records[0]!.kl).toBeGreaterThan(0);
  });

  test('begin on policy: three updates cut off what a clip of 1e-9 cuts, the first of them nothing', async () => {
    // too small to move single precision
    const still = await learn(configOf(['rl.updates', '2'], ['rl.ratioClip', '1e-9'], ['rl.rate', '1e-30']));
    expect(still.records.map(({ clipFraction, kl }) => [clipFraction, kl])).toEqual([[0, 0], [0, 0], [0, 0], [0, 0]]);
    const moved = await learn(configOf(['rl.updates', '2'], ['rl.ratioClip', '1e-9']));
    expect(moved.records[0]!.clipFraction).toBeGreaterThan(0);
  });

  test('do so at another temperature too: old and new are scored alike', async () => {
    const { records } = await learn(
      configOf(['rl.updates', '2'], ['rl.ratioClip', '1e-9'], ['rl.rate', '1e-30'], ['rl.temperature', '2.5']),
    );
    expect(records.map(({ clipFraction, kl }) => [clipFraction, kl])).toEqual([[0, 0], [0, 0], [0, 0], [0, 0]]);
  });

  test('learn more from the same samples than one does', async () => {
    const of = async (updates: number): Promise<number> =>
      meanReward((await learn(configOf(['rl.updates', `${updates}`], ['rl.steps', '12']))).records.slice(-4));
    expect(await of(4)).toBeGreaterThan(await of(1));
  });
});

describe.each(['rloo', 'grpo', 'dr-grpo', 'reinforce'])('%s', (advantage) => {
  test('learns: from half of the answers right to nearly all, and again with the same bits', async () => {
    const config = configOf(['rl.advantage', advantage], ['rl.steps', '40'], ['rl.rate', '1e-2']);
    const { records, model, base, saved } = await learn(config);
    expect(meanReward(records.slice(0, 2))).toBeLessThan(0.75);
    expect(meanReward(records.slice(-5))).toBeGreaterThan(0.9);
    expect(saved).toEqual(['rl']);
    expect(await host(base)).toEqual(await host(fresh(config)));
    const again = await learn(config);
    expect(again.records).toEqual(records);
    expect(await host(again.model)).toEqual(await host(model));
  });
});

test('reinforce needs one sample per question only, and its baseline follows the rewards', async () => {
  const { records } = await learn(
    configOf(
      ['rl.advantage', 'reinforce'],
      ['rl.samples', '1'],
      ['rl.prompts', '32'],
      ['rl.klWeight', '0'],
      ['rl.steps', '3'],
    ),
  );
  expect(records[0]!.loss).toBeLessThanOrEqual(0); // the baseline is 0 at first, so no answer is worse than expected
  expect(records).toHaveLength(3);
});

test('answers that are all right, or all wrong, teach nothing: not a bit of the model changes', async () => {
  const config = configOf();
  for (const reward of [0, 1]) {
    const base = fresh(config);
    const model = await rl(
      config,
      { ...even, question: (n) => ({ ...even.question(n), reward: () => reward }) },
      base,
      quietRun,
    );
    expect(await host(model)).toEqual(await host(base));
  }
});

test('every iteration asks new questions, and samples anew', async () => {
  const asked: number[] = [];
  const judged: string[] = [];
  const config = configOf(['rl.prompts', '2'], ['rl.steps', '3']);
  const task: Task = { ...even, question: (n) => {
    asked.push(n);
    // one prompt, and nothing to learn from
    return { prompt: Int32Array.of(1, 2, 3), reward: (row) => { judged.push(row.join()); return 0; } };
  } };
  await rl(config, task, fresh(config), quietRun);
  expect(asked).toEqual([0, 1, 2, 3, 4, 5]);
  const batches = [0, 1, 2].map((i) => judged.slice(16 * i, 16 * i + 16).join());
  expect(judged).toHaveLength(48);
  expect(new Set(batches).size).toBe(3);
});

test('a heavier penalty keeps the model closer to where it began', async () => {
  const last = async (klWeight: number): Promise<number> =>
    (await learn(configOf(['rl.klWeight', `${klWeight}`], ['rl.steps', '30']))).records.at(-1)!.kl;
  expect(await last(5)).toBeLessThan(0.5 * (await last(0)));
});

test('a rate that breaks the model is told by the name of its setting', async () => {
  // an update multiplies each matrix by -9
  const absurd = configOf(['rl.rate', '1'], ['rl.weightDecay', '10'], ['rl.updates', '40']);
  const error: unknown = await learn(absurd).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DivergedError);
  expect((error as Error).message).toMatch(
    /^rl: (loss|gradNorm) is (NaN|Infinity|-Infinity) at step \d: lower rl.rate or rl.clip$/,
  );
});

describe('house-keeping', () => {
  /** Odd questions ask for a first token that is even; of even ones, no answer is worth anything. */
  const half: Task = {
    ...even,
    question: (n) => ({
      prompt: Int32Array.of(0, 10 + (n % 5), n % 2),
      reward: (row) => (n % 2 ? Number(row[3]! % 2 === 0) : 0),
    }),
  };

  async function watched(task: Task, ...flags: [string, string][]) {
    const config = configOf(['rl.steps', '2'], ...flags);
    const groups: number[][] = [];
    const advantage = (rewards: readonly number[], size: number): number[] => {
      for (let at = 0; at < rewards.length; at += size) groups.push(rewards.slice(at, at + size));
      return rewards.map((reward) => reward - 0.5);
    };
    const records: Record<string, number | string>[] = [];
    const answers: (readonly [step: number, answers: readonly Answer[]])[] = [];
    const model = await rl({ ...config, rl: { ...config.rl, advantage } }, task, fresh(config), {
      ...quietRun,
      log: (record) => void records.push(record),
      show: (_, step, shown) => void answers.push([step, shown]),
    });
    return { records, groups, answers, model };
  }

  const isSilent = (group: readonly number[]): boolean => group.every((reward) => reward === group[0]);

  test('questions whose answers are all worth the same are counted', async () => {
    const { records, groups } = await watched(half);
    expect(groups.filter(isSilent)).toHaveLength(4);
    expect(records.map(({ noSignal }) => noSignal)).toEqual([0.5, 0.5]);
  });

  test('... and others drawn for them, until all speak; the others stay as they were', async () => {
    const plain = await watched(half);
    const { records, groups } = await watched(half, ['rl.resample', '4']);
    expect(groups.filter(isSilent)).toHaveLength(0);
    expect(records.map(({ noSignal }) => noSignal)).toEqual([0.5, 0.5]);
    expect([groups[1], groups[3]]).toEqual([plain.groups[1], plain.groups[3]]);
  });

  test('answers that were cut off are counted, and left out if that is asked for', async () => {
    const never: Task = { ...even, stop: V - 1, maxNew: 2 };
    const { records } = await watched(never);
    expect(records[0]!.truncated).toBeGreaterThan(0.9);
    const without = await watched(never, ['rl.maskTruncated', 'true']);
    expect(without.records[0]!.truncated).toBe(records[0]!.truncated);
    expect(without.records[0]!.tokens).toBeLessThan(0.1 * (records[0]!.tokens as number));
  });

  test('nothing is learned where every answer was cut off and left out, and nothing breaks', async () => {
    const endless: Task = { ...even, stop: V - 1, vocabulary: V - 1, maxNew: 2 };
    const { records } = await watched(endless, ['rl.maskTruncated', 'true']);
    for (const { tokens, loss, kl, entropy } of records) {
      expect(tokens).toBe(0);
      for (const number of [loss, kl, entropy]) expect(number).toBeCloseTo(0, 12);
    }
  });

  test('answers are shown with what they were worth, every so many iterations', async () => {
    const { answers } = await watched(even, ['rl.show', '2']);
    expect(answers.map(([step, shown]) => [step, shown.length])).toEqual([[2, 32]]);
    for (const { prompt, answer, reward, advantage } of answers[0]![1]) {
      expect([...prompt].slice(0, 1)).toEqual([0]);
      expect(reward).toBe(Number(answer[0]! % 2 === 0));
      expect(advantage).toBe(reward - 0.5);
    }
  });

  test('divisors: of answers of one token, all are the same', async () => {
    const one: Task = { ...even, maxNew: 1 }; // every answer has one token
    const norms: number[] = [];
    for (const divisor of ['tokens', 'answer', 'constant']) {
      const { records } = await watched(one, ['rl.divisor', divisor], ['rl.steps', '1'], ['rl.klWeight', '0']);
      norms.push(records[0]!.gradNorm as number);
    }
    expect(norms[1]! / norms[0]!).toBeCloseTo(1, 5);
    expect(norms[2]! / norms[0]!).toBeCloseTo(1, 5);
  });

  test('divisors: of answers of several lengths, a token of a long one counts less by answer than by tokens', async () => {
    const stopping: Task = { ...even, vocabulary: 6 }; // of which one token is the stop
    const norms = new Map<string, number>();
    let tokens = 0;
    for (const divisor of ['tokens', 'answer', 'constant']) {
      const { records } = await watched(stopping, ['rl.divisor', divisor], ['rl.steps', '1'], ['rl.klWeight', '0']);
      norms.set(divisor, records[0]!.gradNorm as number);
      tokens = records[0]!.tokens as number;
    }
    expect(norms.get('constant')! / norms.get('tokens')!).toBeCloseTo(tokens / (4 * 8 * even.maxNew), 4);
    expect(norms.get('answer')).not.toBeCloseTo(norms.get('tokens')!, 4);
  });
});
