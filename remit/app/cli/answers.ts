// What each stage of a run answers to the same few questions: scores say how often it is right, this says what it does.
// Used by: train-world.ts. Read next: remit/worlds/tiny/evaluation-set.ts, nn/generate.ts.

import { highest } from '../../../engine/extremes.ts';
import { rng } from '../../../engine/rng.ts';
import { generate } from '../../../nn/generate.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import { STOP } from '../../worlds/tiny/alphabet.ts';
import { decode, encode, evaluationSet, PROMPT, RESPONSE, ROW, verdict } from '../../worlds/tiny/index.ts';
import { QUESTIONS_SEED, type EvaluateOptions } from '../../worlds/tiny/evaluate.ts';

const ASKED = ['SUM', 'CMP']; // tasks, the first question of each

/** A stage's answers, in the order of the questions. */
export interface Answers {
  readonly name: string;
  readonly said: readonly { readonly text: string; readonly right: boolean }[];
}

/** Asks a model the questions, each answered with the likeliest characters. */
export async function ask(
  name: string,
  model: Transformer,
  { split }: Pick<EvaluateOptions, 'split'>,
): Promise<Answers> {
  const { prompts, answers } = questions(split);
  const batch = answers.length;
  const rows = await generate(model, prompts, {
    batch,
    maxNew: RESPONSE,
    temperature: 0,
    stop: encode(STOP)[0]!,
    seed: rng(0),
  });
  const said = answers.map((answer, i) => {
    const row = rows.subarray(i * ROW, (i + 1) * ROW);
    const [first = ''] = decode(row.subarray(PROMPT)).split(STOP);
    const { correct } = verdict(row, answer);
    return { text: `${first}${first.length < RESPONSE ? STOP : ''}`, right: correct };
  });
  return { name, said };
}

/** Under each question, a line per stage. */
export function answersTable(stages: readonly Answers[], split: EvaluateOptions['split']): string {
  const { prompts, answers } = questions(split);
  const width = highest(stages.map(({ name }) => name.length)) + 2;
  return answers.map((answer, i) => {
    const lines = stages.map(
      ({ name, said }) =>
        `  ${name.padEnd(width)}${said[i]!.text.padEnd(RESPONSE + 2)}${said[i]!.right ? 'right' : 'wrong'}`,
    );
    return [`To ${decode(prompts.subarray(i * PROMPT, (i + 1) * PROMPT))} which is ${answer}:`, ...lines].join('\n');
  }).join('\n\n');
}

function questions(split: EvaluateOptions['split']): {
  readonly prompts: Int32Array;
  readonly answers: readonly string[];
} {
  const set = evaluationSet(split, 1, QUESTIONS_SEED);
  const chosen = ASKED.map((name) => set.names.indexOf(name));
  return {
    prompts: Int32Array.from(chosen.flatMap((i) => [...set.prompts.subarray(i * PROMPT, (i + 1) * PROMPT)])),
    answers: chosen.map((i) => set.answers[i]!),
  };
}
