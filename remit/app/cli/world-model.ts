// Whether a model can answer the questions of the tiny world at all. Used by: evaluate.ts, train-world.ts.

import { ConfigError } from '../../../engine/errors.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import { type Tokenizer } from '../../text/tokenizer.ts';
import { tinyWorldTokenizer } from '../../worlds/tiny/tokenizer.ts';
import { ROW } from '../../worlds/tiny/index.ts';

/**
 * Throws ConfigError, beginning with `where`, unless the model reads and writes the tiny world's characters and holds
 * one of its rows.
 */
export function checkWorldModel(where: string, model: Transformer, tokenizer: Tokenizer | undefined): void {
  const { context } = model.config;
  if (JSON.stringify(tokenizer) !== JSON.stringify(tinyWorldTokenizer)) {
    const given = tokenizer === undefined ? 'unknown' : `another (${tokenizer.name})`;
    const needed = `its own ${tinyWorldTokenizer.vocabulary} characters`;
    throw new ConfigError(`${where}: its tokenizer is ${given}: the tiny world needs ${needed}`);
  }
  if (context < ROW) {
    throw new ConfigError(`${where}: its context is ${context} tokens: rows of the tiny world have ${ROW}`);
  }
}
