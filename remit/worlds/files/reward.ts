// What an answer is worth, for a world of files: four rules that need no code, or a function of its own. A rule looks at
// what the model wrote before the stop text; an answer that never stops is worth nothing to a rule, whatever it says.
// Read next: world.ts.

import { describe } from '../../../engine/describe.ts';
import { ConfigError } from '../../../engine/errors.ts';

/** An answer and what it is compared with. */
export interface Said {
  readonly prompt: string;
  /** What the model wrote, without the stop text. */
  readonly response: string;
  /** What the file says. */
  readonly answer: string;
  /** Whether the stop text came. */
  readonly finished: boolean;
}

/** 1: right, 0: wrong; a function of somebody's own may give any finite number. */
export type Reward = (said: Said) => number;

/** As world.json says it: a word, `{ "pattern": "..." }`, or `reward.mjs`. */
export type RewardName = 'exact' | 'contains' | 'last number' | 'reward.mjs' | { readonly pattern: string };

const NUMBER = /[-+]?\d+(?:\.\d+)?/g;

const lastNumber = (text: string): number | undefined => {
  const last = text.match(NUMBER)?.at(-1);
  return last === undefined ? undefined : Number(last);
};

/**
 * The rule of a name: `exact`, the response is the answer, but for space at both ends; `contains`, the answer stands in
 * it; `last number`, the last numbers of both are equal; a pattern, its last match, or the first group of that, is the
 * answer. Throws ConfigError, beginning with `where`, for a pattern that is none.
 */
export function rewardRule(name: Exclude<RewardName, 'reward.mjs'>, where: string): Reward {
  const rule = ruleOf(name, where);
  return (said) => Number(said.finished && rule(said.response, said.answer));
}

function ruleOf(name: Exclude<RewardName, 'reward.mjs'>, where: string): (response: string, answer: string) => boolean {
  if (name === 'exact') return (response, answer) => response.trim() === answer.trim();
  if (name === 'contains') return (response, answer) => response.includes(answer.trim());
  if (name === 'last number') {
    return (response, answer) => lastNumber(response) !== undefined && lastNumber(response) === lastNumber(answer);
  }
  const pattern = compile(name.pattern, where);
  return (response, answer) => {
    const match = [...response.matchAll(pattern)].at(-1);
    return match !== undefined && (match[1] ?? match[0]).trim() === answer.trim();
  };
}

function compile(pattern: string, where: string): RegExp {
  try {
    return new RegExp(pattern, 'gu');
  } catch (error) {
    throw new ConfigError(`${where}: pattern ${describe(pattern)}: ${(error as Error).message}`);
  }
}

/** Why no answer could be right by this rule; undefined where one could. */
export function hopeless(name: RewardName, answer: string): string | undefined {
  if (name !== 'last number' || lastNumber(answer) !== undefined) return undefined;
  return 'holds no number, and the reward is its last number';
}

/**
 * What a function of somebody's own gives: true is 1. Throws ConfigError, beginning with `where`, when it throws, and
 * for what is no finite number: a promise too, which may never end.
 */
export function ownReward(reward: (said: Said) => unknown, said: Said, where: string): number {
  let value: unknown;
  try {
    value = reward(said);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`${where}: threw ${describe(why)}: must return a number`, { cause: error });
  }
  if (value instanceof Promise) value.catch(() => {}); // refused here: what becomes of it is nobody's business
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new ConfigError(`${where}: returned ${describe(value)}: must return a finite number, at once`);
}
