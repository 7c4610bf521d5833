// A model as a Hugging Face folder, both ways: config.json, model.safetensors, tokenizer.json and their small
// companions. Our tensors carry the Llama names and the [out,in] orientation already, so weights are copied, not
// converted. Pure functions from names to contents; folder.ts puts them on disk. Source: transformers,
// modeling_llama.py. Read after: llama-config.ts.
import { ConfigError, FormatError } from '../../../engine/errors.ts';
import {
  callable, checkArguments, checkValue, having, isOptions, optional, string, such, typedArray,
} from '../../../engine/options.ts';
import { readSafetensors, writeSafetensors, type StoredTensor } from '../../../engine/safetensors.ts';
import { sameShape, show, type Shape } from '../../../engine/shape.ts';
import { checkConfig } from '../../../nn/config.ts';
import type { Transformer, TransformerConfig } from '../../../nn/transformer.ts';
import { BEGIN, STOP } from '../../worlds/tiny/alphabet.ts';
import { decodeJson } from '../../text/decode.ts';
import { aTokenizer, tokenizerFromJSON, type Tokenizer } from '../../text/tokenizer.ts';
import { tinyWorldTokenizer } from '../../worlds/tiny/tokenizer.ts';
import { fromLlamaConfig, llamaTensors, specialTokensOf, toLlamaConfig, type SpecialTokens } from './llama-config.ts';

const aModel = having('a Transformer', {
  config: such('a config', isOptions),
  parameters: having('the parameters of a model', { toHost: callable() }),
});
const exportArguments = {
  model: aModel,
  tokenizer: optional(aTokenizer),
  companions: optional(such('what readCompanions() gives', isOptions)),
};
const fileBytes = typedArray<Uint8Array>('Uint8Array');

/** Contents by file name. */
export type Files = Map<string, Uint8Array | string>;

export interface HostTensor {
  readonly shape: Shape;
  readonly data: Float32Array | Float64Array;
}

/** A model read from files: build a Transformer of `config`, then `parameters.load(tensors, where)`. */
export interface ImportedModel {
  readonly config: TransformerConfig;
  /** Exactly the tensors that `config` asks for, by name. */
  readonly tensors: Map<string, HostTensor>;
  /**
   * Absent when the folder has none, or one that splits text in a way this project does not; then `tokenizerFault` says
   * which.
   */
  readonly tokenizer: Tokenizer | undefined;
  readonly tokenizerFault: string | undefined;
}

/** What a model folder holds besides shape and weights: how text becomes tokens, and which of them have a meaning. */
export interface Companions {
  readonly special: SpecialTokens;
  /** As they were found, byte for byte. */
  readonly files: Files;
}

const COMPANIONS = [
  'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json', 'vocab.json', 'merges.txt',
  'tokenizer.model', 'chat_template.jinja', 'chat_template.json', 'generation_config.json',
];

/** The companions of the model in such files, ours or made elsewhere. */
export function companionsOf(files: (name: string) => Uint8Array | undefined, where: string): Companions {
  const config = files('config.json');
  const special = config
    ? specialTokensOf(decodeJson(config, `huggingface: ${where}/config.json`), `${where}/config.json`)
    : { bos: null, eos: null };
  const found = COMPANIONS.map((name) => [name, files(name)] as const).filter(([, contents]) => contents !== undefined);
  return { special, files: new Map(found as [string, Uint8Array][]) };
}

/**
 * The files of a folder that transformers, vLLM and this project read. The same model and tokenizer give the same
 * bytes. A model that came from such a folder is given with its companions: they are carried over as they are, also a
 * tokenizer that this project does not run.
 *
 * Throws ConfigError unless the model is Llama-shaped (norm rms, positions rotary, mlp swiglu, no bias).
 */
export async function exportHuggingFace(
  model: Pick<Transformer, 'config' | 'parameters'>, tokenizer: Tokenizer | undefined, companions?: Companions,
): Promise<Files> {
  checkArguments('exportHuggingFace', arguments, exportArguments);
  const { config } = model;
  const { bos, eos } = specialCharacters(tokenizer);
  const id = (character: string | null) => (character === null ? null : tokenizer!.encode(character)[0]!);
  const special = companions?.special ?? { bos: id(bos), eos: id(eos) };
  const configJson = toLlamaConfig(config, special); // before the weights, since it refuses what the layout cannot hold
  const tensors = await model.parameters.toHost();
  checkTensors('export', config, tensors);

  const weights = writeSafetensors(
    [...tensors].map(([name, { shape, data }]) => [name, { dtype: 'F32', shape, data }]),
    [['format', 'pt']], // transformers refuses a file with other metadata
  );
  const files: Files = new Map<string, Uint8Array | string>([
    ['config.json', text(configJson)],
    [
      'generation_config.json',
      text({ bos_token_id: special.bos, eos_token_id: special.eos, pad_token_id: special.pad ?? null }),
    ],
    ['model.safetensors', weights],
  ]);
  if (companions) return new Map([...files, ...companions.files]);
  if (!tokenizer) return files;
  files.set('tokenizer.json', text(tokenizer.toJSON()));
  files.set('tokenizer_config.json', text({
    tokenizer_class: 'PreTrainedTokenizerFast',
    model_max_length: config.context,
    bos_token: bos,
    eos_token: eos,
    clean_up_tokenization_spaces: false, // else decoding drops spaces before punctuation
  }));
  return files;
}

/** Rows of the tiny world begin with `^` and end with `.`; text as bytes has no token to spare. */
function specialCharacters(tokenizer: Tokenizer | undefined): { bos: string | null; eos: string | null } {
  const tinyWorld = JSON.stringify(tokenizer) === JSON.stringify(tinyWorldTokenizer);
  return tinyWorld ? { bos: BEGIN, eos: STOP } : { bos: null, eos: null };
}

function text(json: unknown): string {
  return `${JSON.stringify(json, null, 2)}\n`;
}

/**
 * The model in such files, ours or made elsewhere; `where` names the folder in messages.
 *
 * Weights in F16 and BF16 are widened to float32. Weights split over several files are found by
 * model.safetensors.index.json. Throws FormatError when a file is missing, damaged, or describes a model that this
 * engine does not compute.
 */
export function importHuggingFace(given: (name: string) => Uint8Array | undefined, where: string): ImportedModel {
  checkArguments('importHuggingFace', arguments, { files: callable(), where: string });
  const files = (name: string): Uint8Array | undefined => {
    const bytes = given(name);
    return bytes === undefined ? undefined : checkValue(`huggingface: ${where}: ${name}`, bytes, fileBytes);
  };
  const configFile = files('config.json');
  if (!configFile) throw new FormatError(`huggingface: ${where}: has no config.json: not a Hugging Face model folder`);
  const config = fromLlamaConfig(decodeJson(configFile, `huggingface: ${where}/config.json`), `${where}/config.json`);

  checkShape(config, `${where}/config.json`);
  const tensors = new Map<string, HostTensor>();
  const { tensors: stored, aliases } = readWeights(files, where);
  for (const [name, tensor] of stored) {
    // a table that old files carry along; it follows from the config
    if (name.endsWith('.rotary_emb.inv_freq')) continue;
    tensors.set(name, toHost(name, tensor, where));
  }
  for (const [name, same] of aliases) {
    const tensor = tensors.get(same);
    if (tensor && !tensors.has(name)) tensors.set(name, tensor);
  }
  if (config.tied) dropTiedHead(tensors, where);
  checkTensors(`huggingface: ${where}`, config, tensors);

  const { tokenizer, fault: tokenizerFault } = readTokenizer(files('tokenizer.json'), where);
  if (tokenizer && tokenizer.vocabulary > config.vocabulary) {
    throw new FormatError(
      `huggingface: ${where}: tokenizer.json has ${tokenizer.vocabulary} tokens, the model only ${config.vocabulary}`,
    );
  }
  return { config, tensors, tokenizer, tokenizerFault };
}

/**
 * A shape that the file may well say, and this engine does not build: too many layers, a base or an epsilon out of
 * range.
 */
function checkShape(config: TransformerConfig, where: string): void {
  try {
    checkConfig(config);
  } catch (error) {
    throw error instanceof ConfigError ? new FormatError(`huggingface: ${where}: ${error.message}`) : error;
  }
}

/**
 * A model can be used by token ids, without a tokenizer: one that splits text in other ways is no reason to refuse the
 * folder.
 */
function readTokenizer(
  file: Uint8Array | undefined,
  where: string,
): { tokenizer: Tokenizer | undefined; fault: string | undefined } {
  if (!file) return { tokenizer: undefined, fault: undefined };
  const json = decodeJson(file, `huggingface: ${where}/tokenizer.json`);
  try {
    return { tokenizer: tokenizerFromJSON(json), fault: undefined };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { tokenizer: undefined, fault: `huggingface: ${where}/${error.message}` };
  }
}

interface Weights {
  readonly tensors: Map<string, StoredTensor>;
  /** Tensors that share the memory of another were stored once: safetensors notes `name -> the name that was kept`. */
  readonly aliases: Map<string, string>;
}

/** One file, or the parts that model.safetensors.index.json lists. */
function readWeights(files: (name: string) => Uint8Array | undefined, where: string): Weights {
  const whole = files('model.safetensors');
  if (whole) {
    const { tensors, metadata } = readSafetensors(whole, `${where}/model.safetensors`);
    return { tensors, aliases: metadata };
  }

  const indexName = `${where}/model.safetensors.index.json`;
  const indexFile = files('model.safetensors.index.json');
  if (!indexFile) {
    throw new FormatError(`huggingface: ${where}: has neither model.safetensors nor model.safetensors.index.json`);
  }
  const index = decodeJson(indexFile, `huggingface: ${indexName}`) as { weight_map?: unknown } | null;
  const places = index?.weight_map;
  if (typeof places !== 'object' || places === null) {
    throw new FormatError(`huggingface: ${indexName}: has no weight_map`);
  }

  const parts = new Set(Object.values(places));
  for (const part of parts) {
    // names from a file must not lead out of the folder
    const plain = typeof part === 'string' && /^[\w-][\w.-]*$/.test(part);
    if (!plain) throw new FormatError(`huggingface: ${indexName}: ${JSON.stringify(part)}: not a plain file name`);
  }
  const found = new Map<string, StoredTensor>();
  const aliases = new Map<string, string>();
  for (const part of parts as Set<string>) {
    const bytes = files(part);
    if (!bytes) {
      throw new FormatError(`huggingface: ${where}: has no ${part}, which model.safetensors.index.json lists`);
    }
    const { tensors, metadata } = readSafetensors(bytes, `${where}/${part}`);
    for (const [name, same] of metadata) aliases.set(name, same);
    for (const [name, tensor] of tensors) {
      if (!Object.hasOwn(places, name) || (places as Record<string, unknown>)[name] !== part) {
        throw new FormatError(
          `huggingface: ${where}/${part}: tensor "${name}": model.safetensors.index.json does not place it here`,
        );
      }
      found.set(name, tensor);
    }
  }
  return { tensors: found, aliases };
}

/** Every weight must be a number in float32, which is what the engine computes in: of others no output would be any. */
function toHost(name: string, { dtype, shape, data }: StoredTensor, where: string): HostTensor {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) {
    throw new FormatError(`huggingface: ${where}: tensor "${name}" is ${dtype}: weights must be F64, F32, F16 or BF16`);
  }
  const at = data.findIndex((value) => !Number.isFinite(Math.fround(value)));
  if (at < 0) return { shape, data };
  throw new FormatError(
    `huggingface: ${where}: tensor "${name}" ${show(shape)}: element ${at} is ${data[at]}: ` +
    `${Number.isFinite(data[at]) ? 'too large for float32' : 'is no number to compute with'}`,
  );
}

const HEAD = 'lm_head.weight';
const EMBEDDING = 'model.embed_tokens.weight';

/**
 * A tied head is the embedding. Some programs store both: fine when they are the same. Some store it under the name of
 * the head alone.
 */
function dropTiedHead(tensors: Map<string, HostTensor>, where: string): void {
  const head = tensors.get(HEAD);
  if (!head) return;
  const embedding = tensors.get(EMBEDDING) ?? head;
  if (head.data.length !== embedding.data.length || head.data.some((value, i) => value !== embedding.data[i])) {
    throw new FormatError(`huggingface: ${where}: tie_word_embeddings = true: ${HEAD} differs from ${EMBEDDING}`);
  }
  tensors.set(EMBEDDING, embedding);
  tensors.delete(HEAD);
}

/**
 * Every tensor of the layout and no other: a config that does not fit its weights is found before any memory is taken.
 */
function checkTensors(
  where: string,
  config: TransformerConfig,
  tensors: ReadonlyMap<string, { readonly shape: Shape }>,
): void {
  const known = new Set<string>();
  for (const [name, shape] of llamaTensors(config)) {
    const found = tensors.get(name);
    if (!found) {
      const way =
        name === HEAD && tensors.has(EMBEDDING)
          ? ': if the head is the embedding, config.json must say "tie_word_embeddings": true'
          : '';
      throw new FormatError(`${where}: has no tensor "${name}" ${show(shape)}${way}`);
    }
    if (!sameShape(found.shape, shape)) {
      throw new FormatError(`${where}: tensor "${name}" ${show(found.shape)}: the config needs ${show(shape)}`);
    }
    known.add(name);
  }
  for (const [name, { shape }] of tensors) {
    if (!known.has(name)) {
      throw new FormatError(`${where}: tensor "${name}" ${show(shape)}: a Llama of this config has no such tensor`);
    }
  }
}
