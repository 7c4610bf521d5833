// `remit-mini sample`: lets a model continue a prompt. Read next: nn/generate.ts.

import { ConfigError } from '../../../engine/errors.ts';
import { chosenDevice, deviceFlag, numberFrom, readArguments, required, wholeNumber, type Flags } from './arguments.ts';
import { EXIT } from './exit.ts';
import { print } from './terminal.ts';

export const help = `remit-mini sample --model <path> --prompt <text> [flags]

Prints the prompt and the model's continuation.

  --model <path>          a run folder, a checkpoint, or a Hugging Face folder
  --prompt <text>         what to continue; a question of the tiny world looks like "^S1+1-1-4-4?"
  --tokens <n>            how many tokens to add; as many as the context has room for by default
  --temperature <t>       0: always the likeliest; 1: as the model says (default 0.8)
  --top-k <k>             choose among the k likeliest only; 0: among all (default 0)
  --top-p <share>         ... that together have this probability (default 1: all)
  --min-p <share>         ... at least so likely as this times the likeliest (default 0)
  --seed <n>              another seed, another text (default 0)
  --device <name>         auto, cpu or webgpu: what computes; auto is a GPU if there is one, else the CPU (default auto)
  --threads <n>           threads of the CPU; one per core by default; results do not depend on it
`;

const flags: Flags = {
  model: { type: 'string' }, prompt: { type: 'string' }, tokens: { type: 'string' },
  temperature: { type: 'string' }, 'top-k': { type: 'string' }, 'top-p': { type: 'string' },
  'min-p': { type: 'string' }, seed: { type: 'string' }, ...deviceFlag,
};

export async function run(argv: readonly string[]): Promise<number> {
  const args = readArguments('sample', argv, flags);
  const path = required('sample', args, 'model', 'give a run folder, a checkpoint, or a Hugging Face folder');
  const prompt = required('sample', args, 'prompt', 'give the text to continue');
  const temperature = numberFrom('sample', args, 'temperature', { min: 0, fallback: 0.8 });
  const topK = wholeNumber('sample', args, 'top-k', { min: 0, max: 1_000_000, fallback: 0 });
  const topP = numberFrom('sample', args, 'top-p', { above: 0, max: 1, fallback: 1 });
  const minP = numberFrom('sample', args, 'min-p', { min: 0, max: 1, fallback: 0 });
  const device = chosenDevice('sample', args);
  const seed = wholeNumber('sample', args, 'seed', { min: 0, max: 0xffff_ffff, fallback: 0 });

  const [{ rng }, { generate }, { loadModel, tokenizerOf }] = await Promise.all([
    import('../../../engine/rng.ts'), import('../../../nn/generate.ts'), import('./load-model.ts'),
  ]);
  const opened = await loadModel(path, device);
  const { model } = opened;
  const tokenizer = tokenizerOf('sample', opened);
  const prompts = tokenizer.encode(prompt); // [P]
  const { context } = model.config;
  const room = context - prompts.length;
  if (room < 1) {
    throw new ConfigError(
      `sample: prompt of ${prompts.length} tokens: the model's context is ${context}: give a shorter one`,
    );
  }
  const maxNew = wholeNumber('sample', args, 'tokens', { min: 1, max: room, fallback: room });

  const tokens = await generate(model, prompts, {
    batch: 1,
    maxNew,
    temperature,
    topK,
    topP,
    minP,
    vocabulary: tokenizer.vocabulary,
    seed: rng(seed).fold('sample'),
  });
  print(tokenizer.decode(tokens));
  return EXIT.ok;
}
