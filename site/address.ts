// What was chosen on the page, in its address: a link is an experiment. Only what differs from the defaults is written.

export interface Choices {
  seed: number;
  preset: 'tiny' | 'short' | 'think-only';
  rate: number;
  width: number;
  layers: number;
  epsilon: number;
  scale: number;
  centre: boolean;
  guide: 'rl' | 'sft' | 'pretrain';
  row: string;
  question: number;
  estimator: 'rloo' | 'grpo' | 'dr-grpo' | 'reinforce';
  prompt: string;
  temperature: number;
  topP: number;
  task: number;
}

export const DEFAULTS: Readonly<Choices> = {
  seed: 0,
  preset: 'tiny',
  rate: 5e-3,
  width: 64,
  layers: 2,
  epsilon: 0.2,
  scale: 1,
  centre: true,
  guide: 'rl',
  row: '^G5>1<4>6>9?[!5:4!6!9]9.',
  question: 8,
  estimator: 'rloo',
  prompt: '^G6<9>0>7>6?',
  temperature: 0,
  topP: 1,
  task: 0,
};

/** Choices of an address; what it does not say, or says wrongly, is the default. */
export function fromAddress(hash: string): Choices {
  const choices: Record<string, unknown> = { ...DEFAULTS };
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ''))) {
    const fallback = (DEFAULTS as unknown as Record<string, unknown>)[name];
    if (typeof fallback === 'number' && text !== '' && Number.isFinite(Number(text))) choices[name] = Number(text);
    else if (typeof fallback === 'boolean') choices[name] = text !== 'false';
    else if (typeof fallback === 'string' && isWord(name, text)) choices[name] = text;
  }
  return choices as unknown as Choices;
}

const WORDS: Readonly<Record<string, readonly string[]>> = {
  preset: ['tiny', 'short', 'think-only'],
  guide: ['rl', 'sft', 'pretrain'],
  estimator: ['rloo', 'grpo', 'dr-grpo', 'reinforce'],
};

const isWord = (name: string, text: string): boolean => WORDS[name]?.includes(text) ?? true;

export function toAddress(choices: Choices): string {
  const different = Object.entries(choices).filter(([name, value]) => value !== DEFAULTS[name as keyof Choices]);
  return different.length === 0
    ? ''
    : `#${new URLSearchParams(different.map(([name, value]) => [name, String(value)]))}`;
}

/** The settings of a training, as the command line's flags. */
export function flagsOf({ seed, rate, width, layers, epsilon }: Choices): [string, string][] {
  const flags: [string, string][] = [['seed', String(seed)]];
  if (rate !== DEFAULTS.rate) flags.push(['pretrain.rate', String(rate)]);
  if (width !== DEFAULTS.width) flags.push(['model.width', String(width)]);
  if (layers !== DEFAULTS.layers) flags.push(['model.layers', String(layers)]);
  if (epsilon !== DEFAULTS.epsilon) flags.push(['remit.epsilon', String(epsilon)]);
  return flags;
}

/** The same in a terminal. */
export function commandOf(choices: Choices): string {
  const preset = choices.preset === 'tiny' ? [] : ['--preset', choices.preset];
  const flags = flagsOf(choices)
    .filter(([name, text]) => name !== 'seed' || text !== '0')
    .flatMap(([name, text]) => [`--${name}`, text]);
  return ['npx remit-mini train', ...preset, ...flags].join(' ');
}
