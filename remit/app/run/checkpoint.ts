// A trained model in one safetensors file that needs nothing beside it: the weights under their Hugging Face names, and
// in the metadata the model's shape, its tokenizer, where in the run it was saved, and a checksum, since the format
// itself has none. A phase that is not finished also has the optimiser's moments there, under the same names, and what
// it counts. Read after: engine/safetensors.ts, atomic.ts. Read next: states.ts, model.ts, which find checkpoints.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DivergedError, FormatError } from '../../../engine/errors.ts';
import type { HostTensor } from '../../../engine/parameters.ts';
import { readSafetensors, writeSafetensors, type TensorToWrite } from '../../../engine/safetensors.ts';
import { parameterCount, type TransformerConfig } from '../../../nn/config.ts';
import {
  anything, checkArguments, checkOptions, having, optional, real, string, text, whole, type Rules,
} from '../../../engine/options.ts';
import { aTransformer, type Transformer } from '../../../nn/transformer.ts';
import { schema } from '../../settings/schema.ts';
import { attempt } from '../../text/read.ts';
import { aTokenizer, tokenizerFromJSON, type Tokenizer } from '../../text/tokenizer.ts';
import type { PhaseState } from '../../phases/run.ts';
import { writeAtomically } from './atomic.ts';

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
const writeArguments = {
  path: text,
  model: aTransformer,
  tokenizer: aTokenizer,
  place: anything,
  state: optional(having('the state of a phase', { optimiser: anything, memory: anything })),
};

const CHECKSUM = 'sha256';
const MOMENTS = { m: 'adamw.m.', v: 'adamw.v.' } as const;

/**
 * Writes the file whole or not at all. The same model, tokenizer and place give the same bytes. `state`: the phase is
 * not finished. Throws DivergedError when a weight is no number: a checkpoint is always a good one.
 */
export async function writeCheckpoint(
  path: string,
  model: Transformer,
  tokenizer: Tokenizer,
  place: Place,
  state?: PhaseState,
): Promise<void> {
  checkArguments('writeCheckpoint', arguments, writeArguments);
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
  metadata.set(CHECKSUM, sha256(writeSafetensors(tensors, metadata)));
  writeAtomically(path, writeSafetensors(tensors, metadata));
}

/** Throws FormatError when the file is damaged, or not one of ours. */
export function readCheckpoint(path: string): Checkpoint {
  checkArguments('readCheckpoint', arguments, { path: text });
  return parseCheckpoint(attempt('checkpoint', path, () => readFileSync(path)), path);
}

/** The same of a file's bytes; `path` names it in messages. */
export function parseCheckpoint(bytes: Uint8Array, path: string): Checkpoint {
  const { tensors, metadata } = readSafetensors(bytes, path);
  const note = noteOf(metadata, path);
  const checksum = note(CHECKSUM);
  metadata.delete(CHECKSUM);
  const entries = [...tensors].map(([name, tensor]) => [name, tensor as TensorToWrite] as const);
  if (entries.some(([, { dtype }]) => dtype !== 'F32') || sha256(writeSafetensors(entries, metadata)) !== checksum) {
    throw new FormatError(
      `checkpoint: ${path}: its checksum does not fit: the file was changed or damaged after it was written`,
    );
  }
  const under = (prefix: string): Tensors =>
    new Map(
      [...(tensors as Tensors)].flatMap(([name, tensor]) =>
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
    tensors: tensors as Tensors,
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

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
