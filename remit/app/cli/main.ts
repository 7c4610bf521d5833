// The command line: finds the command, runs it, and turns what went wrong into one line and an exit code.
// A command is a file beside this one that exports `help` and `run(argv)`; it loads the heavy parts when it runs.
// Read next: train.ts, exit.ts.

import { ConfigError, RemitError } from '../../../engine/errors.ts';
import { checkArguments, list, string } from '../../../engine/options.ts';
import { didYouMean } from '../../../engine/nearest.ts';
import { EXIT, exitCode, exitCodesHelp } from './exit.ts';
import { layout } from './layout.ts';
import { remember } from './program.ts';
import { columns, print, say } from './terminal.ts';
import { takeThreads } from './threads.ts';
import { version } from './version.ts';

export interface Command {
  readonly help: string;
  /** What --help all shows; the same unless given. */
  readonly helpAll?: string;
  /** Returns the exit code. Throws RemitError for what people can mend. */
  run(argv: readonly string[]): Promise<number>;
}

interface Entry {
  readonly about: string;
  load(): Promise<Command>;
}

const commands: Readonly<Record<string, Entry>> = {
  train: {
    about: 'train a small transformer: the whole pipeline with ReMiT, or one phase of it',
    load: () => import('./train.ts'),
  },
  study: { about: 'the same over arms and seeds, with intervals', load: () => import('./study.ts') },
  runs: { about: 'list runs: how far they came, and what they scored', load: () => import('./runs.ts') },
  verify: {
    about: 'train a run again, and compare every bit with what its folder holds',
    load: () => import('./verify.ts'),
  },
  evaluate: { about: 'test a trained model on held-out questions', load: () => import('./evaluate.ts') },
  sample: { about: 'let a model continue a prompt', load: () => import('./sample.ts') },
  score: { about: 'loss and log-probabilities of given tokens, as JSON', load: () => import('./score.ts') },
  view: { about: 'runs and studies in the browser, live', load: () => import('./view.ts') },
  report: { about: 'a run or a study as one page of HTML', load: () => import('./report.ts') },
  weights: { about: 'which tokens of a text ReMiT would learn from', load: () => import('./weights.ts') },
  tokenize: { about: 'show a text as tokens', load: () => import('./tokenize.ts') },
  export: { about: 'write a model, or the curves of its training, as others read it', load: () => import('./export.ts') },
  devices: { about: 'what can compute here', load: () => import('./devices.ts') },
  tune: { about: 'measure which GPU programs are the fastest here, and remember', load: () => import('./tune.ts') },
  bench: {
    about: 'time kernels, a training step or generation here, and compare with earlier',
    load: () => import('../../../bench/command.ts'), // the one that lies above remit/: it times all of it
  },
  show: { about: 'what a kernel is: reference, shader, WebAssembly', load: () => import('./show.ts') },
  doctor: {
    about: 'check this machine: Node, drivers, a kernel on each device, disk',
    load: () => import('./doctor.ts'),
  },
};

const help = `remit-mini <command> [flags]

${Object.entries(commands)
  .map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`)
  .join('\n')}

  remit-mini <command> --help   what a command takes
  --threads <n>                 threads of the CPU, for any command; one per core by default; results do not depend on it
  remit-mini --version

Exit codes:
${exitCodesHelp}

Start with: remit-mini train
`;

/** Runs one command line; resolves to the exit code, having printed everything there is to say. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    checkArguments('main', arguments, { argv: list('a list of words', string) });
    remember(argv);
    return await dispatch(argv);
  } catch (error) {
    report(error);
    return exitCode(error);
  }
}

async function dispatch([name, ...rest]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h') return show(help);
  if (name === 'help') {
    return rest[0] === undefined || rest[0] === 'help' ? show(help) : dispatch([rest[0], '--help', ...rest.slice(1)]);
  }
  if (name === '--version' || name === '-v' || name === '-V' || name === 'version') {
    print(version());
    return EXIT.ok;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name]! : undefined;
  if (entry === undefined) {
    throw new ConfigError(
      `remit-mini: ${name}: no such command: see remit-mini --help${didYouMean(name, Object.keys(commands))}`,
    );
  }
  const command = await entry.load();
  const asked = askedHelp(rest);
  if (asked === 'none') return command.run(takeThreads(name, rest));
  return show(asked === 'all' ? command.helpAll ?? command.help : command.help);
}

/** Whether --help is among the arguments, and the word `all` after it. */
function askedHelp(argv: readonly string[]): 'none' | 'short' | 'all' {
  const end = argv.indexOf('--');
  const before = argv.slice(0, end < 0 ? argv.length : end);
  const at = before.findIndex((word) => /^(--help|-h)(=|$)/.test(word));
  if (at < 0) return 'none';
  return before[at] === '--help=all' || before[at + 1] === 'all' ? 'all' : 'short';
}

function show(text: string): number {
  print(layout(text, columns()));
  return EXIT.ok;
}

/** One line; the stack is for those who ask for it with REMIT_DEBUG=1. An error that nobody foresaw says so. */
export function report(error: unknown): void {
  const known = error instanceof RemitError || !(error instanceof Error) || 'code' in error;
  const hint = known || process.env.REMIT_DEBUG ? '' : ' (a fault of this program; REMIT_DEBUG=1 shows where)';
  say(`error: ${messageOf(error)}${hint}`);
  if (process.env.REMIT_DEBUG && error instanceof Error) say(error.stack ?? '');
}

/** Our own messages are one line; of others, the first, with what was refused. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof Error)) return message.split('\n')[0]!;
  const { code, permission, resource } = error as { code?: unknown; permission?: unknown; resource?: unknown };
  return `${message.split('\n')[0]}${code === 'ERR_ACCESS_DENIED' ? ` (${[permission, resource].filter(Boolean).join(' ')})` : ''}`;
}
