// Three views of one model on held-out questions of the tiny world, by exact match:
//   cued     greedy after a forced `[`: what the model can do when it thinks first (skill);
//   sampled  one sample per question at temperature 1: skill and the choice of style;
//   greedy   the likeliest answer: a threshold effect of the likeliest style, so never the only evidence.
// thinkRate is the share of samples that begin with `[`. Read after: evaluation-set.ts, reward.ts.

import { anything, checkArguments, checkOptions, whole, type Rules } from '../../../engine/options.ts';
import { rng, type Rng } from '../../../engine/rng.ts';
import { generate } from '../../../nn/generate.ts';
import { aTransformer, type Transformer } from '../../../nn/transformer.ts';
import { STOP, THINK } from './alphabet.ts';
import { heldOut } from './evaluation-set.ts';
import { tinyWorldTokenizer } from './tokenizer.ts';
import { encode, evaluationSet, PROMPT, RESPONSE, ROW, TASKS, verdict, type EvaluationSet } from './index.ts';

/** Shares between 0 and 1. */
export interface Scores {
  readonly cued: number;
  readonly sampled: number;
  readonly greedy: number;
  readonly thinkRate: number;
}

/** A model's scores in three views, over all tasks and for each. */
export interface Evaluation extends Scores {
  /** The same per task; the scores above are their means. */
  readonly tasks: readonly (Scores & { readonly name: string; readonly group: string })[];
}

export interface EvaluateOptions {
  /** Per task. */
  readonly questions: number;
  readonly split: 'test' | 'validation';
  /** Seeds the samples; the questions are the same for every seed. */
  readonly seed: number;
}

/** What each may be; remit/settings/schema.ts makes its settings of these. */
export const evaluateRules = {
  questions: whole({ min: 1, max: 200 }),
  split: heldOut,
  seed: whole({ min: 0 }),
} satisfies Rules<EvaluateOptions>;

const evaluateArguments = { model: aTransformer, options: anything };

/** Questions are fixed, so that models of different seeds answer the same ones. */
export const QUESTIONS_SEED = 777;

const CHUNK = 500;
const [thinkToken, stopToken] = [encode(THINK)[0]!, encode(STOP)[0]!];

/** The ways to ask. */
const views = {
  cued: { temperature: 0, force: thinkToken },
  sampled: { temperature: 1 },
  greedy: { temperature: 0 },
} as const;

/**
 * Asks the model every question in the three ways. Throws ConfigError for an option that is unknown or out of its
 * range.
 */
export async function evaluate(model: Transformer, options: EvaluateOptions): Promise<Evaluation> {
  checkArguments('evaluate', arguments, evaluateArguments);
  const { questions, split, seed } = checkOptions<EvaluateOptions>('evaluate', options, evaluateRules);
  const set = evaluationSet(split, questions, QUESTIONS_SEED);
  const random = rng(seed).fold('evaluate');
  const cued = await answers(model, set, random, views.cued);
  const sampled = await answers(model, set, random, views.sampled);
  const greedy = await answers(model, set, random, views.greedy);
  const tasks = TASKS.map(({ name, group }, task) => {
    const share = (hits: readonly boolean[]): number =>
      hits.filter((hit, i) => hit && set.task[i] === task).length / questions;
    return {
      name,
      group,
      cued: share(cued.correct),
      sampled: share(sampled.correct),
      greedy: share(greedy.correct),
      thinkRate: share(sampled.thinks),
    };
  });
  const mean = (key: keyof Scores): number => tasks.reduce((total, task) => total + task[key], 0) / tasks.length;
  return { cued: mean('cued'), sampled: mean('sampled'), greedy: mean('greedy'), thinkRate: mean('thinkRate'), tasks };
}

/** The share of right answers in one view alone: for learning curves. */
export async function accuracy(
  model: Transformer,
  view: keyof typeof views,
  { questions, split, seed }: EvaluateOptions,
): Promise<number> {
  const { correct } = await answers(
    model,
    evaluationSet(split, questions, QUESTIONS_SEED),
    rng(seed).fold('evaluate'),
    views[view],
  );
  return correct.filter(Boolean).length / correct.length;
}

interface Answers {
  readonly correct: readonly boolean[];
  readonly thinks: readonly boolean[];
}

async function answers(
  model: Transformer,
  set: EvaluationSet,
  random: Rng,
  options: { temperature: number; force?: number },
): Promise<Answers> {
  const correct: boolean[] = [];
  const thinks: boolean[] = [];
  for (let start = 0; start < set.answers.length; start += CHUNK) {
    const expected = set.answers.slice(start, start + CHUNK);
    const batch = expected.length;
    const prompts = set.prompts.subarray(start * PROMPT, (start + batch) * PROMPT);
    const { vocabulary } = tinyWorldTokenizer;
    const rows = await generate(model, prompts, {
      batch,
      maxNew: RESPONSE,
      vocabulary,
      stop: stopToken,
      seed: random.at(start),
      ...options,
    });
    expected.forEach((answer, i) => {
      const { correct: right, first } = verdict(rows.subarray(i * ROW, (i + 1) * ROW), answer);
      correct.push(right);
      thinks.push(first === THINK);
    });
  }
  return { correct, thinks };
}
