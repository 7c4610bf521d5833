// From the engine into files and back. What we export is judged by a Llama in plain loops that sees the files alone.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createDevice } from '../../engine/device.ts';
import { ConfigError } from '../../engine/errors.ts';
import { rng } from '../../engine/rng.ts';
import { noGrad } from '../../engine/runtime.ts';
import { readSafetensors } from '../../engine/safetensors.ts';
import { step } from '../../engine/step.ts';
import { tensor } from '../../engine/tensor.ts';
import { Transformer, type TransformerConfig } from '../../nn/transformer.ts';
import { byteTokenizer } from '../../remit/text/tokenizer.ts';
import { tinyWorldTokenizer } from '../../remit/worlds/tiny/tokenizer.ts';
import { exportHuggingFace, importHuggingFace, type Files } from '../../remit/app/interop/huggingface.ts';
import { golden } from '../golden/golden.ts';
import { plainLlama, type PlainConfig } from '../golden/plain-llama.ts';

await createDevice('cpu');

const bytes = (files: Files, name: string): Uint8Array | undefined => {
  const file = files.get(name);
  return typeof file === 'string' ? new TextEncoder().encode(file) : file;
};
const parsed = (files: Files, name: string) =>
  JSON.parse(new TextDecoder().decode(bytes(files, name))) as Record<string, unknown>;

/** Logits of B rows, [B*T*V], by the engine. */
async function engineLogits(model: Transformer, rows: readonly (readonly number[])[]): Promise<ArrayLike<number>> {
  const forward = step(() => noGrad(() => model.forward(tensor(rows.flat(), [rows.length, rows[0]!.length], 'i32'))));
  const values = (await (await forward()).read()) as Float32Array;
  const copy = values.slice();
  forward.free();
  return copy;
}

/** The largest difference, over the size of the largest value where that is above 1. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let [worst, largest] = [0, 1];
  for (let i = 0; i < a.length; i++) {
    worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return worst / largest;
}

/** A drawn Llama, grouped key-value heads and tied head among them. */
const llama = fc
  .record({
    vocabulary: fc.integer({ min: 2, max: 23 }),
    context: fc.integer({ min: 7, max: 12 }),
    layers: fc.integer({ min: 1, max: 2 }),
    half: fc.integer({ min: 1, max: 5 }),
    kvHeads: fc.integer({ min: 1, max: 3 }),
    sharing: fc.integer({ min: 1, max: 3 }),
    hidden: fc.integer({ min: 1, max: 19 }),
    rotaryBase: fc.constantFrom(100, 10000),
    tied: fc.boolean(),
    epsilon: fc.constantFrom(1e-5, 0.1),
  })
  .map(({ half, sharing, ...sizes }): TransformerConfig => ({
    ...sizes,
    heads: sizes.kvHeads * sharing,
    width: sizes.kvHeads * sharing * half * 2,
    norm: 'rms',
    positions: 'rotary',
    mlp: 'swiglu',
    bias: false,
  }));

describe('an exported model', () => {
  test('computes the same in a reader that shares no code with the engine', async () => {
    await fc.assert(fc.asyncProperty(llama, fc.integer({ min: 1, max: 7 }), fc.nat(), async (config, T, seed) => {
      const model = new Transformer(config, rng(seed));
      const files = await exportHuggingFace(model, undefined);
      const rows = [0, 1].map((b) => Array.from({ length: T }, (_, t) => rng(seed).at(b).bits(t) % config.vocabulary));
      const weights = readSafetensors(bytes(files, 'model.safetensors')!, 'x').tensors as unknown as Parameters<
        typeof plainLlama
      >[1];
      const plain = rows.flatMap((row) =>
        plainLlama(parsed(files, 'config.json') as unknown as PlainConfig, weights, row).flatMap((v) => [...v]),
      );
      // float32 against float64, sums of at most 90 products
      expect(distance(await engineLogits(model, rows), plain)).toBeLessThan(1e-5);
      model.parameters.free();
    }), { numRuns: 40 });
  });

  test('comes back with the same bits, and is exported again as the same bytes', async () => {
    await fc.assert(fc.asyncProperty(llama, fc.nat(), async (config, seed) => {
      const model = new Transformer(config, rng(seed));
      const files = await exportHuggingFace(model, undefined);
      const read = importHuggingFace((name) => bytes(files, name), 'x');
      expect(read.config).toEqual(config);

      const other = new Transformer(read.config, rng(seed + 1));
      other.parameters.load(read.tensors, 'x');
      expect(await other.parameters.toHost()).toEqual(await model.parameters.toHost());
      expect(await exportHuggingFace(other, read.tokenizer)).toEqual(files);
      for (const each of [model, other]) each.parameters.free();
    }), { numRuns: 20 });
  });

  const sizes = {
    vocabulary: 256, context: 24, width: 4, layers: 1, heads: 1, kvHeads: 1, hidden: 3, rotaryBase: 100, tied: false,
    epsilon: 1e-5,
  };
  const shape = { ...sizes, norm: 'rms', positions: 'rotary', mlp: 'swiglu', bias: false } as const;

  test('of the tiny world says where texts begin and end', async () => {
    const files = await exportHuggingFace(new Transformer(shape, rng(1)), tinyWorldTokenizer);
    expect([...files.keys()].sort()).toEqual([
      'config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json',
    ]);
    const stop = tinyWorldTokenizer.encode('.')[0];
    expect(parsed(files, 'generation_config.json')).toEqual({
      bos_token_id: 0,
      eos_token_id: stop,
      pad_token_id: null,
    });
    expect(parsed(files, 'config.json')).toMatchObject({ bos_token_id: 0, eos_token_id: stop });
    expect(parsed(files, 'tokenizer_config.json')).toEqual({
      tokenizer_class: 'PreTrainedTokenizerFast', model_max_length: 24, bos_token: '^', eos_token: '.',
      clean_up_tokenization_spaces: false,
    });
    expect(importHuggingFace((name) => bytes(files, name), 'x').tokenizer!.encode('^S1+1')).toEqual(
      tinyWorldTokenizer.encode('^S1+1'),
    );
  });

  test('of bytes has no special tokens', async () => {
    const files = await exportHuggingFace(new Transformer(shape, rng(1)), byteTokenizer);
    expect(parsed(files, 'config.json')).toMatchObject({ bos_token_id: null, eos_token_id: null });
    expect(parsed(files, 'tokenizer_config.json')).toMatchObject({ bos_token: null, eos_token: null });
    expect(importHuggingFace((name) => bytes(files, name), 'x').tokenizer).toBe(byteTokenizer);
    expect(readSafetensors(bytes(files, 'model.safetensors')!, 'x').metadata).toEqual(new Map([['format', 'pt']]));
  });

  test('must be a Llama: the shape of GPT-2 is refused', async () => {
    const gpt2 = new Transformer({ ...shape, norm: 'layer', positions: 'learned', mlp: 'gelu', bias: true }, rng(1));
    await expect(exportHuggingFace(gpt2, undefined)).rejects.toThrow(
      new ConfigError(
        'export: norm layer, positions learned, mlp gelu, bias true: the Llama layout needs norm rms, positions ' +
        'rotary, mlp swiglu, bias false',
      ),
    );
  });
});

test('golden weights, through files into the engine, give the logits of PyTorch', async () => {
  const model = new Transformer(golden.config, rng(1));
  model.parameters.load(golden.model('theta'), 'golden');
  const files = await exportHuggingFace(model, undefined);
  const read = importHuggingFace((name) => bytes(files, name), 'x');
  expect(new Map([...read.tensors].sort())).toEqual(new Map([...golden.model('theta')].sort()));
  const tokens = [...golden.tensor('input.tokens')];
  const again = new Transformer(read.config, rng(2));
  again.parameters.load(read.tensors, 'x');
  const logits = await engineLogits(again, [tokens.slice(0, 33), tokens.slice(33, 66), tokens.slice(66)]);
  expect(distance(logits, golden.tensor('theta.logits'))).toBeLessThan(1e-5); // float32 against float64
});
