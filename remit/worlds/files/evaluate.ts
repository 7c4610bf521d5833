// A model's answers to the held-out questions of a world of files, in the views of the tiny world: greedy; sampled, one
// answer at temperature 1; and cued, greedy after the world's cue. Without a cue, cued is greedy, and thinkRate is 0. An
// answer is right when its reward is 1 or more. Read after: world.ts.

import { highest, lowest } from '../../../engine/extremes.ts';
import { checkArguments, whole } from '../../../engine/options.ts';
import { rng, type Rng } from '../../../engine/rng.ts';
import { generate } from '../../../nn/generate.ts';
import { aTransformer, type Transformer } from '../../../nn/transformer.ts';
import type { Evaluation, Scores } from '../tiny/evaluate.ts';
import { aFileWorld, judge, type Asked, type FileWorld } from './world.ts';

const CHUNK = 250; // questions at a time

interface Answer { readonly right: boolean; readonly thinks: boolean }

/** Scores over all questions, and by task where they name one. Undefined when the world has no eval.jsonl. */
export async function evaluateFiles(
  model: Transformer,
  world: FileWorld,
  seed: number,
): Promise<Evaluation | undefined> {
  checkArguments('evaluateFiles', arguments, { model: aTransformer, world: aFileWorld, seed: whole({ min: 0 }) });
  const questions = world.eval;
  if (questions === undefined) return undefined;
  const random = rng(seed).fold('evaluate');
  const greedy = await answers(model, world, questions, { temperature: 0, random });
  const sampled = await answers(model, world, questions, { temperature: 1, random });
  const { cue } = world;
  const cued = cue === undefined ? greedy : await answers(model, world, questions, { temperature: 0, random, cue });
  const scores = (counts: (question: Asked) => boolean): Scores => {
    const share = (all: readonly Answer[], key: keyof Answer): number => {
      const counted = all.filter((_, i) => counts(questions[i]!));
      return counted.filter((answer) => answer[key]).length / counted.length;
    };
    return {
      cued: share(cued, 'right'),
      sampled: share(sampled, 'right'),
      greedy: share(greedy, 'right'),
      thinkRate: share(sampled, 'thinks'),
    };
  };
  const names = [...new Set(questions.map(({ task }) => task))];
  const tasks = names.map((name) => ({ name, group: world.name, ...scores(({ task }) => task === name) }));
  return { ...scores(() => true), tasks };
}

async function answers(
  model: Transformer,
  world: FileWorld,
  questions: readonly Asked[],
  { temperature, random, cue = '' }: { temperature: number; random: Rng; cue?: string },
): Promise<Answer[]> {
  const { tokenizer, stop } = world;
  const [stopToken] = tokenizer.encode(stop) as unknown as [number];
  const maxNew = world.answerTokens - tokenizer.encode(cue).length;
  const found: Answer[] = [];
  for (let at = 0; at < questions.length; at += CHUNK) {
    const asked = questions.slice(at, at + CHUNK);
    const starts = asked.map(({ prompt }) => tokenizer.encode(prompt).length);
    const prompts = asked.map(({ prompt }) => [...tokenizer.encode(prompt), ...tokenizer.encode(cue)]);
    const lengths = prompts.map((prompt) => prompt.length);
    const P = highest(lengths);
    const padded = prompts.flatMap((prompt) => [...prompt, ...Array<number>(P - prompt.length).fill(stopToken)]);
    const rows = await generate(model, Int32Array.from(padded), {
      batch: asked.length,
      ...(lowest(lengths) < P && { lengths }),
      maxNew,
      temperature,
      stop: stopToken,
      vocabulary: tokenizer.vocabulary,
      seed: random.at(at),
    });
    asked.forEach((question, b) => {
      const row = b * (P + maxNew);
      const { reward, thinks } = judge(world, question, rows.subarray(row + starts[b]!, row + lengths[b]! + maxNew));
      found.push({ right: reward >= 1, thinks });
    });
  }
  return found;
}
