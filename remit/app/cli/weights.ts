// `remit-mini weights`: what ReMiT would learn from in somebody's text: each token with what the model and its guide
// say of it, and its weight. Read next: remit/weights.ts, which says what a weight is.

import { writeFileSync } from 'node:fs';
import type { TokenWeightsOptions } from '../../../engine/ops/token-weights.ts';
import { ConfigError } from '../../../engine/errors.ts';
import { readRows } from '../../text/files.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { remitRules } from '../../weights.ts';
import { standalone } from '../plot/style.ts';
import { stackedCharts } from '../plot/stack.ts';
import { weightsChart } from '../report/weights-chart.ts';
import { openModel } from '../run/model.ts';
import { reason } from '../run/reason.ts';
import { cut, weigh, type Row } from '../run/weigh.ts';
import { chosenDevice, deviceFlag, numberFrom, readArguments, required, type Arguments } from './arguments.ts';
import { EXIT } from './exit.ts';
import { loadModel, tokenizerOf } from './load-model.ts';
import { print, say } from './terminal.ts';

export const help = `remit-mini weights --model <path> --reference <path> --text <text> | --data <path>

What ReMiT would learn from: for each token but the first of a row the log-probabilities of the model and of the reference that guides it,
the gap between them, and the weight. A row is a line of a .txt file, or the text of a line of .jsonl; a longer one than the context is cut.

  --model <path>          the model that would be trained: a run folder, a checkpoint, or a Hugging Face folder
  --reference <path>      its guide: for example checkpoints/rl.safetensors of a run
  --text <text>           one row
  --data <path>           rows: a .txt or .jsonl file; --field <name> is where a line of .jsonl has its text (default text)
  --out <file.jsonl>      writes a line a row: {"text": ..., "tokens": [{"id", "text", "model", "reference", "gap", "weight"}, ...]}
  --plot <file.svg>       draws rows, each token coloured by its weight; the first 50
  --epsilon <e>           weights lie in 1 - e .. 1 + e (default 0.2)
  --scale <s>             steepness (default 1)
  --raw                   gaps are not compared with the mean of their row
  --device <name>         auto, cpu or webgpu (default auto)
  --threads <n>           threads of the CPU; one per core by default
`;

const flags = {
  model: { type: 'string' }, reference: { type: 'string' }, text: { type: 'string' }, data: { type: 'string' },
  field: { type: 'string' }, out: { type: 'string' }, plot: { type: 'string' }, epsilon: { type: 'string' },
  scale: { type: 'string' }, raw: { type: 'boolean' }, ...deviceFlag,
} as const;

const MOST_DRAWN = 50;

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('weights', argv, flags);
  const path = required('weights', args, 'model', 'give the model that would be trained');
  const guidePath = required('weights', args, 'reference', 'give the model that guides it');
  const texts = textsOf(args);
  const options = optionsOf(args);
  const opened = await loadModel(path, chosenDevice('weights', args));
  const tokenizer = tokenizerOf('weights', opened);
  const guide = openModel(guidePath);
  checkSame(tokenizer, tokenizerOf('weights', guide), guidePath);
  const context = Math.min(opened.model.config.context, guide.model.config.context);
  const parts = texts.flatMap((text) => cut([...tokenizer.encode(text)], context + 1));
  if (parts.length === 0) throw new ConfigError('weights: no row has two tokens: there is nothing to predict');
  const rows = await weigh(opened.model, guide.model, tokenizer, parts, options);

  const out = args.text('out');
  if (out !== undefined) write('out', out, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const plot = args.text('plot');
  if (plot !== undefined) write('plot', plot, drawn(rows, options));
  if (out === undefined) for (const line of rows.flatMap(tableOf)) print(line);
  say(summary(rows));
  return EXIT.ok;
}

function textsOf(args: Arguments): readonly string[] {
  const [text, path] = [args.text('text'), args.text('data')];
  if (text !== undefined && path !== undefined) {
    throw new ConfigError('weights: --text and --data: are both given: leave one out');
  }
  return text === undefined
    ? readRows(required('weights', args, 'data', 'give a row with --text, or a file'), args.text('field'))
    : [text];
}

function optionsOf(args: Arguments): Required<TokenWeightsOptions> {
  const epsilon = numberFrom('weights', args, 'epsilon', { min: 0, fallback: remitRules.epsilon.fallback! });
  const scale = numberFrom('weights', args, 'scale', { min: 0, fallback: remitRules.scale.fallback! });
  for (const [name, value] of Object.entries({ epsilon, scale })) {
    const rule = remitRules[name as 'epsilon' | 'scale'];
    if (!rule.accepts(value)) throw new ConfigError(`weights: --${name} ${value}: must be ${rule.range}`);
  }
  return { epsilon, scale, centre: !args.has('raw') };
}

function checkSame(ours: Tokenizer, theirs: Tokenizer, path: string): void {
  if (JSON.stringify(ours) === JSON.stringify(theirs)) return;
  throw new ConfigError(`weights: --reference ${path}: its tokenizer is another: a token of one is none of the other`);
}

function write(flag: string, path: string, contents: string): void {
  try {
    writeFileSync(path, contents);
  } catch (error) {
    throw new ConfigError(`weights: --${flag} ${path}: ${reason(error)}: give a file in a folder that can be written`);
  }
}

function drawn(rows: readonly Row[], { epsilon }: Required<TokenWeightsOptions>): string {
  return standalone(stackedCharts(rows.slice(0, MOST_DRAWN).map((row, i) => weightsChart(`row ${i + 1}`, row, epsilon))));
}

function tableOf({ text, tokens }: Row): string[] {
  const percent = (logarithm: number): string => `${(100 * Math.exp(logarithm)).toFixed(1)}%`.padStart(9);
  return [
    JSON.stringify(text),
    'token        p model   p guide       gap    weight',
    ...tokens.map((token) =>
      [
        JSON.stringify(token.text).padEnd(11),
        percent(token.model),
        percent(token.reference),
        token.gap.toFixed(3).padStart(9),
        token.weight.toFixed(3).padStart(9),
      ].join(' '),
    ),
  ];
}

function summary(rows: readonly Row[]): string {
  const weights = rows.flatMap(({ tokens }) => tokens.map(({ weight }) => weight));
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  const share = (is: (weight: number) => boolean): string =>
    `${((100 * weights.filter(is).length) / weights.length).toFixed(0)}%`;
  return (
    `${rows.length} rows, ${weights.length} tokens: mean weight ${mean.toFixed(3)}, ` +
    `${share((weight) => weight > 1)} above 1, ${share((weight) => weight < 1)} below`
  );
}
