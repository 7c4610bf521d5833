// A layer is one source of settings - a preset, a file, the flags - as a flat list of dotted names and values.
// Flat, because then "who set this?" is a lookup, unknown keys are seen at once, and no object from outside is ever
// merged into another: a key such as __proto__ is simply a name that no setting has. Read next: resolve.ts.

import { ConfigError } from '../../engine/errors.ts';
import { didYouMean } from '../../engine/nearest.ts';
import { isOptions } from '../../engine/options.ts';
import { sections, settings } from './schema.ts';

export interface Layer {
  /** Where it comes from, for people: `preset short`, `runs/a/config.json`, `flag`. */
  readonly from: string;
  readonly values: ReadonlyMap<string, unknown>;
}

/** From a tree of sections, as JSON has it. Throws ConfigError for what is not a section or a setting. */
export function layerFromTree(from: string, tree: unknown): Layer {
  if (!isTree(tree)) throw new ConfigError(`config: ${from}: must hold an object of settings, not ${show(tree)}`);
  const values = new Map<string, unknown>();
  gather(tree, '', values, from);
  return { from, values };
}

function gather(tree: Record<string, unknown>, prefix: string, values: Map<string, unknown>, from: string): void {
  for (const [key, value] of Object.entries(tree)) {
    const name = prefix + key;
    if (settings.has(name)) values.set(name, value);
    else if (!sections.has(name)) throw new ConfigError(unknown(name, from));
    else if (isTree(value)) gather(value, `${name}.`, values, from);
    else {
      throw new ConfigError(
        `config: ${name} = ${show(value)} (${from}): is a section, not a setting: give ${examples(name)}`,
      );
    }
  }
}

/** From `name -> text` pairs of a command line; each text is read as its setting's type says. */
export function layerFromText(from: string, pairs: Iterable<readonly [name: string, text: string]>): Layer {
  const values = new Map<string, unknown>();
  for (const [name, text] of pairs) values.set(name, fromText(name, text, from));
  return { from, values };
}

function fromText(name: string, text: string, from: string): unknown {
  const setting = settings.get(name);
  if (sections.has(name)) {
    throw new ConfigError(`config: ${name} = ${text} (${from}): is a section, not a setting: give ${examples(name)}`);
  }
  if (setting === undefined) throw new ConfigError(unknown(name, from));
  const word = text.trim();
  if (setting.kind === 'number' && word !== '' && !Number.isNaN(Number(word))) return Number(word);
  if (setting.kind === 'toggle' && (word === 'true' || word === 'false')) return word === 'true';
  return text; // of the wrong type for a number or a toggle: the check in config.ts says what it must be
}

function unknown(name: string, from: string): string {
  return `config: ${name} (${from}): no such setting${didYouMean(name, settings.keys())}`;
}

/** Two settings of a section, to show what its keys look like. */
function examples(section: string): string {
  const inside = [...settings.keys()].filter((name) => name.startsWith(`${section}.`));
  return `${inside.slice(0, 2).join(', ')} and so on`;
}

/** A value in a message: short, on one line. */
export function show(value: unknown): string {
  // JSON knows no Infinity
  const text = typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 40 ? `${line.slice(0, 37)}...` : line;
}

function isTree(value: unknown): value is Record<string, unknown> {
  return isOptions(value);
}
