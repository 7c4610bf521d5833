// `remit-mini tokenize`: a text as tokens. Read next: remit/text/tokenizer.ts.

import { ConfigError } from '../../../engine/errors.ts';
import { readText } from '../../text/files.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { readArguments, required, type Arguments } from './arguments.ts';
import { EXIT } from './exit.ts';
import { loadModel, tokenizerOf } from './load-model.ts';
import { print, say } from './terminal.ts';
import { namedTokenizer } from './text-tokenizer.ts';

export const help = `remit-mini tokenize --model <path> | --tokenizer <name> --text <text> | --data <path>

Prints a text with | between its tokens, and how many bytes a token stands for; with --json {"vocabulary": ..., "bytes": ...,
"tokens": [{"id": ..., "text": ...}, ...]}. A character that several tokens share reads as U+FFFD in each.

  --model <path>          whose tokenizer: a run folder, a checkpoint, or a Hugging Face folder
  --tokenizer <name>      or: bytes, or the path of a tokenizer.json
  --text <text>           what to tokenize
  --data <path>           or: a .txt or .jsonl file, or a folder of them
  --json                  as JSON, with ids
`;

const flags = {
  model: { type: 'string' }, tokenizer: { type: 'string' }, text: { type: 'string' }, data: { type: 'string' },
  json: { type: 'boolean' },
} as const;

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('tokenize', argv, flags);
  const tokenizer = await chosenTokenizer(args);
  const [given, path] = [args.text('text'), args.text('data')];
  if (given !== undefined && path !== undefined) {
    throw new ConfigError('tokenize: --text and --data: are both given: leave one out');
  }
  const text = given ?? readText(required('tokenize', args, 'data', 'give a text with --text, or a file'), { notice: say });
  const ids = [...tokenizer.encode(text)];
  const tokens = ids.map((id) => ({ id, text: tokenizer.decode([id]) }));
  const bytes = tokenizer.byteLength(ids);
  if (args.has('json')) {
    print(JSON.stringify({ vocabulary: tokenizer.vocabulary, bytes, tokens }));
    return EXIT.ok;
  }
  print(tokens.map((token) => token.text).join('|'));
  const each = ids.length === 0 ? '' : `, ${(bytes / ids.length).toFixed(2)} each`;
  say(`${ids.length} tokens of ${tokenizer.vocabulary}, ${bytes} bytes${each}`);
  return EXIT.ok;
}

async function chosenTokenizer(args: Arguments): Promise<Tokenizer> {
  const [model, name] = [args.text('model'), args.text('tokenizer')];
  if (model !== undefined && name !== undefined) {
    throw new ConfigError('tokenize: --model and --tokenizer: are both given: leave one out');
  }
  if (name !== undefined) return namedTokenizer('tokenize', name);
  const path = required('tokenize', args, 'model', 'give a model, or --tokenizer');
  return tokenizerOf('tokenize', await loadModel(path, 'cpu'));
}
