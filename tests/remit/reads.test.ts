// A setting that was asked for is read, or is an error that says what would read it.

import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../engine/errors.ts';
import { resolveConfig, type Sources } from '../../remit/settings/resolve.ts';
import { checkRead, type Reader, type Reading } from '../../remit/settings/reads.ts';
import { settings } from '../../remit/settings/schema.ts';

const flag = (name: string, value: string, preset = 'tiny'): Sources => ({ preset, flags: [[name, value]] });
const check = (sources: Sources, reading: Reading) => () => checkRead(resolveConfig(sources), reading);
const READERS: readonly Reader[] = ['everything', 'text', 'pretrain', 'midtrain', 'sft', 'rl', 'remit', 'study'];

test.each<[Sources, Reading, string]>([
  [
    flag('sft.rate', '0.1'),
    { reader: 'rl' },
    'train rl: sft.rate = 0.1 (flag): nothing will read it: train, train sft, study would: leave it out',
  ],
  [
    flag('pretrain.steps', '1200'),
    { reader: 'sft' },
    'train sft: pretrain.steps = 1200 (flag): nothing will read it: train, train --data, train pretrain, study ' +
    'would: leave it out',
  ],
  [flag('pretrain.corpus.noise', '0', 'text'), { reader: 'text' }, ''],
  [
    flag('evaluate.questions', '3'),
    { reader: 'text' },
    'train --data: evaluate.questions = 3 (flag): nothing will read it: your own text has no questions: leave it out',
  ],
  [
    flag('data.field', 'body'),
    { reader: 'everything' },
    'train: data.field = body (flag): nothing will read it: there is no text: give --data <path>',
  ],
  [
    flag('remit.keep', '0.5'),
    { reader: 'everything' },
    'train: remit.keep = 0.5 (flag): nothing will read it: remit.arm = remit does not: rho would',
  ],
  [
    flag('remit.epsilon', '0.5'),
    { reader: 'midtrain' },
    'train midtrain: remit.epsilon = 0.5 (flag): nothing will read it: train, train remit would: leave it out',
  ],
  [
    flag('remit.iterations', '2'),
    { reader: 'remit' },
    'train remit: remit.iterations = 2 (flag): nothing will read it: train would: leave it out',
  ],
  [
    {
      flags: [
        ['remit.iterations', '0'],
        ['remit.arm', 'kd'],
      ],
    },
    { reader: 'everything' },
    'train: remit.arm = kd (flag): nothing will read it: with remit.iterations = 0 the flywheel does not turn: leave ' +
    'it out',
  ],
  [
    flag('pretrain.floor', '0.1'),
    { reader: 'pretrain' },
    'train pretrain: pretrain.floor = 0.1 (flag): nothing will read it: with pretrain.schedule = constant the rate ' +
    'does not fall: choose linear, cosine or wsd',
  ],
  [
    flag('model.rotaryBase', '10', 'gpt2-tiny'),
    { reader: 'everything' },
    'train: model.rotaryBase = 10 (flag): nothing will read it: model.positions = learned has no angles: leave it out',
  ],
  [
    flag('remit.iterations', '2'),
    { reader: 'study', arms: ['remit'] },
    'study: remit.iterations = 2 (flag): nothing will read it: give --iterations',
  ],
  [
    flag('remit.scale', '2'),
    { reader: 'study', arms: ['vanilla', 'kd'] },
    'study: remit.scale = 2 (flag): nothing will read it: none of its arms does: arms of the methods remit, ' +
    'sft-guided, normalised, shuffled, shuffled-rows would',
  ],
  [
    { file: { path: 'my.json', values: { rl: { steps: 7 } } } },
    { reader: 'sft' },
    'train sft: rl.steps = 7 (my.json): nothing will read it: train, train rl, study would: leave it out',
  ],
])('%j by %j', (sources, reading, message) => {
  if (message !== '') expect(check(sources, reading)).toThrow(new ConfigError(message));
  else expect(check(sources, reading)).toThrow(ConfigError); // a preset without its text comes first
});

describe('what is not asked for', () => {
  test('presets and defaults, for whoever they are', () => {
    for (const preset of ['tiny', 'short', 'think-only', 'gpt2-tiny']) {
      for (const reader of READERS) expect(check({ preset }, { reader, arms: ['remit'] })).not.toThrow();
    }
  });

  test('the config.json of a run, whatever it did not read; a flag beside it counts', () => {
    const values = resolveConfig({ preset: 'short', flags: [['rl.steps', '7'], ['remit.arm', 'kd']] }).config;
    for (const reader of READERS) {
      expect(check({ file: { path: 'config.json', values } }, { reader, arms: ['remit'] })).not.toThrow();
    }
    expect(check({ file: { path: 'config.json', values }, flags: [['rl.steps', '7']] }, { reader: 'sft' })).toThrow(
      ConfigError,
    );
  });

  test('what a file of one\'s own says as the defaults do', () => {
    expect(check({ file: { path: 'my.json', values: { rl: { steps: 100 } } } }, { reader: 'sft' })).not.toThrow();
  });
});

test('every setting is read by some command', () => {
  const given: Readonly<Record<string, string | number>> = {
    'data.path': 'x.txt', 'data.tokenizer': 'bpe', 'data.vocabulary': 300, 'model.kvHeads': 4, 'model.hidden': 176,
    'pretrain.microBatch': 8, 'midtrain.microBatch': 8, 'sft.microBatch': 8, 'rl.microBatch': 8, 'rl.ratioClipHigh': 0.28,
  };
  const value = (name: string): string =>
    String(settings.get(name)!.fallback ?? given[name]);
  const readers = (name: string): Reader[] => READERS.filter((reader) => {
    const arms = ['vanilla', 'remit', 'kd', 'rho'] as const;
    const own: [string, string][] = [
      ['pretrain.schedule', 'cosine'], ['rl.schedule', 'cosine'], ['data.tokenizer', 'bpe'],
    ];
    return arms.some((arm) => {
      const resolved = resolveConfig({
        preset: 'tiny',
        flags: [...own, ['remit.arm', arm], [name, name.startsWith('remit.arm') ? arm : value(name)]],
      });
      const origins = new Map(
        [...resolved.origins].map(([key, origin]) => [
          key,
          key === name ? 'flag' : origin === 'flag' ? 'default' : origin,
        ]),
      );
      try {
        checkRead({ ...resolved, origins }, { reader, arms });
        return true;
      } catch {
        return false;
      }
    });
  });
  for (const name of settings.keys()) expect(readers(name).length, name).toBeGreaterThan(0);
  expect(readers('rl.steps')).toEqual(['everything', 'rl', 'study']);
  expect(readers('model.width')).toEqual(READERS);
});
