// What an iteration of reinforcement learning learns from, made of rollouts: questions whose answers are all worth the
// same give way to others, answers that were cut off may be left out, and all are dealt into parts that memory can hold.
// Sources: arXiv 2503.14476 (dynamic sampling, overlong filtering). Read after: rollout.ts. Read next: ../phases/rl.ts.

import { highest } from '../../engine/extremes.ts';
import type { Rng } from '../../engine/rng.ts';
import type { Transformer } from '../../nn/transformer.ts';
import { laidOut, rollout, type RolloutOptions, type Rollouts } from './rollout.ts';
import type { Task } from './task.ts';

/** A sampled answer, as tokens. */
export interface Answer {
  readonly prompt: Int32Array;
  readonly answer: Int32Array;
  readonly reward: number;
  readonly advantage: number;
}

export interface SamplingOptions extends Pick<RolloutOptions, 'prompts' | 'samples' | 'temperature'> {
  /** From 0: which questions are asked follows from it. */
  readonly iteration: number;
  readonly seed: Rng;
  /** How often others may be drawn in the place of questions whose answers are all worth the same. */
  readonly resample: number;
  /** Whether answers that were cut off are left out. */
  readonly maskTruncated: boolean;
}

export interface Sampled {
  readonly sampled: Rollouts;
  /** Questions that were drawn, and those of them whose answers are all worth the same. */
  readonly drawn: number;
  readonly silent: number;
}

/** The answers of an iteration. Throws what rollout() throws. */
export async function sampleAnswers(model: Transformer, task: Task, options: SamplingOptions): Promise<Sampled> {
  const { iteration, seed, prompts, samples, temperature, resample, maskTruncated } = options;
  const draws: Rollouts[] = [];
  const chosen = Array.from({ length: prompts }, (_, group) => [0, group] as readonly [number, number]);
  const groups = chosen.map(([, group]) => group);
  let missing = groups;
  let silent = 0;
  for (let at = 0; at <= resample && missing.length > 0; at++) {
    const from = (iteration * (1 + resample) + at) * prompts;
    const own = at === 0 ? seed : seed.fold(`again ${at}`);
    const drawn = await rollout(model, task, { from, prompts, samples, temperature, seed: own });
    const without = silentGroups(drawn, samples);
    silent += without.length;
    draws.push(drawn);
    const speaking = groups.filter((group) => !without.includes(group));
    if (at > 0) speaking.slice(0, missing.length).forEach((group, k) => (chosen[missing[k]!] = [at, group]));
    missing = at === 0 ? without : missing.slice(speaking.length);
  }
  const sampled = draws.length === 1 ? draws[0]! : regrouped(draws, chosen, { samples, stop: task.stop });
  return { sampled: maskTruncated ? withoutTruncated(sampled) : sampled, silent, drawn: draws.length * prompts };
}

/** The questions, by their place, whose answers are all worth the same: nothing can be learned from comparing them. */
function silentGroups({ rewards }: Rollouts, samples: number): number[] {
  const groups = Array.from({ length: rewards.length / samples }, (_, group) => group);
  return groups.filter((group) => {
    const own = rewards.subarray(group * samples, (group + 1) * samples);
    return own.every((reward) => reward === own[0]);
  });
}

/** The answers to questions of two rollouts: `chosen` has, by place, from which of them, and its place there. */
function regrouped(
  from: readonly Rollouts[],
  chosen: readonly (readonly [which: number, group: number])[],
  { samples, stop }: { readonly samples: number; readonly stop: number },
): Rollouts {
  const answers = chosen.flatMap(([which, group]) =>
    Array.from({ length: samples }, (_, i) => ({ of: from[which]!, b: group * samples + i })),
  );
  const rowOf = ({ of: { rows, rewards }, b }: (typeof answers)[number]): Int32Array => {
    const length = rows.length / rewards.length;
    return rows.subarray(b * length, (b + 1) * length);
  };
  const full = highest(answers.map((answer) => rowOf(answer).length));
  const rows = new Int32Array(answers.length * full).fill(stop);
  answers.forEach((answer, b) => rows.set(rowOf(answer), b * full));
  const starts = Int32Array.from(answers, ({ of, b }) => of.starts[b]!);
  const lengths = Int32Array.from(answers, ({ of, b }) => of.lengths[b]!);
  return {
    ...laidOut({ rows, full, starts, lengths, stop }),
    starts,
    lengths,
    rewards: Float64Array.from(answers, ({ of, b }) => of.rewards[b]!),
    truncated: Uint8Array.from(answers, ({ of, b }) => of.truncated[b]!),
    measured: Object.fromEntries(
      Object.keys(from[0]!.measured).map((name) => [
        name,
        Float64Array.from(answers, ({ of, b }) => of.measured[name]![b]!),
      ]),
    ),
  };
}

/** Some of an iteration's answers. */
export interface Part extends Pick<Rollouts, 'rows' | 'mask' | 'lengths'> {
  readonly gains: Float32Array;
}

/** `size`: the most answers of a part; all unless given. */
export function inParts({ rows, mask, lengths }: Rollouts, gains: Float32Array, size = gains.length): Part[] {
  const L = rows.length / gains.length;
  return Array.from({ length: Math.ceil(gains.length / size) }, (_, part) => {
    const [from, to] = [part * size, Math.min(gains.length, (part + 1) * size)];
    return {
      rows: rows.subarray(from * L, to * L),
      mask: mask.subarray(from * (L - 1), to * (L - 1)),
      lengths: lengths.subarray(from, to),
      gains: gains.subarray(from, to),
    };
  });
}

const SHOWN = 4; // questions

/** The answers to the first questions, for a person. */
export function shown({ rows, rewards, starts, lengths }: Rollouts, gains: Float32Array, samples: number): Answer[] {
  const L = rows.length / rewards.length;
  return Array.from({ length: Math.min(SHOWN * samples, rewards.length) }, (_, b) => {
    const begin = b * L + starts[b]!;
    return {
      prompt: rows.slice(b * L, begin),
      answer: rows.slice(begin, begin + lengths[b]!),
      reward: rewards[b]!,
      advantage: gains[b]!,
    };
  });
}

/** No token of an answer that was cut off counts. */
function withoutTruncated(sampled: Rollouts): Rollouts {
  const mask = sampled.mask.slice();
  const T = mask.length / sampled.truncated.length;
  sampled.truncated.forEach((cut, b) => {
    if (cut) mask.fill(0, b * T, (b + 1) * T);
  });
  return { ...sampled, mask };
}
