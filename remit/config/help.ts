// The settings as text: for --help and for --print-config. Read after: config.ts.

import { highest } from '../../engine/extremes.ts';
import { show } from './layers.ts';
import { presetNames, presets } from './presets.ts';
import { type Resolved } from './config.ts';
import { type Setting, settings } from './schema.ts';

/** One line per setting: flag, meaning, unit, range, default. */
export function settingsHelp(): string {
  return [...settings.values()].map((setting) => `  --${setting.name.padEnd(26)} ${setting.about} (${details(setting)})`).join('\n');
}

function details({ range, unit, fallback }: Setting): string {
  const parts = [range.replace(/^one of /, '')];
  if (unit !== undefined) parts.push(unit);
  if (fallback !== undefined) parts.push(`default ${show(fallback)}`);
  return parts.join('; ');
}

/** One line per preset. */
export function presetsHelp(): string {
  return presetNames.map((name) => `  ${name.padEnd(12)} ${presets[name].about}`).join('\n');
}

/** `--print-config`: each setting, its value, and where the value came from. */
export function printConfig({ config, origins }: Resolved): string {
  const rows = [...settings.keys()].map((name) => ({ name, value: valueAt(config, name), origin: origins.get(name) }));
  const set = rows.filter(({ value }) => value !== undefined);
  const width = highest(set.map(({ value }) => show(value).length));
  return set.map(({ name, value, origin }) => `${name.padEnd(26)} ${show(value).padEnd(width)}  ${origin}`).join('\n');
}

function valueAt(tree: unknown, name: string): unknown {
  return name.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], tree);
}
