// What two models say of each token of some rows, and what ReMiT would weigh it. Used by: remit/app/cli/weights.ts,
// remit/app/view/weights.ts. Read next: remit/weights.ts, which says what a weight is.

import { logProb } from '../../../engine/ops/cross-entropy.ts';
import { tokenWeights, type TokenWeightsOptions } from '../../../engine/ops/token-weights.ts';
import { noGrad } from '../../../engine/runtime.ts';
import { step } from '../../../engine/step.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import { nextTokens } from '../../phases/next-token.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';

/** A token but the first of a row. Logarithms are natural. */
export interface Weighed {
  readonly id: number;
  readonly text: string;
  readonly model: number;
  readonly reference: number;
  readonly gap: number;
  readonly weight: number;
}

export interface Row {
  readonly text: string;
  readonly tokens: readonly Weighed[];
}

/** Parts of at most `most` tokens, each beginning with the last of the one before; those with something to predict. */
export function cut(tokens: readonly number[], most: number): number[][] {
  const parts: number[][] = [];
  for (let from = 0; from + 1 < tokens.length; from += most - 1) parts.push(tokens.slice(from, from + most));
  return parts;
}

/** Rows of tokens, each at most a context and one long, as the two models see them. */
export async function weigh(
  model: Transformer,
  guide: Transformer,
  tokenizer: Tokenizer,
  parts: readonly (readonly number[])[],
  options: TokenWeightsOptions,
): Promise<Row[]> {
  const look = step((row: Int32Array) =>
    noGrad(() => {
      const { inputs, targets } = nextTokens(row, 1);
      const [ours, theirs] = [logProb(model.forward(inputs), targets), logProb(guide.forward(inputs), targets)];
      return { ours, theirs, weights: tokenWeights(theirs, ours, targets, options) };
    }),
  );
  const rows: Row[] = [];
  for (const part of parts) {
    const found = await look(Int32Array.from(part));
    const [ours, theirs, weights] = [await found.ours.read(), await found.theirs.read(), await found.weights.read()];
    const tokens = part.slice(1).map((id, t): Weighed => ({
      id,
      text: tokenizer.decode([id]),
      model: ours[t]!,
      reference: theirs[t]!,
      gap: theirs[t]! - ours[t]!,
      weight: weights[t]!,
    }));
    rows.push({ text: tokenizer.decode(part), tokens });
  }
  look.free();
  return rows;
}
