// Which tokens of somebody's row would ReMiT learn from? A form on the page of a run, and its answer. What was asked is in
// the address, so that a link is a question. Read after: remit/app/run/weigh.ts.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createDevice } from '../../../engine/device.ts';
import { ConfigError } from '../../../engine/errors.ts';
import { remitRules } from '../../weights.ts';
import { escape } from '../plot/svg.ts';
import { paragraph, section, svg, table, text, type Html } from '../report/page.ts';
import { weightsChart } from '../report/weights-chart.ts';
import { openModel } from '../run/model.ts';
import { cut, weigh, type Row } from '../run/weigh.ts';
import type { Entry } from './library.ts';

const GUIDES = ['rl', 'sft', 'midtrain'] as const;
const EXAMPLE = '^G5>1<4>6>9?[!5:4!6!9]9.'; // a right answer of the tiny world
const MOST_ROWS = 20;

const checkpoint = ({ path }: Entry, phase: string): string => join(path, 'checkpoints', `${phase}.safetensors`);

/** The form, with the answer to what `asked` holds; nothing for a run without two models to compare. */
export async function weightsSection(entry: Entry, asked: URLSearchParams): Promise<Html[]> {
  const guides = GUIDES.filter((phase) => existsSync(checkpoint(entry, phase)));
  if (entry.kind !== 'run' || guides.length === 0 || !existsSync(checkpoint(entry, 'pretrain'))) return [];
  const words = asked.get('text');
  const guide = asked.get('by') ?? guides[0]!;
  const epsilon = Number(asked.get('epsilon') ?? remitRules.epsilon.fallback);
  const options = guides.map((phase) => `<option${phase === guide ? ' selected' : ''}>${phase}</option>`).join('');
  const form =
    `<form><label>Row <input name="text" size="40" value="${escape(words ?? EXAMPLE)}"></label> ` +
    `<label>guide <select name="by">${options}</select></label> ` +
    `<label>epsilon <input name="epsilon" size="4" value="${escape(String(epsilon))}"></label> <button>Weigh</button></form>`;
  const about = paragraph(text(
    'The pre-trained model reads a row; the guide says which tokens are worth more (orange) or less (blue) than 1 to it.',
  ));
  const answer = words === null ? [] : await answerTo(entry, { words, guide, epsilon }, guides);
  return [section('Which tokens would ReMiT learn from?', about, { html: form }, ...answer)];
}

interface Question {
  readonly words: string;
  readonly guide: string;
  readonly epsilon: number;
}

async function answerTo(
  entry: Entry,
  { words, guide, epsilon }: Question,
  guides: readonly string[],
): Promise<Html[]> {
  try {
    if (!guides.includes(guide)) throw new ConfigError(`by = ${guide}: must be ${guides.join(' or ')}`);
    if (!remitRules.epsilon.accepts(epsilon)) throw new ConfigError(`epsilon = ${epsilon}: must be ${remitRules.epsilon.range}`);
    const rows = await inTurn(() => weighed(entry, { words, guide, epsilon }));
    return rows.flatMap((row, i) => [svg(weightsChart(`row ${i + 1}`, row, epsilon)), tableOf(row)]);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return [paragraph(text(error.message))];
  }
}

async function weighed(entry: Entry, { words, guide, epsilon }: Question): Promise<Row[]> {
  await (device ??= createDevice('cpu'));
  const quiet = (): void => undefined; // of damaged states: the run's own page is no place for that
  const [ours, theirs] = [openModel(checkpoint(entry, 'pretrain'), quiet), openModel(checkpoint(entry, guide), quiet)];
  try {
    const tokenizer = ours.tokenizer!;
    const parts = cut([...tokenizer.encode(words)], ours.model.config.context + 1).slice(0, MOST_ROWS);
    if (parts.length === 0) throw new ConfigError('a row needs two tokens: there is nothing to predict');
    return await weigh(ours.model, theirs.model, tokenizer, parts, { epsilon });
  } finally {
    ours.model.parameters.free();
    theirs.model.parameters.free();
  }
}

function tableOf({ tokens }: Row): Html {
  const percent = (logarithm: number): string => `${(100 * Math.exp(logarithm)).toFixed(1)}%`;
  const rows = tokens.map(({ text: token, model, reference, gap, weight }) => [
    JSON.stringify(token), percent(model), percent(reference), gap.toFixed(3), weight.toFixed(3),
  ]);
  return table(['token', 'model', 'guide', 'gap', 'weight'], rows);
}

let device: Promise<unknown> | undefined;
let turn: Promise<unknown> = Promise.resolve();

/** There is one device: one question after the other. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const mine = turn.then(work);
  turn = mine.catch(() => undefined);
  return mine;
}
