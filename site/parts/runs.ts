// The runs so far: shown, compared, downloaded as the command line's run folder, removed; and folders from elsewhere.

import { html, type TemplateResult } from 'lit-html';
import type { Page, RunView } from '../page.ts';
import { button, checkbox, download, file, table } from './draw.ts';

const HEAD = ['run', 'settings', 'steps', 'state', 'curves', 'folder'];

export function runsPart(page: Page): TemplateResult {
  const runs = [...page.runs.values()].filter(({ text }) => text === undefined);
  const rows = runs.toReversed().map((run) => row(page, run));
  return html`<details ?open=${runs.length > 1}><summary>Your runs (${runs.length})</summary>
    ${runs.length === 0 ? html`<p class="quiet">None yet.</p>` : table({ head: HEAD, rows })}
    <p class="quiet">Another seed shows what chance does: train anew with seed 1, and tick both. A download goes on in a
      terminal: <code>tar xf run-1.tar && npx remit-mini train --resume run-1</code>.
      ${file('A run as a .tar', '.tar', (chosen) => take(page, chosen))}</p></details>`;
}

function row(page: Page, run: RunView): (TemplateResult | string | number)[] {
  const { id, preset, flags, records, state } = run;
  const act = (work: () => Promise<void>) => () => void page.attempt('train', work);
  const show = act(() => page.show(id));
  const compare = (): void => {
    if (!page.compared.delete(id)) page.compared.add(id);
    page.changed();
  };
  const keep = act(async () => {
    const bytes = await page.call('pack', id);
    download(`run-${id}.tar`, bytes as Uint8Array<ArrayBuffer>, 'application/x-tar');
  });
  const remove = act(async () => {
    await page.call('remove', id);
    page.runs.delete(id);
    if (page.current === id) page.current = undefined;
  });
  const isOn = state === 'training' || state === 'paused';
  return [
    html`<button aria-pressed=${id === page.current} @click=${show}>${id}</button>`,
    `${preset} ${flags.map(([name, value]) => `${name} ${value}`).join(', ')}`,
    records.length,
    state,
    checkbox('compare', page.compared.has(id), compare),
    html`${button('Download', keep)} ${button('Remove', remove, { disabled: isOn })}`,
  ];
}

/** A run folder from elsewhere. */
function take(page: Page, chosen: File): void {
  void page.attempt('train', async () => {
    const id = await page.call('unpack', new Uint8Array(await chosen.arrayBuffer()));
    await page.readRuns();
    await page.show(id);
  });
}
