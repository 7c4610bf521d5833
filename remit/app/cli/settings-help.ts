// The settings as text: for --help and for --print-config. Read after: ../../settings/resolve.ts.

import { highest } from '../../../engine/extremes.ts';
import { show } from '../../settings/layers.ts';
import { presetNames, presets } from '../../settings/presets.ts';
import { valueAt, type Resolved } from '../../settings/resolve.ts';
import { type Setting, settings } from '../../settings/schema.ts';

/** What most people change first. */
const USUAL = ['seed', 'device', 'model.width', 'model.layers', 'pretrain.steps', 'pretrain.rate'];

/** What the sections are about, for their titles. */
const TITLES: Readonly<Record<string, string>> = {
  '': 'Of the run',
  model: 'The model',
  data: 'Your own text',
  pretrain: 'Phase 1: pre-training',
  midtrain: 'Phase 2: mid-training',
  sft: 'Phase 3: supervised fine-tuning',
  rl: 'Phase 4: reinforcement learning',
  remit: 'ReMiT',
  evaluate: 'Tests',
  checkpoint: 'Checkpoints',
};

/** An item per setting: flag, meaning, range, unit, default; under the title of its section. */
export function settingsHelp(): string {
  const bySection = new Map<string, string[]>();
  for (const setting of settings.values()) {
    const { name } = setting;
    const section = name.slice(0, Math.max(0, name.indexOf('.')));
    bySection.set(section, [...(bySection.get(section) ?? []), item(setting)]);
  }
  return [...bySection].map(([section, items]) => `${TITLES[section] ?? section}:\n${items.join('\n')}`).join('\n\n');
}

/** The few that are changed the most. */
export function usualSettingsHelp(): string {
  return USUAL.map((name) => item(settings.get(name)!)).join('\n');
}

function item(setting: Setting): string {
  return `  --${setting.name.padEnd(21)}  ${setting.about} (${details(setting)})`;
}

function details({ range, unit, fallback }: Setting): string {
  const allowed = range.replace(/^(one of|a whole number from|a number) /, '');
  const parts = [unit === undefined ? allowed : `${allowed} ${unit}`];
  if (fallback !== undefined) parts.push(`default ${show(fallback)}`);
  return parts.join('; ');
}

/** One line per preset. */
export function presetsHelp(): string {
  return presetNames.map((name) => `  ${name.padEnd(12)}  ${presets[name].about}`).join('\n');
}

/** `--print-config`: each setting, its value, and where the value came from. */
export function printConfig({ config, origins }: Resolved): string {
  const rows = [...settings.keys()].map((name) => ({ name, value: valueAt(config, name), origin: origins.get(name) }));
  const set = rows.filter(({ value }) => value !== undefined);
  const width = highest(set.map(({ value }) => show(value).length));
  return set.map(({ name, value, origin }) => `${name.padEnd(26)} ${show(value).padEnd(width)}  ${origin}`).join('\n');
}
