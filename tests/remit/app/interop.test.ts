// Hugging Face folders: what we write, others must be able to read; what others wrote, we read or refuse by name.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigError, FormatError } from '../../../engine/errors.ts';
import { readSafetensors, writeSafetensors, type TensorToWrite } from '../../../engine/safetensors.ts';
import type { TransformerConfig } from '../../../nn/transformer.ts';
import { byteTokenizer, characterTokenizer } from '../../../remit/text/tokenizer.ts';
import { tinyWorldTokenizer } from '../../../remit/worlds/tiny/tokenizer.ts';
import { isModelFolder, readCompanions, readModelFolder, writeFolder } from '../../../remit/app/interop/folder.ts';
import { companionsOf, exportHuggingFace, importHuggingFace } from '../../../remit/app/interop/huggingface.ts';
import { fromLlamaConfig, llamaTensors, specialTokensOf, toLlamaConfig } from '../../../remit/app/interop/llama-config.ts';
import { golden } from '../../golden/golden.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const json = (value: unknown) => encode(JSON.stringify(value));
const none = { bos: null, eos: null };

/** A Llama with drawn sizes. */
const llama = fc
  .record({
    vocabulary: fc.integer({ min: 1, max: 40 }),
    context: fc.integer({ min: 2, max: 20 }),
    layers: fc.integer({ min: 1, max: 3 }),
    headSize: fc.integer({ min: 1, max: 4 }),
    kvHeads: fc.integer({ min: 1, max: 3 }),
    sharing: fc.integer({ min: 1, max: 3 }),
    hidden: fc.integer({ min: 1, max: 17 }),
    rotaryBase: fc.constantFrom(100, 10000, 500000.5),
    tied: fc.boolean(),
    epsilon: fc.constantFrom(1e-5, 1e-6),
  })
  .map(({ headSize, sharing, ...sizes }): TransformerConfig => ({
    ...sizes,
    heads: sizes.kvHeads * sharing,
    width: sizes.kvHeads * sharing * headSize * 2,
    norm: 'rms',
    positions: 'rotary',
    mlp: 'swiglu',
    bias: false,
  }));

const small: TransformerConfig = {
  vocabulary: 5, context: 8, width: 4, layers: 1, heads: 2, kvHeads: 1, hidden: 3,
  norm: 'rms', positions: 'rotary', rotaryBase: 100, mlp: 'swiglu', bias: false, tied: false, epsilon: 1e-5,
};

type Weights = Map<string, TensorToWrite>;

/** Weights for a config: every value is different. */
function weightsOf(config: TransformerConfig): Weights {
  let next = 0;
  const filled = ([name, shape]: readonly [string, readonly number[]]): [string, TensorToWrite] => [
    name,
    { dtype: 'F32', shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => next++ / 64) },
  ];
  return new Map([...llamaTensors(config)].map(filled));
}

function folderOf(
  config: TransformerConfig,
  weights: Weights,
  more: Record<string, unknown> = {},
): Record<string, Uint8Array> {
  return {
    'config.json': json({ ...toLlamaConfig(config, none), ...more }),
    'model.safetensors': writeSafetensors(weights),
  };
}

const importing = (files: Record<string, Uint8Array>) =>
  importHuggingFace((name) => (Object.hasOwn(files, name) ? files[name] : undefined), 'models/a');
const refusal = (message: string) => new FormatError(`huggingface: models/a${message}`);

describe('config.json', () => {
  test('says what transformers reads, for version 4 and 5', () => {
    expect(toLlamaConfig(golden.config, { bos: 0, eos: 49 })).toEqual({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      vocab_size: 61,
      max_position_embeddings: 64,
      hidden_size: 48,
      intermediate_size: 112,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 4,
      head_dim: 12,
      hidden_act: 'silu',
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      rope_parameters: { rope_type: 'default', rope_theta: 10000 },
      attention_bias: false,
      attention_dropout: 0,
      mlp_bias: false,
      tie_word_embeddings: false,
      bos_token_id: 0,
      eos_token_id: 49,
      pad_token_id: null,
      torch_dtype: 'float32',
      use_cache: true,
    });
  });

  test('comes back as the config it was made from', () => {
    fc.assert(fc.property(llama, (config) => {
      const text = JSON.stringify(toLlamaConfig(config, none));
      expect(fromLlamaConfig(JSON.parse(text), 'config.json')).toEqual(config);
    }));
  });

  const required = {
    model_type: 'llama', vocab_size: 5, hidden_size: 8, intermediate_size: 3, num_hidden_layers: 1,
    num_attention_heads: 4,
  };
  test('absent fields get the defaults of transformers', () => {
    expect(fromLlamaConfig(required, 'x')).toEqual({
      vocabulary: 5, context: 2048, width: 8, layers: 1, heads: 4, kvHeads: 4, hidden: 3, norm: 'rms',
      positions: 'rotary', rotaryBase: 10000, mlp: 'swiglu', bias: false, tied: false, epsilon: 1e-6,
    });
  });

  test('the rotary base is found where version 4 writes it and where version 5 does', () => {
    const base = (more: object) => fromLlamaConfig({ ...required, ...more }, 'x').rotaryBase;
    expect(base({ rope_theta: 100, rope_scaling: null })).toBe(100);
    expect(base({ rope_parameters: { rope_type: 'default', rope_theta: 200 } })).toBe(200);
    expect(base({ rope_theta: 300, rope_parameters: { rope_type: 'default', rope_theta: 300 } })).toBe(300);
  });

  const faults: readonly [given: object, message: string][] = [
    [{ model_type: 'gpt2' }, 'model_type = "gpt2": only "llama" is supported'],
    [{ model_type: undefined }, 'model_type = undefined: only "llama" is supported'],
    [{ hidden_act: 'gelu' }, 'hidden_act = "gelu": only "silu" is supported'],
    [{ attention_bias: true }, 'attention_bias = true: only false is supported'],
    [{ mlp_bias: true }, 'mlp_bias = true: only false is supported'],
    [{ quantization_config: { bits: 4 } }, 'quantization_config: quantised weights are not supported'],
    [{ vocab_size: undefined }, 'has no vocab_size'],
    [{ hidden_size: '8' }, 'hidden_size = "8": must be a whole number from 1'],
    [{ num_hidden_layers: 0 }, 'num_hidden_layers = 0: must be a whole number from 1'],
    [{ num_hidden_layers: 1.5 }, 'num_hidden_layers = 1.5: must be a whole number from 1'],
    [{ num_key_value_heads: 3 }, 'num_attention_heads = 4: is not a multiple of num_key_value_heads = 3'],
    [{ hidden_size: 12 }, 'hidden_size = 12: does not divide into 4 heads of even size'],
    [{ head_dim: 4 }, 'head_dim = 4: only 2 is supported'],
    [{ rms_norm_eps: -1 }, 'rms_norm_eps = -1: must be a number above 0'],
    [{ rope_theta: 'big' }, 'rope_theta = "big": must be a number above 0'],
    [{ rope_scaling: { type: 'linear', factor: 2 } }, 'rope_scaling.rope_type = "linear": only "default" is supported'],
    [{ rope_scaling: { rope_type: 'llama3' } }, 'rope_scaling.rope_type = "llama3": only "default" is supported'],
    [{ rope_parameters: { rope_type: 'yarn' } }, 'rope_parameters.rope_type = "yarn": only "default" is supported'],
    [{ rope_parameters: 7 }, 'rope_parameters = 7: is not an object'],
    [
      { rope_theta: 100, rope_parameters: { rope_theta: 200 } },
      'rope_parameters.rope_theta = 200: rope_theta says 100',
    ],
    [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor = 0.5: only 1 is supported'],
    [{ quantization_config: 'int8' }, 'quantization_config: quantised weights are not supported'],
    [{ sliding_window: 4096 }, 'sliding_window = 4096: only null is supported'],
    [{ final_logit_softcapping: 30 }, 'final_logit_softcapping = 30: only null is supported'],
    [{ logits_scaling: 8 }, 'logits_scaling = 8: only 1 is supported'],
    [{ tie_word_embeddings: 'yes' }, 'tie_word_embeddings = "yes": must be true or false'],
  ];
  test.each(faults)('%o is refused', (given, message) => {
    expect(() => fromLlamaConfig({ ...required, ...given }, 'a/config.json')).toThrow(
      new FormatError(`huggingface: a/config.json: ${message}`),
    );
  });

  test('any JSON value is a config or a FormatError', () => {
    const keys = fc.constantFrom(...Object.keys(toLlamaConfig(small, none)), 'rope_scaling', '__proto__');
    const value = fc.oneof(fc.jsonValue(), fc.nat(9), fc.constantFrom('llama', 'silu', false));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          fc.dictionary(keys, value).map((given) => ({ ...required, ...given })),
        ),
        (given) => {
          try {
            fromLlamaConfig(given, 'x');
          } catch (error) {
            if (!(error instanceof FormatError)) throw error;
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test.each([{ norm: 'layer' }, { positions: 'learned' }, { mlp: 'gelu' }, { bias: true }] as const)(
    '%o has no place in the layout',
    (given) => {
      const { norm, positions, mlp, bias } = { ...small, ...given };
      expect(() => toLlamaConfig({ ...small, ...given }, none)).toThrow(
        new ConfigError(
          `export: norm ${norm}, positions ${positions}, mlp ${mlp}, bias ${bias}: the Llama layout needs norm rms, ` +
          'positions rotary, mlp swiglu, bias false',
        ),
      );
    },
  );
});

describe('importing', () => {
  test('takes exactly the tensors that the config asks for', () => {
    fc.assert(fc.property(llama, (config) => {
      const weights = weightsOf(config);
      const model = importing(folderOf(config, weights));
      expect(model.config).toEqual(config);
      expect([...model.tensors].map(([name, { shape, data }]) => [name, shape, data]).sort())
        .toEqual([...weights].map(([name, { shape, data }]) => [name, shape, data]).sort());
      expect([model.tokenizer, model.tokenizerFault]).toEqual([undefined, undefined]);
    }), { numRuns: 30 });
  });

  test('widens weights stored as bfloat16', () => {
    // Every value of these weights has at most 8 significant bits, so that bfloat16 holds it: cut float32 after its
    // upper half.
    const weights = weightsOf(small);
    const entries: string[] = [];
    const parts: Uint8Array[] = [];
    let at = 0;
    for (const [name, { shape, data }] of weights) {
      const upper = Uint16Array.from(new Uint32Array(data.buffer), (bits) => bits >>> 16);
      entries.push(`"${name}":{"dtype":"BF16","shape":[${shape}],"data_offsets":[${at},${(at += upper.byteLength)}]}`);
      parts.push(new Uint8Array(upper.buffer));
    }
    const header = encode(`{${entries.join(',')}}`);
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
    const { tensors } = importing({
      ...folderOf(small, weights),
      'model.safetensors': Buffer.concat([length, header, ...parts]),
    });
    for (const [name, { data }] of weights) expect(tensors.get(name)!.data).toEqual(data);
  });

  test('ignores what follows from the rest: rotary tables and the copy of a tied head', () => {
    const tied = { ...small, tied: true };
    const weights = weightsOf(tied);
    weights.set('lm_head.weight', weights.get('model.embed_tokens.weight')!);
    weights.set('model.layers.0.self_attn.rotary_emb.inv_freq', { dtype: 'F32', shape: [1], data: Float32Array.of(1) });
    expect([...importing(folderOf(tied, weights)).tensors.keys()].sort()).toEqual([...weightsOf(tied).keys()].sort());

    weights.set('lm_head.weight', { dtype: 'F32', shape: [5, 4], data: new Float32Array(20) });
    expect(() => importing(folderOf(tied, weights)))
      .toThrow(refusal(': tie_word_embeddings = true: lm_head.weight differs from model.embed_tokens.weight'));
  });

  test('a tied head that was stored once is found, whichever of its names was kept', () => {
    const tied = { ...small, tied: true };
    const both = weightsOf(tied);
    const embedding = both.get('model.embed_tokens.weight')!;
    const underHead = new Map(both).set('lm_head.weight', embedding);
    underHead.delete('model.embed_tokens.weight');
    expect(importing(folderOf(tied, underHead)).tensors.get('model.embed_tokens.weight')!.data).toEqual(embedding.data);

    // What safetensors writes of two tensors that share memory: one, and a note that names the other.
    const once = weightsOf(small);
    once.delete('lm_head.weight');
    const noted = {
      ...folderOf(small, once),
      'model.safetensors': writeSafetensors(once, [
        ['format', 'pt'],
        ['lm_head.weight', 'model.embed_tokens.weight'],
      ]),
    };
    expect(importing(noted).tensors.get('lm_head.weight')).toEqual(
      importing(noted).tensors.get('model.embed_tokens.weight'),
    );
    expect(() => importing(folderOf(small, once))).toThrow(
      refusal(
        ': has no tensor "lm_head.weight" [5,4]: if the head is the embedding, config.json must say ' +
        '"tie_word_embeddings": true',
      ),
    );
  });

  test('refuses weights that are no numbers in float32', () => {
    const broken = (value: number, dtype: 'F32' | 'F64' = 'F32') => change((weights) => {
      const data = new (dtype === 'F32' ? Float32Array : Float64Array)(4);
      data[2] = value;
      weights.set('model.norm.weight', { dtype, shape: [4], data });
    });
    const where = ': tensor "model.norm.weight" [4]: element 2 is';
    expect(() => importing(broken(NaN))).toThrow(refusal(`${where} NaN: is no number to compute with`));
    expect(() => importing(broken(-Infinity))).toThrow(refusal(`${where} -Infinity: is no number to compute with`));
    expect(() => importing(broken(1e300, 'F64'))).toThrow(refusal(`${where} 1e+300: too large for float32`));
    expect(importing(broken(1e38)).tensors.get('model.norm.weight')!.data[2]).toBe(Math.fround(1e38));
  });

  test('finds weights that are split over several files', () => {
    const weights = [...weightsOf(small)];
    const [first, second] = [weights.slice(0, 4), weights.slice(4)];
    const map = Object.fromEntries([
      ...first.map(([name]) => [name, 'model-1.safetensors']),
      ...second.map(([name]) => [name, 'model-2.safetensors']),
    ]);
    const split = {
      'config.json': json(toLlamaConfig(small, none)),
      'model.safetensors.index.json': json({ metadata: {}, weight_map: map }),
      'model-1.safetensors': writeSafetensors(first),
      'model-2.safetensors': writeSafetensors(second),
    };
    expect(importing(split).tensors).toEqual(importing(folderOf(small, new Map(weights))).tensors);

    const { 'model-2.safetensors': _, ...without } = split;
    expect(() => importing(without)).toThrow(
      refusal(': has no model-2.safetensors, which model.safetensors.index.json lists'),
    );
    const outside = json({ weight_map: { ...map, 'lm_head.weight': '../../secret' } });
    expect(() => importing({ ...split, 'model.safetensors.index.json': outside }))
      .toThrow(refusal('/model.safetensors.index.json: "../../secret": not a plain file name'));
    const astray = json({ weight_map: { ...map, 'lm_head.weight': 'model-1.safetensors' } });
    expect(() => importing({ ...split, 'model.safetensors.index.json': astray })).toThrow(
      refusal('/model-2.safetensors: tensor "lm_head.weight": model.safetensors.index.json does not place it here'),
    );
    expect(() => importing({ ...split, 'model.safetensors.index.json': json({}) })).toThrow(
      refusal('/model.safetensors.index.json: has no weight_map'),
    );
  });

  const change = (edit: (weights: Weights) => void, more?: object) => {
    const weights = weightsOf(small);
    edit(weights);
    return folderOf(small, weights, { ...more });
  };
  const nothing = () => {};
  const faults: readonly [what: string, files: Record<string, Uint8Array>, message: string][] = [
    ['an empty folder', {}, ': has no config.json: not a Hugging Face model folder'],
    [
      'a config that is no text',
      { 'config.json': Uint8Array.of(0xff) },
      '/config.json: byte 0 (line 1) is 0xff: is not UTF-8 text: convert it first, for example with iconv -t utf-8',
    ],
    [
      'a config with a key twice',
      { 'config.json': encode('{"vocab_size":5,"vocab_size":6}') },
      '/config.json: has "vocab_size" twice',
    ],
    [
      'a folder without weights',
      { 'config.json': json(toLlamaConfig(small, none)) },
      ': has neither model.safetensors nor model.safetensors.index.json',
    ],
    ['a missing tensor', change((w) => w.delete('model.norm.weight')), ': has no tensor "model.norm.weight" [4]'],
    [
      'a bias',
      change((w) => w.set('model.norm.bias', w.get('model.norm.weight')!)),
      ': tensor "model.norm.bias" [4]: a Llama of this config has no such tensor',
    ],
    [
      'another shape',
      change(nothing, { intermediate_size: 7 }),
      ': tensor "model.layers.0.mlp.gate_proj.weight" [3,4]: the config needs [7,4]',
    ],
    [
      'a layer that is not there',
      change(nothing, { num_hidden_layers: 2 }),
      ': has no tensor "model.layers.1.input_layernorm.weight" [4]',
    ],
    [
      'a billion layers',
      change(nothing, { num_hidden_layers: 1e9 }),
      '/config.json: model: layers = 1000000000: must be a whole number from 1 to 128',
    ],
    [
      'an epsilon out of range',
      change(nothing, { rms_norm_eps: 1e300 }),
      '/config.json: model: epsilon = 1e+300: must be a number above 0 and at most 0.1',
    ],
    [
      'whole numbers',
      change((w) => w.set('model.norm.weight', { dtype: 'I32', shape: [4], data: new Int32Array(4) })),
      ': tensor "model.norm.weight" is I32: weights must be F64, F32, F16 or BF16',
    ],
    [
      'a tokenizer too large',
      { ...change(nothing), 'tokenizer.json': json(characterTokenizer('abcdef')) },
      ': tokenizer.json has 6 tokens, the model only 5',
    ],
  ];
  test.each(faults)('refuses %s', (_what, files, message) => {
    expect(() => importing(files)).toThrow(refusal(message));
  });

  test('refuses a config and a tokenizer that are no JSON', () => {
    expect(() => importing({ 'config.json': encode('{') })).toThrow(
      /^huggingface: models\/a\/config\.json: is not JSON: /,
    );
    expect(() => importing({ ...change(nothing), 'tokenizer.json': encode('{') })).toThrow(
      /^huggingface: models\/a\/tokenizer\.json: is not JSON: /,
    );
  });

  test('names the weights file when it is damaged', () => {
    const files = folderOf(small, weightsOf(small));
    expect(() => importing({ ...files, 'model.safetensors': files['model.safetensors']!.subarray(0, 100) })).toThrow(
      /^safetensors: models\/a\/model.safetensors: the header ends at byte \d+, the file at 100: it is cut short$/,
    );
  });

  test('reads our tokenizers; another kind is reported, and the model usable without', () => {
    const wide = { ...small, vocabulary: 256 };
    const files = folderOf(wide, weightsOf(wide));
    for (const tokenizer of [byteTokenizer, tinyWorldTokenizer]) {
      const read = importing({ ...files, 'tokenizer.json': json(tokenizer) });
      expect([read.tokenizer!.name, read.tokenizer!.vocabulary]).toEqual([tokenizer.name, tokenizer.vocabulary]);
      expect(read.tokenizer!.encode('^s1')).toEqual(tokenizer.encode('^s1'));
    }
    const other = importing({ ...files, 'tokenizer.json': json({ model: { type: 'Unigram' } }) });
    expect(other.tokenizer).toBeUndefined();
    expect(other.tokenizerFault).toBe('huggingface: models/a/tokenizer.json: model.type: "Unigram": must be "BPE"');
  });
});

describe('what a folder holds besides shape and weights', () => {
  const foreign = '{"model":{"type":"Unigram"},"added_tokens":[]}\n\n';
  const files: Record<string, Uint8Array> = {
    ...folderOf(small, weightsOf(small), { bos_token_id: 1, eos_token_id: [2, 3], pad_token_id: 0 }),
    'tokenizer.json': encode(foreign),
    'tokenizer_config.json': encode('{"eos_token":"</s>"}'),
    'special_tokens_map.json': encode('{}'),
    'generation_config.json': encode('{"temperature":0.6}'),
    'tokenizer.model': Uint8Array.of(0, 255),
    'README.md': encode('x'),
  };
  const get = (name: string) => files[name];

  test('is carried over byte for byte, with the ids of special tokens', async () => {
    const { config, tensors } = importing(files);
    const model = { config, parameters: { toHost: () => Promise.resolve(tensors) } };
    const written = await exportHuggingFace(model as never, undefined, companionsOf(get, 'x'));
    for (const name of [
      'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'generation_config.json', 'tokenizer.model',
    ]) {
      expect(written.get(name)).toEqual(files[name]);
    }
    expect(JSON.parse(String(written.get('config.json')))).toMatchObject({
      bos_token_id: 1,
      eos_token_id: [2, 3],
      pad_token_id: 0,
    });
    expect([...written.keys()]).not.toContain('README.md');
  });

  test('makes a generation_config.json of the special tokens where there was none', async () => {
    const { config, tensors } = importing(files);
    const model = { config, parameters: { toHost: () => Promise.resolve(tensors) } };
    const { 'generation_config.json': _, ...without } = files;
    const written = await exportHuggingFace(model as never, undefined, companionsOf((name) => without[name], 'x'));
    expect(JSON.parse(String(written.get('generation_config.json')))).toEqual({
      bos_token_id: 1,
      eos_token_id: [2, 3],
      pad_token_id: 0,
    });
  });

  test('on disk, what is left behind is named', () => {
    const folder = mkdtempSync(join(tmpdir(), 'remit-interop-'));
    for (const [name, contents] of Object.entries(files)) writeFileSync(join(folder, name), contents);
    writeFileSync(join(folder, '.gitattributes'), '');
    const { carried, left } = readCompanions(folder);
    expect(left).toEqual(['README.md']);
    expect([...carried.files.keys()]).toContain('tokenizer.json');
    rmSync(folder, { recursive: true });
  });

  test('special tokens are ids, lists of ids, or null', () => {
    expect(specialTokensOf({ bos_token_id: 1, eos_token_id: [1, 2], pad_token_id: -1 }, 'x')).toEqual({
      bos: 1,
      eos: [1, 2],
      pad: -1,
    });
    expect(specialTokensOf({}, 'x')).toEqual({ bos: null, eos: null, pad: null });
    for (const value of ['2', 1.5, [1, 'x'], {}, -2, true]) {
      expect(() => specialTokensOf({ eos_token_id: value }, 'x')).toThrow(
        new FormatError(
          `huggingface: x: eos_token_id = ${JSON.stringify(value)}: must be an id, a list of ids, or null`,
        ),
      );
    }
  });
});

describe('folders', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'remit-interop-'));
  afterAll(() => rmSync(scratch, { recursive: true }));
  const files = new Map(Object.entries(folderOf(small, weightsOf(small))));

  test('are written whole, parents included, and read back', () => {
    const folder = join(scratch, 'deep', 'er', 'model');
    writeFolder(folder, new Map<string, Uint8Array | string>([...files, ['note.txt', 'é\n']]));
    expect(readdirSync(folder).sort()).toEqual(['config.json', 'model.safetensors', 'note.txt']);
    expect(readFileSync(join(folder, 'note.txt'), 'utf8')).toBe('é\n');
    expect(readdirSync(join(scratch, 'deep', 'er'))).toEqual(['model']); // no draft left behind
    expect(isModelFolder(folder)).toBe(true);
    expect(readModelFolder(`${folder}/`)).toEqual(importing(Object.fromEntries(files)));
  });

  test('are never written over', () => {
    const folder = join(scratch, 'taken');
    mkdirSync(folder);
    writeFolder(folder, files); // empty: fine
    writeFileSync(join(folder, 'mine'), 'x');
    expect(() => writeFolder(folder, files)).toThrow(
      new ConfigError(`export: ${folder}: exists and is not empty: choose another name or remove it`),
    );
    expect(readFileSync(join(folder, 'mine'), 'utf8')).toBe('x');
    const file = join(folder, 'mine');
    expect(() => writeFolder(file, files)).toThrow(
      new ConfigError(`export: ${file}: exists and is not a folder: choose another name`),
    );
  });

  test('leave nothing behind when a file cannot be written', () => {
    const folder = join(scratch, 'broken');
    expect(() => writeFolder(folder, new Map([['no/such/place', 'x']]))).toThrow(
      /^export: .*broken: cannot be written: ENOENT/,
    );
    expect(existsSync(folder)).toBe(false);
    expect(readdirSync(scratch).filter((name) => name.includes('broken'))).toEqual([]);
  });

  test('whose weights were left to Git LFS are named', () => {
    const folder = join(scratch, 'pointer');
    writeFolder(
      folder,
      new Map<string, Uint8Array | string>([
        ...files,
        ['model.safetensors', `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 5\n`],
      ]),
    );
    expect(() => readModelFolder(folder)).toThrow(
      new FormatError(
        `model: ${join(folder, 'model.safetensors')}: stands for a file that is not here: get it with git lfs pull`,
      ),
    );
  });

  test('that are missing, or no folders, are named', () => {
    const missing = join(scratch, 'missing');
    expect(() => readModelFolder(missing)).toThrow(new FormatError(`model: ${missing}: there is no such folder`));
    const file = join(scratch, 'file');
    writeFileSync(file, '');
    expect(() => readModelFolder(file)).toThrow(
      new FormatError(`model: ${file}: is a file: give the folder that holds config.json and model.safetensors`),
    );
    mkdirSync(join(scratch, 'odd', 'config.json'), { recursive: true });
    expect(() => readModelFolder(join(scratch, 'odd'))).toThrow(/^model: .*config.json: is a folder: give a file$/);
    expect(isModelFolder(missing)).toBe(false);
  });

  test('hold safetensors that any reader of the format takes', () => {
    expect(readSafetensors(files.get('model.safetensors')!, 'x').tensors.size).toBe([...llamaTensors(small)].length);
  });
});
