// remit-mini report and weights, on a short run of every phase.

import { appendFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { useBackend } from '../../../engine/runtime.ts';
import { CpuBackend } from '../../../engine/cpu/backend.ts';
import { logProb } from '../../../engine/ops/cross-entropy.ts';
import { tokenWeights } from '../../../engine/ops/token-weights.ts';
import { nextTokens } from '../../../remit/phases/next-token.ts';
import { openModel } from '../../../remit/app/run/model.ts';
import { escape } from '../../../remit/app/plot/svg.ts';
import { barChart } from '../../../remit/app/plot/bars.ts';
import { standalone } from '../../../remit/app/plot/style.ts';
import { inProcess, remitMini } from '../../support/command-line.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const folder = temporaryFolder();
const at = (...names: string[]): string => join(folder, ...names);
const read = (...names: string[]): string => readFileSync(at(...names), 'utf8');
const short = [
  '--preset', 'short', '--pretrain.steps', '12', '--pretrain.warmup', '2', '--midtrain.steps', '4', '--sft.steps', '2',
  '--rl.steps', '2', '--rl.show', '1', '--evaluate.questions', '2', '--device', 'cpu',
];

beforeAll(async () => {
  expect(await inProcess(['train', ...short, '--out', at('run')])).toMatchObject({ code: 0 });
}, 60_000);

/** Elements are closed in the order in which they were opened, and nothing is loaded or run. */
function expectSound(html: string): void {
  const empty = /^(meta|br|!doctype)$/;
  const open: string[] = [];
  for (const [, close, name, self] of html.matchAll(/<(\/?)([\w!]+)[^>]*?(\/?)>/g)) {
    if (close) expect(open.pop()).toBe(name);
    else if (!self && !empty.test(name!)) open.push(name!);
  }
  expect(open).toEqual([]);
  expect(html).not.toMatch(/<script|<link|src=|href=|url\(|@import/);
}

describe('report', () => {
  test('a run: scores, curves, settings, in one file', async () => {
    expect(await inProcess(['report', at('run')])).toEqual({ code: 0, stderr: '', stdout: `${at('run', 'report.html')}\n` });
    const html = read('run', 'report.html');
    expectSound(html);
    for (const title of ['Scores', 'Curves', 'Settings', 'Loss', 'Reward', 'Think rate in RL', 'Mean weight']) {
      expect(html).toContain(`>${title}<`);
    }
    expect(html).toMatch(/>What it answered<[^]*>rl, step 2<[^]*>remit-rl, step 2</); // the last of each phase
    const [{ answer }] = JSON.parse(read('run', 'samples', 'remit-rl-2.json')) as [{ answer: string }];
    expect(html).toContain(`<td>${escape(answer)}</td>`);
    expect(html).toMatch(/<th scope="row">remit-rl<\/th><td>\d+\.\d<\/td>/);
    expect(html).toContain('<th scope="row">rl.steps</th><td>2</td><td>100</td>');
    expect(html.length).toBeLessThan(300_000);
    await inProcess(['report', at('run'), '--out', at('again.html')]);
    expect(read('again.html')).toBe(html); // it holds no clock
  });

  test('a run that is being written: what is there so far', async () => {
    cpSync(at('run'), at('torn'), { recursive: true });
    writeFileSync(at('torn', 'evaluation.json'), '{"version":2,"sta');
    writeFileSync(at('torn', 'samples', 'rl-2.json'), '[{"prompt":');
    writeFileSync(at('torn', 'metrics.jsonl'), read('run', 'metrics.jsonl').split('\n').slice(0, 5).join('\n'));
    appendFileSync(at('torn', 'metrics.jsonl'), '\n{"phase":"pretr');
    expect((await inProcess(['report', at('torn')])).code).toBe(0);
    const html = read('torn', 'report.html');
    expectSound(html);
    expect(html).toContain('1 phases, 5 steps');
    expect(html).not.toContain('>Scores<');
  });

  test('a study: its Markdown, with the figures inside; what somebody typed stays text', async () => {
    mkdirSync(at('study', 'figures'), { recursive: true });
    writeFileSync(at('study', 'study.json'), '{}');
    writeFileSync(at('study', 'figures', 'a.svg'), standalone(barChart({ title: 'A', x: 'x', bars: [] })));
    writeFileSync(
      at('study', 'report.md'),
      '# Study\n\nOne **bold** <word>.\n\n- first\n- second `code`\n\n## Pairs\n\n| pair | x |\n| --- | --- |\n| a < b | +1.0 |\n\n' +
      '![A](figures/a.svg)\n',
    );
    expect((await inProcess(['report', at('study')])).code).toBe(0);
    const html = read('study', 'report.html');
    expectSound(html);
    expect(html).toContain('<p>One <strong>bold</strong> &lt;word&gt;.</p>');
    expect(html).toContain('<th scope="row">a &lt; b</th><td>+1.0</td>');
    expect(html.match(/<style>/g)).toHaveLength(1);
  });

  test.each([
    [['report'], 'report: which run or study? Give its folder'],
    [['report', at('none')], 'no such folder: see remit-mini runs'],
    [['report', folder], 'is neither a run nor a study: see remit-mini runs'],
    [['report', at('run'), '--out', at('no', 'x.html')], 'no such file or folder: give a file in a folder'],
  ])('%j is refused in one line', async (args, message) => {
    const { code, stderr } = await inProcess(args);
    expect([code, stderr.includes(message), stderr.trim().split('\n').length]).toEqual([2, true, 1]);
  });
});

describe('weights', () => {
  const model = (name: string): string => at('run', 'checkpoints', `${name}.safetensors`);
  const guided = ['--model', model('pretrain'), '--reference', model('rl'), '--device', 'cpu'];
  const row = '^S1+1-1-4-4?[1;2!1;5:3';

  test('a table for one row, in a process of its own', () => {
    const { code, stdout, stderr } = remitMini(['weights', ...guided, '--text', row]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^1 rows, 21 tokens: mean weight [\d.]+, \d+% above 1/)]);
    expect(stdout.trim().split('\n')).toHaveLength(2 + 21);
    expect(stdout).toMatch(/^".*"\ntoken +p model +p guide +gap +weight\n"S" +[\d.]+% +[\d.]+% +-?[\d.]+ +[\d.]+\n/);
  });

  test('every token of a file, as the engine weighs it', async () => {
    writeFileSync(at('rows.jsonl'), `${JSON.stringify({ text: row })}\n\n${JSON.stringify({ text: '^S2+2?4.' })}\n`);
    const options = ['--epsilon', '0.5', '--scale', '2', '--raw'];
    const files = ['--data', at('rows.jsonl'), '--out', at('w.jsonl'), '--plot', at('w.svg')];
    const out = await inProcess(['weights', ...guided, ...files, ...options]);
    expect(out).toMatchObject({ code: 0, stdout: '' });
    const [first, second] = read('w.jsonl').trim().split('\n').map((line) => JSON.parse(line) as any);
    expect(second.text).toBe('^S2+2?4.');
    useBackend(new CpuBackend());
    const [base, guide] = [openModel(model('pretrain')), openModel(model('rl'))];
    const { inputs, targets } = nextTokens(base.tokenizer!.encode(row), 1);
    const [ours, theirs] = [base, guide].map((one) => logProb(one.model.forward(inputs), targets));
    const weights = await tokenWeights(theirs!, ours!, targets, { epsilon: 0.5, scale: 2, centre: false }).read();
    expect(first.tokens.map(({ weight }: { weight: number }) => weight)).toEqual([...weights]);
    expect(first.tokens.map(({ text }: { text: string }) => text).join('')).toBe(row.slice(1));
    expect(read('w.svg')).toContain(escape('row 2: "^S2+2?4."'));
  });

  test('a model that is its own guide: every weight is 1; rows longer than the context are cut', async () => {
    writeFileSync(at('long.txt'), `${row.repeat(3)}\r\n\r\n`);
    const own = ['--model', model('pretrain'), '--reference', model('pretrain'), '--device', 'cpu'];
    await inProcess(['weights', ...own, '--data', at('long.txt'), '--out', at('own.jsonl')]);
    const rows = read('own.jsonl').trim().split('\n').map((line) => JSON.parse(line) as any);
    expect(rows.length).toBe(3);
    const tokens = rows.flatMap(({ tokens }) => tokens);
    expect(tokens).toHaveLength(3 * row.length - 1);
    expect(new Set(tokens.map(({ weight }) => weight))).toEqual(new Set([1]));
  });

  test.each([
    [[...guided], 'weights: --data is missing: give a row with --text, or a file'],
    [[...guided, '--text', row, '--data', 'x.txt'], 'are both given: leave one out'],
    [[...guided, '--text', '^'], 'no row has two tokens: there is nothing to predict'],
    [[...guided, '--text', row, '--epsilon', '2'], 'weights: --epsilon 2: must be a number above 0 and at most 1'],
    [[...guided, '--text', 'é'], 'not in the alphabet'],
    [['--model', model('pretrain'), '--text', row], 'weights: --reference is missing: give the model that guides it'],
  ])('%j is refused in one line', async (args, message) => {
    const { code, stderr } = await inProcess(['weights', ...args]);
    expect([code, stderr.includes(message) ? message : stderr]).toEqual([2, message]);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
