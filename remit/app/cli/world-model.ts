// Whether a model can answer the questions of the tiny world at all. Used by: evaluate.ts, train-world.ts.

import { ConfigError } from '../../../engine/errors.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import { type Tokenizer } from '../../text/tokenizer.ts';
import { tinyWorldTokenizer } from '../../worlds/tiny/tokenizer.ts';
import { ROW } from '../../worlds/tiny/index.ts';

/**
 * Throws ConfigError, beginning with `where`, unless the model reads and writes the tiny world's characters and holds
 * one of its rows; or speaks the tokens of an experiment, `needed`.
 */
export function checkWorldModel(
  where: string,
  model: Transformer,
  tokenizer: Tokenizer | undefined,
  needed = tinyWorldTokenizer,
): void {
  const { context } = model.config;
  const isTinyWorld = needed === tinyWorldTokenizer;
  if (JSON.stringify(tokenizer) !== JSON.stringify(needed)) {
    const given = tokenizer === undefined ? 'unknown' : `another (${tokenizer.name})`;
    const who = isTinyWorld ? `the tiny world needs its own ${needed.vocabulary} characters` : "the experiment's is needed";
    throw new ConfigError(`${where}: its tokenizer is ${given}: ${who}`);
  }
  if (isTinyWorld && context < ROW) {
    throw new ConfigError(`${where}: its context is ${context} tokens: rows of the tiny world have ${ROW}`);
  }
}
