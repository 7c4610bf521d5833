// From layers of settings to one checked Config: defaults < preset < file < flags, and who said what.
// Read after: schema.ts (the settings), layers.ts (one source of them).

import { describe } from '../../engine/describe.ts';
import { ConfigError } from '../../engine/errors.ts';
import {
  anything, checkArguments, checkOptions, checkValue, having, isOptions, list, optional, string, such, type Rules,
} from '../../engine/options.ts';
import { type Layer, layerFromText, layerFromTree, show } from './layers.ts';
import { didYouMean } from '../../engine/nearest.ts';
import { presetNames, presets, type PresetName } from './presets.ts';
import { type Config, type PartialConfig, schema, sections, settings } from './schema.ts';

export type { Config, OptimiserConfig, PartialConfig, PhaseConfig } from './schema.ts';
export type { PresetName } from './presets.ts';

export interface Sources {
  /** A preset's name; `tiny` unless given, or `text` when there is a data.path. */
  readonly preset?: string;
  /** The settings that a world of files asks for, and its name: what a preset is to the tiny world. */
  readonly world?: { readonly name: string; readonly values: unknown };
  /** A parsed config file, and its path for messages. */
  readonly file?: { readonly path: string; readonly values: unknown };
  /** Dotted names with their text: `['model.width', '128']`. Later ones win. */
  readonly flags?: Iterable<readonly [name: string, text: string]>;
}

export interface Resolved {
  readonly config: Config;
  readonly preset: PresetName;
  /** For each setting, where its value comes from: `default`, `derived`, `preset short`, a file's path, `flag`. */
  readonly origins: ReadonlyMap<string, string>;
}

const aPair = such<readonly [string, string]>(
  'a setting and its text',
  (pair) => Array.isArray(pair) && pair.length === 2 && pair.every(string.accepts),
);

const sourceRules: Rules<Sources> = {
  preset: optional(string), // which of them: see choosePreset()
  world: optional(having('the settings of a world: { name, values }', { name: string, values: anything })),
  file: optional(having('a parsed config file: { path, values }', { path: string, values: anything })),
  flags: optional(
    such(
      "pairs of a setting and its text: [['model.width', '128']]",
      (value) => Array.isArray(value) || value instanceof Map,
    ),
  ),
};

const flagsRule = list('pairs of a setting and its text', aPair);

/**
 * The configuration that these sources ask for. Throws ConfigError for anything unknown, out of range or contradictory.
 */
export function resolveConfig(given?: Sources): Resolved {
  checkArguments('resolveConfig', arguments, { sources: anything });
  const sources = checkOptions<Sources>('resolveConfig', given, sourceRules);
  const flags = [...(sources.flags ?? [])];
  checkValue('resolveConfig: flags', flags, flagsRule);
  const asked: Layer[] = [];
  if (sources.file !== undefined) asked.push(layerFromTree(sources.file.path, sources.file.values));
  asked.push(layerFromText('flag', flags));
  const hasText = asked.some((layer) => layer.values.get('data.path') !== undefined);
  const preset = choosePreset(sources.preset, hasText);
  const { world } = sources;
  const layers = [
    layerFromTree(`preset ${preset}`, presets[preset].values),
    ...(world === undefined ? [] : [layerFromTree(`preset ${world.name}`, world.values)]),
    ...asked,
  ];

  const origins = new Map<string, string>();
  const values = new Map<string, unknown>();
  for (const { from, values: some } of layers) {
    for (const [name, value] of some) {
      values.set(name, value);
      origins.set(name, from);
    }
  }
  const config = fitWarmups(derive(check(values, origins), origins), preset, origins);
  crossCheck(config);
  for (const [name, { fallback }] of settings) {
    if (!origins.has(name) && fallback !== undefined) origins.set(name, 'default');
  }
  return { config, preset, origins };
}

/**
 * A config that somebody hands over, as it holds: what is undefined has its default. Throws ConfigError for anything
 * unknown or out of range, and for what is no config: `where` names the function.
 */
export function checkConfig(where: string, given: unknown): Config {
  if (!isOptions(given)) {
    throw new ConfigError(`${where}: config = ${describe(given)}: must be a config: resolveConfig().config is one`);
  }
  if ('config' in given && 'origins' in given) {
    throw new ConfigError(`${where}: config = all that resolveConfig() found: give its .config`);
  }
  const { values } = layerFromTree(where, given);
  const missing = Object.keys(schema.shape).find((name) => sections.has(name) && !Object.hasOwn(given, name));
  if (missing !== undefined) {
    throw new ConfigError(`${where}: config has no ${missing}: must be a whole config: resolveConfig().config is one`);
  }
  const origins = new Map([...values.keys()].map((name) => [name, where]));
  return derive(check(values, origins), origins);
}

function choosePreset(name: string | undefined, hasText: boolean): PresetName {
  if (name === undefined) return hasText ? 'text' : 'tiny';
  const known = presetNames.find((preset) => preset === name);
  if (known !== undefined) return known;
  throw new ConfigError(
    `config: --preset ${show(name)}: no such preset: there are ` +
    `${presetNames.join(', ')}${didYouMean(name, presetNames)}`,
  );
}

/** Types and ranges, setting by setting. */
function check(values: ReadonlyMap<string, unknown>, origins: ReadonlyMap<string, string>) {
  const result = schema.safeParse(toTree(values));
  if (result.success) return result.data;
  const name = result.error.issues[0]!.path.join('.');
  const setting = settings.get(name);
  if (setting === undefined) throw new Error(`internal: config: ${result.error.issues[0]!.message} at ${name}`);
  const unit = setting.unit === undefined ? '' : ` (${setting.unit})`;
  throw new ConfigError(
    `config: ${name} = ${show(values.get(name))} (${origins.get(name)}): must be ${setting.range}${unit}`,
  );
}

/** Dotted names -> nested objects. Every name is a known setting by now. */
function toTree(values: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const tree: Record<string, unknown> = {};
  for (const [name, value] of values) {
    const parts = name.split('.');
    const last = parts.pop()!;
    let node = tree;
    for (const part of parts) node = (node[part] ??= {}) as Record<string, unknown>;
    node[last] = value;
  }
  return tree;
}

/**
 * Fills in what follows from other settings. The keys keep the schema's order, so that equal configs have equal JSON.
 */
function derive(config: ReturnType<typeof check>, origins: Map<string, string>): Config {
  const { width, heads, mlp } = config.model;
  const { kvHeads = heads, hidden = mlp === 'swiglu' ? roundUp((8 / 3) * width, 16) : 4 * width } = config.model;
  for (const name of ['model.kvHeads', 'model.hidden']) if (!origins.has(name)) origins.set(name, 'derived');
  return schema.parse({ ...config, model: { ...config.model, kvHeads, hidden } }) as Config;
}

/**
 * A warm-up that nobody asked for fits the steps that somebody did: where it would not end, it takes the share of them
 * that it has in its recipe.
 */
function fitWarmups(config: Config, preset: PresetName, origins: Map<string, string>): Config {
  const { pretrain, midtrain, sft, rl } = config;
  const fitted = { ...config, pretrain: { ...pretrain }, midtrain: { ...midtrain }, sft: { ...sft }, rl: { ...rl } };
  const recipe: PartialConfig = presets[preset].values;
  for (const phase of ['pretrain', 'midtrain', 'sft', 'rl'] as const) {
    const name = `${phase}.warmup`;
    const { warmup, steps } = config[phase];
    const origin = origins.get(name) ?? 'default';
    if (warmup <= steps || !(origin === 'default' || origin.startsWith('preset '))) continue;
    const usual = recipe[phase]?.steps ?? Number(settings.get(`${phase}.steps`)!.fallback);
    fitted[phase].warmup = Math.round((warmup * steps) / usual);
    origins.set(name, 'derived');
  }
  return fitted;
}

function roundUp(x: number, multiple: number): number {
  return Math.ceil(x / multiple) * multiple;
}

/** Settings that must fit each other. */
function crossCheck({ model, data, pretrain, midtrain, sft, rl }: Config): void {
  const { width, heads, kvHeads, context } = model;
  if (width % heads !== 0) {
    throw new ConfigError(`config: model.width = ${width}, model.heads = ${heads}: width must be a multiple of heads`);
  }
  if (heads % kvHeads !== 0) {
    throw new ConfigError(
      `config: model.heads = ${heads}, model.kvHeads = ${kvHeads}: heads must be a multiple of kvHeads`,
    );
  }
  if (model.positions === 'rotary' && (width / heads) % 2 !== 0) {
    throw new ConfigError(
      `config: model.width = ${width}, model.heads = ${heads}: a head has ${width / heads} channels: rotary ` +
      'positions need an even number',
    );
  }
  if (data.path !== undefined && data.world !== undefined) {
    throw new ConfigError(
      `config: data.path = ${data.path}, data.world = ${data.world}: a run learns from one of them: leave one out`,
    );
  }
  if (data.path === undefined && data.world === undefined && context < WORLD_ROW) {
    throw new ConfigError(`config: model.context = ${context}: rows of the tiny world have ${WORLD_ROW} tokens`);
  }
  for (const [name, { warmup, steps }] of Object.entries({ pretrain, midtrain, sft, rl })) {
    if (warmup > steps) {
      throw new ConfigError(
        `config: ${name}.warmup = ${warmup}, ${name}.steps = ${steps}: warm-up must end within the steps: lower it`,
      );
    }
  }
  for (const [name, { think, spread }] of Object.entries({
    'pretrain.corpus': pretrain.corpus,
    'midtrain.corpus': midtrain.corpus,
    'sft.demonstrations': sft.demonstrations,
  })) {
    if (think - spread < 0 || think + spread > 1) {
      throw new ConfigError(
        `config: ${name}.think = ${think}, ${name}.spread = ${spread}: think - spread and think + spread must lie in ` +
        '0..1',
      );
    }
  }
  if (rl.samples < 2 && rl.resample > 0) {
    throw new ConfigError(
      `config: rl.resample = ${rl.resample}, rl.samples = ${rl.samples}: one answer is compared with none: needs at ` +
      'least 2 samples',
    );
  }
  if (rl.samples < 2 && rl.advantage !== 'reinforce') {
    throw new ConfigError(
      `config: rl.samples = ${rl.samples}, rl.advantage = ${rl.advantage}: compares the samples of a question: needs ` +
      'at least 2, or rl.advantage=reinforce',
    );
  }
}

/** Tokens in a row of the tiny world. */
const WORLD_ROW = 24;

/** The value of a setting, by its dotted name; undefined where there is none. */
export function valueAt(config: unknown, name: string): unknown {
  return name.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], config);
}

/** A setting that two configurations do not share. */
export interface SettingDifference {
  readonly name: string;
  readonly before: unknown;
  readonly now: unknown;
}

/** The settings that differ, in the order of the schema. */
export function differingSettings(before: Config, now: Config): SettingDifference[] {
  return [...settings.keys()]
    .map((name) => ({ name, before: valueAt(before, name), now: valueAt(now, name) }))
    .filter((difference) => difference.before !== difference.now);
}
