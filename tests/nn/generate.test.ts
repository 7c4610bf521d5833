// Generation: greedy is the argmax of the full forward pass, sampling follows the softmax of it, and every option does
// what it says.

import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { ConfigError, DivergedError } from '../../engine/errors.ts';
import { rng } from '../../engine/rng.ts';
import { backend, noGrad, useBackend } from '../../engine/runtime.ts';
import { tensor } from '../../engine/tensor.ts';
import { sampleKernel } from '../../kernels/random/random.ts';
import type { TransformerConfig } from '../../nn/config.ts';
import { generate, type GenerateOptions } from '../../nn/generate.ts';
import { Transformer } from '../../nn/transformer.ts';
import { gpt2, llama, shapes } from './shapes.ts';

const V = llama.vocabulary;

/** A model with opinions: its initial head and table, 25 times as large. */
async function opinionated(config: TransformerConfig): Promise<Transformer> {
  const model = new Transformer(config, rng(1));
  const values = await model.parameters.toHost();
  for (const name of config.tied ? ['model.embed_tokens.weight'] : ['lm_head.weight']) {
    const { shape, data } = values.get(name)!;
    values.set(name, { shape, data: data.map((value) => 25 * value) });
  }
  model.parameters.load(values, 'test');
  return model;
}

/** Logits [V] of the token after `row`, by the full forward pass. */
async function logitsAfter(model: Transformer, row: readonly number[]): Promise<number[]> {
  const all = await noGrad(() => model.forward(tensor(row, [1, row.length], 'i32'))).read();
  return Array.from(all.subarray((row.length - 1) * V));
}

const argmax = (x: readonly number[]): number => x.indexOf(Math.max(...x));

/** Rows of the result, as plain arrays. */
async function rowsOf(
  model: Transformer,
  prompts: readonly (readonly number[])[],
  options: Partial<GenerateOptions> & { maxNew: number },
): Promise<number[][]> {
  const batch = prompts.length;
  const defaults = { batch, temperature: 0, seed: rng(7) };
  const tokens = await generate(model, Int32Array.from(prompts.flat()), { ...defaults, ...options });
  const length = tokens.length / batch;
  expect(length).toBe(prompts[0]!.length + options.maxNew);
  return prompts.map((_, b) => Array.from(tokens.subarray(b * length, (b + 1) * length)));
}

const prompts = [[1, 2, 3, 4], [5, 6, 7, 8], [12, 0, 12, 0]];

beforeAll(() => useBackend(new CpuBackend()));

describe.each(shapes)('greedy, %s', (_, config) => {
  test('takes the argmax of the forward pass, token by token', async () => {
    const model = await opinionated(config);
    const rows = await rowsOf(model, prompts, { maxNew: 8 });
    for (const [b, prompt] of prompts.entries()) {
      const expected = [...prompt];
      while (expected.length < 12) expected.push(argmax(await logitsAfter(model, expected)));
      expect(rows[b]).toEqual(expected);
    }
  });
});

describe('rows', () => {
  const options: Record<string, Partial<GenerateOptions> & { maxNew: number }> = {
    greedy: { maxNew: 8 },
    sampled: { maxNew: 8, temperature: 1 },
    'from the top 3': { maxNew: 8, temperature: 1, topK: 3 },
  };

  test.each(Object.entries(options))(
    '%s: a row does not depend on the others, nor on how many there are',
    async (_, option) => {
      const model = await opinionated(llama);
      const all = await rowsOf(model, prompts, option);
      expect(await rowsOf(model, prompts, option)).toEqual(all);
      const changed = await rowsOf(model, [prompts[0]!, [9, 9, 9, 9], prompts[2]!], option);
      expect([changed[0], changed[2]]).toEqual([all[0], all[2]]);
      expect(await rowsOf(model, prompts.slice(0, 2), option)).toEqual(all.slice(0, 2));
      expect(await rowsOf(model, prompts, { ...option, maxNew: 3 })).toEqual(all.map((row) => row.slice(0, 7)));
    },
  );

  test('draws among the first tokens only, where the vocabulary is padded', async () => {
    const model = await opinionated(llama);
    const known = 5;
    const [row] = await rowsOf(model, [[1, 2, 3]], { maxNew: 1, vocabulary: known });
    expect(row!.at(-1)).toBe(argmax((await logitsAfter(model, [1, 2, 3])).slice(0, known)));
    const drawn = await rowsOf(model, [[1, 2, 3]], { maxNew: 8, vocabulary: known, temperature: 50 });
    expect(Math.max(...drawn[0]!)).toBeLessThan(known);
    const settings = { maxNew: 8, temperature: 1 };
    expect(await rowsOf(model, [[1, 2, 3]], { ...settings, vocabulary: V })).toEqual(
      await rowsOf(model, [[1, 2, 3]], settings),
    );
    expect(await rowsOf(model, [[1, 2, 3]], { ...settings, vocabulary: V + 9 })).toEqual(
      await rowsOf(model, [[1, 2, 3]], settings),
    );
  });

  test('equal prompts are continued differently by row and by seed, but greedily alike', async () => {
    const model = await opinionated(gpt2);
    const same = [prompts[0]!, prompts[0]!];
    const [a, b] = await rowsOf(model, same, { maxNew: 8, temperature: 1 });
    expect(a).not.toEqual(b);
    const [other] = await rowsOf(model, same, { maxNew: 8, temperature: 1, seed: rng(8) });
    expect(other).not.toEqual(a);
    const [c, d] = await rowsOf(model, same, { maxNew: 8 });
    expect(c).toEqual(d);
  });

  test('the prompts are left as they are, and no new token is fine', async () => {
    const given = Int32Array.from(prompts.flat());
    const model = await opinionated(llama);
    await generate(model, given, { batch: 3, maxNew: 4, temperature: 1, seed: rng(1) });
    expect(Array.from(given)).toEqual(prompts.flat());
    expect(await rowsOf(model, prompts, { maxNew: 0 })).toEqual(prompts);
  });
});

test('a forced token comes first and is taken into account', async () => {
  const model = await opinionated(llama);
  const rows = await rowsOf(model, prompts, { maxNew: 5, force: 9 });
  expect(rows.map((row) => row[4])).toEqual([9, 9, 9]);
  expect(rows.map((row) => row.slice(5))).toEqual(
    (
      await rowsOf(
        model,
        prompts.map((prompt) => [...prompt, 9]),
        { maxNew: 4 },
      )
    ).map((row) => row.slice(5)),
  );
});

describe('stop', () => {
  test('a row that draws it holds only it from there; the others go on', async () => {
    const model = await opinionated(llama);
    const free = await rowsOf(model, prompts, { maxNew: 8 });
    const stop = free[0]![6]!;
    const stopped = await rowsOf(model, prompts, { maxNew: 8, stop });
    const expected = free.map((row) => {
      const at = row.indexOf(stop, 4);
      return at < 0 ? row : row.fill(stop, at);
    });
    expect(stopped).toEqual(expected);
    expect(new Set(stopped.map((row) => row.at(-1)! === stop)).size).toBe(2); // one row stopped, another did not
  });

  test('in the prompt it stops nothing', async () => {
    const model = await opinionated(llama);
    const plain = await rowsOf(model, [[1, 2, 3, 4]], { maxNew: 1 });
    expect(plain[0]![4]).not.toBe(4);
    expect(await rowsOf(model, [[1, 2, 3, 4]], { maxNew: 1, stop: 4 })).toEqual(plain);
  });

  test('forced, it ends the row at once', async () => {
    expect(await rowsOf(await opinionated(llama), [[1, 2]], { maxNew: 4, temperature: 1, force: 5, stop: 5 })).toEqual([
      [1, 2, 5, 5, 5, 5],
    ]);
  });
});

describe('sampling', () => {
  const prompt = prompts[0]!;
  const n = 4000;

  /** How often each token came, of n rows with one new token each. */
  async function counts(options: Partial<GenerateOptions>): Promise<{ counts: number[]; logits: number[] }> {
    const model = await opinionated(llama);
    const found = Array<number>(V).fill(0);
    for (const row of await rowsOf(
      model,
      Array.from({ length: n }, () => prompt),
      { maxNew: 1, ...options },
    )) {
      found[row.at(-1)!]!++;
    }
    return { counts: found, logits: await logitsAfter(model, prompt) };
  }

  const softmax = (logits: readonly number[]): number[] => {
    const top = Math.max(...logits);
    const powers = logits.map((x) => Math.exp(x - top));
    const total = powers.reduce((a, b) => a + b);
    return powers.map((x) => x / total);
  };

  test.each([0.5, 1, 2])('at temperature %d follows the softmax of logits / temperature', async (temperature) => {
    const { counts: found, logits } = await counts({ temperature });
    for (const [v, p] of softmax(logits.map((x) => x / temperature)).entries()) {
      // 4 standard errors; 1 for the rarest
      expect(Math.abs(found[v]! - n * p), `token ${v}, p ${p}`).toBeLessThan(4 * Math.sqrt(n * p * (1 - p)) + 1);
    }
  });

  test('from the top k takes all of the k likeliest and no other', async () => {
    const { counts: found, logits } = await counts({ temperature: 1, topK: 3 });
    const best = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!).slice(0, 3);
    expect([...found.keys()].filter((v) => found[v]! > 0)).toEqual(best.sort((a, b) => a - b));
  });

  test.each([
    [0.6, 0],
    [1, 0.3],
    [0.9, 0.2],
  ])('by top-p %d and min-p %d draws what is left, and follows its softmax', async (topP, minP) => {
    const temperature = 1.5;
    const { counts: found, logits } = await counts({ temperature, topP, minP });
    const shares = softmax(logits.map((x) => x / temperature));
    const order = [...shares.keys()].sort((a, b) => shares[b]! - shares[a]!);
    let mass = 0;
    const kept = order.filter((v) => {
      const isInside = mass < topP;
      mass += shares[v]!;
      return isInside && shares[v]! >= minP * shares[order[0]!]!;
    });
    expect(kept.length).toBeLessThan(V);
    const total = kept.reduce((sum, v) => sum + shares[v]!, 0);
    for (const v of order) {
      const p = kept.includes(v) ? shares[v]! / total : 0;
      expect(Math.abs(found[v]! - n * p), `token ${v}, p ${p}`).toBeLessThan(4 * Math.sqrt(n * p * (1 - p)) + 1);
    }
  });

  test('from the top 1, or nearly cold, is greedy', async () => {
    const model = await opinionated(llama);
    const greedy = await rowsOf(model, prompts, { maxNew: 8 });
    expect(await rowsOf(model, prompts, { maxNew: 8, temperature: 1, topK: 1 })).toEqual(greedy);
    expect(await rowsOf(model, prompts, { maxNew: 8, temperature: 1e-4 })).toEqual(greedy);
    expect(await rowsOf(model, prompts, { maxNew: 8, temperature: 1, topP: 1e-6 })).toEqual(greedy);
    expect(await rowsOf(model, prompts, { maxNew: 8, temperature: 1, minP: 1 })).toEqual(greedy);
  });

  test('from the top of more tokens than there are is from all', async () => {
    const model = await opinionated(llama);
    const all = await rowsOf(model, prompts, { maxNew: 8, temperature: 1 });
    expect(await rowsOf(model, prompts, { maxNew: 8, temperature: 1, topK: 99 })).toEqual(all);
    expect(await rowsOf(model, prompts, { maxNew: 8, temperature: 1, topP: 1, minP: 0 })).toEqual(all);
  });
});

describe('refused, in one line:', () => {
  const refusal = async (tokens: readonly number[], batch: number, maxNew: number): Promise<unknown> => {
    const model = new Transformer(llama, rng(1));
    return generate(model, Int32Array.from(tokens), { batch, maxNew, temperature: 0, seed: rng(1) }).catch(
      (error: unknown) => error,
    );
  };

  test.each([
    [[], 1, 3, 'generate: prompts of 0 tokens: need at least one each, all of one length'],
    [[1, 2, 3], 2, 3, 'generate: prompts of 1.5 tokens: need at least one each, all of one length'],
    [[1, 2, 3, 4], 2, 11, 'generate: 13 tokens: the model\'s context is 12: ask for fewer'],
    [[1, 13], 1, 3, 'generate: token 13: the vocabulary has 0..12'],
    [[1, -1], 1, 3, 'generate: token -1: the vocabulary has 0..12'],
  ] as const)('%j in %d rows, %d more', async (tokens, batch, maxNew, message) => {
    expect(await refusal(tokens, batch, maxNew)).toEqual(new ConfigError(message));
  });

  test.each<[object, string]>([
    [{ temperature: null }, 'generate: temperature = null: must be a number at least 0'],
    [
      { top_k: 1 },
      'generate: top_k: no such option: did you mean topK? There are batch, lengths, maxNew, temperature, topK, topP, minP, ' +
      'vocabulary, seed, force, stop',
    ],
    [{ seed: 5 }, 'generate: seed = 5: must be an Rng, as rng(seed) makes it'],
    [{ stop: 13 }, 'generate: token 13: the vocabulary has 0..12'],
  ])('%o', async (change, message) => {
    const given = { batch: 1, maxNew: 1, temperature: 0, seed: rng(1), ...change };
    expect(
      await generate(new Transformer(llama, rng(1)), Int32Array.of(1), given).catch((error: unknown) => error),
    ).toEqual(new ConfigError(message));
  });

  test('prompts that are a list, or no prompts', async () => {
    const model = new Transformer(llama, rng(1));
    const given = { batch: 1, maxNew: 1, temperature: 0, seed: rng(1) };
    await expect(generate(model, [1, 2] as never, given)).rejects.toThrow(
      new ConfigError('generate: prompts = [1,2]: must be an Int32Array'),
    );
    await expect(
      (generate as (...given: unknown[]) => Promise<unknown>)(model, Int32Array.of(1), given, 3),
    ).rejects.toThrow(new ConfigError('generate: 3: an argument too many: it takes model, prompts, options'));
  });

  test('the whole context may be used', async () => {
    expect(await refusal([1, 2, 3, 4], 2, 10)).toHaveLength(24);
  });
});

describe('logits that are no distribution', () => {
  test.each([NaN, Infinity, 1e38])('are an error that says where, with weights of %d', async (weight) => {
    const model = await opinionated(llama);
    const values = await model.parameters.toHost();
    const { shape, data } = values.get('lm_head.weight')!;
    data.fill(weight, 0, 1 + data.length / 2);
    model.parameters.load(values.set('lm_head.weight', { shape, data }), 'test');
    for (const temperature of [0, 1]) {
      const drawing = rowsOf(model, prompts, { maxNew: 2, temperature });
      await expect(drawing).rejects.toThrow(
        "generate: row 0, position 4: the model's logits are NaN or infinite: no token can be drawn: " +
          'its weights are not finite, or too large',
      );
      await expect(drawing).rejects.toBeInstanceOf(DivergedError);
    }
  });

  test.each(['WASM', 'references'])('draw -1, in their row alone: %s', async (how) => {
    const before = backend();
    onTestFinished(() => useBackend(before));
    useBackend(new CpuBackend({ wasm: how === 'WASM' }));
    const rows = [
      [0, 1, 2, 3, 4],
      [0, NaN, 2, 3, 4],
      [0, 1, 2, 3, Infinity],
      Array<number>(5).fill(-Infinity),
      [-Infinity, -Infinity, -3, -Infinity, -Infinity],
    ];
    for (const temperature of [0, 0.5]) {
      for (const topK of [0, 2]) {
        const [logits, tokens, next] = [
          tensor(rows.flat()),
          tensor(new Int32Array(5).fill(-1), [5], 'i32'),
          tensor(new Int32Array(5), [5], 'i32'),
        ];
        backend().dispatch(sampleKernel, { logits: logits.storage, tokens: tokens.storage, next: next.storage }, {
          B: 5, V: 5, T: 1, position: 0, first: 0, temperature, topK, force: -1, stop: -1, key0: 1, key1: 2,
        });
        const drawn = [...await next.read()];
        expect(drawn.slice(1)).toEqual([-1, -1, -1, 2]);
        expect(drawn[0]).toBeGreaterThanOrEqual(0);
      }
    }
  });
});

test('a temperature of next to nothing takes the likeliest token', async () => {
  const model = await opinionated(llama);
  const greedy = await rowsOf(model, prompts, { maxNew: 8 });
  for (const temperature of [5e-324, 1e-45, 1e-40, 1e-30, 1e-12]) {
    expect(await rowsOf(model, prompts, { maxNew: 8, temperature })).toEqual(greedy);
  }
});

describe('prompts of different lengths', () => {
  const ragged = [[1, 2, 3, 4, 5, 6], [5], [12, 0, 12], [3, 3, 3, 3, 3, 3]];
  const places = 6;
  const padded = Int32Array.from(ragged.flatMap((row) => [...row, ...Array<number>(places - row.length).fill(11)]));
  const lengths = ragged.map((row) => row.length);

  test.each(shapes)('%s: a row is, bit for bit, what it is among prompts of its own length', async (_, config) => {
    const model = await opinionated(config);
    for (const option of [{ temperature: 0 }, { temperature: 1 }, { temperature: 1, topK: 3, stop: 7 }]) {
      const settings = { batch: ragged.length, maxNew: 6, seed: rng(7), ...option };
      const all = await generate(model, padded, { ...settings, lengths });
      for (const [b, prompt] of ragged.entries()) {
        const own = await generate(model, Int32Array.from(ragged.flatMap(() => prompt)), settings);
        const length = prompt.length + 6;
        expect(all.slice(b * (places + 6), b * (places + 6) + length)).toEqual(own.slice(b * length, (b + 1) * length));
      }
    }
  });

  test('greedy, it is what the forward pass of the row alone says', async () => {
    const model = await opinionated(llama);
    const all = await generate(model, padded, { batch: 4, maxNew: 6, temperature: 0, seed: rng(7), lengths });
    for (const [b, prompt] of ragged.entries()) {
      const expected = [...prompt];
      while (expected.length < prompt.length + 6) expected.push(argmax(await logitsAfter(model, expected)));
      expect(Array.from(all.subarray(b * 12, b * 12 + expected.length))).toEqual(expected);
    }
  });

  test.each<[string, Partial<GenerateOptions>, string]>([
    ['too few lengths', { lengths: [1, 2] }, '2 lengths for 4 prompts: give one for each'],
    ['one that is too long', { lengths: [1, 7, 1, 1] }, 'prompt 1: a length of 7, and 6 places: lower it'],
    ['one that ends with the stop token', { stop: 12 }, 'prompt 2: ends with the stop token: no answer could follow'],
    [
      'a forced token',
      { force: 1 },
      'force and lengths: answers begin at different places: put the token at the end of the prompts',
    ],
  ])('%s is refused', async (_, option, message) => {
    const model = new Transformer(llama, rng(1));
    const asked = generate(model, padded, { batch: 4, maxNew: 6, temperature: 0, seed: rng(7), lengths, ...option });
    await expect(asked).rejects.toEqual(new ConfigError(`generate: ${message}`));
  });
});
