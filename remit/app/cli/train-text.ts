// Training on your own text: next-token prediction, then the loss on the part that was held out.
// Read next: remit/text/files.ts (reading), remit/text/text.ts (rows), remit/phases/text-loss.ts.

import { rng } from '../../../engine/rng.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import { readText } from '../../text/files.ts';
import { textCorpus, type TextCorpus } from '../../text/text.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { pretrain } from '../../phases/pretrain.ts';
import type { Config } from '../../settings/resolve.ts';
import { textLoss } from '../../phases/text-loss.ts';
import type { Place } from '../run/checkpoint.ts';
import { phasesOf } from '../run/plan.ts';
import { openDevice } from './device.ts';
import { startFrom } from './init.ts';
import { command } from './program.ts';
import { textTokenizer } from './text-tokenizer.ts';
import { inRunFolder } from './session.ts';
import { print, say } from './terminal.ts';
import type { TrainOptions } from './settings.ts';

/** Enough for three digits, and seconds of work at most. */
const MAX_VALIDATION_TOKENS = 2 ** 17;

/** While it trains, the loss is looked at so many times, on so many tokens: the best model is kept. */
const LOOKS = 20;
const GLANCE = 2 ** 13;

/** What a token is. */
const UNITS = {
  byte: { one: 'byte', many: 'bytes' },
  character: { one: 'character', many: 'characters' },
  bpe: { one: 'token', many: 'tokens' },
} as const;

/** Resolves to the exit code; the validation loss is on stdout. `path`: of the text. */
export async function trainText(
  { resolved, init, out, resume, check, device: chosen }: TrainOptions,
  path: string,
): Promise<number> {
  const text = readText(path, { field: resolved.config.data.field, notice: say });
  const device = await openDevice(chosen ?? resolved.config.device);
  const { model, tokenizer, config, source } = startFrom(
    init,
    resolved,
    textTokenizer(text, resolved.config.data, init),
    { shorterRows: true },
  );
  const { context } = config.model;
  const { validation } = config.data;
  const data = textCorpus(tokenizer.encode(text), { context, validation }, rng(config.seed).fold('text'));

  const session = {
    config,
    device,
    model,
    tokenizer,
    out,
    resume,
    data: contentsOf(text, resolved.config.data, tokenizer),
    name: resolved.preset,
    check,
    plan: 'text',
    phases: phasesOf('text', 0),
    sources: { init: source, data: path },
  };
  const word = UNITS[tokenizer.name].many;
  return inRunFolder(session, async (folder) => {
    if (data.validationContext < context && check === undefined) {
      say(
        `the part kept for validation has ${data.validationTokens} ${word}: it is tested in rows of ` +
        `${data.validationContext}, not ${context}`,
      );
    }
    const before = await bits(model, data, tokenizer);
    if (check === undefined) {
      say(
        `${data.trainTokens} ${word} to train on, ${data.validationTokens} to validate on; at first ` +
        bitsText(before, tokenizer),
      );
    }
    const { steps } = config.pretrain;
    const every = Math.ceil(steps / LOOKS);
    let best: Place | undefined;
    const look = async (step: number): Promise<void> => {
      best = await folder.saveBest('pretrain', step, model, (await bits(model, data, tokenizer, GLANCE)).perToken);
    };
    folder.watch = async (_, step) => {
      if (step % every === 0 && step < steps) await look(step);
    };
    await pretrain(config, data, model, folder);
    await look(steps);
    const after = await bits(model, data, tokenizer);
    folder.report('evaluation', {
      unit: `bits per ${UNITS[tokenizer.name].one}`,
      before: before.perToken,
      after: after.perToken,
      ...(tokenizer.name !== 'byte' && { bitsPerByte: { before: before.perByte, after: after.perByte } }),
      best: { step: best!.step, quick: best!.loss },
    });
    if (check !== undefined) return;
    print(`validation: ${before.perToken.toFixed(3)} -> ${bitsText(after, tokenizer)}`);
    if (best!.step < steps) say(`the model of step ${best!.step} did better: checkpoints/pretrain.best.safetensors`);
    say(`next: ${command('sample', '--model', folder.path, '--prompt', '...')}`);
    say(`see it: ${command('view', folder.path)}`);
  });
}

/** What a run goes on with the same of: its text, and a tokenizer that is a file of its own. */
function contentsOf(text: string, { tokenizer = 'bytes' }: Config['data'], read: Tokenizer): string {
  return ['bytes', 'bpe'].includes(tokenizer) ? text : JSON.stringify([text, read]);
}

/** Validation loss. Bits per byte of UTF-8 can be compared between tokenizers; bits per token cannot. */
interface Bits { readonly perToken: number; readonly perByte: number }

/** Over rows spread evenly when there are very many. */
async function bits(
  model: Transformer,
  data: TextCorpus,
  tokenizer: Tokenizer,
  tokens = MAX_VALIDATION_TOKENS,
): Promise<Bits> {
  const length = data.validationContext + 1;
  const rows = spread(data.validationRows(), length, Math.ceil(tokens / data.validationContext));
  const perToken = (await textLoss(model, rows, length)) / Math.LN2;
  const targets = rows.filter((_, at) => at % length !== 0);
  return { perToken, perByte: (perToken * targets.length) / tokenizer.byteLength(targets) };
}

function bitsText({ perToken, perByte }: Bits, { name }: Tokenizer): string {
  const said = `${perToken.toFixed(3)} bits per ${UNITS[name].one}`;
  return name === 'byte' ? said : `${said}, ${perByte.toFixed(3)} per byte`;
}

/** At most `most` of the rows, at even distances. */
function spread(rows: Int32Array, length: number, most: number): Int32Array {
  const count = rows.length / length;
  if (count <= most) return rows;
  const chosen = new Int32Array(most * length);
  for (let i = 0; i < most; i++) {
    const from = Math.floor((i * count) / most) * length;
    chosen.set(rows.subarray(from, from + length), i * length);
  }
  return chosen;
}
