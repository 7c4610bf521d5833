// A decoder-only transformer. Llama-shaped by default (RMSNorm, rotary positions, SwiGLU, no biases); GPT-2-shaped by
// configuration. Initial values: tokens and learned positions N(0, 0.2²), or 0.02² where the head is tied to them;
// linear layers N(0, 1/fan_in), the two projections into the residual stream divided by sqrt(2 layers), head
// N(0, 0.02²), gains 1, biases 0. The first loss is then close to ln(vocabulary). Sources: arXiv 2302.13971 (Llama), the
// GPT-2 report for the scaled residual projections. Read after: block.ts. Read next: generate.ts.

import { ConfigError, ShapeError } from '../engine/errors.ts';
import { add } from '../engine/ops/arithmetic.ts';
import { rotaryTable, type KeyValueCache } from '../engine/ops/attention.ts';
import { reshape, slice } from '../engine/ops/shape.ts';
import {
  anything, checkArguments, checkOptions, having, instance, list, optional, whole, type Rules,
} from '../engine/options.ts';
import { Parameters } from '../engine/parameters.ts';
import { backend } from '../engine/runtime.ts';
import { anRng, type Rng } from '../engine/rng.ts';
import { show } from '../engine/shape.ts';
import { aTensor, Tensor } from '../engine/tensor.ts';
import { Block } from './block.ts';
import { checkConfig, type TransformerConfig } from './config.ts';
import { Embedding } from './embedding.ts';
import { Linear } from './linear.ts';
import { Norm } from './norm.ts';

export type { TransformerConfig };

/** Keys and values of the tokens so far, one per layer: [B,kvHeads,context,D] each. */
export interface DecodeState {
  readonly caches: readonly KeyValueCache[];
  readonly batch: number;
}

const caches = list('a list of caches', having('a cache', { k: aTensor, v: aTensor }));
const aState = having('what decodeState() made', { caches, batch: whole({ min: 1 }) });
const decodeArguments = { tokens: aTensor, state: aState, position: whole({ min: 0 }) };

export interface ForwardOptions {
  /**
   * Is given what is inside, by name: `embedding` and `layers.0`, `layers.1`, ... [B,T,C], what each token of a layer
   * looks at, `layers.0.attention` [B,heads,T,T], and `logits`.
   */
  readonly capture?: Map<string, Tensor>;
}

const forwardRules: Rules<ForwardOptions> = { capture: optional(instance<Map<string, Tensor>>('a Map', Map)) };

/** A decoder-only transformer: tokens [B,T] in, logits [B,T,vocabulary] out. */
export class Transformer {
  readonly config: TransformerConfig;
  readonly parameters = new Parameters();
  readonly #tokens: Embedding;
  readonly #positions: Embedding | null;
  readonly #blocks: readonly Block[];
  readonly #norm: Norm;
  readonly #head: Linear | null;
  readonly #table: Tensor;

  /**
   * Draws initial weights from `rng`, each name from a stream of its own; without one they are 0, to be loaded. Throws
   * ConfigError for an unknown or missing name, a value out of its range, and sizes that do not fit.
   */
  constructor(config: TransformerConfig, rng?: Rng) {
    checkArguments('model', arguments, { config: anything, rng: optional(anRng) });
    checkConfig(config);
    this.config = { ...config };
    const { parameters } = this;
    const { vocabulary, context, width, heads, layers, norm: kind, epsilon } = config;
    const inputDeviation = config.tied ? 0.02 : 0.2;
    this.#tokens = new Embedding(parameters, {
      name: 'model.embed_tokens',
      count: vocabulary,
      width,
      deviation: inputDeviation,
    });
    this.#positions =
      config.positions === 'learned'
        ? new Embedding(parameters, { name: 'model.embed_positions', count: context, width, deviation: inputDeviation })
        : null;
    this.#blocks = Array.from({ length: layers }, (_, i) => new Block(parameters, `model.layers.${i}`, config));
    this.#norm = new Norm(parameters, { name: 'model.norm', width, kind, epsilon });
    this.#head = config.tied
      ? null
      : new Linear(parameters, { in: width, out: { lm_head: vocabulary }, deviation: 0.02, bias: false });
    parameters.allocate(rng);
    const shape = [context, width / heads];
    const storage = backend().alloc(context * width / heads, 'f32');
    backend().write(
      storage,
      config.positions === 'rotary'
        ? rotaryTable(context, width / heads, config.rotaryBase)
        : new Float64Array((context * width) / heads),
    );
    this.#table = new Tensor({ shape, dtype: 'f32', storage, arena: null });
  }

  /**
   * tokens [B,T] i32 -> logits [B,T,vocabulary]. Throws ShapeError for another shape, ConfigError when T exceeds the
   * context. Changes nothing in the result to look inside: see ForwardOptions.
   */
  forward(tokens: Tensor, options: ForwardOptions = {}): Tensor {
    checkArguments('model.forward', arguments, { tokens: aTensor, options: anything });
    const { capture } = checkOptions<ForwardOptions>('model.forward', options, forwardRules);
    const [, T] = matrix(tokens);
    const seen = (name: string, x: Tensor): Tensor => {
      capture?.set(name, x);
      return x;
    };
    let x = seen('embedding', this.#embed(tokens, 0, T));
    this.#blocks.forEach((block, i) => {
      const see = capture && ((weights: Tensor) => void seen(`layers.${i}.attention`, weights));
      x = seen(`layers.${i}`, block.forward(x, this.#table, see));
    });
    return seen('logits', this.#logits(x));
  }

  /**
   * N new tokens [B,N] at `position`, with the keys and values of those before: logits of the last one [B,vocabulary].
   * Throws ShapeError when the state is for another number of sequences or layers.
   */
  decode(tokens: Tensor, state: DecodeState, position: number): Tensor {
    checkArguments('model.decode', arguments, decodeArguments);
    const [B, N] = matrix(tokens);
    const { layers } = this.config;
    if (B !== state.batch || state.caches.length !== layers) {
      throw new ShapeError(
        `model.decode: tokens ${show(tokens.shape)} and ${layers} layers: the state is for ${state.batch} sequences ` +
        `and ${state.caches.length} layers`,
      );
    }
    let x = this.#embed(tokens, position, position + N);
    this.#blocks.forEach((block, i) => (x = block.decode(x, this.#table, state.caches[i]!, position)));
    return reshape(this.#logits(slice(x, { axis: 1, start: N - 1, end: N })), { shape: [B, -1] });
  }

  /** Memory for decoding `batch` sequences; lives until nobody holds it. */
  decodeState(batch: number): DecodeState {
    checkArguments('model.decodeState', arguments, { batch: whole({ min: 1 }) });
    const { context, width, heads, kvHeads, layers } = this.config;
    const shape = [batch, kvHeads, context, width / heads];
    const cache = (): Tensor =>
      new Tensor({
        shape,
        dtype: 'f32',
        storage: backend().alloc((batch * kvHeads * context * width) / heads, 'f32'),
        arena: null,
      });
    return { batch, caches: Array.from({ length: layers }, () => ({ k: cache(), v: cache() })) };
  }

  /** A model of the same shape and values, with memory of its own. */
  clone(): Transformer {
    const copy = new Transformer(this.config);
    copy.parameters.copyFrom(this.parameters);
    return copy;
  }

  #embed(tokens: Tensor, start: number, end: number): Tensor {
    const { context } = this.config;
    if (end > context) {
      throw new ConfigError(
        `model: tokens ${show(tokens.shape)} reach position ${end}: the context is ${context}: use shorter sequences`,
      );
    }
    const x = this.#tokens.forward(tokens); // [B,T,C]
    return this.#positions ? add(x, this.#positions.rows(start, end)) : x;
  }

  #logits(x: Tensor): Tensor {
    const h = this.#norm.forward(x);
    return this.#head ? this.#head.forward(h) : this.#tokens.scores(h);
  }
}

/** An argument that is a model. */
export const aTransformer = instance('a Transformer', Transformer);

/** The two sizes of tokens [B,T]. */
function matrix({ shape }: Tensor): readonly [B: number, T: number] {
  if (shape.length !== 2) {
    throw new ShapeError(`model: tokens ${show(shape)}: must be [B,T]: so many sequences of so many tokens`);
  }
  return shape as readonly number[] as readonly [number, number];
}
