// Model folders on disk: writing one so that it is there whole or not at all, and reading one, ours or made elsewhere.
// The contents are made and understood in huggingface.ts. Read after: huggingface.ts.
import {
  closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmdirSync, rmSync, statSync, writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ConfigError, FormatError, RemitError } from '../../../engine/errors.ts';
import { checkArguments, such, text } from '../../../engine/options.ts';
import { flush } from '../run/atomic.ts';
import { MAX_JSON_BYTES, readBytes } from '../../text/read.ts';
import { companionsOf, importHuggingFace } from './huggingface.ts';
import type { Companions, Files, ImportedModel } from './huggingface.ts';

const isContents = (value: unknown): boolean => typeof value === 'string' || value instanceof Uint8Array;
const someFiles = such<Files>(
  'a Map of contents by file name',
  (value) =>
    value instanceof Map && [...value].every(([name, contents]) => typeof name === 'string' && isContents(contents)),
);

/**
 * Write `files` into the folder `out`, which is made, with its parents. They are written beside it first, then renamed
 * into place.
 *
 * Throws ConfigError when `out` exists and is not an empty folder: nothing is overwritten. RemitError when the disk
 * refuses.
 */
export function writeFolder(out: string, files: Files): void {
  checkArguments('writeFolder', arguments, { out: text, files: someFiles });
  const target = resolve(out);
  const exists = existsSync(target);
  if (exists && !statSync(target).isDirectory()) {
    throw new ConfigError(`export: ${out}: exists and is not a folder: choose another name`);
  }
  if (exists && readdirSync(target).length > 0) {
    throw new ConfigError(`export: ${out}: exists and is not empty: choose another name or remove it`);
  }

  const parent = dirname(target);
  const draft = `${target}.${process.pid}.tmp`;
  try {
    mkdirSync(parent, { recursive: true });
    mkdirSync(draft);
    for (const [name, contents] of files) writeDurably(join(draft, name), contents);
    if (exists) rmdirSync(target); // fails, rather than lose anything, should it have been filled meanwhile
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw new RemitError(`export: ${out}: cannot be written: ${(error as Error).message}`);
  }
}

function writeDurably(path: string, contents: Uint8Array | string): void {
  const bytes = typeof contents === 'string' ? new TextEncoder().encode(contents) : contents;
  const file = openSync(path, 'wx');
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    flush(file, path);
  } finally {
    closeSync(file);
  }
}

/** Whether `folder` looks like a Hugging Face model: it has a config.json with weights beside it. */
export function isModelFolder(folder: string): boolean {
  const weights = ['model.safetensors', 'model.safetensors.index.json'];
  return existsSync(join(folder, 'config.json')) && weights.some((name) => existsSync(join(folder, name)));
}

/**
 * The model in a Hugging Face folder.
 *
 * Throws FormatError when there is no such folder, or when what is in it is damaged or not a Llama.
 */
export function readModelFolder(folder: string): ImportedModel {
  checkArguments('readModelFolder', arguments, { folder: text });
  if (!existsSync(folder)) throw new FormatError(`model: ${folder}: there is no such folder`);
  if (!statSync(folder).isDirectory()) {
    throw new FormatError(`model: ${folder}: is a file: give the folder that holds config.json and model.safetensors`);
  }
  return importHuggingFace(reader(folder), folder.replace(/(?<=.)\/+$/, ''));
}

/**
 * What such a folder holds besides weights and shape, for its export: tokenizer and special tokens; and the names of
 * what is left behind.
 */
export function readCompanions(folder: string): { readonly carried: Companions; readonly left: readonly string[] } {
  const carried = companionsOf(reader(folder), folder.replace(/(?<=.)\/+$/, ''));
  const left = readdirSync(folder).filter(
    (name) => !name.startsWith('.') && !isWeights(name) && name !== 'config.json' && !carried.files.has(name),
  );
  return { carried, left: left.sort() };
}

const isWeights = (name: string) => /\.safetensors(\.index\.json)?$/.test(name);

/** Contents by name; undefined when there is no such file. Weights may be of any size. */
function reader(folder: string): (name: string) => Uint8Array | undefined {
  return (name) => {
    const path = join(folder, name);
    if (!existsSync(path)) return undefined;
    return readBytes('model', path, name.endsWith('.safetensors') ? {} : { most: MAX_JSON_BYTES });
  };
}
