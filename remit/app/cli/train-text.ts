// Training on your own text: next-token prediction, then the loss on the part that was held out.
// Read next: remit/text/files.ts (reading), remit/text/text.ts (rows), remit/phases/text-loss.ts.

import { rng } from '../../../engine/rng.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import { readText } from '../../text/files.ts';
import { textCorpus, type TextCorpus } from '../../text/text.ts';
import { byteTokenizer } from '../../text/tokenizer.ts';
import { pretrain } from '../../phases/pretrain.ts';
import { textLoss } from '../../phases/text-loss.ts';
import type { Place } from '../run/checkpoint.ts';
import { phasesOf } from '../run/plan.ts';
import { openDevice } from './device.ts';
import { startFrom } from './init.ts';
import { command } from './program.ts';
import { inRunFolder } from './session.ts';
import { print, say } from './terminal.ts';
import type { TrainOptions } from './settings.ts';

/** Enough for three digits, and seconds of work at most. */
const MAX_VALIDATION_TOKENS = 2 ** 17;

/** While it trains, the loss is looked at so many times, on so many tokens: the best model is kept. */
const LOOKS = 20;
const GLANCE = 2 ** 13;

/** Resolves to the exit code; the validation loss is on stdout. `path`: of the text. */
export async function trainText(
  { resolved, init, out, resume, check, device: chosen }: TrainOptions,
  path: string,
): Promise<number> {
  const text = readText(path, { field: resolved.config.data.field, notice: say });
  const device = await openDevice(chosen ?? resolved.config.device);
  const { model, tokenizer, config, source } = startFrom(init, resolved, byteTokenizer, { shorterRows: true });
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
    data: text,
    name: resolved.preset,
    check,
    plan: 'text',
    phases: phasesOf('text', 0),
    sources: { init: source, data: path },
  };
  return inRunFolder(session, async (folder) => {
    const unit = `bits per ${tokenizer.name}`;
    if (data.validationContext < context && check === undefined) {
      say(
        `the part kept for validation has ${data.validationTokens} ${tokenizer.name}s: it is tested in rows of ` +
        `${data.validationContext}, not ${context}`,
      );
    }
    const before = await bits(model, data);
    if (check === undefined) {
      say(
        `${data.trainTokens} ${tokenizer.name}s to train on, ${data.validationTokens} to validate on; at first ` +
        `${before.toFixed(3)} ${unit}`,
      );
    }
    const { steps } = config.pretrain;
    const every = Math.ceil(steps / LOOKS);
    let best: Place | undefined;
    const look = async (step: number): Promise<void> => {
      best = await folder.saveBest('pretrain', step, model, await bits(model, data, GLANCE));
    };
    folder.watch = async (_, step) => {
      if (step % every === 0 && step < steps) await look(step);
    };
    await pretrain(config, data, model, folder);
    await look(steps);
    const after = await bits(model, data);
    folder.report('evaluation', { unit, before, after, best: { step: best!.step, quick: best!.loss } });
    if (check !== undefined) return;
    print(`validation: ${before.toFixed(3)} -> ${after.toFixed(3)} ${unit}`);
    if (best!.step < steps) say(`the model of step ${best!.step} did better: checkpoints/pretrain.best.safetensors`);
    say(`next: ${command('sample', '--model', folder.path, '--prompt', '...')}`);
  });
}

/** Validation loss in bits per token, over rows spread evenly when there are very many. */
async function bits(model: Transformer, data: TextCorpus, tokens = MAX_VALIDATION_TOKENS): Promise<number> {
  const { validationContext } = data;
  const rows = spread(data.validationRows(), validationContext + 1, Math.ceil(tokens / validationContext));
  return (await textLoss(model, rows, validationContext + 1)) / Math.LN2;
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
