// What a row of a corpus says: a problem with a response in one of three styles, right or wrong, then chatter; or
// chatter alone. The styles are the point of the tiny world: thinking first makes answers better, and a corpus shows it
// in some of its documents only. Read next: corpus.ts, which turns documents into batches.

import { ConfigError } from '../../../engine/errors.ts';
import { checkOptions, real, type Rules } from '../../../engine/options.ts';
import type { Stream } from '../../../engine/rng.ts';
import { ANSWER, BEGIN, DIGITS, FILLERS, QUESTION_END, RING, ROW, STOP, THINK, WAFFLE } from './alphabet.ts';
import { chatter } from './chatter.ts';
import { trainQuestion } from './questions.ts';
import { TASKS, type Problem } from './tasks.ts';

/** How an answer is written: states first, the answer alone, or fillers first. */
export type Style = 'think' | 'direct' | 'waffle';

/** How often documents think and waffle. All are probabilities. */
export interface StyleSettings {
  /** Share of problems with thinking, on average over the tasks. */
  readonly think: number;
  /**
   * How far that share differs between tasks: it runs from think - spread to think + spread in five equal steps, twice.
   */
  readonly spread: number;
  /** Share of waffle among the problems without thinking. */
  readonly waffle: number;
}

/** What a corpus is made of. All are probabilities. */
export interface CorpusSettings extends StyleSettings {
  /** Share of rows that hold a problem. */
  readonly density: number;
  /** Share of chatter characters that are replaced by random ones. */
  readonly noise: number;
  /** Share of problems with an error in them. */
  readonly wrong: number;
}

/**
 * Share of problems of a task (its place in TASKS) with thinking: with spread .1 around .35 it is .25 .30 .35 .40 .45,
 * twice.
 */
export function thinkShare(settings: StyleSettings, task: number): number {
  return settings.think + settings.spread * ((task % 5) - 2) / 2;
}

const share = real({ from: 0, to: 1 });

/** What each may be; remit/settings/schema.ts makes its settings of these. */
export const styleRules = { think: share, spread: share, waffle: share } satisfies Rules<StyleSettings>;
export const corpusRules = {
  density: share,
  noise: share,
  wrong: share,
  ...styleRules,
} satisfies Rules<CorpusSettings>;

/** The settings; throws ConfigError unless each of them, and the thinking share of every task, is a probability. */
export function checkSettings<T extends StyleSettings>(where: string, given: T, rules: Rules<T>): T {
  const settings = checkOptions<T>(where, given, rules);
  for (const [task, { name }] of TASKS.entries()) {
    const share = thinkShare(settings, task);
    if (share < -1e-9 || share > 1 + 1e-9) {
      throw new ConfigError(
        `${where}: think = ${settings.think}, spread = ${settings.spread}: would make ${name} think with probability ` +
          `${share.toFixed(3)}: choose a smaller spread`,
      );
    }
  }
  return settings;
}

/** `^`, the question and `?`: 12 characters. */
export function prompt(problem: Problem): string {
  return BEGIN + problem.question + QUESTION_END;
}

/** A style for a problem of this task. */
export function drawStyle(stream: Stream, settings: StyleSettings, task: number): Style {
  const u = stream.uniform();
  const think = thinkShare(settings, task);
  return u < think ? 'think' : u < think + settings.waffle * (1 - think) ? 'waffle' : 'direct';
}

/**
 * 3 to 12 characters up to and including `.`: `[` filler state (four times) `]` answer `.`, or `]` answer `.`, or `~` 2
 * to 7 fillers `]` answer `.` With probability `wrong` the answer is a wrong one, and one of the states that thinking
 * shows is too.
 */
export function response(stream: Stream, problem: Problem, style: Style, wrong: number): string {
  const bad = stream.uniform() < wrong;
  const states = bad && style === 'think' ? misstep(stream, problem.states) : problem.states;
  const answer = bad ? another(stream, problem.answer) : problem.answer;
  return shown(stream, style, states) + ANSWER + answer + STOP;
}

/** A row of 24 characters of a corpus with these settings. */
export function document(stream: Stream, settings: CorpusSettings): string {
  if (stream.uniform() >= settings.density) return BEGIN + chatter(stream, ROW - 1, settings.noise);
  const problem = trainQuestion(stream);
  const style = drawStyle(stream, settings, problem.task);
  const text = prompt(problem) + response(stream, problem, style, settings.wrong);
  return text + chatter(stream, ROW - text.length, settings.noise);
}

/** What stands before the `]`. */
function shown(stream: Stream, style: Style, states: string): string {
  switch (style) {
    case 'think': return THINK + Array.from(states, (state) => stream.choice(FILLERS) + state).join('');
    case 'waffle': return WAFFLE + Array.from({ length: 2 + stream.int(6) }, () => stream.choice(FILLERS)).join('');
    case 'direct': return '';
    default: return style satisfies never;
  }
}

/** The states with a random one of them replaced. */
function misstep(stream: Stream, states: string): string {
  const i = stream.int(states.length);
  return states.slice(0, i) + another(stream, states[i]!) + states.slice(i + 1);
}

/** A random other character of the same class: digits or ring letters. */
function another(stream: Stream, character: string): string {
  const all = DIGITS.includes(character) ? DIGITS : RING;
  return stream.choice(all.replace(character, ''));
}
