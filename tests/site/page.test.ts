// The page in a real browser, from a host that sets no headers: it trains, pauses, survives a reload, and its runs have
// the bytes of the command line's; its weights are those of ops.tokenWeights; it can be used by keyboard, and axe finds
// nothing. Built here with models of a few seconds. Looked at: site/README.md has the pictures.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createTar, parseTar } from 'nanotar';
import type { Browser, BrowserContextOptions, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createDevice,
  noGrad,
  ops,
  readSafetensors,
  tensor,
  tinyWorldTokenizer,
  Transformer,
  type TransformerConfig,
} from '../../index.ts';
import { readLines } from '../../bench/record.ts';
import { findChromium } from '../support/chromium.ts';
import { serveFolder, type Served } from '../support/served.ts';
import { temporaryFolder } from '../support/temporary.ts';

const root = join(import.meta.dirname, '../..');
const folder = temporaryFolder();
const site = join(folder, 'site');
const program = join(root, 'dist/remit/cli/bin.js');
const chromium = findChromium();

const node = (...given: string[]): string => {
  const { status, stdout, stderr } = spawnSync(process.execPath, given, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${given.join(' ')}: exit code ${status}\n${stdout}${stderr}`);
  return stdout;
};

describe.skipIf(typeof chromium === 'string')('the page', () => {
  let browser: Browser;
  let served: Served;
  const complaints: string[] = [];

  beforeAll(async () => {
    node(join(root, 'scripts/site.mjs'), '--preset', 'short', '--out', site);
    const { chromium: engine } = await import('playwright');
    browser = await engine.launch(chromium as Exclude<typeof chromium, string>);
    served = await serveFolder(site);
  });
  afterAll(async () => {
    await browser?.close();
    served?.close();
  });

  /** The page, when it has a device; what the browser complains of is kept. */
  async function open(address = '', options: BrowserContextOptions = {}): Promise<Page> {
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })).newPage();
    page.on('console', (message) => {
      const isOurs = !message.text().startsWith('Service Worker registration blocked by Playwright');
      if (isOurs && ['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(served.address + address);
    await page.getByText('Computes on').waitFor();
    return page;
  }

  /** Until it is isolated from others, which takes a reload by the service worker. */
  async function isolated(address = ''): Promise<Page> {
    const page = await open(address);
    await page.waitForFunction(() => crossOriginIsolated);
    await page.getByText(/\d threads/).waitFor();
    return page;
  }

  const state = (page: Page, words: RegExp, run = 1) =>
    page.getByText(new RegExp(`Run ${run}: ${words.source}`)).waitFor({ timeout: 60_000 });

  /** In the middle of a phase after the first, whichever a fast machine is in by then. */
  const underWay = (page: Page) =>
    page.locator('li.now', { hasText: /^(Mid-training|ReMiT|SFT|RL).* \d+\/\d+$/ }).waitFor({ timeout: 60_000 });

  async function packed(page: Page): Promise<Map<string, Uint8Array>> {
    await page.locator('summary', { hasText: 'Your runs' }).click();
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download' }).click(),
    ]);
    return new Map(parseTar(readFileSync(await file.path())).map(({ name, data }) => [name, data!]));
  }

  const bytes = (found: Map<string, Uint8Array>, name: string): Buffer => Buffer.from(found.get(`run-1/${name}`) ?? []);

  test('trains with threads, survives a reload in the middle, and leaves the bytes of the command line', async () => {
    const page = await isolated('#preset=short');
    await page.evaluate(() => {
      const seen: number[] = [];
      Object.assign(globalThis, { seen });
      new PerformanceObserver((list) => seen.push(...list.getEntries().map(({ duration }) => duration))).observe({
        type: 'longtask',
      });
    });
    await page.getByRole('button', { name: 'Train', exact: true }).click();
    await underWay(page);
    await page.getByRole('button', { name: 'Pause' }).click();
    await state(page, /paused/);
    const longest = await page.evaluate(() => Math.max(0, ...(globalThis as unknown as { seen: number[] }).seen));
    console.log(`the page's longest task above 50 ms while it trained: ${longest === 0 ? 'none' : `${longest} ms`}`);
    const before = await page.locator('ol.stages').innerText();
    await page.getByRole('button', { name: 'One step' }).click();
    await expect.poll(() => page.locator('ol.stages').innerText()).not.toBe(before);
    await state(page, /paused/);
    await page.reload();
    await state(page, /stopped/);
    await page.getByRole('button', { name: 'Go on where it stopped' }).click();
    await state(page, /done/);
    expect(await page.locator('ol.stages li.done').count()).toBe(7);
    expect(await page.locator('table', { hasText: 'right when we write' }).locator('tbody tr').count()).toBe(7);

    const found = await packed(page);
    node(program, 'train', '--preset', 'short', '--out', 'same');
    const at = (name: string): Buffer => readFileSync(join(folder, 'same', name));
    for (const name of ['metrics.jsonl', 'evaluation.json', 'config.json']) {
      expect(bytes(found, name).equals(at(name)), name).toBe(true);
    }
    for (const name of readdirSync(join(folder, 'same/checkpoints'))) {
      expect(bytes(found, `checkpoints/${name}`).equals(at(`checkpoints/${name}`)), name).toBe(true);
    }
    await page.reload(); // its own models are looked at, not those that came along
    await page.locator('#remit').scrollIntoViewIfNeeded();
    await page.locator('#weights svg').waitFor();
    const shown = await page.locator('#weights-table td:nth-child(5)').allTextContents();
    expect(shown.map(Number)).toEqual(
      await expectedWeights('^G5>1<4>6>9?[!5:4!6!9]9.', 'rl', {}, join(folder, 'same/checkpoints')),
    );
    await page.context().close();
  });

  test('a run that was stopped here goes on in the command line, and a folder from there goes on here', async () => {
    const page = await isolated('#preset=short&seed=4');
    await page.getByRole('button', { name: 'Train', exact: true }).click();
    await underWay(page);
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await state(page, /stopped/);
    const found = await packed(page);
    for (const [name, data] of found) {
      mkdirSync(join(folder, name, '..'), { recursive: true });
      writeFileSync(join(folder, name), data);
    }
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download' }).click(),
    ]);
    await page.getByLabel('A run as a .tar').setInputFiles(await file.path());
    await state(page, /stopped/, 2);
    const listed = page.getByRole('row', { name: /tiny seed 4, pretrain.steps 60, .*rl.steps 5/ });
    await listed.waitFor(); // what it is set to, read off its config.json
    for (const [name, text, words] of [
      ['notes.txt', '', 'it has no config.json'],
      ['config.json', '{', 'config.json is no JSON'],
    ] as const) {
      const buffer = Buffer.from(createTar([{ name: `run/${name}`, data: text }]));
      await page.getByLabel('A run as a .tar').setInputFiles({ name: 'no-run.tar', mimeType: 'application/x-tar', buffer });
      await page.getByText(words).waitFor();
    }
    await page.getByRole('button', { name: 'Go on where it stopped' }).click();
    await state(page, /done/, 2);

    node(program, 'train', '--resume', 'run-1');
    const [again] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download' }).first().click(), // the newest
    ]);
    const here = new Map(parseTar(readFileSync(await again.path())).map(({ name, data }) => [name, data!]));
    for (const name of ['metrics.jsonl', 'evaluation.json', 'checkpoints/remit-rl.safetensors']) {
      const there = readFileSync(join(folder, 'run-1', name));
      expect(Buffer.from(here.get(`run-2/${name}`) ?? []).equals(there), name).toBe(true);
    }
    await page.context().close();
  });

  test('without isolation it says so, and trains on one thread; on WebGPU on request', async () => {
    const page = await open('?device=cpu#preset=short', { serviceWorkers: 'block' });
    expect(await page.locator('#status').innerText()).toMatch(/one thread.*not isolated/s);
    await page.getByRole('button', { name: 'Train', exact: true }).click();
    await underWay(page);
    await page.getByLabel('Change to').selectOption('webgpu');
    await page.getByText('Computes on the graphics adapter').waitFor();
    await state(page, /stopped/);
    await page.goto(`${served.address}?device=webgpu#preset=short&width=32&layers=1&seed=1`);
    await page.getByText('Computes on the graphics adapter').waitFor();
    await page.getByRole('button', { name: /Train/ }).click();
    await page.getByText(/Pre-training (2[0-9]|[3-6]\d)\/60/).waitFor({ timeout: 90_000 });
    await page.context().close();
  }, 180_000);

  test('weights are those of ops.tokenWeights, whatever is chosen; a row that cannot be is refused', async () => {
    const page = await open('#epsilon=0.5&scale=2&guide=sft');
    await page.locator('#remit').scrollIntoViewIfNeeded();
    await page.locator('#weights svg').waitFor();
    const shown = await page.locator('#weights-table td:nth-child(5)').allTextContents();
    expect(shown.map(Number)).toEqual(
      await expectedWeights('^G5>1<4>6>9?[!5:4!6!9]9.', 'sft', { epsilon: 0.5, scale: 2 }),
    );
    await page.getByLabel('against the average of this row').uncheck();
    const plain = await expectedWeights('^G5>1<4>6>9?[!5:4!6!9]9.', 'sft', { epsilon: 0.5, scale: 2, centre: false });
    await expect
      .poll(async () => (await page.locator('#weights-table td:nth-child(5)').allTextContents()).map(Number))
      .toEqual(plain);
    await page.getByLabel('A row of your own').fill('^É');
    await page.locator('#remit-live .sorry').waitFor();
    expect(await page.locator('#remit-live .sorry').innerText()).toMatch(/É/);
    expect(new URL(page.url()).hash).toContain('epsilon=0.5');
    await page.context().close();
  });

  test("a group of answers, replies side by side, the benchmark, and a text of one's own", async () => {
    const page = await open('', { serviceWorkers: 'block' });
    await page.getByRole('button', { name: 'Let it answer eight times' }).click();
    await expect.poll(() => page.locator('#reward tbody tr').count()).toBe(8);
    const rewards = (await page.locator('#reward tbody tr td:nth-child(2)').allTextContents()).map(Number);
    const rloo = (await page.locator('#reward tbody tr td:nth-child(3)').allTextContents()).map(Number);
    const total = rewards.reduce((sum, reward) => sum + reward, 0);
    expect(rloo).toEqual(rewards.map((reward) => Number((reward - (total - reward) / 7).toFixed(2))));
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    await expect.poll(() => page.locator('.reply').count()).toBe(3);
    await page.getByLabel('Question').fill('^a6<9>0>7>6?');
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    await page.getByText(/is no question: a tag/).waitFor();
    await page.getByRole('button', { name: 'Measure' }).click();
    await expect.poll(() => page.locator('#adapter tbody tr').count(), { timeout: 30_000 }).toBe(7);
    await page.getByText('working…').waitFor({ state: 'detached' });
    expect(new Set(await page.locator('#adapter tbody tr td:nth-child(5)').allTextContents())).toEqual(
      new Set(['right']),
    );
    const [kept] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Keep the lines' }).click(),
    ]);
    const lines = readFileSync(await kept.path(), 'utf8');
    writeFileSync(join(folder, 'page.jsonl'), lines);
    expect([...readLines(join(folder, 'page.jsonl')).values()].map(({ label }) => label)).toContain(
      'matmul 512x512x512NN',
    );
    const own = page.locator('#adapter input[type=file]');
    await own.setInputFiles(join(folder, 'page.jsonl')); // what --compare reads, and the other way round
    await page.getByRole('columnheader', { name: 'page.jsonl, ms' }).waitFor();
    await own.setInputFiles(join(root, 'package.json'));
    await page.getByText('package.json holds no lines of a benchmark').waitFor();

    const choose = page.locator('#text input[type=file]');
    await choose.setInputFiles({ name: 'a.bin', mimeType: '', buffer: Buffer.from([0xff, 0xfe, 0x80]) });
    await page.getByText('a.bin is no text in UTF-8').waitFor();
    await choose.setInputFiles({ name: 'short.txt', mimeType: '', buffer: Buffer.from('short') });
    await page.getByText(/give more text/).waitFor();
    await choose.setInputFiles(join(root, 'README.md'));
    await page.getByText(/README.md: training, step \d+ of 600/).waitFor();
    await page.getByRole('button', { name: 'Stop', exact: true }).last().click();
    await page.getByText(/README.md: stopped/).waitFor();
    await page.context().close();
  });

  test('by keyboard, with full storage; axe finds nothing, in light and dark, narrow and wide', async () => {
    const page = await open('#preset=short', { serviceWorkers: 'block' });
    const { origin } = new URL(page.url());
    const quotaSize = 2 ** 20; // a run takes five times that: what has no room is kept in memory
    await (await page.context().newCDPSession(page)).send('Storage.overrideQuotaForOrigin', { origin, quotaSize });
    await page.getByRole('button', { name: 'Train', exact: true }).focus();
    await page.keyboard.press('Enter');
    await state(page, /training/);
    const reached = new Set<string>();
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab');
      reached.add(await page.evaluate(() => document.activeElement?.closest('section')?.id ?? ''));
    }
    expect([...reached].filter((id) => id !== '').sort()).toEqual([
      'adapter',
      'ask',
      'remit',
      'reward',
      'text',
      'train',
      'world',
    ]);
    await page.locator('#remit').scrollIntoViewIfNeeded();
    await page.locator('#weights svg').waitFor();
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    await page.locator('.reply').first().waitFor();
    await state(page, /done/);
    await page.getByText('The storage of this page is full').waitFor();
    await page.evaluate(readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
    for (const [width, colorScheme] of [
      [360, 'light'],
      [1440, 'dark'],
    ] as const) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      const found = await page.evaluate(async () => {
        const { violations } = await (
          globalThis as unknown as {
            axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
          }
        ).axe.run();
        return violations.map(({ id, nodes }) => `${id}: ${nodes[0]!.html.slice(0, 200)}`);
      });
      expect(found, `${width} ${colorScheme}`).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    }
    await page.context().close();
  });

  test('the browser had nothing to complain of', () => expect(complaints.join('\n')).toBe(''));

  /** `models`: a folder of them; those that came with the page unless given. */
  async function expectedWeights(
    text: string,
    guide: string,
    options: object,
    models = join(site, 'models'),
  ): Promise<number[]> {
    await createDevice('cpu', { threads: 1 });
    const row = tinyWorldTokenizer.encode(text);
    const T = row.length - 1;
    const [inputs, targets] = [tensor(row.slice(0, T), [1, T], 'i32'), tensor(row.slice(1), [1, T], 'i32')];
    const of = (stage: string) =>
      noGrad(() => ops.logProb(modelIn(join(models, `${stage}.safetensors`)).forward(inputs), targets));
    const weights = await ops.tokenWeights(of(guide), of('pretrain'), targets, options).read();
    return Array.from(weights, (weight) => Number(weight.toFixed(4)));
  }

  function modelIn(path: string): Transformer {
    const { tensors, metadata } = readSafetensors(readFileSync(path), path);
    const model = new Transformer(JSON.parse(metadata.get('model')!) as TransformerConfig);
    model.parameters.load(tensors as never, path);
    return model;
  }
});
