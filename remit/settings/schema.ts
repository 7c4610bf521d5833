// Every setting of a training run, said once: its type, range, unit, default and meaning.
// The flags, the help text, the check of a config file and the TypeScript type all come from here.
// The defaults are the tiny world's recipe; presets.ts holds what differs elsewhere. Read next: resolve.ts.

import { z } from 'zod';
import { choice, orOwn, real, text, toggle, whole, type Rule } from '../../engine/options.ts';
import { modelRules } from '../../nn/config.ts';
import { adamwDefaults, adamwRules, rateRules } from '../../optim/adamw.ts';
import type { OwnOptimiser } from '../../optim/optimiser.ts';
import { scheduleRules, type OwnSchedule, type ScheduleOptions } from '../../optim/schedule.ts';
import { SMALLEST_VOCABULARY } from '../text/bpe-train.ts';
import { corpusRules, styleRules } from '../worlds/tiny/documents.ts';
import { evaluateRules } from '../worlds/tiny/evaluate.ts';
import { advantageRule, type AdvantageName, type OwnAdvantage } from '../rl/advantage.ts';
import { rolloutRules } from '../rl/rollout.ts';
import { remitRules } from '../weights.ts';

/** What a setting means; what it may be is a rule, shared with the function that it is an option of. */
interface Meaning {
  readonly about: string;
  readonly unit?: string;
}

export type Kind = Exclude<Rule['kind'], 'other'>;

/** What the rest of remit/settings knows about a setting; kept as zod metadata. */
export interface Leaf extends Meaning {
  readonly kind: Kind;
  /** What is allowed, to be read after "must be": `a whole number from 1 to 64`. */
  readonly range: string;
}

const leaves = z.registry<Leaf>();

/** One leaf of the tree: what it may be, and what it is for. */
function setting<T>(rule: Rule<T>, about: string, unit?: string): z.ZodCustom<T, T> {
  const { kind, range } = rule;
  if (kind === 'other') throw new Error(`internal: setting "${about}": cannot be given as text`);
  return z
    .custom<T>((value) => rule.accepts(value))
    .register(leaves, { kind, range, about, ...(unit !== undefined && { unit }) });
}

const share = real({ from: 0, to: 1 });

const model = z.strictObject({
  context: setting(modelRules.context, 'longest sequence; the tiny world has rows of 24', 'tokens').default(24),
  width: setting(modelRules.width, 'channels that every layer reads and writes', 'channels').default(64),
  layers: setting(modelRules.layers, 'blocks of attention and MLP').default(2),
  heads: setting(modelRules.heads, 'query heads; width / heads channels each').default(4),
  kvHeads: setting(modelRules.kvHeads, 'key and value heads; heads unless set').optional(),
  hidden: setting(
    modelRules.hidden,
    'MLP units; 8/3 of the width (swiglu) or 4 times it (gelu) unless set',
    'channels',
  ).optional(),
  norm: setting(modelRules.norm, 'RMSNorm (Llama) or LayerNorm (GPT-2)').default('rms'),
  positions: setting(modelRules.positions, 'rotary angles (Llama) or a learned table (GPT-2)').default('rotary'),
  rotaryBase: setting(modelRules.rotaryBase, 'longest rotary wavelength, in units of 2 pi tokens').default(100),
  mlp: setting(modelRules.mlp, 'gated SiLU (Llama) or GELU (GPT-2)').default('swiglu'),
  bias: setting(modelRules.bias, 'biases in attention and MLP (GPT-2)').default(false),
  tied: setting(modelRules.tied, 'the output head is the token embedding').default(false),
  epsilon: setting(modelRules.epsilon, 'added under the root of a norm').default(1e-5),
});

const data = z.strictObject({
  path: setting(text, 'your own text: a .txt or .jsonl file or a folder of them; the tiny world unless set').optional(),
  world: setting(text, 'a world made of files: its folder; see docs/a-world-of-your-own.md').optional(),
  field: setting(text, 'which field of a .jsonl line holds the text').default('text'),
  tokenizer: setting(text, 'of your own text: bytes; bpe, learned from it; or a tokenizer.json; bytes unless set').optional(),
  vocabulary: setting(whole({ min: SMALLEST_VOCABULARY, max: 2 ** 20 }), 'that bpe learns; 1024 unless set', 'tokens').optional(),
  validation: setting(real({ above: 0, to: 0.5 }), 'share of your text held out to validate on').default(0.1),
});

interface OptimiserDefaults {
  steps: number;
  rate: number;
  warmup: number;
  schedule: 'constant' | 'linear';
  weightDecay: number;
}

/** What every phase tells its optimiser. */
function optimiser({ steps, rate, warmup, schedule, weightDecay }: OptimiserDefaults, about = 'optimiser steps') {
  return {
    steps: setting(scheduleRules.steps, about).default(steps),
    rate: setting(rateRules.peak, 'learning rate at its peak').default(rate),
    warmup: setting(scheduleRules.warmup, 'the rate climbs from 0 over these', 'steps').default(warmup),
    schedule: setting(
      orOwn<ScheduleOptions['kind'], OwnSchedule>(scheduleRules.kind),
      'the rate after warm-up; wsd: constant, then down to the floor',
    ).default(schedule),
    optimiser: setting(
      orOwn<'adamw' | 'muon', OwnOptimiser>(choice('adamw', 'muon')),
      'muon: for the matrices inside of the model, and AdamW for the rest',
    ).default('adamw'),
    floor: setting(share, 'where a falling schedule ends, as a share of the peak').default(0),
    weightDecay: setting(adamwRules.weightDecay, 'decoupled weight decay of matrices').default(weightDecay),
    clip: setting(adamwRules.clip, 'largest global gradient norm; 0: no limit').default(adamwDefaults.clip),
    beta1: setting(adamwRules.beta1, 'AdamW memory of the gradient').default(adamwDefaults.beta1),
    beta2: setting(adamwRules.beta2, 'AdamW memory of its square').default(adamwDefaults.beta2),
    diverged: setting(
      choice('stop', 'skip'),
      'when a gradient is no number: end the run, or leave that step out and count it',
    ).default('stop'),
  };
}

const batch = setting(whole({ min: 1, max: 65_536 }), 'rows per step', 'rows');
const microBatch = setting(
  whole({ min: 1, max: 65_536 }),
  'rows at a time, where a batch is larger than memory: gradients add up; all unless set',
  'rows',
).optional();

/** In what styles problems are answered. */
function styles(defaults: { think: number; spread: number }) {
  return {
    think: setting(styleRules.think, 'problems solved step by step, on average over the tasks').default(defaults.think),
    spread: setting(styleRules.spread, 'how far a task may lie from that average').default(defaults.spread),
    waffle: setting(styleRules.waffle, 'of the others: filler before the answer').default(0.3),
  };
}

/** Pre-training and mid-training differ in their defaults only. */
function corpusPhase(
  defaults: OptimiserDefaults,
  corpus: { density: number; noise: number; wrong: number; spread: number },
) {
  return z
    .strictObject({
      ...optimiser(defaults),
      batch: batch.default(32),
      microBatch,
      corpus: z
        .strictObject({
          density: setting(corpusRules.density, 'rows that hold a problem; the rest is chatter').default(
            corpus.density,
          ),
          noise: setting(corpusRules.noise, 'characters of chatter replaced at random').default(corpus.noise),
          wrong: setting(corpusRules.wrong, 'problems solved wrongly').default(corpus.wrong),
          ...styles({ think: 0.35, spread: corpus.spread }),
        })
        .prefault({}),
    })
    .prefault({});
}

const pretrain = corpusPhase(
  { steps: 1200, rate: 5e-3, warmup: 50, schedule: 'constant', weightDecay: 0.05 },
  { density: 0.8, noise: 0.1, wrong: 0.2, spread: 0 },
);
const midtrain = corpusPhase(
  { steps: 300, rate: 5e-3, warmup: 0, schedule: 'linear', weightDecay: 0.05 },
  { density: 0.95, noise: 0.05, wrong: 0.1, spread: 0.1 },
);

const sft = z.strictObject({
  ...optimiser({ steps: 80, rate: 2e-3, warmup: 0, schedule: 'linear', weightDecay: 0 }),
  batch: batch.default(32),
  microBatch,
  demonstrations: z.strictObject(styles({ think: 0.5, spread: 0 })).prefault({}),
});

const rl = z.strictObject({
  ...optimiser(
    { steps: 100, rate: 6e-4, warmup: 5, schedule: 'constant', weightDecay: 0 },
    'iterations: one batch of samples each',
  ),
  prompts: setting(rolloutRules.prompts, 'questions per iteration').default(16),
  samples: setting(rolloutRules.samples, 'answers sampled per question').default(8),
  microBatch: setting(
    whole({ min: 1, max: 65_536 }),
    'answers at a time that gradients are taken of; all unless set',
    'answers',
  ).optional(),
  temperature: setting(rolloutRules.temperature, 'of the samples').default(1),
  advantage: setting(
    orOwn<AdvantageName, OwnAdvantage>(advantageRule),
    'how rewards are compared: see remit/rl/advantage.ts',
  ).default('rloo'),
  updates: setting(whole({ min: 1, max: 1000 }), 'optimiser steps per batch of samples').default(1),
  ratioClip: setting(
    real({ above: 0, below: 1 }),
    'how far the probability ratio may move before its gradient stops',
  ).default(0.2),
  ratioClipHigh: setting(
    real({ above: 0, to: 100 }),
    '... upwards, where it may move further than downwards (DAPO: 0.28); ratioClip unless set',
  ).optional(),
  divisor: setting(
    choice('tokens', 'answer', 'constant'),
    'of the loss: tokens of all answers (DAPO), of each its own (GRPO), or the most there may be (Dr. GRPO)',
  ).default('tokens'),
  resample: setting(
    whole({ min: 0, max: 100 }),
    'times that other questions are drawn for those whose answers are all worth the same',
  ).default(0),
  maskTruncated: setting(toggle, 'nothing is learned from an answer that was cut off').default(false),
  show: setting(
    whole({ min: 0, max: 1_000_000 }),
    'answers with their rewards are kept every so many iterations; 0: never',
    'iterations',
  ).default(0),
  klWeight: setting(
    real({ from: 0, to: 100 }),
    'weight of the k3 estimate of KL to the model that RL began with',
  ).default(0.02),
});

const remit = z.strictObject({
  arm: setting(
    choice('remit', 'vanilla', 'sft-guided', 'normalised', 'shuffled', 'shuffled-rows', 'kd', 'rho'),
    'how mid-training is done the second time',
  ).default('remit'),
  epsilon: setting(remitRules.epsilon, 'weights lie in 1 - epsilon .. 1 + epsilon').default(0.2),
  scale: setting(remitRules.scale, 'steepness of the sigmoid that turns a gap into a weight').default(1),
  centre: setting(remitRules.centre, 'take the mean gap of its row off each gap').default(true),
  detach: setting(remitRules.detach, 'weights are constants: no gradient flows through them').default(true),
  distil: setting(share, 'kd: weight of KL(reference || model) against next-token prediction').default(0.5),
  keep: setting(real({ above: 0, to: 1 }), 'rho: share of the tokens that count').default(0.6),
  iterations: setting(
    whole({ min: 0, max: 100 }),
    'turns of the flywheel; each takes the last RL model as its reference',
  ).default(1),
});

const checkpoint = z.strictObject({
  seconds: setting(
    real({ from: 0, to: 1e6 }),
    'how often a phase on its way is stored, if that is cheap; 0: never',
    'seconds',
  ).default(5),
  every: setting(
    whole({ min: 0, max: 100_000_000 }),
    'and after every so many; 0: by the clock alone',
    'steps',
  ).default(0),
  keep: setting(whole({ min: 1, max: 1000 }), 'how many of these are kept while the phase lasts').default(2),
});

const evaluate = z.strictObject({
  questions: setting(evaluateRules.questions, 'held-out questions per task').default(200),
  split: setting(evaluateRules.split, 'which held-out questions; tune on validation').default('test'),
});

/** The whole tree. Strict: a key that is not here is an error. */
export const schema = z.strictObject({
  seed: setting(whole({ min: 0, max: 0xffff_ffff }), 'everything random follows from it').default(0),
  device: setting(
    choice('auto', 'cpu', 'webgpu'),
    'what computes; auto is a GPU if there is one, else the CPU',
  ).default('auto'),
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

/** A complete, checked run configuration. `kvHeads` and `hidden` are filled in by resolve.ts when not given. */
export interface Config extends Omit<Settings, 'model'> {
  model: Omit<Settings['model'], 'kvHeads' | 'hidden'> & { kvHeads: number; hidden: number };
}

/** What a phase tells its optimiser. */
export type OptimiserConfig = Omit<Config['pretrain'], 'batch' | 'microBatch' | 'corpus'>;

/** A phase that learns from rows of tokens: pre-training, mid-training, fine-tuning. */
export type PhaseConfig = Omit<Config['pretrain'], 'corpus'>;

export interface Setting extends Leaf {
  /** Dotted: `model.width`. */
  readonly name: string;
  /** Undefined: not set unless asked for, or derived from others. */
  readonly fallback: unknown;
}

/** Every setting by its dotted name, in the order above. */
export const settings: ReadonlyMap<string, Setting> = new Map(
  collect(schema, '').map((setting) => [setting.name, setting]),
);

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
    return Object.entries(inner.shape).flatMap(([key, child]) =>
      collect(child as z.ZodType, name === '' ? key : `${name}.${key}`),
    );
  }
  const leaf = leaves.get(inner);
  if (leaf === undefined) throw new Error(`internal: setting ${name} has no meaning`);
  return [{ name, fallback, ...leaf }];
}

/** Takes `.default()`, `.prefault()` and `.optional()` off. */
function unwrap(type: z.ZodType): { inner: z.ZodType; fallback: unknown } {
  if (type instanceof z.ZodDefault) return { inner: type.unwrap() as z.ZodType, fallback: type.def.defaultValue };
  if (type instanceof z.ZodOptional || type instanceof z.ZodPrefault) {
    return { inner: type.unwrap() as z.ZodType, fallback: undefined };
  }
  return { inner: type, fallback: undefined };
}
