// A world of files, read from its folder and checked, so that nothing is found wrong after an hour of training: every
// mistake is one line that names the file, the line, what is wrong and what to do. Node only. Read after: world.ts.
//
//   world.json     name, tokenizer, context, stop, reward; and, if it likes, cue, answer, settings
//   pretrain       pretrain.txt, pretrain.jsonl or a folder of those; the same for midtrain
//   sft.jsonl      {"prompt": "...", "response": "..."}
//   rl.jsonl       {"prompt": "...", "answer": "..."}; eval.jsonl the same, with "task" if it likes
//   reward.mjs     where world.json names it: export default ({ prompt, response, answer, finished }) => 1
//
// Only world.json must be there. What else is missing leaves out the phases that need it.

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe } from '../../../engine/describe.ts';
import { ConfigError, FormatError } from '../../../engine/errors.ts';
import { parseJson } from '../../../engine/json.ts';
import {
  callable, checkArguments, checkOptions, optional, such, text, whole, isOptions, type Rules,
} from '../../../engine/options.ts';
import { highest } from '../../../engine/extremes.ts';
import { readText } from '../../text/files.ts';
import { readJsonFile, readTextFile } from '../../text/read.ts';
import { byteTokenizer, characterTokenizer, tokenizerFromJSON, type Tokenizer } from '../../text/tokenizer.ts';
import { hopeless, ownReward, rewardRule, type Reward, type RewardName, type Said } from './reward.ts';
import type { Asked, Demonstration, FileWorld } from './world.ts';

/** world.json. */
interface Description {
  readonly name: string;
  /** `bytes`, `characters` (those that the files hold), or a tokenizer.json in the folder. */
  readonly tokenizer: string;
  readonly context: number;
  readonly stop: string;
  readonly reward: RewardName;
  readonly cue?: string;
  /** Most tokens of an answer; what the longest prompt leaves of the context unless given. */
  readonly answer?: number;
  /** Settings of a run that are other than the default here: `{ "rl": { "steps": 50 } }`. */
  readonly settings?: object;
}

const WORDS = ['exact', 'contains', 'last number', 'reward.mjs'];
const isPattern = (value: unknown): boolean =>
  isOptions(value) && Object.keys(value).join() === 'pattern' && text.accepts((value as { pattern: unknown }).pattern);

const rules: Rules<Description> = {
  name: text,
  tokenizer: text,
  context: whole({ min: 2, max: 2 ** 20 }),
  stop: text,
  reward: such(
    `one of ${WORDS.join(', ')}, or { "pattern": "..." }`,
    (value) => WORDS.includes(value as string) || isPattern(value),
  ),
  cue: optional(text),
  answer: optional(whole({ min: 1 })),
  settings: optional(such<object>('an object of settings', isOptions)),
};

/** A world, the settings that it asks for, and what identifies its contents. */
export interface ReadWorld {
  readonly world: FileWorld;
  readonly settings: object;
  /** All that was read: a run goes on with the same. */
  readonly contents: string;
}

/**
 * The world in a folder. `notice` is told, in one line each, what looks odd and is taken as it stands. Throws
 * ConfigError or FormatError for the first thing that is wrong.
 */
export async function readWorld(folder: string, notice: (text: string) => void = () => {}): Promise<ReadWorld> {
  checkArguments('readWorld', arguments, { folder: text, notice: optional(callable()) });
  const file = join(folder, 'world.json');
  if (!existsSync(file)) {
    throw new ConfigError(`world: ${folder}: ${existsSync(folder) ? 'holds no world.json' : 'no such folder'}`);
  }
  const given = checkOptions<Description>(`world: ${file}`, readJsonFile('world', file), rules);
  const { name, context, stop, cue, settings = {} } = given;
  const parts = {
    pretrain: partText(folder, 'pretrain', notice),
    midtrain: partText(folder, 'midtrain', notice),
    sft: lines(folder, 'sft.jsonl', ['prompt', 'response']),
    rl: lines(folder, 'rl.jsonl', ['prompt', 'answer']),
    eval: lines(folder, 'eval.jsonl', ['prompt', 'answer']),
  };
  const tokenizer = tokenizerOf(folder, file, given, parts);
  const check = checkerOf(file, given, tokenizer);
  const sft = parts.sft?.map((line) => check.demonstration(line));
  const [rl, asked] = [parts.rl, parts.eval].map((some) => some && distinct(some).map((line) => check.question(line)));
  const lengths = [...(rl ?? []), ...(asked ?? [])].map((line) => [line, tokenizer.encode(line.prompt).length] as const);
  const { answer: answerTokens = context - highest([1, ...lengths.map(([, length]) => length)]) } = given;
  for (const [{ where }, length] of lengths) {
    if (length + answerTokens <= context) continue;
    throw new ConfigError(
      `world: ${where}: a prompt of ${length} tokens: leaves no room for an answer of ${answerTokens} in a context of ` +
      `${context}: shorten it, or raise context in ${file}`,
    );
  }
  const reward = await rewardOf(folder, file, given.reward, rl ?? asked ?? []);
  const world = { name, tokenizer, context, stop, cue, answerTokens, reward, ...parts, sft, rl, eval: asked };
  const own = given.reward === 'reward.mjs' ? readFileSync(join(folder, 'reward.mjs'), 'utf8') : '';
  const { pretrain, midtrain } = parts;
  const contents = JSON.stringify([given, tokenizer, pretrain, midtrain, sft, rl, asked, own].map(withoutPlace));
  return { world, settings: { ...settings, model: { ...modelOf(settings), context } }, contents };
}

/** Questions without where they stand: a folder may be moved. */
function withoutPlace(part: unknown): unknown {
  return Array.isArray(part) ? part.map((line: object) => ({ ...line, where: undefined })) : part;
}

function modelOf(settings: object): object {
  const { model } = settings as { model?: unknown };
  return isOptions(model) ? model : {};
}

/** The text of a part, if there is one. */
function partText(folder: string, part: string, notice: (text: string) => void): string | undefined {
  const paths = [`${part}.txt`, `${part}.jsonl`, part].map((name) => join(folder, name));
  const there = paths.filter((path) => existsSync(path));
  if (there.length > 1) throw new ConfigError(`world: ${there.join(' and ')}: are the same part: leave one`);
  return there[0] === undefined ? undefined : readText(there[0], { notice });
}

/** A line of .jsonl as it was read: its fields are strings. */
interface Line { readonly where: string; readonly fields: Readonly<Record<string, string>> }

/** The lines of a file, if there is one; blank ones are passed over. */
function lines(folder: string, name: string, fields: readonly string[]): Line[] | undefined {
  const path = join(folder, name);
  if (!existsSync(path)) return undefined;
  const found = readTextFile('world', path).split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const where = `${path}:${index + 1}`;
    const value = parseJson(line, (why) => {
      throw new FormatError(`world: ${where}: ${why}`);
    });
    if (!isOptions(value)) throw new FormatError(`world: ${where}: ${describe(value)}: must be an object`);
    const given: Readonly<Record<string, unknown>> = { task: '', ...value };
    const read = [...fields, 'task'].map((field) => {
      const said = given[field];
      if (typeof said === 'string') return [field, said] as const;
      const what = said === undefined ? 'is missing' : `= ${describe(said)}`;
      throw new FormatError(`world: ${where}: ${field} ${what}: must be a string`);
    });
    return [{ where, fields: Object.fromEntries(read) }];
  });
  if (found.length === 0) throw new FormatError(`world: ${path}: holds no line: remove it, or fill it`);
  return found;
}

/** Throws ConfigError where a question is asked twice. */
function distinct(all: readonly Line[]): readonly Line[] {
  const seen = new Map<string, string>();
  for (const { where, fields } of all) {
    const before = seen.get(fields.prompt!);
    if (before !== undefined) {
      throw new ConfigError(`world: ${where}: asks what ${before} asks: ${describe(fields.prompt)}: leave one out`);
    }
    seen.set(fields.prompt!, where);
  }
  return all;
}

function tokenizerOf(
  folder: string,
  file: string,
  { tokenizer, stop, cue = '' }: Description,
  parts: object,
): Tokenizer {
  if (tokenizer === 'bytes') return byteTokenizer;
  if (tokenizer === 'characters') return characterTokenizer(alphabet([stop, cue, ...textsIn(parts)]));
  const path = join(folder, tokenizer);
  if (!tokenizer.endsWith('.json') || !existsSync(path)) {
    throw new ConfigError(
      `world: ${file}: tokenizer = ${describe(tokenizer)}: must be bytes, characters, or a tokenizer.json in the ` +
      'folder',
    );
  }
  return tokenizerFromJSON(readJsonFile('world', path));
}

/** Every character that occurs, in the order of their code points. */
function alphabet(texts: readonly string[]): string {
  const found = new Set<string>();
  for (const text of texts) for (const character of text) found.add(character);
  return [...found].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!).join('');
}

function textsIn(parts: object): string[] {
  return Object.values(parts).flatMap((part: string | readonly Line[] | undefined) =>
    typeof part === 'string' ? [part] : (part ?? []).flatMap(({ fields }) => Object.values(fields)),
  );
}

/** What a line must be, given the tokenizer and the context. */
function checkerOf(file: string, { context, stop, cue, answer, reward }: Description, tokenizer: Tokenizer) {
  const tokens = (where: string, field: string, text: string): number => {
    try {
      return tokenizer.encode(text).length;
    } catch (error) {
      throw new ConfigError(`world: ${where}: ${field}: ${(error as Error).message}`, { cause: error });
    }
  };
  const stopTokens = tokens(file, 'stop', stop);
  if (stopTokens !== 1) {
    throw new ConfigError(`world: ${file}: stop = ${describe(stop)}: is ${stopTokens} tokens: must be one`);
  }
  if (cue !== undefined && tokens(file, 'cue', cue) >= (answer ?? context)) {
    throw new ConfigError(`world: ${file}: cue = ${describe(cue)}: leaves no room for an answer: shorten it`);
  }

  const row = ({ where, fields: { prompt = '' } }: Line, field: string, said: string): void => {
    const [P, A] = [tokens(where, 'prompt', prompt), tokens(where, field, said)];
    if (P === 0) throw new ConfigError(`world: ${where}: prompt is empty: must be text`);
    if (A === 0) throw new ConfigError(`world: ${where}: ${field} is empty: must be text`);
    if (prompt.endsWith(stop)) {
      throw new ConfigError(
        `world: ${where}: prompt ends with the stop text ${describe(stop)}: no answer could follow`,
      );
    }
    if (said.includes(stop)) {
      throw new ConfigError(`world: ${where}: ${field} holds the stop text ${describe(stop)}: it would end there`);
    }
    if (P + A + 1 > context) {
      throw new ConfigError(
        `world: ${where}: prompt of ${P} tokens, ${field} of ${A} and the stop: longer than the context, ${context}: ` +
        `shorten it, or raise context in ${file}`,
      );
    }
  };
  return {
    demonstration(line: Line): Demonstration {
      const { prompt = '', response = '' } = line.fields;
      row(line, 'response', response);
      return { prompt, response };
    },
    question(line: Line): Asked {
      const { prompt = '', answer = '', task = '' } = line.fields;
      row(line, 'answer', answer);
      const why = hopeless(reward, answer);
      if (why !== undefined) throw new ConfigError(`world: ${line.where}: answer = ${describe(answer)}: ${why}`);
      return { prompt, answer, task, where: line.where };
    },
  };
}

/** The reward, tried on the first question with its own answer. */
async function rewardOf(folder: string, file: string, name: RewardName, questions: readonly Asked[]): Promise<Reward> {
  if (name !== 'reward.mjs') return rewardRule(name, `world: ${file}: reward`);
  const path = join(folder, 'reward.mjs');
  let reward: unknown;
  try {
    ({ default: reward } = (await import(pathToFileURL(resolve(path)).href)) as { default?: unknown });
  } catch (error) {
    throw new ConfigError(`world: ${path}: ${(error as Error).message.split('\n')[0]}`, { cause: error });
  }
  if (typeof reward !== 'function') {
    throw new ConfigError(
      `world: ${path}: exports no function: export default ({ response, answer }) => response === answer`,
    );
  }
  const given = (said: Said): number =>
    ownReward(reward as (said: Said) => unknown, said, `world: ${path}: for ${describe(said.prompt)}`);
  const [first] = questions;
  if (first !== undefined) {
    const { prompt, answer, where } = first;
    ownReward(reward as (said: Said) => unknown, { prompt, answer, response: answer, finished: true },
      `world: ${path}: for ${where}, answered ${describe(answer)}`);
  }
  return given;
}
