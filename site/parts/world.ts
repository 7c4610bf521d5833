// The world: rows of the corpus with each character coloured by what it is, and a puzzle to step through by hand.

import { rng, resolveConfig, world } from 'remit-mini';
import { html, nothing, type TemplateResult } from 'lit-html';
import type { Page } from '../page.ts';
import { button, choice } from './draw.ts';

const { PROMPT, ROW, TASKS } = world;
const ROWS = 8;
const STEPS = [0, 1, 2, 3];

const KINDS = {
  question: 'the question',
  think: 'thinking',
  state: 'a step of it',
  filler: 'filler',
  answer: 'the answer',
  chatter: 'chatter',
  error: 'a mistake',
} as const;
type Kind = keyof typeof KINDS;

/** What each character of a row is. */
function kindsOf(row: string): Kind[] {
  const states = statesOf(row);
  if (states === undefined) return Array.from(row, () => 'chatter');
  const stop = row.indexOf('.', PROMPT);
  const end = stop < 0 ? row.length : stop;
  const mark = row.lastIndexOf(']', end);
  const thinks = row[PROMPT] === '[';
  return Array.from(row, (character, i): Kind => {
    if (i < PROMPT) return 'question';
    if (i > end) return 'chatter';
    if (i === mark || i === end) return 'answer';
    if (i === PROMPT) return 'think';
    if (mark >= 0 && i > mark) return character === states.at(-1) ? 'answer' : 'error';
    if (!thinks || (i - PROMPT) % 2 === 1) return 'filler';
    return character === states[(i - PROMPT) / 2 - 1] ? 'state' : 'error';
  });
}

/** Of the question that a row begins with; undefined where it begins with none. */
function statesOf(row: string): string | undefined {
  if (row[PROMPT - 1] !== '?') return undefined;
  try {
    return world.solve(row.slice(1, PROMPT - 1)).states;
  } catch {
    return undefined;
  }
}

const marked = (kind: Kind, text: string): TemplateResult =>
  html`<span class="k-${kind}" title=${KINDS[kind]}>${text}</span>`;

/** A row with its characters coloured by what they are. */
export function coloured(row: string): TemplateResult {
  const kinds = kindsOf(row);
  return html`<code class="row">${Array.from(row, (character, i) => marked(kinds[i]!, character))}</code>`;
}

const ABOUT: Readonly<Record<string, string>> = {
  SUM: 'add, and keep the last digit',
  MUL: 'add and multiply; what is left after dividing by 5',
  CLK: 'days of a week, 0 to 6: > so many later, < earlier',
  VAR: 'a number from 0 to 5: = sets it, + and - move it round',
  DEP: 'brackets: ( goes so many deeper, ) comes back, from 0 to 6',
  PTR: 'walk round a ring of six letters, a to f',
  BOO: 'one bit: & and, | or, # one of the two',
  LOK: 'look the letter up in a table, four times',
  CMP: '< keeps the smaller digit, > the larger',
  CNT: 'count the wanted letter in four heaps',
};

let drawn = 0; // times that rows were drawn

export function worldPart(page: Page): TemplateResult {
  const { corpus } = resolveConfig().config.pretrain;
  const rows = world.corpus(corpus, rng(page.choices.seed).fold('shown')).rows(drawn, ROWS);
  const texts = Array.from({ length: ROWS }, (_, i) => world.decode(rows.subarray(i * ROW, (i + 1) * ROW)));
  const others = (): void => {
    drawn++;
    page.shownSteps = 0;
    page.changed();
  };
  return html`<div class="columns"><div>
    <h3>Rows it reads</h3>
    <div class="rows">${texts.map((text) => html`<div>${coloured(text)}</div>`)}</div>
    <p class="legend">${Object.entries(KINDS).map(([kind, text]) => marked(kind as Kind, text))}</p>
    ${button('Draw others', others)}
  </div><div>${byHand(page)}</div></div>`;
}

function byHand(page: Page): TemplateResult {
  const { seed, task } = page.choices;
  const kind = TASKS[task] ?? TASKS[0]!;
  const { question, states } = world.instance(kind, rng(seed).fold(`puzzle ${drawn}`).stream(), 'train');
  const shown = page.shownSteps;
  const choose = (value: string): void => {
    page.shownSteps = 0;
    page.choose({ task: Number(value) });
  };
  const next = (): void => {
    page.shownSteps++;
    page.changed();
  };
  const step = (i: number): TemplateResult => html` <code>${question.slice(2 + 2 * i, 4 + 2 * i)}</code>
    ${i < shown ? html`= <code class="k-state">${states[i]}</code>` : nothing}`;
  const start = kind.tag === 'N' ? '0' : question[1];
  const thought = Array.from(states, (state) => html`,${marked('state', state)}`);
  const answer = marked('answer', states.at(-1)!);
  const said = html`A row that thinks says <code class="row">[${thought}]${answer}.</code>`;
  return html`<h3>Do one by hand</h3>
    ${choice(
      'Puzzle',
      TASKS.map(({ name }, i) => [String(i), `${name}: ${ABOUT[name]}`] as const),
      String(task),
      choose,
    )}
    <p class="puzzle"><code>${question.slice(0, 2)}</code>${STEPS.map(step)}</p>
    <p aria-live="polite">${
      shown === STEPS.length
        ? html`The answer is <b>${states.at(-1)}</b>. ${said}`
        : html`Start with <code>${start}</code>. Each pair is a step: ${ABOUT[kind.name]}.`
    }</p>
    ${button('Next step', next, { disabled: shown === STEPS.length })}`;
}
