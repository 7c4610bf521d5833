// Batched generation with a key-value cache: greedy, by temperature, from the top k, by top-p and min-p; prompts of one
// length or of several; an optional forced first token and a stop token. Tokens stay on the device until the end: a
// rollout is read back once. Read after: transformer.ts, kernels/random. Used by: remit/worlds/tiny/evaluate.ts and, for
// rollouts, remit/rl.

import type { HostArray } from '../kernels/kernel.ts';
import { keepLikelyKernel } from '../kernels/random/keep-likely.ts';
import { sampleKernel } from '../kernels/random/random.ts';
import { ConfigError, DivergedError } from '../engine/errors.ts';
import { lowest } from '../engine/extremes.ts';
import {
  anything, checkArguments, checkOptions, list, optional, real, typedArray, whole, type Rules,
} from '../engine/options.ts';
import { slice } from '../engine/ops/shape.ts';
import { anRng, type Rng } from '../engine/rng.ts';
import { backend, noGrad } from '../engine/runtime.ts';
import { step, type Step } from '../engine/step.ts';
import { empty, tensor, Tensor } from '../engine/tensor.ts';
import { aTransformer, type DecodeState, type Transformer } from './transformer.ts';

/** What generate() is told: how many answers, how long, how they are drawn. */
export interface GenerateOptions {
  /** Number of prompts. */
  readonly batch: number;
  /**
   * [B] tokens of each prompt, where they differ: each stands at the start of its P places, and its answer right behind
   * it. No place is padded, so that a row is what it would be among prompts of its own length.
   */
  readonly lengths?: ArrayLike<number>;
  readonly maxNew: number;
  /**
   * 0 takes the likeliest token; 1 samples the model's distribution. Below 1e-20 is 0: logits divided by less would
   * overflow.
   */
  readonly temperature: number;
  /** Sample among the k likeliest only; 0: among all. */
  readonly topK?: number;
  /** Sample among the likeliest that together have at least this probability; 1, all, unless given. */
  readonly topP?: number;
  /** ... and that are at least so likely as this times the likeliest; 0 unless given. */
  readonly minP?: number;
  /**
   * Draw among the first so many tokens; all of them unless given. The logits of a padded vocabulary go on after the
   * last token that means something.
   */
  readonly vocabulary?: number;
  /** Where randomness comes from: row r, position p and token v always draw the same number. */
  readonly seed: Rng;
  /** First new token, instead of drawing it. */
  readonly force?: number;
  /** After this token a row holds only it. */
  readonly stop?: number;
}

const token = whole({ min: 0 });

const generateRules: Rules<GenerateOptions> = {
  batch: whole({ min: 1 }),
  lengths: optional(list('a list of lengths', whole({ min: 1 }))),
  maxNew: whole({ min: 0 }),
  temperature: real({ from: 0 }),
  topK: optional(whole({ min: 0 })),
  topP: optional(real({ above: 0, to: 1 })),
  minP: optional(real({ from: 0, to: 1 })),
  vocabulary: optional(whole({ min: 1 })),
  seed: anRng,
  force: optional(token),
  stop: optional(token),
};

const generateArguments = { model: aTransformer, prompts: typedArray('Int32Array'), options: anything };

/**
 * prompts: B x P tokens, row-major -> B x (P + maxNew) tokens. Throws ConfigError for an option that is unknown or out
 * of its range, for prompts that are not all of one length without `lengths` or do not fit those, and when the result
 * would exceed the context or a token the vocabulary; DivergedError when the model's logits are no distribution: one is
 * NaN or infinite.
 */
export async function generate(model: Transformer, prompts: Int32Array, given: GenerateOptions): Promise<Int32Array> {
  checkArguments('generate', arguments, generateArguments);
  const options = checkOptions<GenerateOptions>('generate', given, generateRules);
  const { batch, maxNew } = options;
  const prompt = prompts.length / batch;
  const length = prompt + maxNew;
  check(model, prompts, prompt, options);
  const key = options.seed.fold('sample'); // of its own, so that no other use of the seed shares its numbers
  const tokens = new Tensor({
    shape: [batch, length],
    dtype: 'i32',
    storage: backend().alloc(batch * length, 'i32'),
    arena: null,
  });
  const rows = new Int32Array(batch * length).fill(-1);
  const lengths = Array.from({ length: batch }, (_, b) => options.lengths?.[b] ?? prompt);
  lengths.forEach((own, b) => rows.set(prompts.subarray(b * prompt, b * prompt + own), b * length));
  backend().write(tokens.storage, rows);
  const first = lowest(lengths); // what the shortest prompt has, all have: it is fed at once
  const fed = new Int32Array(batch * first);
  for (let b = 0; b < batch; b++) fed.set(prompts.subarray(b * prompt, b * prompt + first), b * first);

  const next = new Tensor({ shape: [batch, 1], dtype: 'i32', storage: backend().alloc(batch, 'i32'), arena: null });
  const state = model.decodeState(batch);
  const prefill = decodeStep(model, state);
  const decode = decodeStep(model, state);
  for (let position = first; position < length; position++) {
    const [advance, input] = position === first ? [prefill, fed] : [decode, next] as const;
    await advance(input, position, { tokens, next }, first, { ...options, seed: key });
  }
  const result = await tokens.read();
  for (const used of [prefill, decode]) used.free();
  for (const { k, v } of state.caches) for (const cache of [k, v]) backend().free(cache.storage);
  for (const used of [tokens, next]) backend().free(used.storage);
  checkDrawn(result, length);
  return result as Int32Array;
}

const COLDEST = 1e-20;

/** Throws DivergedError where a row has what is drawn when nothing can be: -1. */
function checkDrawn(tokens: HostArray, length: number): void {
  const at = tokens.findIndex((token) => token < 0);
  if (at < 0) return;
  throw new DivergedError(
    `generate: row ${Math.floor(at / length)}, position ${at % length}: the model's logits are NaN or infinite: ` +
      'no token can be drawn: its weights are not finite, or too large',
  );
}

/** What a step writes: the rows [B,T], and the tokens that it drew [B,1]. */
interface Written { readonly tokens: Tensor; readonly next: Tensor }

type Advance = Step<
  [input: Int32Array | Tensor, position: number, to: Written, first: number, options: GenerateOptions],
  void
>;

/** Feeds the tokens before `position`, those not yet in the cache, and draws the token at it. */
function decodeStep(model: Transformer, state: DecodeState): Advance {
  return step(
    (
      input,
      position,
      { tokens, next },
      first,
      { batch: B, temperature: asked, topK = 0, topP = 1, minP = 0, vocabulary = Infinity, seed, force = -1, stop = -1 },
    ) =>
      noGrad(() => {
        const fed = input instanceof Tensor ? input : tensor(input, [B, input.length / B], 'i32');
        const all = model.decode(fed, state, position - fed.shape[1]!); // [B,V]
        const V = Math.min(vocabulary, model.config.vocabulary);
        const some = V < model.config.vocabulary ? slice(all, { axis: 1, start: 0, end: V }) : all;
        const T = tokens.shape[1]!;
        const temperature = asked < COLDEST ? 0 : asked;
        const logits = likely(some, { temperature, topP, minP });
        backend().dispatch(
          sampleKernel,
          { logits: logits.storage, tokens: tokens.storage, next: next.storage },
          {
            B,
            V,
            T,
            position,
            first,
            temperature,
            topK,
            force: position === first ? force : -1,
            stop,
            key0: seed.k0,
            key1: seed.k1,
          },
        );
      }),
  );
}

interface Likely {
  readonly temperature: number;
  readonly topP: number;
  readonly minP: number;
}

const NO_LIMIT = 3e38; // single precision ends at 3.4e38

/** logits [B,V]; what is too unlikely to be drawn is -infinity. */
function likely(logits: Tensor, { temperature, topP, minP }: Likely): Tensor {
  if (temperature === 0 || (topP === 1 && minP === 0)) return logits;
  const [B, V] = logits.shape as readonly number[] as readonly [number, number];
  const out = empty(logits);
  const gap = Math.min(NO_LIMIT, -temperature * Math.log(minP));
  backend().dispatch(keepLikelyKernel, { logits: logits.storage, out: out.storage }, { B, V, temperature, topP, gap });
  return out;
}

/** What the model has to say about prompts and options. */
function check(
  model: Transformer,
  prompts: Int32Array,
  prompt: number,
  options: GenerateOptions,
): void {
  const { maxNew, force = 0, stop = 0 } = options;
  const { context, vocabulary } = model.config;
  if (!Number.isInteger(prompt) || prompt < 1) {
    throw new ConfigError(`generate: prompts of ${prompt} tokens: need at least one each, all of one length`);
  }
  checkLengths(prompts, prompt, options);
  if (prompt + maxNew > context) {
    throw new ConfigError(`generate: ${prompt + maxNew} tokens: the model's context is ${context}: ask for fewer`);
  }
  const wrong = [force, stop, prompts.find((id) => id < 0 || id >= vocabulary) ?? 0].find(
    (id) => id < 0 || id >= vocabulary,
  );
  if (wrong !== undefined) throw new ConfigError(`generate: token ${wrong}: the vocabulary has 0..${vocabulary - 1}`);
}

/** What prompts of different lengths must be. */
function checkLengths(
  prompts: Int32Array,
  prompt: number,
  { batch, lengths, force, stop }: GenerateOptions,
): void {
  if (lengths === undefined) return;
  if (lengths.length !== batch) {
    throw new ConfigError(`generate: ${lengths.length} lengths for ${batch} prompts: give one for each`);
  }
  for (let b = 0; b < batch; b++) {
    const own = lengths[b]!;
    if (own > prompt) {
      throw new ConfigError(`generate: prompt ${b}: a length of ${own}, and ${prompt} places: lower it`);
    }
    if (own < prompt && prompts[b * prompt + own - 1] === stop) {
      throw new ConfigError(`generate: prompt ${b}: ends with the stop token: no answer could follow`);
    }
  }
  if (force !== undefined) {
    throw new ConfigError(
      'generate: force and lengths: answers begin at different places: put the token at the end of the prompts',
    );
  }
}
