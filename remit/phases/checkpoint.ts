// A trained model as bytes that need nothing beside them, in safetensors: the weights under their Hugging Face names, and
// in the metadata the model's shape, its tokenizer, where in the run it was saved, and a checksum, since the format
// itself has none. A phase that is not finished also has the optimiser's moments there, under the same names, and what
// it counts. Bytes may lie anywhere: in a page's own storage as well as in a file. Read after: run.ts,
// engine/safetensors.ts. Read next: ../app/run/checkpoint.ts (the same as files).

import { ConfigError, DivergedError, FormatError } from '../../engine/errors.ts';
import { backend } from '../../engine/runtime.ts';
import {
  anything, checkArguments, checkOptions, having, optional, real, string, text, typedArray, whole, type Rules,
} from '../../engine/options.ts';
import type { HostTensor } from '../../engine/parameters.ts';
import { readSafetensors, writeSafetensors, type TensorToWrite } from '../../engine/safetensors.ts';
import { parameterCount, type TransformerConfig } from '../../nn/config.ts';
import { aTransformer, type Transformer } from '../../nn/transformer.ts';
import { checkConfig, resolveConfig, type Config } from '../settings/resolve.ts';
import { schema } from '../settings/schema.ts';
import { aTokenizer, tokenizerFromJSON, type Tokenizer } from '../text/tokenizer.ts';
import type { PhaseState } from './run.ts';

/** Where in a run a checkpoint was saved. */
export interface Place {
  readonly phase: string;
  /** Steps of that phase that are done. */
  readonly step: number;
  readonly seed: number;
  /** SHA-256 of the run's config.json. */
  readonly configHash: string;
  /** Loss on held-out text, where it was measured. */
  readonly loss?: number;
}

type Tensors = Map<string, HostTensor>;

/** What an unfinished phase needs besides the weights. */
export interface Unfinished {
  readonly tokens: number;
  readonly memory: Readonly<Record<string, number>>;
  readonly moments: { readonly m: Tensors; readonly v: Tensors };
}

/** What a checkpoint holds: enough to make the model again, and to go on where it was written. */
export interface Checkpoint {
  readonly config: TransformerConfig;
  readonly tensors: Tensors;
  readonly tokenizer: Tokenizer;
  readonly place: Place;
  readonly unfinished?: Unfinished;
}

const placeRules: Rules<Place> = {
  phase: text,
  step: whole({ min: 0 }),
  seed: whole({ min: 0 }),
  configHash: string,
  loss: optional(real()),
};

const CHECKSUM = 'sha256';
const MOMENTS = { m: 'adamw.m.', v: 'adamw.v.' } as const;

/** What a checkpoint says, but for its checksum. */
export interface Contents {
  readonly tensors: readonly (readonly [name: string, tensor: TensorToWrite])[];
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * What a checkpoint of this model says; with `state`, of a phase that is not finished. Throws DivergedError when a weight
 * is no number: a checkpoint is always a good one.
 */
export async function contentsOf(
  model: Transformer,
  tokenizer: Tokenizer,
  place: Place,
  state?: PhaseState,
): Promise<Contents> {
  checkOptions<Place>('writeCheckpoint: place', place, placeRules);
  const tensors: [string, TensorToWrite][] = [];
  const add = (prefix: string, values: Awaited<ReturnType<typeof model.parameters.toHost>>): void => {
    for (const [name, { shape, data }] of values) {
      if (!data.every(Number.isFinite)) {
        throw new DivergedError(
          `${place.phase}: ${prefix}${name} has values that are no numbers after step ${place.step}`,
        );
      }
      tensors.push([prefix + name, { dtype: 'F32', shape, data }]);
    }
  };
  add('', await model.parameters.toHost());
  const metadata = new Map([
    ['format', 'pt'], // other programs insist on it
    ['model', JSON.stringify(model.config)],
    ['tokenizer', JSON.stringify(tokenizer)],
    ['phase', place.phase],
    ['step', String(place.step)],
    ['seed', String(place.seed)],
    ['config', place.configHash],
  ]);
  if (place.loss !== undefined) metadata.set('loss', String(place.loss));
  if (state !== undefined) {
    for (const key of ['m', 'v'] as const) {
      add(MOMENTS[key], await model.parameters.toHost(state.optimiser.moments[key]));
    }
    metadata
      .set('tokens', String(state.tokens))
      .set('memory', JSON.stringify(Object.entries(state.memory).map(([name, value]) => [name, String(value)])));
  }
  return { tensors, metadata };
}

/** As bytes, the same for the same contents; with the checksum of those without one. */
export function bytesOf({ tensors, metadata }: Contents, checksum?: string): Uint8Array {
  const sealed = checksum === undefined ? metadata : new Map([...metadata, [CHECKSUM, checksum]]);
  return writeSafetensors(tensors, sealed);
}

/** What bytes hold that say they are a checkpoint: good if `unsealed`, the bytes without it, have that checksum. */
export interface Opened {
  readonly checksum: string;
  readonly unsealed: Uint8Array;
  checkpoint(): Checkpoint;
}

/** `path` names the bytes in messages. Throws FormatError when they are not one of ours. */
export function openCheckpoint(bytes: Uint8Array, path: string): Opened {
  const { tensors, metadata } = readSafetensors(bytes, path);
  const checksum = noteOf(metadata, path)(CHECKSUM);
  metadata.delete(CHECKSUM);
  const entries = [...tensors].map(([name, tensor]) => [name, tensor as TensorToWrite] as const);
  if (entries.some(([, { dtype }]) => dtype !== 'F32')) throw damaged(path);
  return {
    checksum,
    unsealed: bytesOf({ tensors: entries, metadata }),
    checkpoint: () => checkpointOf(tensors as Tensors, metadata, path),
  };
}

export function damaged(path: string): FormatError {
  return new FormatError(
    `checkpoint: ${path}: its checksum does not fit: the file was changed or damaged after it was written`,
  );
}

function checkpointOf(tensors: Tensors, metadata: ReadonlyMap<string, string>, path: string): Checkpoint {
  const note = noteOf(metadata, path);
  const under = (prefix: string): Tensors =>
    new Map(
      [...tensors].flatMap(([name, tensor]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), tensor]] : [],
      ),
    );
  const [m, v] = [under(MOMENTS.m), under(MOMENTS.v)];
  for (const [prefix, moment] of [
    [MOMENTS.m, m],
    [MOMENTS.v, v],
  ] as const) {
    for (const name of moment.keys()) tensors.delete(prefix + name);
  }
  const config = modelConfig(parse(note('model'), path), path);
  const numbers = [...tensors.values()].reduce((total, { data }) => total + data.length, 0);
  if (parameterCount(config) !== numbers) {
    throw new FormatError(
      `checkpoint: ${path}: has ${numbers} numbers, and the model that it describes ${parameterCount(config)}`,
    );
  }
  return {
    config,
    tensors,
    tokenizer: tokenizerFromJSON(parse(note('tokenizer'), path)),
    place: placeFrom(metadata, path),
    ...(metadata.has('memory') && {
      unfinished: {
        tokens: wholeIn(note('tokens'), path),
        memory: memoryFrom(parse(note('memory'), path), path),
        moments: { m, v },
      },
    }),
  };
}

function placeFrom(metadata: ReadonlyMap<string, string>, path: string): Place {
  const note = noteOf(metadata, path);
  const loss = metadata.get('loss');
  return {
    phase: note('phase'),
    step: wholeIn(note('step'), path),
    seed: wholeIn(note('seed'), path),
    configHash: note('config'),
    ...(loss !== undefined && { loss: Number(loss) }),
  };
}

function noteOf(metadata: ReadonlyMap<string, string>, path: string): (key: string) => string {
  return (key) => {
    const value = metadata.get(key);
    if (value === undefined) {
      throw new FormatError(`checkpoint: ${path}: has no "${key}" in its metadata: not a checkpoint of remit-mini`);
    }
    return value;
  };
}

function wholeIn(text: string, path: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new FormatError(`checkpoint: ${path}: ${text.slice(0, 40)}: must be a whole number`);
}

function parse(json: string, path: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new FormatError(`checkpoint: ${path}: its metadata is not JSON`);
  }
}

/** [["baseline","0.5"]] -> { baseline: 0.5 }. As text, because JSON knows no infinity. */
function memoryFrom(entries: unknown, path: string): Record<string, number> {
  const isEntry = (entry: unknown): entry is [string, string] =>
    Array.isArray(entry) && entry.length === 2 && typeof entry[0] === 'string' && typeof entry[1] === 'string';
  if (!Array.isArray(entries) || !entries.every(isEntry)) {
    throw new FormatError(`checkpoint: ${path}: its memory is no list of names and numbers`);
  }
  return Object.fromEntries(entries.map(([name, text]) => [name, Number(text)]));
}

function modelConfig(json: unknown, path: string): TransformerConfig {
  const { vocabulary, ...rest } = (typeof json === 'object' && json !== null ? json : {}) as TransformerConfig;
  const checked = schema.shape.model.safeParse(rest);
  if (!checked.success || !Number.isInteger(vocabulary)) {
    throw new FormatError(`checkpoint: ${path}: describes no model that this version knows`);
  }
  return { ...(checked.data as Omit<TransformerConfig, 'vocabulary'>), vocabulary };
}

/** What a run is set to, as the text that its checkpoints bear the SHA-256 of; its `data` has hashes of its own. */
export function settingsText(config: Config): string {
  const { config: ordered } = resolveConfig({ file: { path: 'config', values: config } });
  return toJson({ ...ordered, data: { ...ordered.data, path: undefined, world: undefined } });
}

/** As the files of a run hold it. */
export function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** What a checkpoint is written of, as arguments. */
export const packArguments = {
  model: aTransformer,
  tokenizer: aTokenizer,
  place: anything,
  state: optional(having('the state of a phase', { optimiser: anything, memory: anything })),
};

/**
 * A checkpoint as bytes, where there are no files: in a page. The same model, tokenizer and place give the same bytes as
 * writeCheckpoint() of remit-mini/node. `state`: the phase is not finished. Throws DivergedError when a weight is no
 * number, ConfigError in a page that was not loaded by https or from this machine: it may not compute a checksum.
 */
export async function packCheckpoint(
  model: Transformer,
  tokenizer: Tokenizer,
  place: Place,
  state?: PhaseState,
): Promise<Uint8Array> {
  checkArguments('packCheckpoint', arguments, packArguments);
  const contents = await contentsOf(model, tokenizer, place, state);
  return bytesOf(contents, await digest(bytesOf(contents)));
}

const unpackArguments = { bytes: typedArray('Uint8Array'), name: text };

/** What packCheckpoint() or writeCheckpoint() made. `name` stands for it in messages. Throws FormatError, and as above. */
export async function unpackCheckpoint(bytes: Uint8Array, name: string): Promise<Checkpoint> {
  checkArguments('unpackCheckpoint', arguments, unpackArguments);
  const { checksum, unsealed, checkpoint } = openCheckpoint(bytes, name);
  if ((await digest(unsealed)) !== checksum) throw damaged(name);
  return checkpoint();
}

/** What the checkpoints of a run with these settings bear as `Place.configHash`. Throws ConfigError. */
export async function settingsHash(given: Config): Promise<string> {
  checkArguments('settingsHash', arguments, { config: anything });
  return digest(new TextEncoder().encode(settingsText(checkConfig('settingsHash', given))));
}

/** SHA-256 of a model's weights: what a run began with. */
export async function weightsHash(model: Transformer): Promise<string> {
  checkArguments('weightsHash', arguments, { model: aTransformer });
  const { buffer, byteOffset, byteLength } = await backend().read(model.parameters.flat.values);
  return digest(new Uint8Array(buffer, byteOffset, byteLength));
}

/** SHA-256, in hexadecimal. */
async function digest(bytes: Uint8Array): Promise<string> {
  const subtle = globalThis.crypto?.subtle;
  if (subtle === undefined) {
    throw new ConfigError('checkpoint: no checksum in a page that is not secure: load it by https, or from this machine');
  }
  const found = new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
  return Array.from(found, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
