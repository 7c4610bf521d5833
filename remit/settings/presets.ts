// Named starting points. A preset says only where it differs from the defaults in schema.ts. Read after: schema.ts.

import type { PartialConfig } from './schema.ts';

export interface Preset {
  readonly about: string;
  readonly values: PartialConfig;
}

export const presets = {
  tiny: {
    about: 'the tiny world on a small Llama, 109,632 parameters (the default)',
    values: {},
  },
  short: {
    about: 'tiny, cut to seconds: does everything work?',
    values: {
      pretrain: { steps: 60, warmup: 10 },
      midtrain: { steps: 30 },
      sft: { steps: 10 },
      rl: { steps: 5 },
      evaluate: { questions: 20 },
    },
  },
  'think-only': {
    about: 'every document thinks: the effect of the weights on skill alone, in a third of the time',
    values: {
      pretrain: { steps: 400, corpus: { think: 1, waffle: 0 } },
      midtrain: { steps: 150, corpus: { think: 1, spread: 0, waffle: 0 } },
      sft: { demonstrations: { think: 1, waffle: 0 } },
      evaluate: { questions: 100 },
    },
  },
  text: {
    about: 'your own text, byte by byte (the default with --data)',
    values: {
      model: { context: 128, width: 128, layers: 4, rotaryBase: 10_000 },
      pretrain: { steps: 1200, batch: 16, rate: 3e-3, warmup: 100, schedule: 'cosine', floor: 0.1 },
    },
  },
  'gpt2-tiny': {
    about: 'the tiny world on a small GPT-2: LayerNorm, learned positions, GELU, biases',
    values: {
      model: { norm: 'layer', positions: 'learned', mlp: 'gelu', bias: true },
    },
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;

export const presetNames = Object.keys(presets) as PresetName[];
