// Reward: one group of eight answers, their advantages by four estimators, and what one step does to each character.

import { html, nothing, type TemplateResult } from 'lit-html';
import type { Page } from '../page.ts';
import { ESTIMATORS, type SampledAnswer } from '../worker/protocol.ts';
import { button, choice, percent, table, told } from './draw.ts';

const NAMES = { rloo: 'RLOO', grpo: 'GRPO', 'dr-grpo': 'Dr. GRPO', reinforce: 'REINFORCE' } as const;

const WORDS = {
  rloo: 'reward − average of the other seven',
  grpo: '(reward − average of all eight) ÷ how much the eight differ',
  'dr-grpo': 'reward − average of all eight',
  reinforce: 'reward − a running average, here one half',
} as const;

export function rewardPart(page: Page): TemplateResult {
  const { choices, group } = page;
  const disabled = page.device === undefined;
  const ask = (some: Parameters<Page['choose']>[0]): void => {
    page.choose(some);
    void page.attempt('reward', async () => void (page.group = await page.call('group', page.choices)));
  };
  return html`<div class="fields">
    ${button('Let it answer eight times', () => ask({}), { first: true, disabled })}
    ${button('Another question', () => ask({ question: choices.question + 1 }), { disabled })}
    ${choice(
      'Compare by',
      ESTIMATORS.map((name) => [name, NAMES[name]] as const),
      choices.estimator,
      (estimator) => ask({ estimator }),
    )}</div>
    ${told(page, 'reward')}${group === undefined ? nothing : shown(page)}
    <h3>A guess before you see it</h3>
    <p>Nobody pays for thinking, only for being right. After many such steps, will the model think <em>more</em> often or
      <em>less</em>?</p>
    ${page.guess === undefined ? guesses(page) : revealed(page)}`;
}

function shown({ group, choices: { estimator } }: Page): TemplateResult {
  const { prompt, answer, answers, kl } = group!;
  const isSilent = answers.every(({ reward }) => reward === answers[0]!.reward);
  const instead =
    estimator === 'reinforce'
      ? 'only the running mean tells them from what was before'
      : 'nothing is learned from this group';
  const rows = answers.map((one) => [
    html`<code>${one.text}</code>`,
    one.reward,
    ...one.advantages.map(signed),
    moved(one),
  ]);
  return html`<p>Question <code>${prompt}</code>, the answer is <b>${answer}</b>.
    ${isSilent ? html`<b>No signal:</b> all eight are worth the same, so ${instead}.` : nothing}</p>
    ${table({
      head: ['its answer', 'reward', ...ESTIMATORS.map((name) => NAMES[name]), 'each character after one step'],
      rows,
      chosen: 2 + ESTIMATORS.indexOf(estimator),
    })}
    <p class="quiet">Four ways to say how much better an answer was than others: with plus it becomes likelier, with
      minus less likely. ${NAMES[estimator]}: ${WORDS[estimator]}. One step moved the model ${kl.toFixed(3)} nats a
      character away from where it began. Training takes hundreds, and is held back by that distance.</p>`;
}

const signed = (value: number): string => (value > 0 ? `+${value.toFixed(2)}` : value.toFixed(2));

const CLEAR = 0.005; // of a probability: less is no arrow

/** Each character with an arrow: likelier after the step, or less likely. */
function moved({ tokens }: SampledAnswer): TemplateResult {
  return html`<span class="moved">${tokens.map(({ text, before, after }) => {
    const change = after - before;
    const way = change > CLEAR ? 'up' : change < -CLEAR ? 'down' : 'same';
    const about = `${text}: ${percent(before)} before, ${percent(after)} after`;
    return html`<span class=${way} title=${about}><code>${text}</code></span>`;
  })}</span>`;
}

function guesses(page: Page): TemplateResult {
  const guess = (word: 'more' | 'less') => () => {
    page.guess = word;
    page.changed();
  };
  return html`<p>${button('More often', guess('more'))} ${button('Less often', guess('less'))}</p>`;
}

function revealed({ guess, run }: Page): TemplateResult {
  const rateAfter = (name: string): number | undefined =>
    run?.stages.find((stage) => stage.name === name)?.evaluation.thinkRate;
  const [before, after] = [rateAfter('midtrain'), rateAfter('rl')];
  if (before === undefined || after === undefined) {
    return html`<p>You said: ${guess}. Train in part 2 until RL is done, and look here again.</p>`;
  }
  const found = after > before ? 'more' : 'less';
  const why =
    found === 'more'
      ? 'Thinking makes right answers likelier, and what leads to right answers is paid for.'
      : 'After so few steps this is chance: train for longer.';
  return html`<p>You said: ${guess}. It was <b>${found}</b>: from ${percent(before)} before to ${percent(after)} after RL.
    ${why}</p>`;
}
