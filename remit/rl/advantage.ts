// How much better an answer was than expected. The baseline decides the variance of the gradient, not its direction: it must not
// depend on the answer it is taken from.

import type { Config } from '../config/config.ts';

export type AdvantageName = Config['rl']['advantage'];

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
 */
export function advantages(rewards: ArrayLike<number>, size: number, kind: AdvantageName, memory: Record<string, number> = {}): Float32Array {
  const all = Array.from(rewards);
  if (kind === 'reinforce') {
    const baseline = memory.baseline ?? 0;
    memory.baseline = baseline + BASELINE_RATE * (mean(all) - baseline);
    return Float32Array.from(all, (reward) => reward - baseline);
  }
  const out = new Float32Array(all.length);
  for (let start = 0; start < all.length; start += size) {
    const group = all.slice(start, start + size), centre = mean(group);
    out.set(group.map((reward) => (reward - centre) * factor(group, centre, kind)), start);
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
