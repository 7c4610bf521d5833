// How much better an answer was than expected. The baseline decides the variance of the gradient, not its direction: it
// must not depend on the answer it is taken from. Read after: rollout.ts. Read next: ../phases/rl.ts.

import { ConfigError } from '../../engine/errors.ts';
import {
  checkArguments, checkValue, choice, isOptions, list, optional, orOwn, real, such, whole,
} from '../../engine/options.ts';

/** How rewards are compared. */
export const advantageRule = choice('rloo', 'grpo', 'dr-grpo', 'reinforce');

export type AdvantageName = (typeof advantageRule.words)[number];

/** A comparison of somebody's own, in place of a name: as many advantages as rewards, in their order. */
export type OwnAdvantage = (rewards: readonly number[], size: number) => ArrayLike<number>;

const advantagesArguments = {
  rewards: list('a list of finite numbers', real()),
  size: whole({ min: 1 }),
  kind: orOwn(advantageRule),
  memory: optional(
    such(
      'a plain object to keep numbers in',
      (value) => isOptions(value) && Object.values(value).every((kept) => kept === undefined || Number.isFinite(kept)),
    ),
  ),
};

/** Added to a standard deviation, so that a group of equal rewards gives 0. */
const EPSILON = 1e-6;

/** The running baseline moves this share of the way to each batch's mean reward. */
const BASELINE_RATE = 0.1;

/**
 * rewards [groups * size], the samples of a question side by side -> advantages [groups * size].
 *
 *   rloo       r - mean of the others of its group            unbiased; arXiv 2402.14740
 *   grpo       (r - group mean) / (group deviation + 1e-6)    arXiv 2402.03300
 *   dr-grpo    r - group mean: rloo times (size - 1) / size   arXiv 2503.20783
 *   reinforce  r - running mean of earlier batches            `memory.baseline`, which is then moved on; 0 at first
 *
 * A function of one's own is given rewards and size. Throws ConfigError for rewards that are no finite numbers or do
 * not divide into groups of `size`, for groups of one where a group is compared with itself (all but reinforce), for
 * advantages beyond single precision, and for another kind.
 */
export function advantages(
  rewards: ArrayLike<number>,
  size: number,
  kind: AdvantageName | OwnAdvantage,
  memory: Record<string, number> = {},
): Float32Array {
  checkArguments('advantages', arguments, advantagesArguments);
  if (rewards.length === 0 || rewards.length % size !== 0) {
    throw new ConfigError(
      `advantages: ${rewards.length} rewards in groups of ${size}: need one or more groups, all of one size`,
    );
  }
  if (typeof kind === 'function') {
    const own = checkValue('advantages: what the function returned', kind(Array.from(rewards), size), ownRule);
    if (own.length === rewards.length) return checkFinite(Float32Array.from(own), 'a function of your own');
    throw new ConfigError(`advantages: the function returned ${own.length} for ${rewards.length} rewards: give one for each`);
  }
  if (size < 2 && kind !== 'reinforce') {
    throw new ConfigError(
      `advantages: groups of ${size}, ${kind}: compares the samples of a question: give 2 or more, or use reinforce`,
    );
  }
  return checkFinite(advantagesOf(Array.from(rewards), size, kind, memory), kind);
}

const ownRule = list('a list of finite numbers', real());

function checkFinite(found: Float32Array, kind: string): Float32Array {
  const wrong = found.find((x) => !Number.isFinite(x));
  if (wrong !== undefined) {
    throw new ConfigError(
      `advantages: ${kind}: an advantage is ${wrong}: the rewards are too large: give smaller ones`,
    );
  }
  return found;
}

function advantagesOf(
  all: readonly number[],
  size: number,
  kind: AdvantageName,
  memory: Record<string, number>,
): Float32Array {
  if (kind === 'reinforce') {
    const baseline = memory.baseline ?? 0;
    memory.baseline = baseline + BASELINE_RATE * (mean(all) - baseline);
    return Float32Array.from(all, (reward) => reward - baseline);
  }
  const out = new Float32Array(all.length);
  for (let start = 0; start < all.length; start += size) {
    const group = all.slice(start, start + size);
    const centre = mean(group);
    out.set(
      group.map((reward) => (reward - centre) * factor(group, centre, kind)),
      start,
    );
  }
  return out;
}

function factor(group: readonly number[], centre: number, kind: Exclude<AdvantageName, 'reinforce'>): number {
  switch (kind) {
    case 'rloo': return group.length / (group.length - 1);
    case 'grpo': return 1 / (Math.sqrt(mean(group.map((reward) => (reward - centre) ** 2))) + EPSILON);
    case 'dr-grpo': return 1;
    default: return kind satisfies never;
  }
}

function mean(x: readonly number[]): number {
  return x.reduce((total, value) => total + value, 0) / x.length;
}
