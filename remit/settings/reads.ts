// Who reads which setting. A setting that was asked for and that nothing will read is an error: the run would look as
// if it had been obeyed.
//
// What counts as asked for: every flag, and what a file of settings says other than the default. A file that speaks of
// every section is the config.json of a run, which holds all settings whether that run read them or not: it asks for
// nothing by itself. Read after: resolve.ts. Used by: remit/app/cli/train.ts, study.ts.

import { ConfigError } from '../../engine/errors.ts';
import { resolveConfig, valueAt, type Config, type Resolved } from './resolve.ts';
import { show } from './layers.ts';
import { settings } from './schema.ts';

type Arm = Config['remit']['arm'];

/** A command with settings: `train`, alone or with text or a phase, and `study`. */
export type Reader = 'everything' | 'text' | 'pretrain' | 'midtrain' | 'sft' | 'rl' | 'remit' | 'study';

const PHASE_READERS: Readonly<Record<string, readonly Reader[]>> = {
  pretrain: ['everything', 'text', 'pretrain', 'study'],
  midtrain: ['everything', 'midtrain', 'remit', 'study'],
  sft: ['everything', 'sft', 'study'],
  rl: ['everything', 'rl', 'study'],
};

/** Which arms of mid-training look at a setting; for `epsilon` of rho, only its metrics do. */
const WEIGHING = ['remit', 'sft-guided', 'normalised', 'shuffled', 'shuffled-rows'] as const;
const ARM_READERS: Readonly<Record<string, readonly Arm[]>> = {
  'remit.epsilon': [...WEIGHING, 'rho'],
  'remit.scale': WEIGHING,
  'remit.centre': WEIGHING,
  'remit.detach': ['remit', 'sft-guided'],
  'remit.distil': ['kd'],
  'remit.keep': ['rho'],
};

/** What an arm of a study sets by itself. */
const SET_BY_ARMS: ReadonlySet<string> = new Set(['remit.arm', 'remit.epsilon', 'remit.distil', 'remit.keep']);

export interface Reading {
  readonly reader: Reader;
  /** Of a study: the methods of its arms. */
  readonly arms?: readonly Arm[];
}

/** Throws ConfigError for the first setting that was asked for and that nothing will read, with what would. */
export function checkRead(resolved: Resolved, reading: Reading): void {
  const { config, preset } = resolved;
  const { reader } = reading;
  if (preset === 'text' && config.data.path === undefined) {
    throw new ConfigError(
      `${words(reader)}: --preset text: is for your own text, and there is none: give --data <path>, or choose ` +
      'another preset',
    );
  }
  for (const [name, origin] of askedFor(resolved)) {
    const fault = unread(name, config, reading);
    if (fault !== undefined) {
      throw new ConfigError(
        `${words(reader)}: ${name} = ${show(valueAt(config, name))} (${origin}): nothing will read it: ${fault}`,
      );
    }
  }
}

/** Settings with a will behind them, in the order of the schema, and where they were given. */
function askedFor(resolved: Resolved): [name: string, origin: string][] {
  const { config, preset, origins } = resolved;
  const defaults = resolveConfig({ preset }).config;
  const files = new Set([...origins.values()].filter((origin) => origin !== 'flag' && !isDefault(origin)));
  const ofARun = new Set([...files].filter((file) => speaksOfEverything(file, origins)));
  return [...settings.keys()].flatMap((name) => {
    const origin = origins.get(name);
    if (origin === undefined || isDefault(origin) || ofARun.has(origin)) return [];
    return origin === 'flag' || valueAt(config, name) !== valueAt(defaults, name)
      ? [[name, origin] as [string, string]]
      : [];
  });
}

const isDefault = (origin: string): boolean =>
  origin === 'default' || origin === 'derived' || origin.startsWith('preset ');

const SECTIONS = new Set([...settings.keys()].filter((name) => name.includes('.')).map((name) => name.split('.')[0]!));

function speaksOfEverything(file: string, origins: ReadonlyMap<string, string>): boolean {
  const said = new Set([...origins].filter(([, origin]) => origin === file).map(([name]) => name.split('.')[0]!));
  return [...SECTIONS].every((section) => said.has(section));
}

/** Why nothing reads a setting, and what would; undefined when it is read. */
function unread(name: string, config: Config, { reader, arms }: Reading): string | undefined {
  const [section = '', ...rest] = name.split('.');
  const inside = rest.join('.');
  const others = (readers: readonly Reader[]): string | undefined =>
    readers.includes(reader) ? undefined : `${readers.map(words).join(', ')} would: leave it out`;
  switch (section) {
    case 'seed': return reader === 'study' ? 'the runs of a study have seeds of their own: give --seeds' : undefined;
    case 'model':
      return name === 'model.rotaryBase' && config.model.positions !== 'rotary'
        ? `model.positions = ${config.model.positions} has no angles: leave it out`
        : undefined;
    case 'data': return unreadData(name, config, reader);
    case 'evaluate':
      if (config.data.world !== undefined) return 'eval.jsonl of your world says what is asked: leave it out';
      return reader === 'text' ? 'your own text has no questions: leave it out' : undefined;
    case 'pretrain':
    case 'midtrain':
    case 'sft':
    case 'rl':
      if (reader === 'text' && inside.startsWith('corpus.')) {
        return 'it describes documents of the tiny world, and your own text comes in their place: leave it out';
      }
      if (config.data.world !== undefined && /^(corpus|demonstrations)\./.test(inside)) {
        return 'it describes the tiny world, and your own comes in its place: leave it out';
      }
      if (inside === 'floor' && config[section].schedule === 'constant') {
        return `with ${section}.schedule = constant the rate does not fall: choose linear, cosine or wsd`;
      }
      return others(PHASE_READERS[section]!);
    case 'remit': return unreadByArms(name, config, reader, arms);
    default: return undefined; // device and checkpoint: every run has them
  }
}

function unreadData(name: string, { data }: Config, reader: Reader): string | undefined {
  if (data.world !== undefined) {
    return name === 'data.world' ? undefined : 'a world made of files says where its text is: leave it out';
  }
  if (reader !== 'text') return 'there is no text: give --data <path>';
  return name === 'data.vocabulary' && data.tokenizer !== 'bpe'
    ? 'only bpe learns a vocabulary: give --tokenizer bpe too'
    : undefined;
}

function unreadByArms(
  name: string,
  { remit }: Config,
  reader: Reader,
  arms: readonly Arm[] = [remit.arm],
): string | undefined {
  if (reader === 'study') {
    if (name === 'remit.iterations') return 'give --iterations';
    if (SET_BY_ARMS.has(name)) return 'each arm of a study has its own: choose among them with --arms, or use train';
  } else if (reader !== 'everything' && (reader !== 'remit' || name === 'remit.iterations')) {
    return `${name === 'remit.iterations' ? 'train' : 'train, train remit'} would: leave it out`;
  } else if (reader === 'everything' && remit.iterations === 0 && name !== 'remit.iterations') {
    return 'with remit.iterations = 0 the flywheel does not turn: leave it out';
  }
  const readers = ARM_READERS[name];
  if (readers === undefined || readers.some((arm) => arms.includes(arm))) return undefined;
  return reader === 'study'
    ? `none of its arms does: arms of the methods ${readers.join(', ')} would`
    : `remit.arm = ${remit.arm} does not: ${readers.join(', ')} would`;
}

/** The words of a command line. */
function words(reader: Reader): string {
  if (reader === 'everything') return 'train';
  if (reader === 'text') return 'train --data';
  return reader === 'study' ? 'study' : `train ${reader}`;
}
