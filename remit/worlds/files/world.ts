// A world made of files, as data: texts to read, demonstrations, questions with answers. This turns them into what the
// phases learn from. Rows and questions are functions of the seed and their number, as in the tiny world; prompts and
// answers may be of any length. Read after: reward.ts. Read next: read.ts, which makes it of a folder; evaluate.ts.

import { ConfigError } from '../../../engine/errors.ts';
import { checkArguments, having, string, whole } from '../../../engine/options.ts';
import { anRng, type Rng } from '../../../engine/rng.ts';
import { highest } from '../../../engine/extremes.ts';
import type { Task } from '../../rl/task.ts';
import { textCorpus } from '../../text/text.ts';
import { aTokenizer, type Tokenizer } from '../../text/tokenizer.ts';
import type { Corpus, Demonstrations } from '../tiny/corpus.ts';
import type { Reward } from './reward.ts';

/** A line of sft.jsonl. */
export interface Demonstration { readonly prompt: string; readonly response: string }

/** A line of rl.jsonl or eval.jsonl, and where it stands: `sums/rl.jsonl:7`. */
export interface Asked {
  readonly prompt: string;
  readonly answer: string;
  readonly task: string;
  readonly where: string;
}

/** What a folder holds, checked: every row fits the context, and every text the tokenizer. */
export interface FileWorld {
  readonly name: string;
  readonly tokenizer: Tokenizer;
  /** Tokens of the longest row. */
  readonly context: number;
  /** Ends an answer: one token. */
  readonly stop: string;
  /** What an answer begins with when the model is told to think first. */
  readonly cue: string | undefined;
  /** Most tokens of an answer, its stop included. */
  readonly answerTokens: number;
  readonly reward: Reward;
  /** Absent where the folder has none: phases that need them are left out. */
  readonly pretrain: string | undefined;
  readonly midtrain: string | undefined;
  readonly sft: readonly Demonstration[] | undefined;
  readonly rl: readonly Asked[] | undefined;
  readonly eval: readonly Asked[] | undefined;
}

/** An argument that is such a world. */
export const aFileWorld = having<FileWorld>('a world of files, as readWorld() reads it', {
  name: string, tokenizer: aTokenizer, context: whole({ min: 2 }), stop: string, answerTokens: whole({ min: 1 }),
});

/** Those parts of a world that its files can give. */
export interface Parts {
  readonly pretrain?: Corpus;
  readonly midtrain?: Corpus;
  readonly demonstrations?: Demonstrations;
  readonly questions?: Task;
}

/** What the phases learn from. `context`: of the model, whose rows of text are as long. */
export function partsOf(world: FileWorld, context: number, random: Rng): Parts {
  checkArguments('partsOf', arguments, { world: aFileWorld, context: whole({ min: 1 }), random: anRng });
  const text = (part: 'pretrain' | 'midtrain'): Partial<Record<typeof part, Corpus>> =>
    world[part] === undefined ? {} : { [part]: corpusOf(world, part, context, random.fold(part)) };
  return {
    ...text('pretrain'),
    ...text('midtrain'),
    ...(world.sft && { demonstrations: demonstrationsOf(world, world.sft, random.fold('sft')) }),
    ...(world.rl && { questions: taskOf(world, world.rl, random.fold('rl')) }),
  };
}

function corpusOf(world: FileWorld, part: 'pretrain' | 'midtrain', context: number, random: Rng): Corpus {
  const tokens = world.tokenizer.encode(world[part]!);
  if (tokens.length <= context) {
    throw new ConfigError(
      `world: ${world.name}: ${part}: ${tokens.length} tokens: a row of context ${context} needs ${context + 1}: ` +
      'give more text, or a smaller context',
    );
  }
  return textCorpus(tokens, { context, validation: 0 }, random);
}

/** Right answers, padded with stops to the longest of the batch; only the response, and its one stop, carry loss. */
function demonstrationsOf(
  { tokenizer, stop }: FileWorld,
  lines: readonly Demonstration[],
  random: Rng,
): Demonstrations {
  const [stopToken] = tokenizer.encode(stop) as unknown as [number];
  const order = shuffled(lines.length, random);
  return {
    rows(step, batch) {
      const drawn = Array.from({ length: batch }, (_, i) => {
        const { prompt, response } = lines[order(step * batch + i)]!;
        const parts = [prompt, response, stop].map((text) => [...tokenizer.encode(text)]);
        return { start: parts[0]!.length, tokens: parts.flat() };
      });
      const L = highest(drawn.map(({ tokens }) => tokens.length));
      const rows = new Int32Array(batch * L).fill(stopToken);
      const mask = new Float32Array(batch * (L - 1));
      drawn.forEach(({ start, tokens }, b) => {
        rows.set(tokens, b * L);
        mask.fill(1, b * (L - 1) + start - 1, b * (L - 1) + tokens.length - 1); // the target at j is token j + 1
      });
      return { rows, mask };
    },
  };
}

function taskOf(world: FileWorld, lines: readonly Asked[], random: Rng): Task {
  const { tokenizer, stop, answerTokens, cue } = world;
  const order = shuffled(lines.length, random);
  return {
    maxNew: answerTokens,
    stop: tokenizer.encode(stop)[0]!,
    vocabulary: tokenizer.vocabulary,
    question(n) {
      const line = lines[order(n)]!;
      const prompt = tokenizer.encode(line.prompt);
      return { prompt, reward: (row) => judge(world, line, row.subarray(prompt.length)).reward };
    },
    ...(cue !== undefined && {
      measures: { thinkRate: (row, start) => Number(answerText(world, row.subarray(start)).text.startsWith(cue)) },
    }),
  };
}

/** An answer as tokens, and what it is worth. `thinks`: whether it begins with the cue. */
export function judge(
  world: FileWorld,
  { prompt, answer }: Asked,
  tokens: Int32Array,
): { readonly reward: number; readonly thinks: boolean } {
  const { text: response, finished } = answerText(world, tokens);
  return {
    reward: world.reward({ prompt, response, answer, finished }),
    thinks: world.cue !== undefined && response.startsWith(world.cue),
  };
}

/** What stands before the first stop, and whether there is one. */
function answerText({ tokenizer, stop }: FileWorld, tokens: Int32Array): { text: string; finished: boolean } {
  const end = tokens.indexOf(tokenizer.encode(stop)[0]!);
  return { text: tokenizer.decode(end < 0 ? tokens : tokens.subarray(0, end)), finished: end >= 0 };
}

/** Line n of an endless reading: every line once, in an order of its own for each time through. */
function shuffled(count: number, random: Rng): (n: number) => number {
  const all = Array.from({ length: count }, (_, i) => i);
  let round = -1;
  let order: readonly number[] = all;
  return (n) => {
    const now = Math.floor(n / count);
    if (now !== round) [round, order] = [now, random.at(now).stream().sample(all, count)];
    return order[n % count]!;
  };
}

/** A held-out question that is in the training data too. */
export interface Leak { readonly question: Asked; readonly in: string }

/** Questions of eval.jsonl that a model may have seen: asked or shown as they stand, or a part of the texts. */
export function leaksOf(world: FileWorld): Leak[] {
  checkArguments('leaksOf', arguments, { world: aFileWorld });
  const shown = new Set(world.sft?.map(({ prompt }) => prompt.trim()));
  const asked = new Set(world.rl?.map(({ prompt }) => prompt.trim()));
  return (world.eval ?? []).flatMap((question) => {
    const prompt = question.prompt.trim();
    const places = [
      ...(shown.has(prompt) ? ['sft.jsonl'] : []),
      ...(asked.has(prompt) ? ['rl.jsonl'] : []),
      ...(['pretrain', 'midtrain'] as const).filter((part) => isIn(world[part] ?? '', prompt)),
    ];
    return places.length === 0 ? [] : [{ question, in: places.join(' and ') }];
  });
}

/** Whether a text has the words of a prompt: `9+0=` is not in `109+0=9`, which goes on to the left. */
function isIn(text: string, prompt: string): boolean {
  const isWord = (character: string | undefined): boolean => /[\p{L}\p{N}]/u.test(character ?? '');
  for (let at = text.indexOf(prompt); at >= 0; at = text.indexOf(prompt, at + 1)) {
    if (!isWord(prompt[0]) || !isWord(text[at - 1])) return true;
  }
  return false;
}
