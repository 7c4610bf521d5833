// What can be read off the models of one seed, beside their scores: where the weights go, by what a token is; how near
// the base model comes to the RL model while it is trained; and whether several tries help.
// Read after: cell.ts. Read next: report.ts.

import { logProb } from '../../../engine/ops/cross-entropy.ts';
import { logSoftmax } from '../../../engine/ops/softmax.ts';
import { tokenWeights } from '../../../engine/ops/token-weights.ts';
import { rng, type Stream } from '../../../engine/rng.ts';
import { noGrad } from '../../../engine/runtime.ts';
import { step } from '../../../engine/step.ts';
import { generate } from '../../../nn/generate.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import { ANSWER, PROMPT, RESPONSE, ROW, STOP } from '../../worlds/tiny/alphabet.ts';
import { chatter } from '../../worlds/tiny/chatter.ts';
import { prompt, response, type Style } from '../../worlds/tiny/documents.ts';
import { encode, evaluationSet, instance, TASKS, verdict, type Problem } from '../../worlds/tiny/index.ts';
import { nextTokens } from '../../phases/next-token.ts';

/** By token class: mean weight, mean gap in nats, and how many tokens. */
export type ClassWeights = Readonly<
  Record<string, { readonly weight: number; readonly gap: number; readonly tokens: number }>
>;

const DOCUMENTS = 300; // of each style, right and wrong

/**
 * Mean ReMiT weight of each class of tokens in held-out documents, as `model` would weigh them when guided by
 * `reference`.
 */
export async function weightsByClass(
  model: Transformer,
  reference: Transformer,
  epsilon: number,
): Promise<ClassWeights> {
  const classes = new Map<string, { weight: number; gap: number; tokens: number }>();
  const stream = rng(9).fold('classes').stream();
  const T = ROW - 1;
  const look = step((rows: Int32Array, batch: number) =>
    noGrad(() => {
      const { inputs, targets } = nextTokens(rows, batch);
      const [theirs, ours] = [logProb(reference.forward(inputs), targets), logProb(model.forward(inputs), targets)];
      return { theirs, ours, weights: tokenWeights(theirs, ours, targets, { epsilon }) };
    }),
  );
  for (const wrong of [0, 1]) {
    for (const style of ['think', 'direct', 'waffle'] as const) {
      const documents = Array.from({ length: DOCUMENTS }, (_, i) =>
        labelled(stream, instance(TASKS[i % TASKS.length]!, stream, 'validation'), style, wrong),
      );
      const rows = Int32Array.from(documents.flatMap(({ text }) => [...encode(text)]));
      const found = await look(rows, DOCUMENTS);
      const [theirs, ours, weights] = [await found.theirs.read(), await found.ours.read(), await found.weights.read()];
      documents.forEach(({ labels }, d) =>
        labels.slice(1).forEach((label, t) => {
          // the target at t is token t + 1
          const i = d * T + t;
          const sum = classes.get(label) ?? { weight: 0, gap: 0, tokens: 0 };
          classes.set(label, {
            weight: sum.weight + weights[i]!,
            gap: sum.gap + theirs[i]! - ours[i]!,
            tokens: sum.tokens + 1,
          });
        }),
      );
    }
  }
  look.free();
  return Object.fromEntries(
    [...classes]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { weight, gap, tokens }]) => [name, { weight: weight / tokens, gap: gap / tokens, tokens }]),
  );
}

/** A row of 24 characters about a problem, and what each of them is. */
export function labelled(
  stream: Stream,
  problem: Problem,
  style: Style,
  wrong: number,
): { text: string; labels: string[] } {
  const answered = prompt(problem) + response(stream, problem, style, wrong);
  const text = answered + chatter(stream, ROW - answered.length, 0.05);
  const stop = answered.length - 1;
  const mark = answered.lastIndexOf(ANSWER);
  const labels = Array.from(text, (character, i) => {
    if (i < PROMPT) return 'question';
    if (i > stop) return 'chatter';
    if (i === stop) return 'stop';
    if (i === PROMPT) return `style: ${style}`;
    if (i === mark) return 'answer mark';
    if (i === mark + 1) {
      return (
        `answer: ${character === problem.answer ? 'right' : 'wrong'}, ` +
        `${style === 'think' ? 'after thinking' : 'without'}`
      );
    }
    const place = i - PROMPT; // of a think response: filler at odd places, states at even ones
    if (style === 'waffle' || place % 2 === 1) return 'filler';
    return character === problem.states[place / 2 - 1] ? 'state: right' : 'state: corrupted';
  });
  return { text, labels };
}

export interface Nearness {
  /** KL(p_reference || p_model) in nats per token. */
  readonly kl: number;
  /** Share of tokens whose likeliest next token is the same. */
  readonly agreement: number;
}

/** How near a model is to a reference on rows of 24 tokens. */
export async function nearness(model: Transformer, reference: Transformer, rows: Int32Array): Promise<Nearness> {
  const batch = rows.length / ROW;
  const V = model.config.vocabulary;
  const look = step(() => noGrad(() => {
    const { inputs } = nextTokens(rows, batch);
    return { theirs: logSoftmax(reference.forward(inputs)), ours: logSoftmax(model.forward(inputs)) };
  }));
  const found = await look();
  const [theirs, ours] = [await found.theirs.read(), await found.ours.read()];
  look.free();
  const tokens = theirs.length / V;
  let kl = 0;
  let same = 0;
  for (let start = 0; start < theirs.length; start += V) {
    let [bestTheirs, bestOurs] = [start, start];
    for (let i = start; i < start + V; i++) {
      kl += Math.exp(theirs[i]!) * (theirs[i]! - ours[i]!);
      if (theirs[i]! > theirs[bestTheirs]!) bestTheirs = i;
      if (ours[i]! > ours[bestOurs]!) bestOurs = i;
    }
    same += Number(bestTheirs === bestOurs);
  }
  return { kl: kl / tokens, agreement: same / tokens };
}

/** Tries per question, and the k of pass@k. */
const TRIES = 16;
const KS = [1, 2, 4, 8, 16] as const;
const QUESTIONS = 20; // of each task

/**
 * pass@k for k = 1, 2, 4, 8, 16: the chance that one of k samples at temperature 1 is right, on 20 test questions of
 * each task.
 */
export async function passAtK(model: Transformer, seed: number): Promise<Record<string, number>> {
  const set = evaluationSet('test', QUESTIONS, 777);
  const questions = set.answers.length;
  const right = new Array<number>(questions).fill(0);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const rows = await generate(model, set.prompts, {
      batch: questions,
      maxNew: RESPONSE,
      temperature: 1,
      seed: rng(seed).fold('pass').at(attempt),
      stop: encode(STOP)[0]!,
    });
    set.answers.forEach((answer, q) => {
      right[q]! += Number(verdict(rows.subarray(q * ROW, (q + 1) * ROW), answer).correct);
    });
  }
  return Object.fromEntries(KS.map((k) => [k, right.reduce((total, c) => total + passOf(c, TRIES, k), 0) / questions]));
}

const HABITS = 200; // questions of each task, to learn from how often each answer is right

/**
 * The same of somebody who reads which task it is and nothing else, and draws an answer as often as it is right there: the
 * floor of pass@k, which is high, since answers have one character.
 */
export function passByGuessing(): Record<string, number> {
  const habits = evaluationSet('validation', HABITS, 777);
  const counts = habits.names.map(() => new Map<string, number>());
  habits.answers.forEach((answer, q) => {
    const own = counts[habits.task[q]!]!;
    own.set(answer, (own.get(answer) ?? 0) + 1);
  });
  const { answers, task } = evaluationSet('test', QUESTIONS, 777);
  const chances = answers.map((answer, q) => (counts[task[q]!]!.get(answer) ?? 0) / HABITS);
  return Object.fromEntries(
    KS.map((k) => [k, chances.reduce((total, p) => total + 1 - (1 - p) ** k, 0) / chances.length]),
  );
}

/**
 * The unbiased estimate of pass@k from n samples, c of them right: 1 - C(n - c, k) / C(n, k) (arXiv 2107.03374,
 * equation 1).
 */
export function passOf(c: number, n: number, k: number): number {
  let missed = 1;
  for (let i = 0; i < k; i++) missed *= Math.max(0, n - c - i) / (n - i);
  return 1 - missed;
}
