// Answers that a model samples, with their rewards: what one iteration of reinforcement learning learns from.
// The whole batch is decoded together with a key-value cache and read back once; prompts and answers may be of different
// lengths. Read after: task.ts. Read next: sampling.ts.

import { ConfigError } from '../../engine/errors.ts';
import { highest, lowest } from '../../engine/extremes.ts';
import {
  anything, callable, checkArguments, checkOptions, checkValue, having, real, typedArray, whole, type Rules,
} from '../../engine/options.ts';
import { anRng, type Rng } from '../../engine/rng.ts';
import { generate } from '../../nn/generate.ts';
import { aTransformer, type Transformer } from '../../nn/transformer.ts';
import { taskRule, type Question, type Task } from './task.ts';

/** Sampled answers with their rewards. B = prompts * samples, L the longest row. */
export interface Rollouts {
  /**
   * [B*L] i32: prompt and answer, cut off after the longest row of the batch; a shorter one goes on with stop tokens,
   * which no token before them sees.
   */
  readonly rows: Int32Array;
  /**
   * [B*(L-1)] f32 for the targets (tokens 1 to L-1 of each row): 1 on the answer up to and including its stop token,
   * else 0.
   */
  readonly mask: Float32Array;
  /** [B]. */
  readonly rewards: Float64Array;
  /** [B] tokens of each prompt. */
  readonly starts: Int32Array;
  /** [B] tokens of each answer. */
  readonly lengths: Int32Array;
  /** [B] 1 where an answer was cut off: it has as many tokens as it may, and no stop. */
  readonly truncated: Uint8Array;
  /** [B] each: what the task measures of an answer, by name. */
  readonly measured: Readonly<Record<string, Float64Array>>;
}

export interface RolloutOptions {
  /** Number of the first question. */
  readonly from: number;
  readonly prompts: number;
  /** Answers per prompt; they lie side by side. */
  readonly samples: number;
  readonly temperature: number;
  readonly seed: Rng;
}

/** What each may be; remit/settings/schema.ts makes its settings of these. */
export const rolloutRules = {
  from: whole({ min: 0 }),
  prompts: whole({ min: 1, max: 4096 }),
  samples: whole({ min: 1, max: 4096 }),
  temperature: real({ above: 0, to: 100 }),
  seed: anRng,
} satisfies Rules<RolloutOptions>;

const rolloutArguments = { model: aTransformer, task: taskRule, options: anything };
const LARGEST_REWARD = 1e30; // advantages are single floats
const rewardRule = real({ from: -LARGEST_REWARD, to: LARGEST_REWARD });
const questionRule = having<Question>('a question', { prompt: typedArray('Int32Array'), reward: callable() });

/**
 * B = prompts * samples answers of `model`. Throws ConfigError for an option that is unknown or out of its range, for
 * what is no task or question, and for a reward that is no number: it names the question and the sample.
 */
export async function rollout(model: Transformer, task: Task, options: RolloutOptions): Promise<Rollouts> {
  checkArguments('rollout', arguments, rolloutArguments);
  const { from, prompts, samples, temperature, seed } = checkOptions<RolloutOptions>('rollout', options, rolloutRules);
  const questions = ask(task, from, prompts);
  const batch = prompts * samples;
  const questionOf = (b: number): Question => questions[Math.floor(b / samples)]!;
  const starts = Int32Array.from({ length: batch }, (_, b) => questionOf(b).prompt.length); // of the answers
  const P = highest(starts);
  const full = P + task.maxNew;
  const repeated = new Int32Array(batch * P).fill(task.stop);
  for (let b = 0; b < batch; b++) repeated.set(questionOf(b).prompt, b * P);
  const rows = await generate(model, repeated, {
    batch,
    ...(lowest(starts) < P && { lengths: starts }),
    maxNew: task.maxNew,
    temperature,
    seed,
    stop: task.stop,
    ...(task.vocabulary !== undefined && { vocabulary: task.vocabulary }),
  });

  const rewards = new Float64Array(batch);
  const lengths = new Int32Array(batch);
  const truncated = new Uint8Array(batch);
  const measures = Object.entries(task.measures ?? {});
  const measured = Object.fromEntries(measures.map(([name]) => [name, new Float64Array(batch)]));
  for (let b = 0; b < batch; b++) {
    const row = rows.subarray(b * full, b * full + starts[b]! + task.maxNew);
    const stop = row.indexOf(task.stop, starts[b]);
    const question = Math.floor(b / samples);
    rewards[b] = rewardOf(
      questions[question]!,
      row,
      `rollout: task.question(${from + question}): reward of sample ${b % samples}`,
    );
    lengths[b] = (stop < 0 ? row.length : stop + 1) - starts[b]!;
    truncated[b] = Number(stop < 0);
    for (const [name, measure] of measures) {
      const value = measure(row, starts[b]!);
      checkValue(`rollout: task.measures.${name}: of sample ${b % samples} of question ${from + question}`, value, real());
      measured[name]![b] = value;
    }
  }
  return { ...laidOut({ rows, full, starts, lengths, stop: task.stop }), rewards, starts, lengths, truncated, measured };
}

/** What laidOut() is given: rows of `full` places each. */
export interface Written extends Pick<Rollouts, 'rows' | 'starts' | 'lengths'> {
  readonly full: number;
  readonly stop: number;
}

/** Rows cut off after the longest, and the mask of their answers. */
export function laidOut({ rows, full, starts, lengths, stop }: Written): Pick<Rollouts, 'rows' | 'mask'> {
  const batch = lengths.length;
  const L = highest(lengths.map((length, b) => starts[b]! + length));
  const cut = new Int32Array(batch * L).fill(stop);
  const mask = new Float32Array(batch * (L - 1));
  for (let b = 0; b < batch; b++) {
    const end = starts[b]! + lengths[b]!;
    cut.set(rows.subarray(b * full, b * full + end), b * L);
    mask.fill(1, b * (L - 1) + starts[b]! - 1, b * (L - 1) + end - 1); // the target at j is token j + 1
  }
  return { rows: cut, mask };
}

/**
 * What a question's program thinks of a row; true is 1. Throws ConfigError unless that is a number, now, and one that
 * single precision can hold.
 */
function rewardOf(question: Question, row: Int32Array, where: string): number {
  let reward: unknown;
  try {
    reward = question.reward(row);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`${where}: ${why}: reward() must return a number and never throw`, { cause: error });
  }
  // it is refused here: what becomes of it is nobody's business any more
  if (reward instanceof Promise) reward.catch(() => {});
  return checkValue(where, typeof reward === 'boolean' ? Number(reward) : reward, rewardRule);
}

/** Questions from number `from` on. */
function ask(task: Task, from: number, count: number): readonly Question[] {
  return Array.from({ length: count }, (_, i) =>
    checkValue(`rollout: task.question(${from + i})`, task.question(from + i), questionRule),
  );
}
