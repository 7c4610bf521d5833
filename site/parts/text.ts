// A text of the visitor's: a model reads it byte by byte, and writes in its manner.

import { lineChart } from 'remit-mini/plot';
import { html, nothing, type TemplateResult } from 'lit-html';
import type { Page, RunView } from '../page.ts';
import type { Flag } from '../worker/protocol.ts';
import { button, chart, file, told } from './draw.ts';

const LARGEST = 20; // MB
const PRESET = 'text';
const FLAGS: readonly Flag[] = [
  ['model.width', '64'],
  ['model.layers', '2'],
  ['model.context', '64'],
  ['pretrain.steps', '600'],
  ['pretrain.warmup', '50'],
];

export function textPart(page: Page): TemplateResult {
  const run = [...page.runs.values()].findLast(({ text }) => text !== undefined);
  const take = (chosen: File | undefined): void => {
    if (chosen !== undefined) void page.attempt('text', () => read(page, chosen));
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    take(event.dataTransfer?.files[0]);
  };
  const itself = (): void =>
    void page.attempt('text', () => begin(page, 'this page', document.querySelector('main')!.innerText));
  return html`<div class="drop" @dragover=${(event: DragEvent) => event.preventDefault()} @drop=${drop}>
    ${file('Drop a text file here, or choose one:', '', take)} ${button('Or let it read this page', itself)}</div>
    ${told(page, 'text')}${run === undefined ? nothing : shown(page, run)}`;
}

async function read(page: Page, chosen: File): Promise<void> {
  const size = chosen.size / 2 ** 20;
  if (size > LARGEST) {
    const way = `the command line takes more: npx remit-mini train --data ${chosen.name}`;
    throw new Error(`${chosen.name} has ${size.toFixed(0)} MB, and this page takes up to ${LARGEST}: ${way}`);
  }
  await begin(page, chosen.name, textOf(chosen.name, new Uint8Array(await chosen.arrayBuffer())));
}

function textOf(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`${name} is no text in UTF-8: choose a .txt, a program, a page`);
  }
}

async function begin(page: Page, name: string, text: string): Promise<void> {
  const id = await page.call('startText', { preset: PRESET, flags: FLAGS, text, name });
  page.runs.set(id, {
    preset: PRESET,
    flags: FLAGS,
    id,
    text: name,
    state: 'training',
    records: [],
    stages: [],
    clock: [],
  });
}

function shown(page: Page, run: RunView): TemplateResult {
  const last = run.records.at(-1);
  const bits = (loss: number): number => loss / Math.LN2;
  const points = run.records.filter((_, i) => i % 4 === 0).map(({ step, loss }) => ({ x: step, y: bits(loss) }));
  const done =
    last === undefined ? '' : `, step ${last.step} of ${last.steps}, ${bits(last.loss).toFixed(2)} bits a byte`;
  const act = (work: () => Promise<void>) => () => void page.attempt('text', work);
  const title = 'Bits a byte: what the text costs it';
  const curve = lineChart({ title, x: 'step', y: 'bits', lines: [{ name: 'loss', points }], width: 420, height: 200 });
  return html`<p role="status">${run.text}: ${run.state}${run.words === undefined ? '' : `: ${run.words}`}${done}
    ${
      run.state === 'training'
        ? button(
            'Stop',
            act(() => page.call('stop')),
          )
        : nothing
    }
    ${
      run.state === 'stopped'
        ? button(
            'Go on',
            act(() => page.call('resume', run.id)),
          )
        : nothing
    }</p>
    <div class="columns">
      <div>${chart(curve)}</div>
      <div><h3>It writes</h3><p><code class="row wrap">${run.samples?.samples[0]?.answer ?? 'soon…'}</code></p></div></div>`;
}
