// A run folder as a tar archive: from here to `remit-mini train --resume`, and back. Read after: tab-run.ts. Used by:
// worker.ts.

import { resolveConfig, type Config } from 'remit-mini';
import { ConfigError } from 'remit-mini/engine';
import { createTar, parseTar } from 'nanotar';
import type { Files } from './files.ts';
import type { Flag, Settings } from './protocol.ts';
import { nextId } from './training.ts';

const OURS = 'settings.json'; // what the page keeps beside

/** All files of a run as the command line keeps them, under run-<id>/. */
export async function pack(files: Files, id: string): Promise<Uint8Array> {
  const folder = `runs/${id}`;
  const top = (await files.list(folder)).filter((name) => !name.endsWith('/') && name !== OURS);
  const checkpoints = (await files.list(`${folder}/checkpoints`)).map((name) => `checkpoints/${name}`);
  const all = [...top, ...checkpoints].map(async (name) => ({
    name: `run-${id}/${name}`,
    data: (await files.read(`${folder}/${name}`))!,
  }));
  return createTar(await Promise.all(all));
}

/** Puts the files of a run of every phase into storage; resolves to its id. Throws ConfigError for anything else. */
export async function unpack(files: Files, bytes: Uint8Array): Promise<string> {
  const found = new Map(
    parseTar(bytes).flatMap(({ name, data }) => (data === undefined ? [] : [[name.replace(/^[^/]*\//, ''), data]])),
  );
  const read = (name: string): unknown => {
    const data = found.get(name);
    const pack = 'pack the folder of one: tar cf run.tar -C runs tiny-1';
    if (data === undefined) throw new ConfigError(`this is no run: it has no ${name}: ${pack}`);
    try {
      return JSON.parse(new TextDecoder().decode(data));
    } catch (error) {
      throw new ConfigError(`this is no run: ${name} is no JSON (${(error as Error).message}): ${pack}`);
    }
  };
  const settings = settingsFrom(read('config.json'));
  const { plan = 'everything' } = (read('env.json') ?? {}) as { plan?: string };
  if (plan !== 'everything') {
    throw new ConfigError(
      `this is a run of ${plan} alone: this page goes on with whole runs: remit-mini train --resume`,
    );
  }
  const id = nextId(await files.list('runs'));
  for (const [name, data] of found) {
    if (/^(checkpoints\/)?\w[\w.-]*$/.test(name)) await files.write(`runs/${id}/${name}`, data);
  }
  await files.write(`runs/${id}/${OURS}`, new TextEncoder().encode(JSON.stringify(settings)));
  return id;
}

/** What a config says other than the defaults, as flags. */
function settingsFrom(values: unknown): Settings {
  const { config } = resolveConfig({ file: { path: 'config.json', values } });
  const defaults = new Map(flat(resolveConfig().config));
  return { preset: 'tiny', flags: flat(config).filter(([name, text]) => defaults.get(name) !== text) };
}

/** By dotted name, as text. */
function flat(config: Config): Flag[] {
  const below = (tree: object, prefix: string): Flag[] =>
    Object.entries(tree).flatMap(([name, value]): Flag[] => {
      if (value === undefined) return [];
      return typeof value === 'object' && value !== null
        ? below(value as object, `${prefix}${name}.`)
        : [[`${prefix}${name}`, String(value)]];
    });
  return below(config, '');
}
