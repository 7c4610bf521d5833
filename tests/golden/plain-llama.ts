// A Llama forward pass in plain loops and float64, from the published description alone: it shares no code with the
// engine, so that the two can disagree. It reads what an exported folder holds: the JSON of config.json and the tensors
// of model.safetensors. Sources: Llama 2, arXiv 2307.09288, section 2; RMSNorm, arXiv 1910.07467; RoFormer, arXiv
// 2104.09864; SwiGLU, arXiv 2002.05202.

export interface PlainConfig {
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
  readonly tie_word_embeddings: boolean;
}

type Vector = Float64Array<ArrayBuffer>;
type Weights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>;

/** Logits of one sequence, a vector over the vocabulary for every token. */
export function plainLlama(config: PlainConfig, weights: Weights, tokens: readonly number[]): Vector[] {
  const {
    hidden_size: width, num_attention_heads: heads, num_key_value_heads: kvHeads, rms_norm_eps: epsilon,
    rope_theta: base,
  } = config;
  const size = width / heads; // of a head

  const weight = (name: string) => {
    const found = weights.get(`${name}.weight`);
    if (!found) throw new Error(`no ${name}.weight`);
    return found;
  };
  /** y = W x, W [out,in]. */
  const linear = (name: string, x: Vector): Vector => {
    const { shape, data } = weight(name);
    const inputs = shape[1]!;
    return Float64Array.from({ length: shape[0]! }, (_, o) =>
      x.reduce((sum, value, i) => sum + data[o * inputs + i]! * value, 0),
    );
  };
  const norm = (name: string, x: Vector): Vector => {
    const { data } = weight(name);
    const scale = 1 / Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + epsilon);
    return x.map((value, i) => value * scale * data[i]!);
  };
  /** Turns the pair (i, i + size / 2) of every head by position * base ** (-2 i / size). */
  const rotate = (x: Vector, position: number): Vector =>
    x.map((value, i) => {
      const within = i % size;
      const first = within < size / 2;
      const angle = position * base ** ((-2 * (within % (size / 2))) / size);
      const partner = x[first ? i + size / 2 : i - size / 2]!;
      return value * Math.cos(angle) + (first ? -partner : partner) * Math.sin(angle);
    });
  const add = (a: Vector, b: Vector): Vector => a.map((value, i) => value + b[i]!);

  const embedding = weight('model.embed_tokens').data;
  let xs = tokens.map((token) => Float64Array.from({ length: width }, (_, i) => embedding[token * width + i]!));
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`;
    const normed = xs.map((x) => norm(`${at}.input_layernorm`, x));
    const queries = normed.map((x, t) => rotate(linear(`${at}.self_attn.q_proj`, x), t));
    const keys = normed.map((x, t) => rotate(linear(`${at}.self_attn.k_proj`, x), t));
    const values = normed.map((x) => linear(`${at}.self_attn.v_proj`, x));

    xs = xs.map((x, t) => {
      const mixed = new Float64Array(width);
      for (let head = 0; head < heads; head++) {
        const q = head * size;
        const kv = Math.floor(head / (heads / kvHeads)) * size;
        const scores = keys.slice(0, t + 1).map((key) => {
          let dot = 0;
          for (let i = 0; i < size; i++) dot += queries[t]![q + i]! * key[kv + i]!;
          return dot / Math.sqrt(size);
        });
        const highest = Math.max(...scores);
        const powers = scores.map((score) => Math.exp(score - highest));
        const total = powers.reduce((sum, power) => sum + power, 0);
        for (const [s, power] of powers.entries()) {
          for (let i = 0; i < size; i++) mixed[q + i]! += (power / total) * values[s]![kv + i]!;
        }
      }
      return add(x, linear(`${at}.self_attn.o_proj`, mixed));
    });

    xs = xs.map((x) => {
      const h = norm(`${at}.post_attention_layernorm`, x);
      const up = linear(`${at}.mlp.up_proj`, h);
      const gated = linear(`${at}.mlp.gate_proj`, h).map((gate, i) => (gate / (1 + Math.exp(-gate))) * up[i]!);
      return add(x, linear(`${at}.mlp.down_proj`, gated));
    });
  }
  const head = config.tie_word_embeddings ? 'model.embed_tokens' : 'lm_head';
  return xs.map((x) => linear(head, norm('model.norm', x)));
}
