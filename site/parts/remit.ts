// ReMiT: a row whose characters are coloured by their weights, the weights of many rows, and how far reading alone can
// go: the ceiling of the think rate, docs/07. Read next: flywheel.ts.

import { histogram, lineChart, tokenRow } from 'remit-mini/plot';
import { html, type TemplateResult } from 'lit-html';
import type { Page } from '../page.ts';
import type { WeighedToken } from '../worker/protocol.ts';
import { chart, checkbox, choice, percent, slider, table, told, words } from './draw.ts';
import { flywheel } from './flywheel.ts';
import { epsilonSlider } from './train.ts';

const WAIT = 120; // milliseconds after the last change
const LONGEST = 24; // characters of a row

let timer: ReturnType<typeof setTimeout> | undefined;

/** Asks for the weights of what is chosen, once the visitor's hand rests. */
export function weighAgain(page: Page): void {
  clearTimeout(timer);
  timer = setTimeout(
    () =>
      void page.attempt('remit', async () => {
        const { row, guide, epsilon, scale, centre } = page.choices;
        page.weighed = await page.call('weigh', { text: row, guide, epsilon, scale, centre });
      }),
    WAIT,
  );
}

const WAITING = html`<p class="quiet">The models are loaded when this comes into sight.</p>`;

const ROWS = [
  ['', 'choose one'],
  ['^G5>1<4>6>9?[!5:4!6!9]9.', 'one that thinks'],
  ['^G5>1<4>6>9?]9.tpqq lvly', 'one that does not'],
  ['^G5>1<4>6>9?[!5:4!6!9]2.', 'one with a mistake'],
  ['^G5>1<4>6>9?~::;:]9.qqxx', 'one that pretends'],
] as const;

const GUIDES = [
  ['rl', 'the paid model (RL)'],
  ['sft', 'the one that was shown answers (SFT)'],
  ['pretrain', 'the base itself'],
] as const;

export function remitPart(page: Page): TemplateResult {
  const { choices, weighed } = page;
  const set = (some: Parameters<Page['choose']>[0]): void => {
    page.choose(some);
    weighAgain(page);
  };
  const steepness = {
    label: 'How strongly a difference of opinion counts',
    value: choices.scale,
    min: 0.5,
    max: 5,
    step: 0.5,
  };
  return html`${flywheel(page.run)}
    <div class="fields">${words('A row of your own', choices.row, LONGEST, (row) => set({ row }))}
      ${choice('or', ROWS, '', (row) => {
        if (row !== '') set({ row });
      })}
      ${choice('Who advises', GUIDES, choices.guide, (guide) => set({ guide }))}</div>
    <div class="fields">${epsilonSlider(page, (epsilon) => set({ epsilon }))}
      ${slider({ ...steepness, set: (scale) => set({ scale }) })}
      ${checkbox('against the average of this row', choices.centre, (centre) => set({ centre }))}</div>
    ${told(page, 'remit')}
    ${weighed === undefined ? WAITING : weights(page)}`;
}

function weights(page: Page): TemplateResult {
  const { tokens, histogram: values } = page.weighed!;
  const many = histogram({
    title: 'What each character of 64 rows counts',
    x: 'weight',
    values: [...values],
    width: 400,
    height: 200,
  });
  return html`<div id="weights">${chart(
    tokenRow({
      title: 'Blue: counts for less. Plain: for one. Orange: for more.',
      reach: page.choices.epsilon,
      width: 480,
      tokens: tokens.map((token) => ({ text: token.text, value: token.weight, about: about(token) })),
    }),
  )}</div>
    <details><summary>As numbers</summary><div id="weights-table">${table({
      head: ['character', 'base expects it', 'adviser', 'difference (log)', 'weight'],
      rows: tokens.map(({ text, model, reference, weight }) => [
        html`<code>${text}</code>`,
        percent(Math.exp(model)),
        percent(Math.exp(reference)),
        (reference - model).toFixed(3),
        weight.toFixed(4),
      ]),
    })}</div></details>
    <div class="columns">
      <div>${chart(many)}<p class="quiet">Tall bars at the ends: as much as ε allows, or as little.</p></div>
      <div>${chart(ceiling(page))}<p class="quiet">Thinking begins with <code>[</code>, and 35% of the rows
        think. With advice that character counts at most 1 + ε times, and whatever stands there in the other rows at least
        1 − ε times. So advice alone lifts thinking no higher than the line. The dot is your run: chance can put it a little
        above.</p></div></div>`;
}

const about = ({ model, reference, weight }: WeighedToken): string =>
  `base ${percent(Math.exp(model))}, adviser ${percent(Math.exp(reference))}, ` +
  `difference ${(reference - model).toFixed(2)}, weight ${weight.toFixed(3)}`;

const SHARE = 0.35; // of the corpus that thinks

/** The share that thinks at most, docs/07. */
function highest(epsilon: number): number {
  if (epsilon >= 1) return 1;
  const odds = (SHARE / (1 - SHARE)) * ((1 + epsilon) / (1 - epsilon));
  return odds / (1 + odds);
}

function ceiling({ choices, run }: Page): string {
  const points = Array.from({ length: 48 }, (_, i) => ({ x: 0.02 * (i + 1), y: highest(0.02 * (i + 1)) }));
  const found = run?.stages.find(({ name }) => name === 'remit')?.evaluation.thinkRate;
  const epsilon = Number(run?.flags.find(([name]) => name === 'remit.epsilon')?.[1] ?? 0.2);
  return lineChart({
    title: `At ε = ${choices.epsilon}: at most ${percent(highest(choices.epsilon))} think`,
    x: 'ε',
    y: 'share that thinks',
    width: 400,
    height: 200,
    lines: [
      { name: 'ceiling', points },
      ...(found === undefined ? [] : [{ name: 'your run', points: [{ x: epsilon, y: found }] }]),
    ],
  });
}
