// Any text as training rows. The tokens lie in one long array; a training row is context + 1 of them from a random
// place, so that position t of the row predicts position t + 1. The last part of the text is never trained on: it is
// for validation. Read next: files.ts, which reads the text; tokenizer.ts, which makes tokens of it.

import { ConfigError } from '../../engine/errors.ts';
import { anything, checkArguments, checkOptions, real, typedArray, whole, type Rules } from '../../engine/options.ts';
import { anRng, type Rng } from '../../engine/rng.ts';

export interface TextSettings {
  /** Tokens a model sees at once. */
  readonly context: number;
  /** Share of the text, at its end, that is kept for validation: 0 keeps none. */
  readonly validation: number;
}

/** A text as training rows, and what was held out of it. */
export interface TextCorpus {
  /** Tokens to train on, and tokens kept for validation. */
  readonly trainTokens: number;
  readonly validationTokens: number;
  /** Tokens a model sees at once in validation: `context`, or fewer when the part that is kept has no more. */
  readonly validationContext: number;
  /**
   * Training rows of a step -> [batch*(context+1)] i32. Row i starts at a place that depends on the seed and step*batch
   * + i alone.
   */
  rows(step: number, batch: number): Int32Array;
  /**
   * The validation part as rows -> [n*(validationContext+1)] i32. Each row starts with the last token of the row
   * before, so that the targets follow one another without overlap; targets at the end that do not fill a row are left
   * out.
   */
  validationRows(): Int32Array;
}

const textRules: Rules<TextSettings> = { context: whole({ min: 1 }), validation: real({ from: 0, below: 1 }) };
const corpusArguments = { tokens: typedArray('Int32Array'), settings: anything, random: anRng };
const rowsArguments = { step: whole({ min: 0 }), batch: whole({ min: 1, max: 2 ** 24 }) };

/**
 * Splits the tokens of a text. Throws ConfigError when the training part is shorter than one row, or the validation
 * part has no target.
 */
export function textCorpus(tokens: Int32Array, settings: TextSettings, random: Rng): TextCorpus {
  checkArguments('textCorpus', arguments, corpusArguments);
  const { context, validation } = checkOptions<TextSettings>('textCorpus', settings, textRules);
  const row = context + 1;
  const boundary = Math.floor(tokens.length * (1 - validation));
  const train = tokens.subarray(0, boundary);
  const held = tokens.subarray(boundary);
  const text = `data: text of ${tokens.length} tokens`;
  if (train.length < row) {
    const way = train.length > 1 ? `give more text, or a context of at most ${train.length - 1}` : 'give more text';
    throw new ConfigError(`${text}: leaves ${train.length} for training, and context ${context} needs ${row}: ${way}`);
  }
  if (validation > 0 && held.length < 2) {
    throw new ConfigError(
      `${text}: leaves ${held.length} for validation, which needs 2: give more text or a larger share`,
    );
  }
  const validationContext = Math.min(context, Math.max(1, held.length - 1));

  return {
    trainTokens: train.length,
    validationTokens: held.length,
    validationContext,
    rows(step, batch) {
      checkArguments('textCorpus.rows', arguments, rowsArguments);
      const rows = new Int32Array(batch * row);
      for (let i = 0; i < batch; i++) {
        const start = random.at(step * batch + i).stream().int(train.length - context);
        rows.set(train.subarray(start, start + row), i * row);
      }
      return rows;
    },
    validationRows() {
      const count = Math.max(0, Math.floor((held.length - 1) / validationContext));
      const length = validationContext + 1;
      const rows = new Int32Array(count * length);
      for (let i = 0; i < count; i++) {
        rows.set(held.subarray(i * validationContext, i * validationContext + length), i * length);
      }
      return rows;
    },
  };
}
