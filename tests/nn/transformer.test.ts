// The transformer as a whole: its size, its first loss, what it may look at, its copies, and the configurations it
// refuses.

import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { ConfigError, FormatError } from '../../engine/errors.ts';
import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import { rng } from '../../engine/rng.ts';
import { noGrad, useBackend } from '../../engine/runtime.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, type Tensor } from '../../engine/tensor.ts';
import type { TransformerConfig } from '../../nn/config.ts';
import { Transformer } from '../../nn/transformer.ts';
import { newModel } from '../../remit/phases/pretrain.ts';
import { resolveConfig } from '../../remit/settings/resolve.ts';
import { gpt2, llama, shapes } from './shapes.ts';

beforeAll(() => useBackend(new CpuBackend()));

const random = rng(8).stream();
const ids = (B: number, T: number, V: number): Tensor =>
  tensor(
    Array.from({ length: B * T }, () => random.int(V)),
    [B, T],
    'i32',
  );
const forward = (model: Transformer, tokens: Tensor): Promise<ArrayLike<number>> =>
  noGrad(() => model.forward(tokens)).read();

describe('size', () => {
  const { config } = resolveConfig();

  test('the tiny world\'s model has 109,632 parameters', () => {
    expect(newModel(config, 70).parameters.count).toBe(109_632);
  });

  test('the count is what the shape says, tensor by tensor', () => {
    const { vocabulary: V, context: T, width: C, hidden: F, layers } = llama;
    const attention = 4 * C * C;
    const head = V * C;
    expect(new Transformer(llama).parameters.count).toBe(V * C + layers * (attention + 3 * C * F + 2 * C) + C + head);
    expect(new Transformer({ ...llama, tied: true }).parameters.count).toBe(
      V * C + layers * (attention + 3 * C * F + 2 * C) + C,
    );
    expect(new Transformer({ ...llama, kvHeads: 1 }).parameters.count).toBe(
      V * C + layers * (2 * C * C + (2 * C * C) / 4 + 3 * C * F + 2 * C) + C + head,
    );
    const biases = 4 * C + F + C;
    const norms = 2 * 2 * C;
    expect(new Transformer(gpt2).parameters.count).toBe(
      V * C + T * C + layers * (attention + 2 * C * F + biases + norms) + 2 * C + head,
    );
  });

  test('names are those of the Hugging Face layout', () => {
    expect(
      new Transformer({ ...llama, layers: 1 }).parameters.entries().map(({ name, shape }) => `${name} [${shape}]`),
    ).toEqual([
      'model.embed_tokens.weight [13,16]', 'model.layers.0.input_layernorm.weight [16]',
      'model.layers.0.self_attn.q_proj.weight [16,16]', 'model.layers.0.self_attn.k_proj.weight [16,16]',
      'model.layers.0.self_attn.v_proj.weight [16,16]', 'model.layers.0.self_attn.o_proj.weight [16,16]',
      'model.layers.0.post_attention_layernorm.weight [16]', 'model.layers.0.mlp.gate_proj.weight [24,16]',
      'model.layers.0.mlp.up_proj.weight [24,16]', 'model.layers.0.mlp.down_proj.weight [16,24]',
      'model.norm.weight [16]', 'lm_head.weight [13,16]',
    ]);
  });
});

describe('a fresh model', () => {
  const { config } = resolveConfig();

  test.each([
    ['Llama', {}],
    ['GPT-2', { norm: 'layer', positions: 'learned', mlp: 'gelu', bias: true }],
    ['tied', { tied: true }],
  ] as const)('%s: the first loss is close to ln 70', async (_, change) => {
    const model = new Transformer({ ...config.model, ...change, vocabulary: 70 }, rng(3));
    const loss = await crossEntropy(model.forward(ids(16, 23, 70)), ids(16, 23, 70)).item();
    // The head's deviation of 0.02 over 64 channels of size 1 makes logits of 0.16: half the square of that above ln
    // 70, give or take.
    expect(Math.abs(loss - Math.log(70))).toBeLessThan(0.05);
  });

  test('is a function of the seed, name by name', async () => {
    const values = async (config: TransformerConfig, seed: number) =>
      new Transformer(config, rng(seed)).parameters.toHost();
    const [a, again, other, deeper] = [
      await values(llama, 1),
      await values(llama, 1),
      await values(llama, 2),
      await values({ ...llama, vocabulary: 20 }, 1),
    ];
    expect(again).toEqual(a);
    const name = 'model.layers.1.mlp.up_proj.weight';
    expect(other.get(name)).not.toEqual(a.get(name));
    expect(deeper.get(name)).toEqual(a.get(name)); // another table draws elsewhere
  });

  test('without a source of randomness all is 0, to be loaded', async () => {
    const model = new Transformer(llama);
    const source = new Transformer(llama, rng(1));
    expect(
      [...(await model.parameters.toHost()).values()].every(({ data }) => data.every((value) => value === 0)),
    ).toBe(true);
    model.parameters.load(await source.parameters.toHost(), 'test');
    expect(await model.parameters.toHost()).toEqual(await source.parameters.toHost());
  });

  test('a missing, a misshapen and a foreign tensor are named', async () => {
    const model = new Transformer(llama);
    const good = await model.parameters.toHost();
    const without = new Map(good);
    without.delete('lm_head.weight');
    expect(() => model.parameters.load(without, 'a.safetensors')).toThrow(
      new FormatError('a.safetensors: has no tensor "lm_head.weight" [13,16]'),
    );
    const turned = new Map(good).set('lm_head.weight', { shape: [16, 13], data: new Float32Array(13 * 16) });
    expect(() => model.parameters.load(turned, 'a')).toThrow(
      new FormatError('a: tensor "lm_head.weight" is [16,13]: the model needs [13,16]'),
    );
    const more = new Map(good).set('extra', { shape: [1], data: new Float32Array(1) });
    expect(() => model.parameters.load(more, 'a')).toThrow(
      new FormatError('a: has a tensor "extra" that the model does not'),
    );
  });
});

describe.each(shapes)('%s', (_, config) => {
  const V = config.vocabulary;

  test('a token changes the logits at its own place and after it, and none before it or in other rows', async () => {
    const model = new Transformer(config, rng(1));
    const T = 9;
    const at = 4;
    const before = Int32Array.from({ length: 2 * T }, () => random.int(V));
    const after = before.slice();
    after[at] = (after[at]! + 1) % V; // row 0, position 4
    const [a, b] = [
      await forward(model, tensor(before, [2, T], 'i32')),
      await forward(model, tensor(after, [2, T], 'i32')),
    ];
    const changed = Array.from({ length: 2 * T }, (_, t) =>
      Array.from({ length: V }, (_, v) => a[t * V + v] !== b[t * V + v]).some(Boolean),
    );
    expect(changed).toEqual(Array.from({ length: 2 * T }, (_, t) => t >= at && t < T));
  });

  test('order matters: positions are seen', async () => {
    const model = new Transformer(config, rng(1));
    const [a, b] = [
      await forward(model, tensor([1, 2, 3, 4], [1, 4], 'i32')),
      await forward(model, tensor([2, 1, 3, 4], [1, 4], 'i32')),
    ];
    const last = (x: ArrayLike<number>): number[] => Array.from({ length: V }, (_, v) => x[3 * V + v]!);
    expect(last(a).some((value, v) => Math.abs(value - last(b)[v]!) > 1e-6)).toBe(true);
  });

  test('the loss gives every tensor a gradient', async () => {
    const model = new Transformer(config, rng(1));
    backward(crossEntropy(model.forward(ids(4, config.context, V)), ids(4, config.context, V)));
    for (const [name, { data }] of await model.parameters.gradientsToHost()) {
      expect(data.some((value) => value !== 0), name).toBe(true);
      expect(data.every(Number.isFinite), name).toBe(true);
    }
  });

  test('a clone computes the same bits, in memory of its own', async () => {
    const model = new Transformer(config, rng(1));
    const copy = model.clone();
    const tokens = ids(2, 5, V);
    const before = Array.from(await forward(model, tokens));
    expect(Array.from(await forward(copy, tokens))).toEqual(before);
    model.parameters.load(await new Transformer(config, rng(2)).parameters.toHost(), 'test');
    expect(Array.from(await forward(copy, tokens))).toEqual(before);
    expect(Array.from(await forward(model, tokens))).not.toEqual(before);
  });
});

describe('refused, in one line:', () => {
  const ranges = {
    vocabulary: 'from 1 to 2147483647', context: 'from 2 to 1048576', width: 'from 2 to 8192', layers: 'from 1 to 128',
    heads: 'from 1 to 256', kvHeads: 'from 1 to 256', hidden: 'from 1 to 65536',
  };
  const sizes = Object.entries(ranges).flatMap(([key, range]) =>
    [0, 1.5, -2, NaN].map(
      (value) => [{ [key]: value }, `model: ${key} = ${value}: must be a whole number ${range}`] as const,
    ),
  );

  test.each([
    ...sizes,
    [{ width: 18 }, 'model: width 18 and 4 heads: the width must be a multiple of the heads'],
    [{ kvHeads: 3 }, 'model: 4 heads and 3 key-value heads: the first must be a multiple of the second'],
    [{ kvHeads: 8 }, 'model: 4 heads and 8 key-value heads: the first must be a multiple of the second'],
    [{ norm: 'layernorm' }, 'model: norm = "layernorm": must be one of rms, layer'],
    [{ positions: undefined }, 'model: positions is missing: must be one of rotary, learned'],
    [{ mlp: 'relu' }, 'model: mlp = "relu": must be one of swiglu, gelu'],
    [{ bias: 'false' }, 'model: bias = "false": must be true or false'],
    [{ rotaryBase: null }, 'model: rotaryBase = null: must be a number above 1 and at most 1000000000'],
    [
      { n_heads: 4 },
      'model: n_heads: no such option: did you mean heads? There are vocabulary, context, width, layers, heads, ' +
      'kvHeads, hidden, norm, positions, rotaryBase, mlp, bias, tied, epsilon',
    ],
    [{ width: 12 }, 'model: head size 3: rotary positions need an even one'],
  ] as const)('%j', (change: object, message: string) => {
    expect(() => new Transformer({ ...llama, ...change })).toThrow(new ConfigError(message));
  });

  test('an odd head size is fine without rotary positions', () => {
    expect(new Transformer({ ...gpt2, width: 12 }).config.width).toBe(12);
  });

  test('a sequence beyond the context', () => {
    const model = new Transformer(llama, rng(1));
    expect(() => model.forward(ids(2, 13, 13)))
      .toThrow(new ConfigError('model: tokens [2,13] reach position 13: the context is 12: use shorter sequences'));
    expect(model.forward(ids(2, 12, 13)).shape).toEqual([2, 12, 13]);
  });
});

describe('capture', () => {
  test.each(shapes)('%s: what is inside, by name, and the same logits to the bit', async (_, config) => {
    const model = new Transformer(config, rng(3));
    const tokens = ids(2, 5, config.vocabulary);
    const plain = await forward(model, tokens);
    const capture = new Map<string, Tensor>();
    const logits = await noGrad(() => model.forward(tokens, { capture })).read();
    expect(Array.from(logits)).toEqual(Array.from(plain));
    const { width, heads, layers } = config;
    const names = Array.from({ length: layers }, (_, i) => [`layers.${i}.attention`, `layers.${i}`]).flat();
    expect([...capture.keys()]).toEqual(['embedding', ...names, 'logits']);
    expect(Array.from(await capture.get('logits')!.read())).toEqual(Array.from(plain));
    expect(capture.get('embedding')!.shape).toEqual([2, 5, width]);
    const weights = capture.get('layers.0.attention')!;
    expect(weights.shape).toEqual([2, heads, 5, 5]);
    const values = Array.from(await weights.read());
    for (let row = 0; row < 2 * heads * 5; row++) {
      const own = values.slice(5 * row, 5 * row + 5);
      expect(own.reduce((sum, x) => sum + x, 0)).toBeCloseTo(1, 5);
      expect(own.slice((row % 5) + 1).every((x) => x === 0)).toBe(true); // what comes later
    }
  });

  test('anything but a Map is refused', () => {
    const model = new Transformer(llama, rng(3));
    expect(() => model.forward(ids(1, 2, 13), { captures: new Map() } as object)).toThrow('did you mean capture?');
    expect(() => model.forward(ids(1, 2, 13), { capture: {} as Map<string, Tensor> })).toThrow('must be a Map');
  });
});
