// A grid of settings as arms of a study: --grid remit.epsilon=0.1,0.2 --grid remit.scale=1,3 is four of each arm. A
// setting of remit changes the arm alone, so its points share base model and guide. Any other makes a variant: a vanilla
// arm and a guide of its own, and arms are compared with the vanilla one of their variant; the base model is its own too
// where pre-training sees the setting. Read after: arms.ts. Used by: offer.ts.

import { ConfigError } from '../../../engine/errors.ts';
import { resolveConfig, valueAt, type Config } from '../../settings/resolve.ts';
import { settings } from '../../settings/schema.ts';
import type { ArmName } from '../../arms.ts';
import { vanillaOf, type StudyArm, type Variant } from './arms.ts';

/** What a study plans of it. */
export interface Grid {
  /** `remit.epsilon=0.1,0.2`. */
  readonly axes: readonly string[];
  /** The arms that it multiplies. */
  readonly of: readonly string[];
}

type Value = readonly [name: string, value: unknown];

/** Of the study, not of its points. */
const FIXED = /^(seed|device|data\..*|checkpoint\..*|remit\.iterations)$/;
/** What pre-training does not see. */
const LATER = /^(midtrain|sft|rl)\./;
const MOST_POINTS = 1000;

/** The arms of a grid: each of `arms` at each point, and the vanilla arm of each variant. Throws ConfigError. */
export function gridArms(axes: readonly string[], arms: readonly StudyArm[], config: Config): StudyArm[] {
  const points = pointsOf(axes.map((axis) => readAxis(axis, config)));
  const short = shortNames(axes.map((axis) => axis.slice(0, axis.indexOf('='))));
  const label = (values: readonly Value[]): string => values.map(([name, value]) => `${short(name)}=${String(value)}`).join('_');
  const made = new Map<string, StudyArm>();
  for (const point of points) {
    const own = point.filter(([name]) => name.startsWith('remit.'));
    const shared = point.filter(([name]) => !name.startsWith('remit.'));
    const base = shared.filter(([name]) => !LATER.test(name));
    const variantOf = (values: readonly Value[]): Variant => ({ name: label(values), settings: Object.fromEntries(values) });
    const variant: Variant | undefined =
      shared.length === 0 ? undefined : { ...variantOf(shared), ...(base.length > 0 && { base: variantOf(base) }) };
    withSettings(config, Object.fromEntries(point)); // refused now, not after hours
    const vanilla: StudyArm = {
      name: vanillaOf({ variant }), about: about('next-token prediction', shared), method: 'vanilla', postTrained: true,
      ...(variant && { variant }),
    };
    made.set(vanilla.name, vanilla);
    for (const arm of arms) {
      const { arm: method = arm.method, ...set } = Object.fromEntries(
        own.map(([name, value]) => [name.slice('remit.'.length), value]),
      ) as Partial<Config['remit']>;
      const name = `${arm.name}@${label([...shared, ...own])}`;
      made.set(name, {
        ...arm, name, about: about(arm.about, point), method, settings: { ...arm.settings, ...set }, turns: false,
        ...(variant && { variant }),
      });
    }
  }
  const variants = [...new Set([...made.values()].map(vanillaOf))];
  return variants.flatMap((vanilla) => [...made.values()].filter((arm) => vanillaOf(arm) === vanilla));
}

function about(arm: string, values: readonly Value[]): string {
  const shown = values.map(([name, value]) => `${name} ${String(value)}`);
  return shown.length === 0 ? arm : `${arm}; ${shown.join(', ')}`;
}

/** ReMiT as the settings have it: what a grid multiplies unless arms are named. */
export function armOfSettings({ remit }: Config): StudyArm {
  const name: ArmName = remit.arm;
  return { name, about: name === 'remit' ? 'ReMiT' : name, method: name };
}

function readAxis(axis: string, config: Config): Value[] {
  const equals = axis.indexOf('=');
  const [name, texts] = [axis.slice(0, equals), axis.slice(equals + 1).split(',')];
  if (equals < 1 || texts.includes('')) {
    throw new ConfigError(`study: --grid ${axis}: must be <setting>=<value>,<value>, as in --grid remit.epsilon=0.1,0.2`);
  }
  if (settings.has(name) && FIXED.test(name)) {
    throw new ConfigError(`study: --grid ${axis}: ${name} is the same for a whole study: leave it out`);
  }
  const values = texts.map((text) => valueAt(withSettings(config, { [name]: text.trim() }), name));
  const twice = texts.find((_, i) => values.indexOf(values[i]) !== i);
  if (twice !== undefined) throw new ConfigError(`study: --grid ${axis}: ${twice} is there twice: give each value once`);
  return values.map((value) => [name, value]);
}

function pointsOf(axes: readonly (readonly Value[])[]): Value[][] {
  const names = axes.map(([first]) => first![0]);
  const again = names.find((name, i) => names.indexOf(name) !== i);
  if (again !== undefined) throw new ConfigError(`study: --grid ${again}: is there twice: give its values in one`);
  const count = axes.reduce((product, values) => product * values.length, 1);
  if (count > MOST_POINTS) throw new ConfigError(`study: --grid: ${count} points: must be at most ${MOST_POINTS}`);
  return axes.reduce<Value[][]>((points, values) => points.flatMap((point) => values.map((value) => [...point, value])), [[]]);
}

/** The last part of a setting's name, where no two are alike. */
function shortNames(names: readonly string[]): (name: string) => string {
  const last = (name: string): string => name.split('.').at(-1)!;
  const isClear = new Set(names.map(last)).size === names.length;
  return isClear ? last : (name) => name;
}

/** A study's configuration with other values of some settings; what follows from them, such as the MLP's units, does. */
export function withSettings(config: Config, values: Readonly<Record<string, unknown>>): Config {
  const path = 'the study';
  const { kvHeads, hidden, ...model } = config.model;
  const usual = resolveConfig({ file: { path, values: { ...config, model } } }).config.model;
  const asked = {
    ...model,
    ...(kvHeads !== usual.kvHeads && { kvHeads }),
    ...(hidden !== usual.hidden && { hidden }),
  };
  const flags = Object.entries(values).map(([name, value]) => [name, String(value)] as const);
  return resolveConfig({ file: { path, values: { ...config, model: asked } }, flags }).config;
}
