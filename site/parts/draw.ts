// What several parts of the page draw with: charts as SVG text, tables, sliders, and figures in words.

import { html, nothing, type TemplateResult } from 'lit-html';
import { live } from 'lit-html/directives/live.js';
import { unsafeHTML } from 'lit-html/directives/unsafe-html.js';
import type { Page } from '../page.ts';

/** A chart of remit-mini/plot; its text is ours and escaped. */
export const chart = (svg: string): TemplateResult => html`<figure class="chart">${unsafeHTML(svg)}</figure>`;

export const percent = (share: number): string => `${(100 * share).toFixed(0)}%`;

type Cell = TemplateResult | string | number;

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** A column to look at. */
  readonly chosen?: number;
}

export function table({ head, rows, chosen }: Table): TemplateResult {
  const look = (column: number): string => (column === chosen ? 'chosen' : '');
  const cells = (row: readonly Cell[]) => row.map((cell, column) => html`<td class=${look(column)}>${cell}</td>`);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table: ${head.join(', ')}"><table>
    <thead><tr>${head.map((name, column) => html`<th class=${look(column)}>${name}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${cells(row)}</tr>`)}</tbody>
  </table></div>`;
}

/** What went wrong in a part, or that it is at work. */
export function told(page: Page, part: string): TemplateResult {
  const words = page.words.get(part);
  return html`${page.busy.has(part) ? html`<span class="busy" role="status">working…</span>` : nothing}
    ${words === undefined ? nothing : html`<p class="sorry" role="alert">${words}</p>`}`;
}

export const button = (words: string, act: () => void, { first = false, disabled = false } = {}): TemplateResult =>
  html`<button class=${first ? 'first' : ''} ?disabled=${disabled} @click=${act}>${words}</button>`;

const valueOf = (event: Event): string => (event.target as HTMLInputElement | HTMLSelectElement).value;

export interface Slider {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly set: (value: number) => void;
}

export const slider = ({ label, value, min, max, step, set }: Slider): TemplateResult => html`
  <label class="field">${label}
    <input type="range" min=${min} max=${max} step=${step} .value=${String(value)}
      @input=${(event: Event) => set(Number(valueOf(event)))}>
    <output>${value}</output></label>`;

export const checkbox = (label: string, value: boolean, set: (value: boolean) => void): TemplateResult => html`
  <label class="field"><input type="checkbox" .checked=${value}
    @change=${(event: Event) => set((event.target as HTMLInputElement).checked)}> ${label}</label>`;

export const words = (
  label: string,
  value: string,
  longest: number,
  set: (value: string) => void,
): TemplateResult => html`
  <label class="field">${label}
    <input type="text" maxlength=${longest} size=${longest + 2} spellcheck="false" .value=${value}
      @input=${(event: Event) => set(valueOf(event))}></label>`;

type Options<T extends string> = readonly (readonly [value: T, words: string])[];

export const choice = <T extends string>(
  label: string,
  options: Options<T>,
  chosen: T,
  set: (value: T) => void,
) => html`
  <label class="field">${label}
    <select @change=${(event: Event) => set(valueOf(event) as T)}>
      ${options.map(([value, text]) => html`<option value=${value} .selected=${live(value === chosen)}>${text}</option>`)}
    </select></label>`;

export const file = (label: string, accept: string, take: (file: File) => void): TemplateResult => html`
  <label class="field">${label} <input type="file" accept=${accept} @change=${(event: Event) => {
    const [chosen] = (event.target as HTMLInputElement).files ?? [];
    if (chosen !== undefined) take(chosen);
  }}></label>`;

/** Hands a file to the visitor. */
export function download(name: string, bytes: BlobPart, type: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
