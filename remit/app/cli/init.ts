// The model that training starts from: fresh, or the one that --init names. Used by: train-world.ts, train-text.ts.

import { ConfigError } from '../../../engine/errors.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import type { Config, Resolved } from '../../settings/resolve.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { newModel } from '../../phases/pretrain.ts';
import { openModel } from '../run/model.ts';

export interface Start {
  readonly model: Transformer;
  readonly tokenizer: Tokenizer;
  /** With the shape of the model that is really there; only model.context may be less, where rows may be shorter. */
  readonly config: Config;
  /** The file or folder that the model came from; undefined for a fresh one. */
  readonly source?: string;
}

/**
 * Without `path`: a fresh model for `tokenizer`. With `shorterRows`, model.context may ask for rows that are shorter
 * than what the model at `path` has room for: it is trained on those, and keeps its room.
 * Throws ConfigError when the model at `path` has no tokenizer, or another shape than was asked for.
 */
export function startFrom(
  path: string | undefined,
  { config, origins }: Resolved,
  tokenizer: Tokenizer,
  { shorterRows = false } = {},
): Start {
  if (path === undefined) return { model: newModel(config, tokenizer.vocabulary), tokenizer, config };
  const opened = openModel(path);
  if (opened.tokenizer === undefined) {
    throw new ConfigError(opened.tokenizerFault ?? `train: --init ${path}: has no tokenizer.json`);
  }
  const { vocabulary, ...shape } = opened.model.config;
  let { context } = shape;
  for (const [key, value] of Object.entries(shape)) {
    const asked = config.model[key as keyof typeof shape];
    const origin = origins.get(`model.${key}`)!;
    const meant = !/^(default|derived|preset .*)$/.test(origin);
    if (asked === value || !meant) continue;
    if (key === 'context' && shorterRows && config.model.context < context) context = config.model.context;
    else {
      throw new ConfigError(
        `train: --init ${path}: its model.${key} is ${value}: it cannot become ${asked} (${origin}): leave that out`,
      );
    }
  }
  return {
    model: opened.model,
    tokenizer: opened.tokenizer,
    config: { ...config, model: { ...shape, context } },
    source: opened.source,
  };
}
