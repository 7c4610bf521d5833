// A world made of files: what is read, what it becomes for each phase, and every mistake in its files, in one line. The
// runs are tests/remit/app/files.test.ts.

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../../engine/cpu/backend.ts';
import { rng } from '../../../engine/rng.ts';
import { noGrad, useBackend } from '../../../engine/runtime.ts';
import { logProb } from '../../../engine/ops/cross-entropy.ts';
import { Transformer } from '../../../nn/transformer.ts';
import { nextTokens } from '../../../remit/phases/next-token.ts';
import { rewardRule } from '../../../remit/worlds/files/reward.ts';
import { evaluateFiles } from '../../../remit/worlds/files/evaluate.ts';
import { readWorld } from '../../../remit/worlds/files/read.ts';
import { leaksOf, partsOf } from '../../../remit/worlds/files/world.ts';
import { characterTokenizer } from '../../../remit/text/tokenizer.ts';
import { temporaryFolder } from '../../support/temporary.ts';

beforeAll(() => useBackend(new CpuBackend()));

const scratch = temporaryFolder();
const json = { name: 'w', tokenizer: 'characters', context: 16, stop: '.', reward: 'exact' };
const whole: Readonly<Record<string, string>> = {
  'world.json': JSON.stringify(json),
  'pretrain.txt': 'one and two are three. ',
  'sft.jsonl': '{"prompt":"a?","response":"b"}\n\n{"prompt":"long?","response":"longer"}\n',
  'rl.jsonl': '{"prompt":"c?","answer":"d"}\n{"prompt":"eee?","answer":"f"}\n',
  'eval.jsonl': '{"prompt":"g?","answer":"h","task":"one"}\n{"prompt":"ii?","answer":"j","task":"two"}\n',
};

/** A folder with these files; undefined: without it. */
function folder(change: Readonly<Record<string, string | Uint8Array | undefined>> = {}): string {
  const path = mkdtempSync(join(scratch, 'world-'));
  for (const [name, text] of Object.entries({ ...whole, ...change })) {
    if (text !== undefined) writeFileSync(join(path, name), text);
  }
  return path;
}

const description = (change: object): string => JSON.stringify({ ...json, ...change });

/** A model whose weights say nothing in particular. */
const modelFor = (vocabulary: number): Transformer =>
  new Transformer({
    vocabulary, context: 16, width: 16, layers: 2, heads: 2, kvHeads: 2, hidden: 32, norm: 'rms', positions: 'rotary',
    rotaryBase: 100, mlp: 'swiglu', bias: false, tied: false, epsilon: 1e-5,
  }, rng(3));

describe('rewards', () => {
  const said = (response: string, answer: string, finished = true) => ({ prompt: 'q', response, answer, finished });
  test.each([
    ['exact', ' 12 ', '12', 1], ['exact', '12!', '12', 0],
    ['contains', 'it is 12!', '12', 1], ['contains', 'it is 13', '12', 0],
    ['last number', '3 and 4 is 7.0 then', '7', 1], ['last number', '7 and 4', '7', 0], ['last number', '-7', '7', 0],
    ['last number', 'none', '7', 0],
    [{ pattern: 'answer: (\\w+)' }, 'answer: no, answer: yes', 'yes', 1], [{ pattern: '\\d+' }, '1 2', '1', 0],
  ] as const)('%j of %j for %j is %d', (name, response, answer, reward) => {
    expect(rewardRule(name, 'x')(said(response, answer))).toBe(reward);
    expect(rewardRule(name, 'x')(said(response, answer, false))).toBe(0); // it never stopped
  });

  test('reward.mjs is a function of what was said', async () => {
    const { world } = await readWorld(folder({
      'world.json': description({ reward: 'reward.mjs' }),
      'reward.mjs': 'export default ({ prompt, response, answer, finished }) => ' +
        'finished && `${prompt}${response}` === `${prompt}${answer}` ? 1 : 0.25;',
    }));
    expect([world.reward(said('a', 'a')), world.reward(said('a', 'b'))]).toEqual([1, 0.25]);
  });
});

test('demonstrations: each line once a round, loss on the response and one stop, short rows padded', async () => {
  const { world } = await readWorld(folder());
  const { rows, mask } = partsOf(world, 16, rng(1)).demonstrations!.rows(0, 2);
  const L = rows.length / 2;
  const texts = [0, 1].map((b) => world.tokenizer.decode(rows.subarray(b * L, (b + 1) * L)));
  expect(texts.toSorted()).toEqual(['a?b.........', 'long?longer.']);
  texts.forEach((text, b) => {
    const counted = [...text].filter((_, i) => i > 0 && mask[b * (L - 1) + i - 1] === 1).join('');
    expect(counted).toBe(text.startsWith('a') ? 'b.' : 'longer.');
  });
  const drawn = partsOf(world, 16, rng(1)).demonstrations!;
  const once = [0, 1].map((step) => world.tokenizer.decode(drawn.rows(step, 1).rows));
  expect(once.toSorted()).toEqual(['a?b.', 'long?longer.']);
});

// Copies of it, since a product of four rows or fewer sums in another order (kernels/matmul/matmul.wasm.ts).
test('in a padded batch, log-probabilities of a row are those of the row among its like, bit for bit', async () => {
  const { world } = await readWorld(folder());
  const model = modelFor(world.tokenizer.vocabulary);
  const { rows } = partsOf(world, 16, rng(1)).demonstrations!.rows(0, 4);
  const score = async (some: Int32Array, batch: number) => {
    const { inputs, targets } = nextTokens(some, batch);
    return noGrad(() => logProb(model.forward(inputs), targets)).read();
  };
  const L = rows.length / 4;
  const all = await score(rows, 4);
  for (let b = 0; b < 4; b++) {
    const length = world.tokenizer.decode(rows.subarray(b * L, (b + 1) * L)).indexOf('.') + 1;
    const row = [...rows.subarray(b * L, b * L + length)];
    const like = await score(Int32Array.from([row, row, row, row].flat()), 4);
    expect(all.slice(b * (L - 1), b * (L - 1) + length - 1)).toEqual(like.slice(0, length - 1));
  }
});

test('questions come in another order each round, and what is missing is not there', async () => {
  const { world } = await readWorld(folder({ 'pretrain.txt': undefined, 'sft.jsonl': undefined }));
  const { questions, ...rest } = partsOf(world, 16, rng(1));
  expect(rest).toEqual({});
  const round = [0, 1].map((n) => world.tokenizer.decode(questions!.question(n).prompt));
  expect(round.toSorted()).toEqual(['c?', 'eee?']);
  expect(questions!.maxNew).toBe(12); // 16 less the longest prompt
  const row = world.tokenizer.encode(`${round[0]!}${round[0] === 'c?' ? 'd' : 'f'}..`);
  expect(questions!.question(0).reward(row)).toBe(1);
});

test('scores are shares of all questions, and by task; a model that says nothing has none right', async () => {
  const { world } = await readWorld(folder());
  const scores = await evaluateFiles(modelFor(world.tokenizer.vocabulary), world, 0);
  expect(scores!.tasks.map(({ name }) => name)).toEqual(['one', 'two']);
  expect(scores).toMatchObject({ greedy: 0, cued: 0, thinkRate: 0 });
  const always = { ...world, reward: ({ answer }: { answer: string }) => (answer === 'h' ? 1 : 0) };
  expect(await evaluateFiles(modelFor(world.tokenizer.vocabulary), always, 0)).toMatchObject({
    greedy: 0.5, sampled: 0.5, tasks: [{ greedy: 1 }, { greedy: 0 }],
  });
});

test('held-out questions that were shown, asked, or stand in a text are found; a part of a word is none', async () => {
  const { world } = await readWorld(folder({
    'world.json': description({ context: 24 }),
    'pretrain.txt': '109+0=109. 3+4=7. and more',
    'eval.jsonl': ['9+0=', '3+4=', 'a?', 'c?', 'new?'].map((it) => `{"prompt":"${it}","answer":"x"}\n`).join(''),
  }));
  expect(leaksOf(world).map((leak) => [leak.question.prompt, leak.in])).toEqual([
    ['3+4=', 'pretrain'], ['a?', 'sft.jsonl'], ['c?', 'rl.jsonl'],
  ]);
});

describe('one line for each mistake:', () => {
  const line = (text: string) => ({ 'rl.jsonl': `${text}\n` });
  test.each<[string, Record<string, string | Uint8Array | undefined>, string]>([
    ['no world.json', { 'world.json': undefined }, '/: holds no world.json'],
    ['no JSON', { 'world.json': '{' }, '/world.json: is not JSON'],
    [
      'a slip in a name',
      { 'world.json': description({ conext: 3 }) },
      '/world.json: conext: no such option: did you mean context?',
    ],
    [
      'no context',
      { 'world.json': description({ context: undefined }) },
      '/world.json: context is missing: must be a whole number',
    ],
    [
      'a wrong type',
      { 'world.json': description({ context: '16' }) },
      '/world.json: context = "16": must be a whole number',
    ],
    [
      'a reward of another kind',
      { 'world.json': description({ reward: 'best' }) },
      '/world.json: reward = "best": must be one of exact,',
    ],
    [
      'a pattern that is none',
      { 'world.json': description({ reward: { pattern: '(' } }) },
      '/world.json: reward: pattern "(": Invalid regular expression',
    ],
    [
      'no such tokenizer',
      { 'world.json': description({ tokenizer: 'words' }) },
      '/world.json: tokenizer = "words": must be bytes, characters, or',
    ],
    [
      'a stop of two tokens',
      { 'world.json': description({ stop: '..' }) },
      '/world.json: stop = "..": is 2 tokens: must be one',
    ],
    ['a missing field', line('{"prompt":"c?"}'), '/rl.jsonl:1: answer is missing: must be a string'],
    ['a field of another type', line('\n{"prompt":"c?","answer":4}'), '/rl.jsonl:2: answer = 4: must be a string'],
    ['a list', line('[1]'), '/rl.jsonl:1: [1]: must be an object'],
    ['a line that is no JSON', line('{"prompt":"c?","answer":"d"}\n{"prompt'), '/rl.jsonl:2: is not JSON'],
    ['an empty file', { 'rl.jsonl': '\n' }, '/rl.jsonl: holds no line: remove it, or fill it'],
    ['an empty text', { 'pretrain.txt': ' ' }, '/pretrain.txt: is empty: there is no text to learn from'],
    ['a text and a folder', { 'pretrain.jsonl': '{"text":"a"}' }, '/pretrain.jsonl: are the same part: leave one'],
    ['an empty prompt', line('{"prompt":"","answer":"d"}'), '/rl.jsonl:1: prompt is empty: must be text'],
    ['an empty answer', line('{"prompt":"c?","answer":""}'), '/rl.jsonl:1: answer is empty: must be text'],
    [
      'a prompt that ends with the stop',
      line('{"prompt":"c.","answer":"d"}'),
      '/rl.jsonl:1: prompt ends with the stop text ".": no answer',
    ],
    [
      'a response with the stop in it',
      { 'sft.jsonl': '{"prompt":"c","response":"d.e"}' },
      '/sft.jsonl:1: response holds the stop text "."',
    ],
    [
      'one that is too long',
      { 'sft.jsonl': `{"prompt":"c","response":"${'d'.repeat(15)}"}` },
      '/sft.jsonl:1: prompt of 1 tokens, response of 15 and the stop: longer than the context, 16',
    ],
    [
      'no room for an answer',
      { ...line('{"prompt":"123456789","answer":"d"}'), 'world.json': description({ answer: 8 }) },
      '/rl.jsonl:1: a prompt of 9 tokens: leaves no room for an answer of 8 in a context of 16',
    ],
    [
      'a question twice',
      line('{"prompt":"c?","answer":"d"}\n{"prompt":"c?","answer":"e"}'),
      '/rl.jsonl:2: asks what ',
    ],
    [
      'no number in an answer',
      { 'world.json': description({ reward: 'last number' }) },
      '/rl.jsonl:1: answer = "d": holds no number',
    ],
    [
      'no UTF-8',
      { 'rl.jsonl': Uint8Array.of(123, 10, 0xff) },
      '/rl.jsonl: byte 2 (line 2) is 0xff: is not UTF-8 text',
    ],
  ])('%s', async (_, change, message) => {
    const path = folder(change);
    const error = (await readWorld(path).catch((found: unknown) => found)) as Error;
    expect(error.message.replaceAll(path, '').replace(/^world: $|^world: :/, 'world: /:')).toContain(message);
    expect(error.message).not.toContain('\n');
  });

  test.each([
    ['throws', 'export default () => { throw new Error("oh"); }', 'threw "oh": must return a number'],
    ['gives NaN', 'export default () => NaN', 'returned NaN: must return a finite number, at once'],
    ['never ends', 'export default () => new Promise(() => {})', 'returned a promise'],
    ['gives nothing', 'export default () => {}', 'returned undefined'],
    ['is not exported', 'export const reward = () => 1', 'exports no function: export default'],
    ['cannot be loaded', 'throw new Error("oh")', 'oh'],
  ])('a reward that %s', async (_, code, message) => {
    const path = folder({ 'world.json': description({ reward: 'reward.mjs' }), 'reward.mjs': code });
    const error = (await readWorld(path).catch((found: unknown) => found)) as Error;
    expect(error.message).toContain(`${join(path, 'reward.mjs')}: `);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('\n');
  });

  test('a tokenizer that lacks a character names the line', async () => {
    const path = folder({
      'world.json': description({ tokenizer: 'tokenizer.json' }),
      'tokenizer.json': JSON.stringify(characterTokenizer('abcdefghijlnortuw?. ')),
      'rl.jsonl': '{"prompt":"c?","answer":"Z"}\n',
    });
    await expect(readWorld(path)).rejects.toThrow(`${join(path, 'rl.jsonl')}:1: answer: tokenizer: character "Z"`);
  });

  test('a folder that is not there', async () => {
    await expect(readWorld(join(scratch, 'none'))).rejects.toThrow('none: no such folder');
    mkdirSync(join(scratch, 'empty'));
    await expect(readWorld(join(scratch, 'empty'))).rejects.toThrow('empty: holds no world.json');
  });
});
