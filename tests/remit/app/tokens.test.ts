// Byte pairs from the command line: learned, trained on, shown, exported, and what is refused.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer as HuggingFace } from '@huggingface/tokenizers';
import { beforeAll, expect, test } from 'vitest';
import { inProcess, remitMini } from '../../support/command-line.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const read = (name: string): any => JSON.parse(readFileSync(at(name), 'utf8'));

const text = 'the tide turns and turns the mill; the mill grinds the corn of the miller. 🙂\n'.repeat(60);
const shape = [
  '--model.context', '16', '--model.width', '8', '--model.heads', '2', '--model.kvHeads', '2', '--model.hidden', '16',
  '--model.layers', '1', '--pretrain.steps', '6', '--pretrain.warmup', '0', '--pretrain.batch', '4', '--device', 'cpu',
];
const bpe = ['--data', at('text.txt'), '--tokenizer', 'bpe', '--vocabulary', '270'];

beforeAll(async () => {
  writeFileSync(at('text.txt'), text);
  expect(await inProcess(['train', ...bpe, ...shape, '--out', at('run')])).toMatchObject({ code: 0 });
});

test('a run tells bits per token and per byte', () => {
  const { unit, after, bitsPerByte } = read('run/evaluation.json');
  expect(unit).toBe('bits per token');
  expect(after / bitsPerByte.after).toBeGreaterThan(1.3); // bytes a token stands for
  expect(read('run/config.json').data).toMatchObject({ tokenizer: 'bpe', vocabulary: 270 });
});

test('a stopped run goes on to the same bytes', async () => {
  const some = shape.map((word, i) => (shape[i - 1] === '--pretrain.steps' ? '12' : word));
  await inProcess(['train', ...bpe, ...some, '--out', at('whole')]);
  const again = await inProcess(['train', '--resume', at('whole')]);
  expect(again.code).toBe(0);
  expect((await inProcess(['verify', at('whole')])).code).toBe(0);
});

test('sample and tokenize speak as the model does; another library reads its export', async () => {
  const sampled = await inProcess(['sample', '--model', at('run'), '--prompt', 'the mill', '--device', 'cpu']);
  expect(sampled.stdout.startsWith('the mill')).toBe(true);
  const shown = remitMini(['tokenize', '--model', at('run'), '--text', 'the mill 🙂']); // a process without a device
  expect(shown).toMatchObject({ code: 0, stderr: expect.stringMatching(/^\d+ tokens of 270, 13 bytes, [\d.]+ each\n$/) });
  expect(shown.stdout.replaceAll('|', '')).toContain('the mill ');
  const { tokens } = JSON.parse(
    (await inProcess(['tokenize', '--model', at('run'), '--text', 'the mill 🙂', '--json'])).stdout,
  ) as { tokens: { id: number; text: string }[] };
  const out = await inProcess(['export', at('run'), '--format', 'huggingface', '--out', at('hf')]);
  expect(out.code).toBe(0);
  const theirs = new HuggingFace(read('hf/tokenizer.json'), {});
  expect(theirs.encode('the mill 🙂').ids).toEqual(tokens.map(({ id }) => id));
});

test("a tokenizer.json of somebody's own", async () => {
  const file = at('hf/tokenizer.json');
  const own = ['--data', at('text.txt'), '--tokenizer', file];
  expect(await inProcess(['train', ...own, ...shape, '--out', at('own')])).toMatchObject({ code: 0 });
  expect(read('own/evaluation.json')).toEqual(read('run/evaluation.json')); // it is the same tokenizer
  const shown = await inProcess(['tokenize', '--tokenizer', file, '--data', at('text.txt')]);
  expect(shown.stderr).toContain(`${new TextEncoder().encode(text).length} bytes`);
});

test.each([
  [['train', ...bpe.slice(0, 2), '--tokenizer', 'bep'], '--tokenizer bep: must be bytes, bpe or the path of a tokenizer.json'],
  [['train', ...bpe.slice(0, 4), '--vocabulary', '90000'], 'tokenizer: vocabulary 90000: the text has pairs for '],
  [['train', ...bpe.slice(0, 4), '--vocabulary', '200'], 'data.vocabulary = 200'],
  [['train', ...bpe.slice(0, 2), '--vocabulary', '300'], 'only bpe learns a vocabulary: give --tokenizer bpe too'],
  [['train', '--tokenizer', 'bpe'], 'data.tokenizer = bpe (flag): nothing will read it: there is no text: give --data'],
  [['train', ...bpe, '--init', at('run')], '--tokenizer bpe: the model of --init has its own: leave it out'],
  [['tokenize', '--text', 'x'], 'tokenize: --model is missing: give a model, or --tokenizer'],
  [['tokenize', '--tokenizer', 'bpe', '--text', 'x'], '--tokenizer bpe: must be bytes or the path of a tokenizer.json'],
  [['tokenize', '--tokenizer', 'bytes', '--text', 'x', '--data', 'y'], 'are both given: leave one out'],
  [['tokenize', '--tokenizer', 'bytes'], 'tokenize: --data is missing: give a text with --text, or a file'],
])('%j is refused in one line', async (args, message) => {
  const { code, stderr } = await inProcess(args);
  expect([2, 4]).toContain(code);
  expect(stderr).toContain(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});
