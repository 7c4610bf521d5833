// Documents as batches of tokens. A corpus has no end and is never stored: row number n is a function of the seed and n
// alone, so any step can be drawn without those before it, and two runs with the same seed see the same rows in the
// same order.

import { anything, callable, checkArguments, having, whole } from '../../../engine/options.ts';
import { anRng, type Rng } from '../../../engine/rng.ts';
import { PROMPT, ROW, STOP } from './alphabet.ts';
import {
  checkSettings, corpusRules, document, drawStyle, prompt, response, styleRules, type CorpusSettings,
  type StyleSettings,
} from './documents.ts';
import { trainQuestion } from './questions.ts';
import { tinyWorldTokenizer } from './tokenizer.ts';

/** Rows without end, each a function of the seed and its number. */
export interface Corpus {
  /** The rows of a step -> tokens [batch*24] i32: rows step*batch to step*batch + batch - 1 of the corpus. */
  rows(step: number, batch: number): Int32Array;
}

/** What draws rows, in this file or elsewhere. */
export const rowsRule = having<Corpus & Demonstrations>('what has rows(step, batch), as corpus() makes it', {
  rows: callable(),
});

const corpusArguments = { settings: anything, random: anRng };
const rowsArguments = { step: whole({ min: 0 }), batch: whole({ min: 1, max: 2 ** 24 }) };

/**
 * Rows for pre-training and mid-training. Every token of a row, chatter too, is meant to be predicted. Throws
 * ConfigError on bad settings.
 */
export function corpus(given: CorpusSettings, random: Rng): Corpus {
  checkArguments('corpus', arguments, corpusArguments);
  const settings = checkSettings('corpus', given, corpusRules);
  return {
    rows(step, batch) {
      checkArguments('corpus.rows', arguments, rowsArguments);
      const tokens = new Int32Array(batch * ROW);
      for (let i = 0; i < batch; i++) {
        const stream = random.at(step * batch + i).stream();
        tokens.set(tinyWorldTokenizer.encode(document(stream, settings)), i * ROW);
      }
      return tokens;
    },
  };
}

/** Rows of right answers, with what of them counts. */
export interface DemonstrationBatch {
  /** [batch*24] i32: a prompt, a right response, then `.` to the end of the row. */
  readonly rows: Int32Array;
  /**
   * [batch*23] f32, for the targets (tokens 1 to 23 of each row): 1 on the response up to and including its `.`, else
   * 0.
   */
  readonly mask: Float32Array;
}

/** Right answers without end, each a function of the seed and its number. */
export interface Demonstrations {
  /** As Corpus.rows, with the mask. */
  rows(step: number, batch: number): DemonstrationBatch;
}

/** Right answers in a mix of styles, for supervised fine-tuning. Throws ConfigError on bad settings. */
export function demonstrations(given: StyleSettings, random: Rng): Demonstrations {
  checkArguments('demonstrations', arguments, corpusArguments);
  const settings = checkSettings('demonstrations', given, styleRules);
  return {
    rows(step, batch) {
      checkArguments('demonstrations.rows', arguments, rowsArguments);
      const rows = new Int32Array(batch * ROW);
      const mask = new Float32Array(batch * (ROW - 1));
      for (let i = 0; i < batch; i++) {
        const stream = random.at(step * batch + i).stream();
        const problem = trainQuestion(stream);
        const text = prompt(problem) + response(stream, problem, drawStyle(stream, settings, problem.task), 0);
        rows.set(tinyWorldTokenizer.encode(text.padEnd(ROW, STOP)), i * ROW);
        mask.fill(1, i * (ROW - 1) + PROMPT - 1, i * (ROW - 1) + text.length - 1);   // the target at j is token j + 1
      }
      return { rows, mask };
    },
  };
}
