// The ten tasks of the tiny world. Each is a machine that starts in a state and takes four steps; the answer is where
// it ends. A question is ten characters: the task's tag, the start, and four pairs. Most tasks read a pair as operator
// and operand; LOK reads four pairs as a table to look things up in, and CNT counts the pairs that carry its letter.
// Read next: questions.ts, which keeps training and test questions apart.

import type { Stream } from '../../../engine/rng.ts';
import { DIGITS, RING, STEPS } from './alphabet.ts';

/**
 * A question without its `?`, the state after each step (one character each), and the answer, which is the last state.
 */
export interface Problem { readonly question: string; readonly states: string; readonly answer: string }

export interface TaskKind {
  readonly name: string;
  readonly group: 'math' | 'code' | 'general';
  readonly tag: string;
  draw(stream: Stream): Problem;
}

/** state, operator and operand, one character each -> next state. */
type Step = (state: string, operator: string, operand: string) => string;

/** Whole numbers modulo m, from 0 to m - 1 also for negative ones. */
const modulo = (value: number, m: number) => ((value % m) + m) % m;

/** A step that computes with numbers. */
const numeric = (f: (state: number, operator: string, operand: number) => number): Step =>
  (state, operator, operand) => String(f(Number(state), operator, Number(operand)));

/**
 * Draws start, operators and operands, each character of its list as likely (so `=+-+-` is an `=` one time in five).
 */
function machine(
  tag: string,
  starts: string,
  operators: string,
  operands: string,
  step: Step,
): Pick<TaskKind, 'tag' | 'draw'> {
  const draw = (stream: Stream): Problem => {
    let state = stream.choice(starts);
    let question = tag + state;
    let states = '';
    for (let i = 0; i < STEPS; i++) {
      const operator = stream.choice(operators);
      const operand = stream.choice(operands);
      state = step(state, operator, operand);
      question += operator + operand;
      states += state;
    }
    return { question, states, answer: state };
  };
  return { tag, draw };
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

/** A table with keys a to d in random order: each step looks the state up. */
const lookup = {
  tag: 'C',
  draw(stream: Stream): Problem {
    const table = new Map(stream.sample('abcd', 4).map((key) => [key, stream.choice('abcd')]));
    const start = stream.choice('abcd');
    let state = start;
    let states = '';
    for (let i = 0; i < STEPS; i++) {
      state = table.get(state)!;
      states += state;
    }
    return { question: `C${start}${[...table].flat().join('')}`, states, answer: state };
  },
};

/** How many of one letter there are, in four heaps of one or two. */
const count = {
  tag: 'N',
  draw(stream: Stream): Problem {
    const wanted = stream.choice('abc');
    let question = `N${wanted}`;
    let states = '';
    let total = 0;
    for (let i = 0; i < STEPS; i++) {
      const letter = stream.choice('abc');
      const heap = stream.choice('12');
      if (letter === wanted) total += Number(heap);
      question += letter + heap;
      states += total;
    }
    return { question, states, answer: String(total) };
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
