// Ask: three models answer the same question, with what each character could have been, and what it looked at.

import { html, nothing, svg, type TemplateResult } from 'lit-html';
import type { Page } from '../page.ts';
import type { Reply } from '../worker/protocol.ts';
import { coloured } from './world.ts';
import { percent, slider, told, words } from './draw.ts';

const NAMES: Readonly<Record<string, string>> = { pretrain: 'Base', rl: 'Paid (RL)', remit: 'Advised base (ReMiT)' };
const LONGEST = 12; // characters of a question

export function askPart(page: Page): TemplateResult {
  const { choices, replies } = page;
  const send = (event: Event): void => {
    event.preventDefault();
    void page.attempt('ask', async () => {
      const { prompt, temperature, topP, seed } = page.choices;
      page.replies = await page.call('ask', { prompt, temperature, topP, seed });
      page.asked = prompt;
      page.place = 0;
    });
  };
  const heat = { label: 'Chance (temperature)', value: choices.temperature, min: 0, max: 2, step: 0.1 };
  const likely = { label: 'Only the likeliest (top p)', value: choices.topP, min: 0.1, max: 1, step: 0.05 };
  return html`<form class="fields" @submit=${send}>
    ${words('Question', choices.prompt, LONGEST, (prompt) => page.choose({ prompt }))}
    ${slider({ ...heat, set: (temperature) => page.choose({ temperature }) })}
    ${slider({ ...likely, set: (topP) => page.choose({ topP }) })}
    <button class="first" ?disabled=${page.device === undefined}>Ask</button></form>
    <p class="quiet">A question is ^, a letter for the puzzle, a start, four steps, and ?. With no chance (0) each says what it finds
      likeliest; with more of it each dares more. Top p leaves out what is hardly likely.</p>
    ${told(page, 'ask')}<div class="replies">${replies.map((reply) => answer(page, reply))}</div>`;
}

function answer(page: Page, reply: Reply): TemplateResult {
  const row = page.asked + reply.text;
  const place = Math.min(page.place, reply.choices.length - 1);
  const look = (i: number) => () => {
    page.place = i;
    page.changed();
  };
  const character = (text: string, i: number): TemplateResult => html`
    <button aria-pressed=${i === place} @click=${look(i)}>
      <code>${text}</code><br>${percent(reply.choices[i]?.[0]?.p ?? 0)}</button>`;
  return html`<div class="reply">
    <h3>${NAMES[reply.stage] ?? reply.stage}
      <span class=${reply.correct ? 'right' : 'wrong'}>${reply.correct ? 'right' : 'wrong'}</span></h3>
    <p>${coloured(row)}</p>
    <p class="places" role="group" aria-label="Characters of the answer">${Array.from(reply.text, character)}</p>
    ${place < 0 ? nothing : looked(page, reply, place)}</div>`;
}

/** What else a character could have been, and what it looked at. */
function looked({ asked }: Page, { choices, attention, text }: Reply, place: number): TemplateResult {
  const likely = choices[place]!.map(({ text: other, p }) => html`<code>${other}</code> ${percent(p)} `);
  return html`<p class="quiet">Character ${place + 1} could have been ${likely}<br>
    To choose it, the model looked back at (thicker is more)</p>
    ${arcs(asked + text, attention, asked.length + place - 1)}`;
}

const ROW = 24; // characters
const STEP = 14; // pixels
const FAINT = 0.03; // a share of attention that is not drawn
const NAMED = 4;

/** From the character before the chosen one to what it looks at; thicker is more. */
function arcs(text: string, attention: Reply['attention'], from: number): TemplateResult {
  const x = (i: number): number => 8 + i * STEP;
  const seen = (attention[from] ?? []).map((weight, i) => ({ weight, i })).filter(({ weight }) => weight > FAINT);
  const most = seen.toSorted((a, b) => b.weight - a.weight).slice(0, NAMED);
  const said = most.map(({ weight, i }) => `${text[i]} ${percent(weight)}`).join(', ');
  const arc = ({ weight, i }: { weight: number; i: number }) => {
    const top = 62 - 3 * Math.abs(from - i);
    const curve = `M${x(from)},70 C${x(from)},${top} ${x(i)},${top} ${x(i)},70`;
    return svg`<path d=${curve} stroke-width=${(6 * weight).toFixed(2)}></path>`;
  };
  const letter = (character: string, i: number) =>
    svg`<text class=${i === from ? 'from' : ''} x=${x(i)} y="86">${character}</text>`;
  return html`<svg class="arcs" viewBox="0 0 ${16 + STEP * ROW} 92" role="img" aria-label="Attention: ${said}">
    ${seen.map(arc)}${Array.from(text, letter)}</svg>`;
}
