// The golden vectors, typed: what PyTorch computed for a small fixed model. README.md says what each one is.
import { readFileSync } from 'node:fs';
import { readSafetensors } from '../../engine/safetensors.ts';
import type { StoredTensor } from '../../engine/safetensors.ts';
import type { TransformerConfig } from '../../nn/transformer.ts';

export type GoldenModel = 'theta' | 'rl';
export type GoldenLoss = 'ntp' | 'remit' | 'kd' | 'pg';

/** golden.json. Losses in nats per counted token. */
export interface GoldenScalars {
  readonly config: {
    readonly vocab_size: number;
    readonly hidden_size: number;
    readonly intermediate_size: number;
    readonly num_hidden_layers: number;
    readonly num_attention_heads: number;
    readonly num_key_value_heads: number;
    readonly rms_norm_eps: number;
    readonly rope_theta: number;
    readonly tie_word_embeddings: boolean;
    readonly max_position_embeddings: number;
  };
  readonly batch: number;
  readonly sequence: number;
  readonly seed: number;
  readonly 'loss.ntp': number;
  readonly 'loss.remit.eps0.1': number;
  readonly 'loss.remit.eps0.2': number;
  readonly 'loss.remit.eps0.5': number;
  readonly 'loss.kd': number;
  readonly 'loss.pg': number;
  readonly 'pg.clip': number;
  readonly 'pg.kl_beta': number;
  readonly adamw: {
    readonly betas: readonly [number, number];
    readonly eps: number;
    readonly weight_decay: number;
    readonly clip: number;
    readonly warmup: number;
    readonly total: number;
    readonly peak: number;
    readonly floor: number;
    readonly schedule: string;
    readonly decay: string;
    readonly steps: readonly { readonly lr: number; readonly loss: number; readonly grad_norm: number }[];
    readonly final_loss: number;
  };
  readonly greedy: { readonly prompt: readonly number[]; readonly continuation: readonly number[] };
}

/** Tensors under Hugging Face names, as Parameters.load takes them. */
export type NamedTensors = Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

const file = (name: string) => new Uint8Array(readFileSync(new URL(name, import.meta.url)));
const scalars = JSON.parse(new TextDecoder().decode(file('golden.json'))) as GoldenScalars;

let stored: ReadonlyMap<string, StoredTensor> | undefined;
function tensors(): ReadonlyMap<string, StoredTensor> {
  const parts = ['model', 'gradients-ntp', 'gradients-remit', 'gradients-kd', 'gradients-pg'].map(
    (part) => `${part}.safetensors`,
  );
  stored ??= new Map(parts.flatMap((part) => [...readSafetensors(file(part), part).tensors]));
  return stored;
}

/** The weights below `prefix`, under the names that follow it. */
function weights(prefix: string): NamedTensors {
  const found: NamedTensors = new Map();
  for (const [name, { shape, data }] of tensors()) {
    if (!name.startsWith(prefix) || !name.endsWith('.weight')) continue; // 'theta.logits' is no weight
    found.set(name.slice(prefix.length), { shape, data: data as Float32Array });
  }
  return found;
}

export const golden = {
  scalars,

  /** The shape of both models. */
  config: {
    vocabulary: scalars.config.vocab_size,
    context: scalars.config.max_position_embeddings,
    width: scalars.config.hidden_size,
    layers: scalars.config.num_hidden_layers,
    heads: scalars.config.num_attention_heads,
    kvHeads: scalars.config.num_key_value_heads,
    hidden: scalars.config.intermediate_size,
    norm: 'rms',
    positions: 'rotary',
    rotaryBase: scalars.config.rope_theta,
    mlp: 'swiglu',
    bias: false,
    tied: scalars.config.tie_word_embeddings,
    epsilon: scalars.config.rms_norm_eps,
  } satisfies TransformerConfig,

  /** Everything, by full name. */
  tensors,

  /** One tensor's values by full name, such as 'theta.logits'. Int32Array for 'input.tokens' and 'input.targets'. */
  tensor<Name extends string>(name: Name): Name extends 'input.tokens' | 'input.targets' ? Int32Array : Float32Array {
    const found = tensors().get(name);
    if (!found) throw new Error(`golden: "${name}": no such tensor`);
    return found.data as Name extends 'input.tokens' | 'input.targets' ? Int32Array : Float32Array;
  },

  /** The 21 parameters of a model. */
  model: (which: GoldenModel): NamedTensors => weights(`${which}.`),

  /** The gradient of a loss by each of theta's 21 parameters. */
  gradients: (loss: GoldenLoss): NamedTensors => weights(`grad.${loss}.`),
};
