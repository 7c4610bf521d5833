// `remit-mini score`: the loss and log-probabilities that a model gives to tokens from a file, as JSON.
// This is the door through which the model can be checked against any other implementation. Read next: load-model.ts.

import { ConfigError, DivergedError, FormatError } from '../../../engine/errors.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import { readJsonFile } from '../../text/read.ts';
import { chosenDevice, deviceFlag, readArguments, required, type Flags } from './arguments.ts';
import { EXIT } from './exit.ts';
import { print } from './terminal.ts';

export const help = `remit-mini score --model <path> --data <tokens.json>

Prints {"loss": ..., "count": ..., "logProbs": [[...]]}: natural logarithms, one row for each row of tokens, one number for each
token but the first: log p(token | the tokens before it). loss is the mean of their negatives over the tokens with mask 1.

  --model <path>          a run folder, a checkpoint, or a Hugging Face folder
  --data <tokens.json>    {"tokens": [[1, 2, 3], ...], "mask": [[1, 1, 0], ...]}; without a mask all count. A row of the mask has one
                          number per token, of which the first means nothing, since the first token is never predicted; or one
                          per predicted token
  --device <name>         auto, cpu or webgpu: what computes; auto is a GPU if there is one, else the CPU (default auto)
  --threads <n>           threads of the CPU; one per core by default; results do not depend on it
`;

const flags: Flags = { model: { type: 'string' }, data: { type: 'string' }, ...deviceFlag };

const MAX_TOKENS_BYTES = 256 * 2 ** 20;

interface Input {
  readonly tokens: readonly (readonly number[])[];
  /** 1 for each predicted token that counts: one number fewer per row than tokens. */
  readonly mask: readonly (readonly number[])[];
}

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('score', argv, flags);
  const path = required('score', args, 'model', 'give a run folder, a checkpoint, or a Hugging Face folder');
  const file = required('score', args, 'data', 'give a JSON file of tokens');
  const device = chosenDevice('score', args);
  const { loadModel } = await import('./load-model.ts');
  const input = readInput(file);
  const { model } = await loadModel(path, device);
  checkTokens(input, model, file);
  const logProbs = await scoreRows(model, input.tokens);
  print(JSON.stringify({ ...summary(logProbs, input.mask), logProbs: logProbs.map((row) => [...row]) }));
  return EXIT.ok;
}

/**
 * For each row of n tokens, n - 1 log-probabilities in nats: entry j is that of token j + 1 after tokens 0..j. Throws
 * DivergedError when one is no number.
 */
export async function scoreRows(model: Transformer, rows: readonly (readonly number[])[]): Promise<Float64Array[]> {
  const [{ logProb }, { noGrad }, { step }, { tensor }] = await Promise.all([
    import('../../../engine/ops/cross-entropy.ts'),
    import('../../../engine/runtime.ts'),
    import('../../../engine/step.ts'),
    import('../../../engine/tensor.ts'),
  ]);
  const score = step((row: readonly number[]) => noGrad(() => {
    const length = row.length - 1;
    const inputs = tensor(row.slice(0, -1), [1, length], 'i32');
    const targets = tensor(row.slice(1), [1, length], 'i32');
    return logProb(model.forward(inputs), targets); // [1,length]
  }));
  const results: Float64Array[] = [];
  for (const row of rows) {
    const result = await score(row);
    const values = Float64Array.from(await result.read());
    const wrong = values.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) {
      throw new DivergedError(
        `score: tokens[${results.length}][${wrong + 1}]: its log-probability is ${values[wrong]}: ` +
          'the weights of the model are not finite, or its logits too large',
      );
    }
    results.push(values);
  }
  score.free();
  return results;
}

function summary(logProbs: readonly Float64Array[], mask: Input['mask']): { loss: number; count: number } {
  let [total, count] = [0, 0];
  logProbs.forEach((row, i) => row.forEach((value, j) => {
    const counts = mask[i]![j]!;
    total -= counts * value;
    count += counts;
  }));
  if (count === 0) {
    throw new ConfigError('score: the mask leaves no token to score: the first of a row is never predicted');
  }
  return { loss: total / count, count };
}

/**
 * Throws ConfigError when there is no such file, FormatError unless it holds rows of whole numbers and a mask to match.
 */
function readInput(file: string): Input {
  const fail = (why: string): never => {
    throw new FormatError(`score: ${file}: ${why}`);
  };
  const json = readJsonFile('score', file, MAX_TOKENS_BYTES);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    return fail('must hold {"tokens": [[...], ...]}');
  }
  const unknown = Object.keys(json).find((key) => key !== 'tokens' && key !== 'mask');
  if (unknown !== undefined) return fail(`"${unknown}": no such field: there are "tokens" and "mask"`);
  const { tokens, mask } = json as { tokens?: unknown; mask?: unknown };
  if (!isRows(tokens) || tokens.length === 0) return fail('"tokens" must be a list of lists of whole numbers');
  const short = tokens.findIndex((row) => row.length < 2);
  if (short >= 0) {
    return fail(`tokens[${short}] has ${tokens[short]!.length} tokens: nothing is predicted: give 2 or more`);
  }
  if (mask === undefined) return { tokens, mask: tokens.map((row) => row.slice(1).map(() => 1)) };
  if (!isRows(mask) || mask.flat().some((n) => n > 1)) return fail('"mask" must be a list of lists of 0 and 1');
  if (mask.length !== tokens.length) return fail(`"mask" has ${mask.length} rows, "tokens" ${tokens.length}`);
  const uneven = tokens.findIndex((row, i) => row.length - mask[i]!.length !== 0 && row.length - mask[i]!.length !== 1);
  if (uneven >= 0) {
    const { length } = tokens[uneven]!;
    return fail(
      `mask[${uneven}] has ${mask[uneven]!.length} numbers, tokens[${uneven}] ${length}: give ${length}, or ` +
      `${length - 1} for the predicted ones`,
    );
  }
  return { tokens, mask: mask.map((row, i) => (row.length === tokens[i]!.length ? row.slice(1) : row)) };
}

function isRows(value: unknown): value is number[][] {
  return (
    Array.isArray(value) &&
    value.every((row) => Array.isArray(row) && row.every((n) => Number.isSafeInteger(n) && n >= 0))
  );
}

function checkTokens({ tokens }: Input, model: Transformer, file: string): void {
  const { vocabulary, context } = model.config;
  tokens.forEach((row, i) => {
    const wrong = row.findIndex((token) => token >= vocabulary);
    if (wrong >= 0) {
      throw new ConfigError(
        `score: ${file}: tokens[${i}][${wrong}] = ${row[wrong]}: the model's vocabulary is 0..${vocabulary - 1}`,
      );
    }
    if (row.length - 1 > context) {
      throw new ConfigError(
        `score: ${file}: tokens[${i}] has ${row.length} tokens: the model's context is ${context}: give at most ` +
        `${context + 1}`,
      );
    }
  });
}
