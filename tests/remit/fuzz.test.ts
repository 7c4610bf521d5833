// Everything that is read from a file, fed with files that are almost right: an error of ours in one line, or a result
// that is right. Never another error, never a changed Object.prototype, never a damaged file taken for a whole one.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createDevice } from '../../engine/device.ts';
import { ConfigError, FormatError } from '../../engine/errors.ts';
import { rng } from '../../engine/rng.ts';
import { readSafetensors, writeSafetensors, type TensorToWrite } from '../../engine/safetensors.ts';
import { parameterCount } from '../../nn/config.ts';
import { Transformer } from '../../nn/transformer.ts';
import { AdamW } from '../../optim/adamw.ts';
import { resolveConfig } from '../../remit/settings/resolve.ts';
import { readText } from '../../remit/text/files.ts';
import { byteTokenizer, characterTokenizer, tokenizerFromJSON } from '../../remit/text/tokenizer.ts';
import { tinyWorldTokenizer } from '../../remit/worlds/tiny/tokenizer.ts';
import { exportHuggingFace, importHuggingFace } from '../../remit/app/interop/huggingface.ts';
import { parseCheckpoint, sha256, writeCheckpoint } from '../../remit/app/run/checkpoint.ts';
import { readSpans } from '../../remit/app/run/lines.ts';
import { openModel } from '../../remit/app/run/model.ts';
import { mutatedBytes, mutatedJson } from '../support/mutate.ts';
import { temporaryFolder } from '../support/temporary.ts';

const runs = Number(process.env.REMIT_FUZZ ?? 500);
const scratch = temporaryFolder();
const config = { ...resolveConfig().config.model, vocabulary: 2, width: 2, layers: 1, heads: 1, kvHeads: 1, hidden: 1 };
const result = join(scratch, 'result.safetensors');
const state = join(scratch, 'state.safetensors');
const tokenizer = characterTokenizer('ab');
const files = new Map<string, Uint8Array>(); // of the two checkpoints
let model: Transformer;

beforeAll(async () => {
  await createDevice('cpu');
  model = new Transformer(config, rng(1));
  const place = { phase: 'rl', step: 3, seed: 1, configHash: 'abc' };
  const { readFileSync } = await import('node:fs');
  await writeCheckpoint(result, model, tokenizer, { ...place, loss: 1.5 });
  await writeCheckpoint(state, model, tokenizer, place, {
    phase: 'rl',
    steps: 9,
    step: 3,
    tokens: 44,
    memory: { baseline: 0.25 },
    model,
    optimiser: new AdamW(model.parameters),
  });
  for (const path of [result, state]) files.set(path, new Uint8Array(readFileSync(path)));
});

const pristine = JSON.stringify(Object.getOwnPropertyNames(Object.prototype));
afterEach(() => expect(JSON.stringify(Object.getOwnPropertyNames(Object.prototype))).toBe(pristine));

const tally = { taken: 0, refused: 0 };
const told = (what: string): void => {
  console.log(`${what}: ${tally.taken + tally.refused} inputs, ${tally.refused} refused, ${tally.taken} taken`);
  expect(tally.refused).toBeGreaterThan(0);
  Object.assign(tally, { taken: 0, refused: 0 });
};

/** What `read` makes of an input; undefined when it refuses as it should. */
function survives<T>(read: () => T): T | undefined {
  try {
    const value = read();
    tally.taken++;
    return value;
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof FormatError)) throw error;
    expect(error.message).toMatch(/^[^\n]{10,}$/);
    tally.refused++;
    return undefined;
  }
}

describe('a small checkpoint, exhaustively', () => {
  const every = runs > 1000 ? 1 : 9; // bits: one of each byte, and each of them by turns, but in the soak
  test.each([
    ['the result of a phase', result, 1],
    ['a phase on its way', state, every],
  ])(
    '%s: every flipped bit and every cut is refused',
    (_, path, stride) => {
      const file = files.get(path)!;
      for (let bit = 0; bit < 8 * file.length; bit += stride) {
        const byte = bit >> 3;
        const before = file[byte]!;
        file[byte] = before ^ (1 << (bit & 7));
        const read = survives(() => parseCheckpoint(file, path));
        file[byte] = before;
        if (read !== undefined) expect.fail(`bit ${bit} of ${8 * file.length} flipped: read without a word`);
      }
      for (let length = 0; length < file.length; length++) {
        if (survives(() => parseCheckpoint(file.subarray(0, length), path))) {
          expect.fail(`cut to ${length} bytes: read without a word`);
        }
      }
      expect(parseCheckpoint(file, path).place.phase).toBe('rl'); // as it was before all this
      told(`${Math.ceil((8 * file.length) / stride)} bits and ${file.length} cuts`);
    },
    120_000,
  );

  test('and changed at random', () => {
    for (const path of [result, state]) {
      const whole = files.get(path)!;
      fc.assert(fc.property(mutatedBytes(whole), (file) => {
        const read = survives(() => parseCheckpoint(file, path));
        if (read !== undefined) expect(Buffer.from(file).equals(whole)).toBe(true); // a change that changes nothing
      }), { numRuns: runs });
    }
    told('checkpoints');
  });
});

test('a checkpoint made by someone else, with a checksum that fits: what it says is checked all the same', () => {
  const path = join(scratch, 'forged.safetensors');
  const { tensors, metadata } = readSafetensors(files.get(state)!, 'x');
  metadata.delete('sha256');
  const notes = Object.fromEntries(
    [...metadata].map(([key, value]) => [key, /^[[{]/.test(value) ? (JSON.parse(value) as unknown) : value]),
  );
  fc.assert(fc.property(mutatedJson(notes), (forged) => {
    const texts = Object.entries((forged ?? {}) as object)
      .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)] as const)
      .filter(([key]) => key !== 'sha256');
    const entries = [...tensors] as [string, TensorToWrite][];
    const sum = sha256(writeSafetensors(entries, texts));
    writeFileSync(path, writeSafetensors(entries, [...texts, ['sha256', sum]]));
    const read = survives(() => parseCheckpoint(writeSafetensors(entries, [...texts, ['sha256', sum]]), path));
    if (read) survives(() => openModel(path).model.parameters.free());
  }), { numRuns: runs });
  told('forged checkpoints');
});

test('configurations', () => {
  const whole = resolveConfig().config;
  fc.assert(fc.property(mutatedJson(whole), (values) => {
    const read = survives(() => resolveConfig({ file: { path: 'my.json', values } }).config);
    if (read) expect(resolveConfig({ file: { path: 'again.json', values: read } }).config).toEqual(read);
  }), { numRuns: runs });
  told('configurations');
});

test('safetensors', () => {
  const whole = writeSafetensors(
    [
      ['a', { dtype: 'F32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
      ['b', { dtype: 'I64', shape: [2], data: BigInt64Array.of(7n, -8n) }],
      ['c', { dtype: 'U8', shape: [0], data: new Uint8Array(0) }],
    ],
    [['format', 'pt']],
  );
  fc.assert(fc.property(mutatedBytes(whole), (file) => {
    const read = survives(() => readSafetensors(file, 'x.safetensors'));
    for (const { shape, data } of read?.tensors.values() ?? []) {
      expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
    }
  }), { numRuns: runs });
  told('safetensors');
});

test('metrics', () => {
  const path = join(scratch, 'metrics.jsonl');
  const whole = new TextEncoder().encode(
    ['a', 'b']
      .flatMap((phase) => [1, 2, 3].map((step) => `${JSON.stringify({ phase, step, steps: 3, loss: 1.5 })}\n`))
      .join(''),
  );
  fc.assert(fc.property(mutatedBytes(whole), (file) => {
    writeFileSync(path, file);
    const read = survives(() => readSpans(path));
    if (read) expect(read.every(({ steps }) => steps >= 1)).toBe(true);
  }), { numRuns: runs });
  told('metrics');
});

test('your own text as .jsonl', () => {
  const path = join(scratch, 'book.jsonl');
  const lines = ['she sells', 'sea shells — “é”', 'by the sea'].map((text, id) => JSON.stringify({ id, text }));
  fc.assert(fc.property(mutatedBytes(new TextEncoder().encode(`${lines.join('\n')}\n`)), (file) => {
    writeFileSync(path, file);
    const read = survives(() => readText(path));
    if (read !== undefined) {
      expect(byteTokenizer.decode(byteTokenizer.encode(read))).toBe(
        new TextDecoder('utf-8', { ignoreBOM: true }).decode(new TextEncoder().encode(read)),
      );
    }
  }), { numRuns: runs });
  told('data files');
});

test('tokenizer.json', () => {
  for (const each of [byteTokenizer, tinyWorldTokenizer]) {
    fc.assert(fc.property(mutatedJson(JSON.parse(JSON.stringify(each))), (json) => {
      const read = survives(() => tokenizerFromJSON(json));
      if (read) {
        expect(read.decode(Int32Array.from({ length: read.vocabulary }, (_, id) => id)).length).toBeGreaterThan(0);
      }
    }), { numRuns: runs });
  }
  told('tokenizers');
});

test('Hugging Face folders', async () => {
  const whole = await exportHuggingFace(model, tokenizer);
  const folder = join(scratch, 'hf');
  mkdirSync(folder);
  const bytes = (contents: Uint8Array | string): Uint8Array =>
    typeof contents === 'string' ? new TextEncoder().encode(contents) : contents;
  for (const name of ['config.json', 'tokenizer.json']) {
    fc.assert(fc.property(mutatedJson(JSON.parse(whole.get(name) as string)), (json) => {
      const text = JSON.stringify(json);
      const given = (file: string) =>
        file === name ? bytes(text) : whole.has(file) ? bytes(whole.get(file)!) : undefined;
      const read = survives(() => importHuggingFace(given, folder));
      if (read) survives(() => new Transformer(read.config).parameters.free());
    }), { numRuns: runs });
  }
  told('Hugging Face folders');
});

test('the number of parameters is known before there are any', () => {
  const { model: tiny } = resolveConfig().config;
  const shapes = [
    tiny,
    resolveConfig({ preset: 'gpt2-tiny' }).config.model,
    { ...tiny, tied: true, kvHeads: 2, bias: true },
    { ...tiny, norm: 'layer', mlp: 'gelu' } as const,
  ];
  for (const shape of shapes) {
    expect(parameterCount({ ...shape, vocabulary: 70 })).toBe(
      new Transformer({ ...shape, vocabulary: 70 }).parameters.count,
    );
  }
});
