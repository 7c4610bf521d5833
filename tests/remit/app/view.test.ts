// remit-mini view: what is in the folders, as pages, while it changes; nothing else of this machine, and nothing is written.

import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serve, type Viewer } from '../../../remit/app/view/server.ts';
import { findChromium } from '../../support/chromium.ts';
import { inProcess, startRemitMini } from '../../support/command-line.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const folder = temporaryFolder();
const at = (...names: string[]): string => join(folder, ...names);
const short = [
  '--preset', 'short', '--pretrain.steps', '6', '--pretrain.warmup', '2', '--midtrain.steps', '2', '--sft.steps', '2',
  '--rl.steps', '2', '--evaluate.questions', '1', '--device', 'cpu',
];
let viewer: Viewer;

beforeAll(async () => {
  mkdirSync(at('runs'));
  expect(await inProcess(['train', ...short, '--out', at('runs/one')])).toMatchObject({ code: 0 });
  cpSync(at('runs/one'), at('runs/ümlaut & <b>'), { recursive: true });
  const config = JSON.parse(readFileSync(at('runs/one/config.json'), 'utf8')) as object;
  writeFileSync(at('runs/ümlaut & <b>/config.json'), JSON.stringify({ ...config, seed: 7 }));
  mkdirSync(at('runs/study'));
  writeFileSync(at('runs/study/study.json'), '{}');
  cpSync(at('runs/one'), at('runs/study/seed-1/vanilla'), { recursive: true });
  writeFileSync(at('secret.txt'), 'secret');
  viewer = await serve([at('runs')]);
}, 60_000);

afterAll(() => viewer.close());

interface Got { readonly status: number; readonly body: string; readonly tag: string; readonly policy: string }

function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Got> {
  const { port } = new URL(viewer.address);
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (piece: string) => (body += piece));
      response.on('end', () => resolve({
        status: response.statusCode!, body, tag: response.headers.etag ?? '',
        policy: String(response.headers['content-security-policy']),
      }));
    });
    asked.on('error', reject).end();
  });
}

describe('the page that trains in the tab', () => {
  test('is served as it was built, from its own folder alone; where it was not, one is told how to', async () => {
    const isBuilt = existsSync(join(import.meta.dirname, '../../../dist/site/models')); // npm run site
    const { status, body } = await get('/~tab/');
    expect(status).toBe(isBuilt ? 200 : 404);
    expect(body).toMatch(isBuilt ? /<title>remit-mini/ : /npm run site builds it/);
    expect((await get('/')).body.includes('href="/~tab/"')).toBe(isBuilt);
    expect((await get('/~tab')).status).toBe(301);
    const outside = ['../package.json', '%2e%2e/package.json', 'assets/../../index.js', 'models/../../index.js', '.', 'assets'];
    for (const path of [...outside, 'nothing.js']) expect((await get(`/~tab/${path}`)).status, path).toBe(404);
  });
});

describe('view', () => {
  test('lists runs and studies, draws curves over each other, and says where settings differ', async () => {
    const { status, body, policy } = await get('/');
    expect(status).toBe(200);
    expect(policy).toMatch(/^default-src 'none';/);
    const all = [...body.matchAll(/<a href="([^"]+)">([^<]*)<\/a>/g)].map(([, address]) => address!);
    const links = all.filter((address) => !address.startsWith('/~tab'));
    expect(links.sort()).toEqual([
      '/runs/one', '/runs/study', '/runs/study/seed-1/vanilla', '/runs/%C3%BCmlaut%20%26%20%3Cb%3E',
    ].sort());
    expect(body).toContain('ümlaut &amp; &lt;b&gt;');
    expect(body).not.toContain('<b>');
    expect(body).toMatch(/Settings that differ[^]*<th scope="row">seed<\/th>/);
    expect(body.match(/<svg/g)!.length).toBe(4); // pre-training, mid-training, ReMiT, reward
    for (const link of links.filter((one) => one !== '/runs/study')) {
      const page = await get(link);
      expect([link, page.status]).toEqual([link, 200]);
      expect(page.body).toMatch(/<h2>Scores<\/h2>[^]*<h2>Curves<\/h2>/);
    }
    expect((await get('/runs/study')).body).toContain('the study has no report yet');
  });

  test('a row is weighed as remit-mini weights does; what was asked is in the address', async () => {
    expect((await get('/runs/one')).body).toMatch(/<form>[^]*name="text"[^]*<option selected>rl<\/option><option>sft/);
    const row = '^S1+1-1-4-4?[2>';
    const checkpoint = (phase: string): string => at('runs/one/checkpoints', `${phase}.safetensors`);
    const models = ['--model', checkpoint('pretrain'), '--reference', checkpoint('sft')];
    const asked = ['--text', row, '--epsilon', '0.4', '--out', at('weighed.jsonl')];
    expect(await inProcess(['weights', ...models, ...asked])).toMatchObject({ code: 0 });
    const { tokens } = JSON.parse(readFileSync(at('weighed.jsonl'), 'utf8')) as { tokens: { text: string; weight: number }[] };
    const { body } = await get(`/runs/one?text=${encodeURIComponent(row)}&by=sft&epsilon=0.4`);
    const cells = [...body.matchAll(/<th scope="row">&quot;(.+?)&quot;<\/th>.*?<td>([\d.]+)<\/td><\/tr>/g)];
    expect(cells.map(([, , weight]) => weight)).toEqual(tokens.map(({ weight }) => weight.toFixed(3)));
    expect(new Set(cells.map(([, , weight]) => weight)).size).toBeGreaterThan(3);
  });

  test.each([
    ['text=', 'nothing to predict'], ['text=%5ES1&epsilon=7', 'epsilon = 7: must be'],
    ['text=%C3%BC%3Cb%3E', '"ü"'], ['text=%5ES1&by=nobody', 'by = nobody: must be rl or sft or midtrain'],
  ])('asked %s, it says so', async (query, words) => {
    const { status, body } = await get(`/runs/one?${query}`);
    expect([status, body.includes(words.replaceAll('"', '&quot;'))]).toEqual([200, true]);
    expect(body).not.toContain('<b>');
  });

  test('tells whether a page has changed', async () => {
    const { tag } = await get('/runs/one');
    expect(await get('/runs/one', { 'If-None-Match': tag })).toMatchObject({ status: 304, body: '' });
    const lines = readFileSync(at('runs/one/metrics.jsonl'), 'utf8');
    const last = JSON.parse(lines.trim().split('\n').at(-1)!) as { step: number };
    appendFileSync(at('runs/one/metrics.jsonl'), `${JSON.stringify({ ...last, step: last.step + 1 })}\n`);
    const after = await get('/runs/one', { 'If-None-Match': tag });
    expect([after.status, after.tag === tag]).toEqual([200, false]);
    expect((await get('/live.js')).body).toContain('If-None-Match');
  });

  test.each([
    '/../secret.txt', '/runs/../../secret.txt', '/secret.txt', '/runs', '/runs/one/config.json', '/%2e%2e/secret.txt',
    '/runs%2f..%2f..%2fsecret.txt', '/%', '//etc/passwd', '/runs/one/../../secret.txt',
  ])('%s has no address', async (path) => {
    const { status, body } = await get(path);
    expect([status, body.includes('secret\n')]).toEqual([404, false]);
  });

  test.each(['evil.com', 'evil.com:80', 'localhost.evil.com', '127.0.0.1.evil.com'])(
    'a page elsewhere that reaches it as "%s" is refused', async (host) => {
      expect((await get('/', { Host: host })).status).toBe(403);
    },
  );

  test('is asked for as localhost through a tunnel; has nothing to change', async () => {
    expect((await get('/', { Host: 'localhost:8080' })).status).toBe(200);
    for (const method of ['POST', 'PUT', 'DELETE']) expect((await get('/', {}, method)).status).toBe(405);
    expect(await get('/', {}, 'HEAD')).toMatchObject({ status: 200, body: '' });
  });

  test('a run that is damaged, and one that is gone, leave the rest', async () => {
    cpSync(at('runs/one'), at('runs/broken'), { recursive: true });
    writeFileSync(at('runs/broken/config.json'), '{');
    expect((await get('/')).body).toMatch(/runs\/broken[^]*damaged/);
    expect((await get('/runs/broken')).body).toMatch(/<h1>Not yet<\/h1>[^]*config\.json/);
  });

  test('writes nothing, prints its address, and ends with Ctrl-C', async () => {
    const before = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
    const child = startRemitMini(['view', at('runs'), '--no-open']);
    const address = await new Promise<string>((resolve) => child.stdout!.once('data', (text) => resolve(String(text))));
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\n$/);
    expect((await fetch(address.trim())).status).toBe(200);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    expect(readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()).toEqual(before);
  });

  test.each([
    [['view', at('nowhere')], 'no such folder'],
    [['view', at('secret.txt')], 'is a file: runs are folders'],
    [['view', at('runs'), '--port', '70000'], '--port 70000: must be a whole number from 1 to 65535'],
  ])('%j is refused', async (args, message) => {
    expect(await inProcess(args)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) as string });
  });

  test('a port that is taken is named', async () => {
    const { port } = new URL(viewer.address);
    expect(await inProcess(['view', at('runs'), '--port', port])).toMatchObject({
      code: 2, stderr: expect.stringMatching(/--port \d+: .*: leave it out for one that is free/) as string,
    });
  });
});

const found = findChromium();

/** It may have no fonts: then text is there, and nothing to see. */
describe.skipIf(typeof found === 'string')('in a browser', () => {
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    browser = await chromium.launch(found as Exclude<typeof found, string>);
    page = await browser.newPage({ viewport: { width: 360, height: 740 } });
    page.on('console', (message) => void complaints.push(message.text()));
    page.on('pageerror', (error) => void complaints.push(error.message));
  }, 60_000);

  afterAll(() => browser.close());

  test('by keyboard from the list to a run and back, at 360 pixels', async () => {
    await page.goto(viewer.address);
    await page.keyboard.press('Tab');
    const isPage = await page.evaluate(() => (document.activeElement as HTMLAnchorElement).href.endsWith('/~tab/'));
    if (isPage) await page.keyboard.press('Tab'); // where npm run site has built it, it stands first
    await page.keyboard.press('Enter');
    await page.locator('h1', { hasText: /^(Run |Study|Not yet)/ }).waitFor({ state: 'attached' });
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.locator('h1', { hasText: /^Runs$/ }).waitFor({ state: 'attached' });
    await page.goto(new URL('/runs/one', viewer.address).href);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  });

  test('a run that goes on is followed, with all that is allowed to the page', async () => {
    await page.goto(new URL('/runs/one', viewer.address).href);
    await page.waitForResponse((response) => response.status() === 200 && response.url().endsWith('/runs/one'));
    const record = { phase: 'afterwards', step: 1, steps: 2, loss: 1, rate: 1, gradNorm: 1, tokens: 1 };
    for (const step of [1, 2]) appendFileSync(at('runs/one/metrics.jsonl'), `${JSON.stringify({ ...record, step })}\n`);
    await page.locator('text', { hasText: 'afterwards' }).first().waitFor({ state: 'attached', timeout: 15_000 });
    expect(complaints).toEqual([]);
  });
});
