// Training: the buttons, how far it is, what the model says meanwhile and what it scores. Read next: curves.ts,
// runs.ts.

import { barChart } from 'remit-mini/plot';
import { html, nothing, type TemplateResult } from 'lit-html';
import { commandOf, flagsOf } from '../address.ts';
import type { Page, RunView } from '../page.ts';
import { curves } from './curves.ts';
import { button, chart, choice, percent, slider, table, told } from './draw.ts';
import { runsPart } from './runs.ts';
import { coloured } from './world.ts';

const STAGES = [
  ['pretrain', 'Pre-training'],
  ['midtrain', 'Mid-training'],
  ['sft', 'SFT'],
  ['rl', 'RL'],
  ['remit', 'ReMiT'],
  ['remit-sft', 'SFT again'],
  ['remit-rl', 'RL again'],
] as const;

const PRESETS = [
  ['short', 'seconds: to see that it works'],
  ['tiny', 'all of it: a minute or two'],
  ['think-only', 'a third of it: every row thinks'],
] as const;

const SPEEDS = [
  ['0', 'full'],
  ['50', 'slow'],
  ['500', 'two steps a second'],
] as const;

export function trainPart(page: Page): TemplateResult {
  const { run } = page;
  return html`${settings(page)}${buttons(page)}${told(page, 'train')}
    ${
      run === undefined
        ? nothing
        : html`${progress(run)}
      <div class="columns"><div>${curves(page, run)}</div><div>${said(run)}${scores(run)}</div></div>`
    }
    ${runsPart(page)}`;
}

function settings(page: Page): TemplateResult {
  const { choices } = page;
  const numbers = (some: readonly number[]) => some.map((each) => [String(each), String(each)] as const);
  const seed = (event: Event): void =>
    page.choose({ seed: Math.max(0, Number((event.target as HTMLInputElement).value) | 0) });
  const rates = { label: 'Learning rate', value: choices.rate, min: 0.001, max: 0.02, step: 0.001 };
  return html`<div class="fields">
    ${choice('How much', PRESETS, choices.preset, (preset) => page.choose({ preset }))}
    <label class="field">Seed <input type="number" min="0" max="9999" .value=${String(choices.seed)} @change=${seed}></label>
    <details><summary>Settings</summary><div class="fields">
      ${slider({ ...rates, set: (rate) => page.choose({ rate }) })}
      ${choice('Width', numbers([32, 64, 96]), String(choices.width), (width) => page.choose({ width: Number(width) }))}
      ${choice('Layers', numbers([1, 2, 3]), String(choices.layers), (layers) => page.choose({ layers: Number(layers) }))}
      ${epsilonSlider(page, (epsilon) => page.choose({ epsilon }))}
      <p class="quiet">What is changed here is a new run, beside the old curve. The same in a terminal:
        <code>${commandOf(choices)}</code>
        ${button('Copy', () => void navigator.clipboard?.writeText(commandOf(choices)))}
        ${button('Back to the defaults', () => page.reset())}</p>
    </div></details></div>`;
}

export const epsilonSlider = ({ choices }: Page, set: (epsilon: number) => void): TemplateResult =>
  slider({
    label: 'Most that a character can gain or lose (ε)',
    value: choices.epsilon,
    min: 0.05,
    max: 1,
    step: 0.05,
    set,
  });

function buttons(page: Page): TemplateResult {
  const { run } = page;
  const act = (work: () => Promise<void>) => () => void page.attempt('train', work);
  const isPlaying = run?.state === 'training';
  const isPaused = run?.state === 'paused';
  const goOn = act(async () => {
    await page.call('go');
    page.runs.set(run!.id, { ...run!, state: 'training' });
  });
  const slow = (wait: string): void => {
    page.wait = Number(wait);
    void page.call('slow', page.wait);
  };
  const train = button(
    run === undefined ? 'Train' : 'Train anew',
    act(() => start(page)),
    { first: true, disabled: page.device === undefined },
  );
  return html`<div class="buttons">${train}
    ${
      isPlaying
        ? button(
            'Pause',
            act(() => page.call('pause')),
          )
        : nothing
    }
    ${
      isPaused
        ? html`${button('Go on', goOn)} ${button(
            'One step',
            act(() => page.call('go', 1)),
          )}`
        : nothing
    }
    ${
      isPlaying || isPaused
        ? html`${button(
            'Stop',
            act(() => page.call('stop')),
          )}
      ${choice('Speed', SPEEDS, String(page.wait), slow)}`
        : nothing
    }
    ${
      run?.state === 'stopped'
        ? button(
            'Go on where it stopped',
            act(() => page.call('resume', run.id)),
          )
        : nothing
    }
  </div>`;
}

/** Begins a run with what is chosen, and shows it. */
async function start(page: Page): Promise<void> {
  const { preset } = page.choices;
  const flags = flagsOf(page.choices);
  const id = await page.call('start', { preset, flags });
  page.runs.set(id, { id, preset, flags, state: 'training', records: [], stages: [], clock: [] });
  page.current = id;
}

/** A name of each stage, lit when it is done; the speed, and the time that is left of the stage. */
function progress(run: RunView): TemplateResult {
  const last = run.records.at(-1);
  const isOn = run.state === 'training' || run.state === 'paused';
  const stage = ([name, words]: (typeof STAGES)[number]): TemplateResult => {
    const done = run.stages.some((each) => each.name === name);
    const now = !done && last?.phase === name && isOn;
    return html`<li class=${done ? 'done' : now ? 'now' : ''}>${words}${now ? ` ${last.step}/${last.steps}` : ''}</li>`;
  };
  const words =
    run.state === 'failed'
      ? html`<span class="sorry">${run.words}</span>`
      : `Run ${run.id}: ${run.state}${found(run)}${isOn ? speed(run) : ''}`;
  return html`<ol class="stages" aria-label="Stages">${STAGES.map(stage)}</ol>
    <p class="quiet" role="status">${words}</p>`;
}

function found({ records }: RunView): string {
  const last = records.at(-1);
  if (last === undefined) return '';
  return typeof last.reward === 'number'
    ? `, ${percent(last.reward)} of its answers right`
    : `, loss ${last.loss.toFixed(3)}`;
}

function speed({ clock, records }: RunView): string {
  const [first, last] = [clock[0], clock.at(-1)];
  if (first === undefined || last === undefined || last[1] === first[1]) return '';
  const perSecond = (last[1] - first[1]) / ((last[0] - first[0]) / 1000);
  const { tokens, step, steps } = records.at(-1)!;
  const thousands = ((tokens / step) * perSecond) / 1000;
  const left = Math.ceil((steps - step) / perSecond);
  return `, ${perSecond.toFixed(0)} steps and ${thousands.toFixed(1)} thousand characters a second, ${left} s left of this stage`;
}

function said({ samples }: RunView): TemplateResult {
  if (samples === undefined) return html`<h3>What it says</h3><p class="quiet">Soon.</p>`;
  const verdict = (correct: boolean) =>
    html`<span class=${correct ? 'right' : 'wrong'}>${correct ? 'right' : 'wrong'}</span>`;
  return html`<h3>What it says <span class="quiet">(${samples.phase}, step ${samples.step})</span></h3>
    <div class="rows">${samples.samples.map(
      ({ prompt, answer, correct }) => html`<div>${coloured(prompt + answer)} ${verdict(correct)}</div>`,
    )}</div>`;
}

function scores({ stages }: RunView): TemplateResult {
  const last = stages.at(-1);
  if (last === undefined) return html``;
  const nameOf = (stage: string): string => STAGES.find(([name]) => name === stage)?.[1] ?? stage;
  const rows = stages.map(({ name, evaluation: { sampled, cued, thinkRate } }) => [
    nameOf(name),
    percent(sampled),
    percent(cued),
    percent(thinkRate),
  ]);
  const bars = last.evaluation.tasks.map(({ name, sampled }) => ({ name, value: 100 * sampled }));
  const title = `Right answers by puzzle, after ${nameOf(last.name)}`;
  return html`<h3>Tested on questions it never saw</h3>
    ${table({ head: ['after', 'right', 'right when we write the [ for it', 'thinks by itself'], rows })}
    ${chart(barChart({ title, x: 'percent', width: 420, bars }))}`;
}
