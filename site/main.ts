// The page: seven parts, each a function of what the page knows, drawn into its place. Read after: page.ts. Read next:
// parts/train.ts.

import { html, render, type TemplateResult } from 'lit-html';
import { plotStyle } from 'remit-mini/plot';
import { Page } from './page.ts';
import { adapterPart } from './parts/adapter.ts';
import { askPart } from './parts/ask.ts';
import { remitPart, weighAgain } from './parts/remit.ts';
import { rewardPart } from './parts/reward.ts';
import { statusPart } from './parts/status.ts';
import { textPart } from './parts/text.ts';
import { trainPart } from './parts/train.ts';
import { worldPart } from './parts/world.ts';

const PARTS: Readonly<Record<string, (page: Page) => TemplateResult>> = {
  status: statusPart,
  'world-live': worldPart,
  'train-live': trainPart,
  'reward-live': rewardPart,
  'remit-live': remitPart,
  'ask-live': askPart,
  'text-live': textPart,
  'adapter-live': adapterPart,
};

document.head.append(Object.assign(document.createElement('style'), { textContent: plotStyle }));

const page = new Page((known) => {
  for (const [id, part] of Object.entries(PARTS)) {
    try {
      render(html`${part(known)}`, document.getElementById(id)!);
    } catch (error) {
      console.error(error); // of one part: the others go on
    }
  }
});
page.changed();
void page.attempt('status', async () => {
  const query = new URLSearchParams(location.search); // ?device=cpu&threads=2, for measurements
  const kind = (['cpu', 'webgpu'] as const).find((each) => each === query.get('device')) ?? 'auto';
  page.device = await page.call('device', { kind, threads: Number(query.get('threads')) || undefined });
  await page.readRuns();
  watchFor('remit', () => weighAgain(page));
});
isolate();

/** Looks at the models when a part of the page comes into sight: they are loaded when first needed. */
function watchFor(id: string, seen: () => void): void {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    observer.disconnect();
    seen();
  });
  observer.observe(document.getElementById(id)!);
}

/** Hosts that cannot set headers: a service worker sets them, and keeps the page for when there is no network. */
function isolate(): void {
  if (!('serviceWorker' in navigator)) return;
  const isFirst = navigator.serviceWorker.controller === null;
  navigator.serviceWorker
    .register('./sw.js')
    .then(async () => {
      await navigator.serviceWorker.ready;
      if (isFirst && !crossOriginIsolated && sessionStorage.getItem('isolated') === null) {
        sessionStorage.setItem('isolated', 'tried');
        location.reload();
      }
    })
    .catch((error: Error) =>
      page.say('status', `no service worker (${error.message}): one thread, and no use without a network`),
    );
}
