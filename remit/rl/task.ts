// What reinforcement learning learns from: questions whose answers a program can check ("verifiable rewards").
// The worlds' own are in worlds/tiny/reward.ts and worlds/files/reward.ts. Read next: rollout.ts.

import { callable, having, isOptions, optional, such, whole } from '../../engine/options.ts';

/** A question whose answers a program can check. */
export interface Question {
  /** [P] i32; P may differ from question to question. */
  readonly prompt: Int32Array;
  /** How good a row [P + maxNew] is that begins with the prompt: 1 right, 0 wrong. */
  reward(row: Int32Array): number;
}

/** An endless stream of questions. */
export interface Task {
  /** Question n of an endless stream. */
  question(n: number): Question;
  /** Longest answer, in tokens. */
  readonly maxNew: number;
  /** The token that ends an answer. */
  readonly stop: number;
  /**
   * Tokens that mean something, from 0; all that the model has unless given. A model with more, a padded vocabulary,
   * never answers with others.
   */
  readonly vocabulary?: number;
  /**
   * What else is to be known of an answer, by name: its mean over the answers goes into the metrics. Given a row, and
   * where in it the answer starts.
   */
  readonly measures?: Readonly<Record<string, (row: Int32Array, start: number) => number>>;
}

/** What a phase asks of a task; of a class of somebody's or not. */
export const taskRule = having<Task>('a task', {
  question: callable(),
  maxNew: whole({ min: 1 }),
  stop: whole({ min: 0 }),
  measures: optional(such('functions by name', isMeasures)),
});

function isMeasures(value: unknown): boolean {
  return isOptions(value) && Object.values(value).every((measure) => callable().accepts(measure));
}
