// The ten tasks of the tiny world. Each is a machine that starts in a state and takes four steps; the answer is where
// it ends. A question is ten characters: the task's tag, the start, and four pairs. Most tasks read a pair as operator
// and operand; LOK reads four pairs as a table to look things up in, and CNT counts the pairs that carry its letter.
// Read next: questions.ts, which keeps training and test questions apart.

import { ConfigError } from '../../../engine/errors.ts';
import { callable, checkArguments, having, list, optional, string } from '../../../engine/options.ts';
import type { Stream } from '../../../engine/rng.ts';
import { DIGITS, RING, STEPS } from './alphabet.ts';

/**
 * A question without its `?`, the state after each step (one character each), and the answer, which is the last state.
 */
export interface Problem { readonly question: string; readonly states: string; readonly answer: string }

/** One of the ten tasks. */
export interface TaskKind {
  readonly name: string;
  readonly group: 'math' | 'code' | 'general';
  readonly tag: string;
  /** A question of ten characters. */
  draw(stream: Stream): string;
  /** The state after each step, one character each; undefined for what is no question of this task. */
  run(question: string): string | undefined;
}

/** An argument that is a task. */
export const aTask = having<TaskKind>('a task of TASKS', { draw: callable(), run: callable(), tag: string });

/** state, operator and operand, one character each -> next state. */
type Step = (state: string, operator: string, operand: string) => string;

/** Whole numbers modulo m, from 0 to m - 1 also for negative ones. */
const modulo = (value: number, m: number) => ((value % m) + m) % m;

/** A step that computes with numbers. */
const numeric = (f: (state: number, operator: string, operand: number) => number): Step =>
  (state, operator, operand) => String(f(Number(state), operator, Number(operand)));

/**
 * A start, then operators and operands, each character of its list as likely (so `=+-+-` is an `=` one time in five).
 */
function machine(
  tag: string,
  starts: string,
  operators: string,
  operands: string,
  step: Step,
): Pick<TaskKind, 'tag' | 'draw' | 'run'> {
  return {
    tag,
    draw(stream) {
      const start = stream.choice(starts);
      const pair = (): string => stream.choice(operators) + stream.choice(operands);
      return tag + start + Array.from({ length: STEPS }, pair).join('');
    },
    run(question) {
      const [start, pairs] = [question[1]!, pairsOf(question)];
      const isPair = ([operator, operand]: string): boolean => operators.includes(operator!) && operands.includes(operand!);
      const next = ([operator, operand]: string, state: string): string => step(state, operator!, operand!);
      return starts.includes(start) && pairs.every(isPair) ? statesOf(start, pairs, next) : undefined;
    },
  };
}

/** The four pairs of characters after tag and start. */
const pairsOf = (question: string): string[] => Array.from({ length: STEPS }, (_, i) => question.slice(2 + 2 * i, 4 + 2 * i));

/** The state after each pair. */
function statesOf(start: string, pairs: readonly string[], next: (pair: string, state: string) => string): string {
  let state = start;
  return pairs.map((pair) => (state = next(pair, state))).join('');
}

/** Sums modulo 10. */
const sum = machine('S', DIGITS, '+-', '1234', numeric((s, op, n) => modulo(op === '+' ? s + n : s - n, 10)));

/** Sums and products modulo 5. */
const product = machine('M', '01234', '+*', '01234', numeric((s, op, n) => modulo(op === '+' ? s + n : s * n, 5)));

/** A calendar: so many weekdays later or earlier. */
const clock = machine('K', '0123456', '<>', '123', numeric((s, op, n) => modulo(op === '>' ? s + n : s - n, 7)));

/** A variable modulo 6 that is assigned to, added to and subtracted from. */
const variable = machine('V', '012345', '=+-+-', '01234',
  numeric((s, op, n) => (op === '=' ? n : modulo(op === '+' ? s + n : s - n, 6))));

/** The depth of a stack: `(` pushes n, `)` pops n, never below 0 or above 6. */
const depth = machine(
  'D',
  '0123456',
  '()',
  '123',
  numeric((s, op, n) => Math.max(0, Math.min(6, op === '(' ? s + n : s - n))),
);

/** A pointer that moves around a ring of six letters. */
const pointer = machine('P', RING, '<>', '123', (state, operator, operand) => {
  const place = RING.indexOf(state);
  const moves = Number(operand);
  return RING[modulo(operator === '>' ? place + moves : place - moves, RING.length)]!;
});

/** One bit under and, or, exclusive or. */
const bit = machine('X', '01', '&|#', '01', numeric((s, op, n) => (op === '&' ? s & n : op === '|' ? s | n : s ^ n)));

/** `<` keeps the smaller of two digits, `>` the larger. */
const compare = machine(
  'G',
  DIGITS,
  '<>',
  DIGITS,
  numeric((s, op, n) => (op === '<' ? Math.min(s, n) : Math.max(s, n))),
);

const KEYS = 'abcd';

/** A table with keys a to d in random order: each step looks the state up. */
const lookup: Pick<TaskKind, 'tag' | 'draw' | 'run'> = {
  tag: 'C',
  draw(stream) {
    const table = stream.sample(KEYS, STEPS).map((key) => key + stream.choice(KEYS));
    return `C${stream.choice(KEYS)}${table.join('')}`;
  },
  run(question) {
    const [start, pairs] = [question[1]!, pairsOf(question)];
    const table = new Map(pairs.map(([key, value]) => [key!, value!]));
    const isOne = [start, ...table.values()].every((key) => KEYS.includes(key)) && [...KEYS].every((key) => table.has(key));
    return isOne ? statesOf(start, pairs, (_, state) => table.get(state)!) : undefined;
  },
};

/** How many of one letter there are, in four heaps of one or two. */
const count: Pick<TaskKind, 'tag' | 'draw' | 'run'> = {
  tag: 'N',
  draw(stream) {
    const wanted = stream.choice('abc');
    const heap = (): string => stream.choice('abc') + stream.choice('12');
    return `N${wanted}${Array.from({ length: STEPS }, heap).join('')}`;
  },
  run(question) {
    const [wanted, heaps] = [question[1]!, pairsOf(question)];
    const isOne = 'abc'.includes(wanted) && heaps.every((heap) => /^[abc][12]$/.test(heap));
    const add = ([letter, size]: string, total: string): string => String(Number(total) + (letter === wanted ? Number(size) : 0));
    return isOne ? statesOf('0', heaps, add) : undefined;
  },
};

/** In the order that evaluation tables and the per-task thinking share go by. */
export const TASKS: readonly TaskKind[] = [
  { name: 'SUM', group: 'math', ...sum },
  { name: 'MUL', group: 'math', ...product },
  { name: 'CLK', group: 'math', ...clock },
  { name: 'VAR', group: 'code', ...variable },
  { name: 'DEP', group: 'code', ...depth },
  { name: 'PTR', group: 'code', ...pointer },
  { name: 'BOO', group: 'general', ...bit },
  { name: 'LOK', group: 'general', ...lookup },
  { name: 'CMP', group: 'general', ...compare },
  { name: 'CNT', group: 'general', ...count },
];

const QUESTION = 2 + 2 * STEPS; // characters

/**
 * A question of ten characters with its states and its answer, by whichever of `tasks` it is of. Throws ConfigError for
 * what is no question.
 */
export function solve(question: string, tasks: readonly TaskKind[] = TASKS): Problem {
  checkArguments('solve', arguments, { question: string, tasks: optional(list('a list of tasks', aTask)) });
  const task = question.length === QUESTION ? tasks.find(({ tag }) => tag === question[0]) : undefined;
  const states = task?.run(question);
  if (states !== undefined) return { question, states, answer: states.at(-1)! };
  throw new ConfigError(
    `solve: ${JSON.stringify(question)}: is no question: a tag (${tasks.map(({ tag }) => tag).join(' ')}), a start and ` +
    'four pairs, as in S1+1-1-4-4',
  );
}
