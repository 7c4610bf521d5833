// Where the page computes, and what it has to say about that.

import { html, nothing, type TemplateResult } from 'lit-html';
import type { Page } from '../page.ts';
import type { Device } from '../worker/protocol.ts';
import { choice, told } from './draw.ts';

const KINDS = [
  ['auto', 'whatever is best'],
  ['cpu', 'CPU'],
  ['webgpu', 'WebGPU'],
] as const;

export function statusPart(page: Page): TemplateResult {
  const { device, notice } = page;
  if (device === undefined) return html`<p class="status">Opening a device… ${told(page, 'status')}</p>`;
  const open = (kind: (typeof KINDS)[number][0]): void =>
    void page.attempt('status', async () => {
      page.device = await page.call('device', { kind, threads: undefined });
      await page.readRuns();
    });
  return html`<p class="status">Computes on ${where(device)}
    ${device.notice === '' ? nothing : html`(${device.notice})`} ${choice('Change to', KINDS, 'auto', open)}</p>
    ${notice === '' ? nothing : html`<p class="sorry">${notice}</p>`}${told(page, 'status')}`;
}

function where({ kind, name, threads, isolated }: Device): string {
  if (kind === 'webgpu') return `the graphics adapter (${name}).`;
  const alone = isolated ? '' : ' This page is not isolated from others, so it may not have threads.';
  return `the CPU in WebAssembly, ${threads === 1 ? 'one thread' : `${threads} threads`}.${alone}`;
}
