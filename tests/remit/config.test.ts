// Settings: precedence, ranges, messages, and that nothing from outside gets further than a check.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../engine/errors.ts';
import { resolveConfig, type Sources } from '../../remit/settings/resolve.ts';
import { printConfig, settingsHelp } from '../../remit/app/cli/settings-help.ts';
import { distance, nearest } from '../../engine/nearest.ts';
import { presetNames, presets } from '../../remit/settings/presets.ts';
import { settings } from '../../remit/settings/schema.ts';

const flags = (...pairs: [string, string][]): Sources => ({ flags: pairs });
const file = (values: unknown): Sources => ({ file: { path: 'my.json', values } });

describe('what comes out', () => {
  test('with nothing given: the recipe of the tiny world', () => {
    const { config, preset } = resolveConfig();
    expect(preset).toBe('tiny');
    expect(config).toMatchObject({
      seed: 0,
      model: {
        context: 24, width: 64, layers: 2, heads: 4, kvHeads: 4, hidden: 176, rotaryBase: 100, epsilon: 1e-5,
        tied: false, bias: false,
      },
      pretrain: {
        steps: 1200, batch: 32, rate: 5e-3, warmup: 50, schedule: 'constant', weightDecay: 0.05, clip: 1, beta1: 0.9,
        beta2: 0.95,
      },
      midtrain: { steps: 300, batch: 32, rate: 5e-3, warmup: 0, schedule: 'linear', floor: 0 },
      evaluate: { questions: 200, split: 'test' },
    });
    expect(config.sft).toEqual({
      steps: 80,
      rate: 2e-3,
      warmup: 0,
      schedule: 'linear',
      optimiser: 'adamw',
      floor: 0,
      weightDecay: 0,
      clip: 1,
      beta1: 0.9,
      beta2: 0.95,
      diverged: 'stop',
      batch: 32,
      demonstrations: { think: 0.5, spread: 0, waffle: 0.3 },
    });
    expect(config.rl).toEqual({
      steps: 100, rate: 6e-4, warmup: 5, schedule: 'constant', optimiser: 'adamw', floor: 0, weightDecay: 0, clip: 1,
      beta1: 0.9, beta2: 0.95, diverged: 'stop', prompts: 16, samples: 8, temperature: 1, advantage: 'rloo', updates: 1,
      ratioClip: 0.2, klWeight: 0.02, divisor: 'tokens', resample: 0, maskTruncated: false, show: 0,
    });
    expect(config.remit).toEqual({
      arm: 'remit', epsilon: 0.2, scale: 1, centre: true, detach: true, distil: 0.5, keep: 0.6, iterations: 1,
    });
    expect(config.pretrain.corpus).toEqual({
      density: 0.8, noise: 0.1, wrong: 0.2, think: 0.35, spread: 0, waffle: 0.3,
    });
    expect(config.midtrain.corpus).toEqual({
      density: 0.95, noise: 0.05, wrong: 0.1, think: 0.35, spread: 0.1, waffle: 0.3,
    });
  });

  test('defaults < preset < file < flags, and each value knows where it came from', () => {
    const { config, origins } = resolveConfig({
      preset: 'short',
      file: { path: 'my.json', values: { pretrain: { steps: 70, rate: 0.1 }, seed: 3 } },
      flags: [['pretrain.rate', '2e-3'], ['model.tied', 'true'], ['pretrain.rate', '3e-3']],
    });
    expect(config).toMatchObject({
      seed: 3,
      model: { tied: true },
      pretrain: { steps: 70, rate: 3e-3, warmup: 10 },
      midtrain: { steps: 30 },
    });
    const origin = (name: string) => origins.get(name);
    expect(origin('seed')).toBe('my.json');
    expect(origin('pretrain.steps')).toBe('my.json');
    expect(origin('pretrain.rate')).toBe('flag');
    expect(origin('pretrain.warmup')).toBe('preset short');
    expect(origin('model.width')).toBe('default');
    expect(origin('model.kvHeads')).toBe('derived');
    expect(origin('data.path')).toBeUndefined();
  });

  test('every preset is a valid config', () => {
    for (const preset of presetNames) expect(resolveConfig({ preset }).preset).toBe(preset);
    expect(Object.keys(presets)).toEqual(['tiny', 'short', 'think-only', 'text', 'gpt2-tiny']);
  });

  test('your own text chooses the preset text, unless another is asked for', () => {
    const own = resolveConfig(flags(['data.path', 'book.txt']));
    expect(own.preset).toBe('text');
    expect(own.config.model).toMatchObject({
      context: 128, width: 128, layers: 4, heads: 4, hidden: 352, rotaryBase: 10_000,
    });
    expect(own.config.pretrain).toMatchObject({ batch: 16, steps: 1200, rate: 3e-3, schedule: 'cosine' });
    expect(resolveConfig({ preset: 'tiny', ...flags(['data.path', 'book.txt']) }).config.model.width).toBe(64);
  });

  test('kvHeads and hidden follow heads, width and the kind of MLP unless given', () => {
    expect(resolveConfig(flags(['model.heads', '8'])).config.model).toMatchObject({ heads: 8, kvHeads: 8 });
    expect(resolveConfig(flags(['model.kvHeads', '2'])).config.model).toMatchObject({ heads: 4, kvHeads: 2 });
    expect(resolveConfig({ preset: 'gpt2-tiny' }).config.model).toMatchObject({
      norm: 'layer', positions: 'learned', mlp: 'gelu', bias: true, hidden: 256,
    });
  });

  test('a resolved config, written and read back as a file, resolves to itself', () => {
    const first = resolveConfig({ preset: 'gpt2-tiny', flags: [['seed', '7'], ['model.heads', '8']] }).config;
    expect(resolveConfig(file(JSON.parse(JSON.stringify(first)))).config).toEqual(first);
  });
});

test.each<[Sources, 'pretrain' | 'rl', number]>([
  [flags(['pretrain.steps', '20']), 'pretrain', 1],                                         // 50 of 1200
  [flags(['pretrain.steps', '50']), 'pretrain', 50],                                        // it fits: left alone
  [{ preset: 'short', ...flags(['pretrain.steps', '9']) }, 'pretrain', 2],                  // 10 of 60
  [flags(['data.path', 'x.txt'], ['pretrain.steps', '20']), 'pretrain', 2],                 // 100 of 1200
  [flags(['rl.steps', '4']), 'rl', 0],                                                      // 5 of 100
])('a warm-up that nobody asked for fits the steps: %j', (sources, phase, warmup) => {
  const { config, origins } = resolveConfig(sources);
  expect(config[phase].warmup).toBe(warmup);
  expect(origins.get(`${phase}.warmup`)).toBe(warmup === 50 ? 'default' : 'derived');
});

describe('messages', () => {
  test.each<[string, Sources, string]>([
    [
      'a number out of range',
      flags(['pretrain.rate', '-0.001']),
      'config: pretrain.rate = -0.001 (flag): must be a number above 0 and at most 1',
    ],
    [
      'a whole number out of range',
      flags(['model.layers', '0']),
      'config: model.layers = 0 (flag): must be a whole number from 1 to 128',
    ],
    [
      'a fraction where a whole number is due, with its unit',
      flags(['pretrain.batch', '1.5']),
      'config: pretrain.batch = 1.5 (flag): must be a whole number from 1 to 65536 (rows)',
    ],
    [
      'words for a number',
      flags(['seed', 'abc']),
      'config: seed = abc (flag): must be a whole number from 0 to 4294967295',
    ],
    [
      'nothing for a number',
      flags(['seed', '']),
      'config: seed =  (flag): must be a whole number from 0 to 4294967295',
    ],
    ['a word for a toggle', flags(['model.tied', 'yes']), 'config: model.tied = yes (flag): must be true or false'],
    [
      'an unknown choice',
      flags(['midtrain.schedule', 'exp']),
      'config: midtrain.schedule = exp (flag): must be one of constant, linear, cosine, wsd',
    ],
    [
      'a null in a file',
      file({ pretrain: { clip: null } }),
      'config: pretrain.clip = null (my.json): must be a number at least 0 and at most 1000000000',
    ],
    [
      'an unknown setting',
      flags(['pretrain.stpes', '3']),
      'config: pretrain.stpes (flag): no such setting: did you mean pretrain.steps?',
    ],
    [
      'a word from elsewhere',
      file({ midtrain: { lr: 0.1 } }),
      'config: midtrain.lr (my.json): no such setting: did you mean midtrain.rate?',
    ],
    [
      'a setting without its section',
      flags(['width', '3']),
      'config: width (flag): no such setting: did you mean model.width?',
    ],
    [
      'a section for a setting',
      flags(['model', '3']),
      'config: model = 3 (flag): is a section, not a setting: give model.context, model.width and so on',
    ],
    [
      'a value for a section',
      file({ pretrain: { corpus: [1, 2] } }),
      'config: pretrain.corpus = [1,2] (my.json): is a section, not a setting: give pretrain.corpus.density, ' +
      'pretrain.corpus.noise and so on',
    ],
    ['a file that holds no object', file([1]), 'config: my.json: must hold an object of settings, not [1]'],
    [
      'an unknown preset',
      { preset: 'tinny' },
      'config: --preset tinny: no such preset: there are tiny, short, think-only, text, gpt2-tiny: did you mean tiny?',
    ],
    [
      'an inherited name as a preset',
      { preset: 'constructor' },
      'config: --preset constructor: no such preset: there are tiny, short, think-only, text, gpt2-tiny',
    ],
    [
      'width and heads',
      flags(['model.width', '65']),
      'config: model.width = 65, model.heads = 4: width must be a multiple of heads',
    ],
    [
      'heads and kvHeads',
      flags(['model.kvHeads', '3']),
      'config: model.heads = 4, model.kvHeads = 3: heads must be a multiple of kvHeads',
    ],
    [
      'odd heads with rotary positions',
      flags(['model.width', '12']),
      'config: model.width = 12, model.heads = 4: a head has 3 channels: rotary positions need an even number',
    ],
    [
      'a context shorter than a row',
      flags(['model.context', '16']),
      'config: model.context = 16: rows of the tiny world have 24 tokens',
    ],
    [
      'a warm-up that was asked for and is longer than the phase',
      flags(['pretrain.steps', '20'], ['pretrain.warmup', '50']),
      'config: pretrain.warmup = 50, pretrain.steps = 20: warm-up must end within the steps: lower it',
    ],
    [
      'a warm-up of a file, longer than RL',
      file({ rl: { warmup: 5, steps: 4 } }),
      'config: rl.warmup = 5, rl.steps = 4: warm-up must end within the steps: lower it',
    ],
    [
      'weights that could become 0',
      flags(['remit.epsilon', '1.5']),
      'config: remit.epsilon = 1.5 (flag): must be a number above 0 and at most 1',
    ],
    [
      'an unknown arm',
      flags(['remit.arm', 'sft']),
      'config: remit.arm = sft (flag): must be one of remit, vanilla, sft-guided, normalised, ' +
      'shuffled, shuffled-rows, kd, rho',
    ],
    [
      'no tokens to keep',
      flags(['remit.keep', '0']),
      'config: remit.keep = 0 (flag): must be a number above 0 and at most 1',
    ],
    [
      'a ratio that may go anywhere',
      flags(['rl.ratioClip', '1']),
      'config: rl.ratioClip = 1 (flag): must be a number above 0 and below 1',
    ],
    [
      'a word from elsewhere for ReMiT',
      file({ remit: { eps: 0.5 } }),
      'config: remit.eps (my.json): no such setting: did you mean remit.epsilon?',
    ],
    ...(['rloo', 'grpo', 'dr-grpo'] as const).map((advantage): [string, Sources, string] => [
      `${advantage} with one sample`,
      flags(['rl.samples', '1'], ['rl.advantage', advantage]),
      `config: rl.samples = 1, rl.advantage = ${advantage}: compares the samples of a question: needs at least 2, or ` +
      'rl.advantage=reinforce',
    ]),
    [
      'demonstrations that think too often',
      flags(['sft.demonstrations.spread', '0.6']),
      'config: sft.demonstrations.think = 0.5, sft.demonstrations.spread = 0.6: think - spread and think + spread ' +
      'must lie in 0..1',
    ],
    [
      'a spread that leaves 0..1',
      flags(['midtrain.corpus.spread', '0.5']),
      'config: midtrain.corpus.think = 0.35, midtrain.corpus.spread = 0.5: think - spread and think + spread must ' +
      'lie in 0..1',
    ],
  ])('%s', (_name, sources, message) => {
    expect(() => resolveConfig(sources)).toThrow(new ConfigError(message));
  });

  test('one sample per question is fine for reinforce', () => {
    expect(resolveConfig(flags(['rl.samples', '1'], ['rl.advantage', 'reinforce'])).config.rl).toMatchObject({
      samples: 1,
      advantage: 'reinforce',
    });
  });

  test('odd heads are fine with learned positions, and a short context with own text', () => {
    expect(resolveConfig({ preset: 'gpt2-tiny', flags: [['model.width', '12']] }).config.model.width).toBe(12);
    expect(resolveConfig(flags(['data.path', 'x'], ['model.context', '16'])).config.model.context).toBe(16);
  });

  test('a long value is cut and stays on one line', () => {
    expect(() => resolveConfig(flags(['device', `a\nb${'c'.repeat(80)}`]))).toThrow(
      /^config: device = a bc{30,40}\.\.\. \(flag\): must be one of/,
    );
  });
});

describe('hostile input', () => {
  test('any JSON as a file gives a config or a ConfigError, and never touches Object.prototype', () => {
    const attack = fc.constant(
      JSON.parse('{"__proto__":{"seed":7},"constructor":{"prototype":{"seed":7}}}') as unknown,
    );
    fc.assert(fc.property(fc.oneof(fc.jsonValue(), attack), (values) => {
      try {
        expect(resolveConfig(file(values)).config.seed).toBe(0);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        expect(error.message).not.toContain('\n');
      }
      expect(({} as Record<string, unknown>).seed).toBeUndefined();
    }), { numRuns: 2000 });
  });

  test.each(['__proto__.seed', 'constructor', '', '.', 'model.', 'model.__proto__'])(
    'the flag name "%s" is refused',
    (name) => {
      expect(() => resolveConfig(flags([name, '1']))).toThrow(/no such setting/);
    },
  );
});

describe('text', () => {
  test('help has a line for every setting, with its range and default', () => {
    const lines = settingsHelp().split('\n').filter((line) => line.startsWith('  --'));
    expect(lines).toHaveLength(settings.size);
    expect(lines).toContain('  --pretrain.batch         rows per step (1 to 65536 rows; default 32)');
  });

  test('print-config shows values and origins', () => {
    const text = printConfig(resolveConfig(flags(['seed', '5'])));
    expect(text).toMatch(/^seed +5 +flag$/m);
    expect(text).toMatch(/^model\.hidden +176 +derived$/m);
    expect(text).not.toContain('data.path');
  });

  test('distance counts letters to change', () => {
    expect(distance('kitten', 'sitting')).toBe(3);
    expect(distance('', 'abc')).toBe(3);
    expect(distance('paek', 'peak')).toBe(1);
    expect(nearest('evaluate.question', settings.keys())).toBe('evaluate.questions');
    expect(nearest('learning-rate', ['model.width', 'pretrain.rate'])).toBe('pretrain.rate');
    expect(nearest('eval', ['export', 'evaluate'])).toBe('evaluate');
    for (const far of ['foo', 'everything', 'constructor', '', 'x']) {
      expect(nearest(far, ['score', 'doctor', 'sample', 'short', 'out'])).toBeUndefined();
    }
  });
});
