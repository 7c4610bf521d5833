// Every setting of a training run, said once: its type, range, unit, default and meaning.
// The flags, the help text, the check of a config file and the TypeScript type all come from here.
// The defaults are the tiny world's recipe; presets.ts holds what differs elsewhere. Read next: config.ts.

import { z } from 'zod';

/** Why this file exists beside zod: one leaf is one line below, and its error message can quote its range. */
interface Meaning {
  readonly about: string;
  readonly unit?: string;
}

export type Kind = 'number' | 'toggle' | 'choice' | 'text';

/** What the rest of remit/config knows about a setting; kept as zod metadata. */
export interface Leaf extends Meaning {
  readonly kind: Kind;
  /** What is allowed, to be read after "must be": `a whole number from 1 to 64`. */
  readonly range: string;
}

const leaves = z.registry<Leaf>();

interface WholeRange extends Meaning { readonly min: number; readonly max: number }

function whole({ min, max, ...meaning }: WholeRange): z.ZodNumber {
  const range = `a whole number from ${min} to ${max}`;
  return z.int().min(min).max(max).register(leaves, { kind: 'number', range, ...meaning });
}

interface RealRange extends Meaning { readonly above?: number; readonly from?: number; readonly to?: number; readonly below?: number }

function real({ above, from, to, below, ...meaning }: RealRange): z.ZodNumber {
  const parts: string[] = [];
  let type = z.number();
  if (above !== undefined) { type = type.gt(above); parts.push(`above ${above}`); }
  if (from !== undefined) { type = type.gte(from); parts.push(`at least ${from}`); }
  if (to !== undefined) { type = type.lte(to); parts.push(`at most ${to}`); }
  if (below !== undefined) { type = type.lt(below); parts.push(`below ${below}`); }
  return type.register(leaves, { kind: 'number', range: `a number ${parts.join(' and ')}`, ...meaning });
}

function choice<const T extends readonly [string, ...string[]]>(options: T, about: string) {
  return z.enum(options).register(leaves, { kind: 'choice', range: `one of ${options.join(', ')}`, about });
}

function toggle(about: string): z.ZodBoolean {
  return z.boolean().register(leaves, { kind: 'toggle', range: 'true or false', about });
}

function text(about: string): z.ZodString {
  return z.string().min(1).register(leaves, { kind: 'text', range: 'some text', about });
}

const share = (about: string): z.ZodNumber => real({ from: 0, to: 1, about });

const model = z.strictObject({
  context: whole({ min: 2, max: 1_048_576, unit: 'tokens', about: 'longest sequence; the tiny world has rows of 24' }).default(24),
  width: whole({ min: 2, max: 8192, unit: 'channels', about: 'channels that every layer reads and writes' }).default(64),
  layers: whole({ min: 1, max: 128, about: 'blocks of attention and MLP' }).default(2),
  heads: whole({ min: 1, max: 256, about: 'query heads; width / heads channels each' }).default(4),
  kvHeads: whole({ min: 1, max: 256, about: 'key and value heads; heads unless set' }).optional(),
  hidden: whole({ min: 1, max: 65_536, unit: 'channels', about: 'MLP units; 8/3 of the width (swiglu) or 4 times it (gelu) unless set' }).optional(),
  norm: choice(['rms', 'layer'], 'RMSNorm (Llama) or LayerNorm (GPT-2)').default('rms'),
  positions: choice(['rotary', 'learned'], 'rotary angles (Llama) or a learned table (GPT-2)').default('rotary'),
  rotaryBase: real({ above: 1, to: 1e9, about: 'longest rotary wavelength, in units of 2 pi tokens' }).default(100),
  mlp: choice(['swiglu', 'gelu'], 'gated SiLU (Llama) or GELU (GPT-2)').default('swiglu'),
  bias: toggle('biases in the MLP (GPT-2)').default(false),
  tied: toggle('the output head is the token embedding').default(false),
  epsilon: real({ above: 0, to: 0.1, about: 'added under the root of a norm' }).default(1e-5),
});

const data = z.strictObject({
  path: text('your own text: a .txt or .jsonl file or a folder of them; the tiny world unless set').optional(),
  field: text('which field of a .jsonl line holds the text').default('text'),
  validation: real({ above: 0, to: 0.5, about: 'share of your text held out to validate on' }).default(0.1),
});

interface OptimiserDefaults { steps: number; rate: number; warmup: number; schedule: 'constant' | 'linear'; weightDecay: number }

/** What every phase tells its optimiser. */
function optimiser({ steps, rate, warmup, schedule, weightDecay }: OptimiserDefaults, about = 'optimiser steps') {
  return {
    steps: whole({ min: 1, max: 100_000_000, about }).default(steps),
    rate: real({ above: 0, to: 1, about: 'learning rate at its peak' }).default(rate),
    warmup: whole({ min: 0, max: 100_000_000, unit: 'steps', about: 'the rate climbs from 0 over these' }).default(warmup),
    schedule: choice(['constant', 'linear', 'cosine', 'wsd'], 'the rate after warm-up; wsd: constant, then down to the floor').default(schedule),
    floor: share('where a falling schedule ends, as a share of the peak').default(0),
    weightDecay: real({ from: 0, to: 10, about: 'decoupled weight decay of matrices' }).default(weightDecay),
    clip: real({ above: 0, to: 1e9, about: 'largest global gradient norm' }).default(1),
    beta1: real({ from: 0, below: 1, about: 'AdamW memory of the gradient' }).default(0.9),
    beta2: real({ from: 0, below: 1, about: 'AdamW memory of its square' }).default(0.95),
    diverged: choice(['stop', 'skip'], 'when a gradient is no number: end the run, or leave that step out and count it').default('stop'),
  };
}

const batch = whole({ min: 1, max: 65_536, unit: 'rows', about: 'rows per step' });

/** In what styles problems are answered. */
function styles(defaults: { think: number; spread: number }) {
  return {
    think: share('problems solved step by step, on average over the tasks').default(defaults.think),
    spread: share('how far a task may lie from that average').default(defaults.spread),
    waffle: share('of the others: filler before the answer').default(0.3),
  };
}

/** Pre-training and mid-training differ in their defaults only. */
function corpusPhase(defaults: OptimiserDefaults, corpus: { density: number; noise: number; wrong: number; spread: number }) {
  return z.strictObject({
    ...optimiser(defaults),
    batch: batch.default(32),
    corpus: z.strictObject({
      density: share('rows that hold a problem; the rest is chatter').default(corpus.density),
      noise: share('characters of chatter replaced at random').default(corpus.noise),
      wrong: share('problems solved wrongly').default(corpus.wrong),
      ...styles({ think: 0.35, spread: corpus.spread }),
    }).prefault({}),
  }).prefault({});
}

const pretrain = corpusPhase({ steps: 1200, rate: 5e-3, warmup: 50, schedule: 'constant', weightDecay: 0.05 }, { density: 0.8, noise: 0.1, wrong: 0.2, spread: 0 });
const midtrain = corpusPhase({ steps: 300, rate: 5e-3, warmup: 0, schedule: 'linear', weightDecay: 0.05 }, { density: 0.95, noise: 0.05, wrong: 0.1, spread: 0.1 });

const sft = z.strictObject({
  ...optimiser({ steps: 80, rate: 2e-3, warmup: 0, schedule: 'linear', weightDecay: 0 }),
  batch: batch.default(32),
  demonstrations: z.strictObject(styles({ think: 0.5, spread: 0 })).prefault({}),
});

const rl = z.strictObject({
  ...optimiser({ steps: 100, rate: 6e-4, warmup: 5, schedule: 'constant', weightDecay: 0 }, 'iterations: one batch of samples each'),
  prompts: whole({ min: 1, max: 4096, about: 'questions per iteration' }).default(16),
  samples: whole({ min: 1, max: 4096, about: 'answers sampled per question' }).default(8),
  temperature: real({ above: 0, to: 100, about: 'of the samples' }).default(1),
  advantage: choice(['rloo', 'grpo', 'dr-grpo', 'reinforce'], 'how rewards are compared: see remit/rl/advantage.ts').default('rloo'),
  updates: whole({ min: 1, max: 1000, about: 'optimiser steps per batch of samples' }).default(1),
  ratioClip: real({ above: 0, below: 1, about: 'how far the probability ratio may move before its gradient stops' }).default(0.2),
  klWeight: real({ from: 0, to: 100, about: 'weight of the k3 estimate of KL to the model that RL began with' }).default(0.02),
});

const remit = z.strictObject({
  arm: choice(['remit', 'vanilla', 'sft-guided', 'shuffled', 'kd', 'rho'], 'how mid-training is done the second time').default('remit'),
  epsilon: real({ above: 0, to: 1, about: 'weights lie in 1 - epsilon .. 1 + epsilon' }).default(0.2),
  scale: real({ above: 0, to: 1000, about: 'steepness of the sigmoid that turns a gap into a weight' }).default(1),
  centre: toggle('take the mean gap of its row off each gap').default(true),
  detach: toggle('weights are constants: no gradient flows through them').default(true),
  distil: share('kd: weight of KL(reference || model) against next-token prediction').default(0.5),
  keep: real({ above: 0, to: 1, about: 'rho: share of the tokens that count' }).default(0.6),
  iterations: whole({ min: 0, max: 100, about: 'turns of the flywheel; each takes the last RL model as its reference' }).default(1),
});

const checkpoint = z.strictObject({
  seconds: real({ from: 0, to: 1e6, unit: 'seconds', about: 'how often a phase on its way is stored, if that is cheap; 0: never' }).default(5),
  every: whole({ min: 0, max: 100_000_000, unit: 'steps', about: 'and after every so many; 0: by the clock alone' }).default(0),
  keep: whole({ min: 1, max: 1000, about: 'how many of these are kept while the phase lasts' }).default(2),
});

const evaluate = z.strictObject({
  questions: whole({ min: 1, max: 200, about: 'held-out questions per task' }).default(200),
  split: choice(['test', 'validation'], 'which held-out questions; tune on validation').default('test'),
});

/** The whole tree. Strict: a key that is not here is an error. */
export const schema = z.strictObject({
  seed: whole({ min: 0, max: 0xffff_ffff, about: 'everything random follows from it' }).default(0),
  device: choice(['auto', 'cpu', 'webgpu'], 'what computes; auto is a GPU if there is one, else the CPU').default('auto'),
  model: model.prefault({}),
  data: data.prefault({}),
  pretrain,
  midtrain,
  sft: sft.prefault({}),
  rl: rl.prefault({}),
  remit: remit.prefault({}),
  evaluate: evaluate.prefault({}),
  checkpoint: checkpoint.prefault({}),
});

/** Any part of a config: what presets and config files hold. */
export type PartialConfig = z.input<typeof schema>;

type Settings = z.output<typeof schema>;

/** A complete, checked run configuration. `kvHeads` and `hidden` are filled in by config.ts when not given. */
export interface Config extends Omit<Settings, 'model'> {
  model: Omit<Settings['model'], 'kvHeads' | 'hidden'> & { kvHeads: number; hidden: number };
}

/** What a phase tells its optimiser. */
export type OptimiserConfig = Omit<Config['pretrain'], 'batch' | 'corpus'>;

/** A phase that learns from rows of tokens: pre-training, mid-training, fine-tuning. */
export type PhaseConfig = Omit<Config['pretrain'], 'corpus'>;

export interface Setting extends Leaf {
  /** Dotted: `model.width`. */
  readonly name: string;
  /** Undefined: not set unless asked for, or derived from others. */
  readonly fallback: unknown;
}

/** Every setting by its dotted name, in the order above. */
export const settings: ReadonlyMap<string, Setting> = new Map(collect(schema, '').map((setting) => [setting.name, setting]));

/** Every section by its dotted name: `model`, `pretrain.corpus`. */
export const sections: ReadonlySet<string> = new Set([...settings.keys()].flatMap(parents));

/** `a.b.c` -> `a`, `a.b`. */
function parents(name: string): string[] {
  const parts = name.split('.');
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('.'));
}

function collect(type: z.ZodType, name: string): Setting[] {
  const { inner, fallback } = unwrap(type);
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([key, child]) => collect(child as z.ZodType, name === '' ? key : `${name}.${key}`));
  }
  const leaf = leaves.get(inner);
  if (leaf === undefined) throw new Error(`internal: setting ${name} has no meaning`);
  return [{ name, fallback, ...leaf }];
}

/** Takes `.default()`, `.prefault()` and `.optional()` off. */
function unwrap(type: z.ZodType): { inner: z.ZodType; fallback: unknown } {
  if (type instanceof z.ZodDefault) return { inner: type.unwrap() as z.ZodType, fallback: type.def.defaultValue };
  if (type instanceof z.ZodOptional || type instanceof z.ZodPrefault) return { inner: type.unwrap() as z.ZodType, fallback: undefined };
  return { inner: type, fallback: undefined };
}
