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

/** What one training phase needs; the two phases differ in their defaults only. */
function phase(defaults: { steps: number; warmup: number; schedule: 'constant' | 'linear'; corpus: { density: number; noise: number; wrong: number; spread: number } }) {
  const { corpus } = defaults;
  return z.strictObject({
    steps: whole({ min: 1, max: 100_000_000, about: 'optimiser steps' }).default(defaults.steps),
    batch: whole({ min: 1, max: 65_536, unit: 'rows', about: 'rows per step' }).default(32),
    rate: real({ above: 0, to: 1, about: 'learning rate at its peak' }).default(5e-3),
    warmup: whole({ min: 0, max: 100_000_000, unit: 'steps', about: 'the rate climbs from 0 over these' }).default(defaults.warmup),
    schedule: choice(['constant', 'linear', 'cosine', 'wsd'], 'the rate after warm-up; wsd: constant, then down to the floor').default(defaults.schedule),
    floor: share('where a falling schedule ends, as a share of the peak').default(0),
    weightDecay: real({ from: 0, to: 10, about: 'decoupled weight decay of matrices' }).default(0.05),
    clip: real({ above: 0, to: 1e9, about: 'largest global gradient norm' }).default(1),
    beta1: real({ from: 0, below: 1, about: 'AdamW memory of the gradient' }).default(0.9),
    beta2: real({ from: 0, below: 1, about: 'AdamW memory of its square' }).default(0.95),
    corpus: z.strictObject({
      density: share('rows that hold a problem; the rest is chatter').default(corpus.density),
      noise: share('characters of chatter replaced at random').default(corpus.noise),
      wrong: share('problems solved wrongly').default(corpus.wrong),
      think: share('problems solved step by step, on average over the tasks').default(0.35),
      spread: share('how far a task may lie from that average').default(corpus.spread),
      waffle: share('of the others: filler before the answer').default(0.3),
    }).prefault({}),
  }).prefault({});
}

const pretrain = phase({ steps: 1200, warmup: 50, schedule: 'constant', corpus: { density: 0.8, noise: 0.1, wrong: 0.2, spread: 0 } });
const midtrain = phase({ steps: 300, warmup: 0, schedule: 'linear', corpus: { density: 0.95, noise: 0.05, wrong: 0.1, spread: 0.1 } });

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
  evaluate: evaluate.prefault({}),
});

/** Any part of a config: what presets and config files hold. */
export type PartialConfig = z.input<typeof schema>;

type Settings = z.output<typeof schema>;

/** A complete, checked run configuration. `kvHeads` and `hidden` are filled in by config.ts when not given. */
export interface Config extends Omit<Settings, 'model'> {
  model: Omit<Settings['model'], 'kvHeads' | 'hidden'> & { kvHeads: number; hidden: number };
}

/** One phase's settings: `config.pretrain` or `config.midtrain`. */
export type PhaseConfig = Config['pretrain'];

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
