// config.json of a Hugging Face Llama model, both ways, and the tensors that such a config promises.
// Other programs read the same few numbers under these names; what this engine cannot compute is refused here, by name
// and value. Source: transformers, configuration_llama.py and modeling_llama.py. Read next: huggingface.ts.
import { ConfigError, FormatError } from '../../../engine/errors.ts';
import type { Shape } from '../../../engine/shape.ts';
import type { TransformerConfig } from '../../../nn/transformer.ts';

/** The id of a token with a meaning, or several; null where the tokenizer has no such token. */
export type SpecialToken = number | readonly number[] | null;

export interface SpecialTokens {
  readonly bos: SpecialToken;
  readonly eos: SpecialToken;
  readonly pad?: SpecialToken;
}

/**
 * What config.json says about a Llama-shaped model.
 *
 * Throws ConfigError when the model is of another shape: the Llama layout has no place for LayerNorm, learned
 * positions, GELU or biases.
 */
export function toLlamaConfig(config: TransformerConfig, special: SpecialTokens): Record<string, unknown> {
  const { norm, positions, mlp, bias } = config;
  if (norm !== 'rms' || positions !== 'rotary' || mlp !== 'swiglu' || bias) {
    const given = `norm ${norm}, positions ${positions}, mlp ${mlp}, bias ${bias}`;
    throw new ConfigError(
      `export: ${given}: the Llama layout needs norm rms, positions rotary, mlp swiglu, bias false`,
    );
  }
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: config.vocabulary,
    max_position_embeddings: config.context,
    hidden_size: config.width,
    intermediate_size: config.hidden,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.width / config.heads,
    hidden_act: 'silu',
    rms_norm_eps: config.epsilon,
    rope_theta: config.rotaryBase, // read by transformers 4
    rope_parameters: { rope_type: 'default', rope_theta: config.rotaryBase }, // read by transformers 5
    attention_bias: false,
    attention_dropout: 0,
    mlp_bias: false,
    tie_word_embeddings: config.tied,
    bos_token_id: special.bos,
    eos_token_id: special.eos,
    pad_token_id: special.pad ?? null,
    torch_dtype: 'float32',
    use_cache: true,
  };
}

/**
 * The model that a config.json describes; absent fields get the defaults of transformers. `where` names the file in
 * messages.
 *
 * Throws FormatError for anything but a plain Llama: another model_type or activation, biases, scaled or partial rotary
 * positions, quantised weights, a head size other than hidden_size / num_attention_heads.
 */
export function fromLlamaConfig(json: unknown, where: string): TransformerConfig {
  const fail = (why: string): never => {
    throw new FormatError(`huggingface: ${where}: ${why}`);
  };
  if (!isRecord(json)) return fail('is not a JSON object');
  const only = (key: string, given: unknown, allowed: unknown) => {
    if (given !== allowed) fail(`${key} = ${JSON.stringify(given)}: only ${JSON.stringify(allowed)} is supported`);
  };
  const count = (key: string, fallback?: number): number => {
    const value = json[key] ?? fallback;
    if (value === undefined) return fail(`has no ${key}`);
    return Number.isSafeInteger(value) && (value as number) > 0
      ? (value as number)
      : fail(`${key} = ${JSON.stringify(value)}: must be a whole number from 1`);
  };
  const positive = (key: string, value: unknown): number =>
    typeof value === 'number' && value > 0 && Number.isFinite(value)
      ? value
      : fail(`${key} = ${JSON.stringify(value)}: must be a number above 0`);
  const flag = (key: string): boolean => {
    const value = json[key] ?? false;
    return typeof value === 'boolean' ? value : fail(`${key} = ${JSON.stringify(value)}: must be true or false`);
  };

  only('model_type', json['model_type'], 'llama');
  only('hidden_act', json['hidden_act'] ?? 'silu', 'silu');
  only('attention_bias', json['attention_bias'] ?? false, false);
  only('mlp_bias', json['mlp_bias'] ?? false, false);
  if ((json['quantization_config'] ?? null) !== null) fail('quantization_config: quantised weights are not supported');
  for (const [key, plain] of OF_RELATIVES) only(key, json[key] ?? plain, plain);

  const width = count('hidden_size');
  const heads = count('num_attention_heads');
  const kvHeads = count('num_key_value_heads', heads);
  if (heads % kvHeads !== 0) {
    fail(`num_attention_heads = ${heads}: is not a multiple of num_key_value_heads = ${kvHeads}`);
  }
  if (width % (2 * heads) !== 0) fail(`hidden_size = ${width}: does not divide into ${heads} heads of even size`);
  only('head_dim', json['head_dim'] ?? width / heads, width / heads);

  return {
    vocabulary: count('vocab_size'),
    context: count('max_position_embeddings', 2048),
    width,
    layers: count('num_hidden_layers'),
    heads,
    kvHeads,
    hidden: count('intermediate_size'),
    norm: 'rms',
    positions: 'rotary',
    rotaryBase: positive('rope_theta', rotaryBase(json, only, fail)),
    mlp: 'swiglu',
    bias: false,
    tied: flag('tie_word_embeddings'),
    epsilon: positive('rms_norm_eps', json['rms_norm_eps'] ?? 1e-6),
  };
}

/**
 * What relatives of Llama say to compute otherwise, each with the value that changes nothing. A Llama has none of them.
 */
const OF_RELATIVES: readonly (readonly [key: string, plain: unknown])[] = [
  ['sliding_window', null],
  ['use_sliding_window', false],
  ['attention_multiplier', null],
  ['embedding_multiplier', 1],
  ['residual_multiplier', 1],
  ['logits_scaling', 1],
  ['attn_logit_softcapping', null],
  ['final_logit_softcapping', null],
  ['query_pre_attn_scalar', null],
  ['num_local_experts', null],
  ['no_rope_layers', null],
  ['use_qk_norm', false],
  ['qk_norm', false],
  ['rope_interleaved', false],
];

/** The special tokens that a config.json names. Throws FormatError for what is no id. */
export function specialTokensOf(json: unknown, where: string): SpecialTokens {
  // some write -1 for none
  const isId = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= -1;
  const id = (key: string): SpecialToken => {
    const value = (isRecord(json) ? json[key] : null) ?? null;
    if (value === null || isId(value) || (Array.isArray(value) && value.every(isId))) return value as SpecialToken;
    throw new FormatError(
      `huggingface: ${where}: ${key} = ${JSON.stringify(value)}: must be an id, a list of ids, or null`,
    );
  };
  return { bos: id('bos_token_id'), eos: id('eos_token_id'), pad: id('pad_token_id') };
}

/**
 * transformers 4 writes rope_theta and rope_scaling; 5 writes both into rope_parameters. Some files, like ours, have
 * both.
 */
function rotaryBase(
  json: Record<string, unknown>,
  only: (key: string, given: unknown, allowed: unknown) => void,
  fail: (why: string) => never,
): unknown {
  only('partial_rotary_factor', json['partial_rotary_factor'] ?? 1, 1);
  let base = json['rope_theta'];
  for (const key of ['rope_scaling', 'rope_parameters']) {
    const rotary = json[key] ?? {};
    if (!isRecord(rotary)) return fail(`${key} = ${JSON.stringify(rotary)}: is not an object`);
    only(`${key}.rope_type`, rotary['rope_type'] ?? rotary['type'] ?? 'default', 'default');
    only(`${key}.partial_rotary_factor`, rotary['partial_rotary_factor'] ?? 1, 1);
    const own = rotary['rope_theta'] ?? base;
    if (base !== undefined && own !== base) {
      fail(`${key}.rope_theta = ${JSON.stringify(own)}: rope_theta says ${JSON.stringify(base)}`);
    }
    base = own;
  }
  return base ?? 10000;
}

/** Every tensor of the layout with its shape, in the order of the computation. Linear weights are [out,in]. */
export function* llamaTensors(config: TransformerConfig): Generator<readonly [name: string, shape: Shape]> {
  const { vocabulary, width, hidden, layers, heads, kvHeads, tied } = config;
  const kvWidth = (width / heads) * kvHeads;
  yield ['model.embed_tokens.weight', [vocabulary, width]];
  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}`;
    yield [`${at}.input_layernorm.weight`, [width]];
    yield [`${at}.self_attn.q_proj.weight`, [width, width]];
    yield [`${at}.self_attn.k_proj.weight`, [kvWidth, width]];
    yield [`${at}.self_attn.v_proj.weight`, [kvWidth, width]];
    yield [`${at}.self_attn.o_proj.weight`, [width, width]];
    yield [`${at}.post_attention_layernorm.weight`, [width]];
    yield [`${at}.mlp.gate_proj.weight`, [hidden, width]];
    yield [`${at}.mlp.up_proj.weight`, [hidden, width]];
    yield [`${at}.mlp.down_proj.weight`, [width, hidden]];
  }
  yield ['model.norm.weight', [width]];
  if (!tied) yield ['lm_head.weight', [vocabulary, width]];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
