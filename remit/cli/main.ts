// The command line: finds the command, runs it, and turns what went wrong into one line and an exit code.
// A command is a file beside this one that exports `help` and `run(argv)`; it loads the heavy parts when it runs.
// Read next: train.ts, exit.ts.

import { ConfigError, RemitError } from '../../engine/errors.ts';
import { nearest } from '../../engine/nearest.ts';
import { EXIT, exitCode } from './exit.ts';
import { remember } from './program.ts';
import { takeThreads } from './threads.ts';
import { version } from './version.ts';

export interface Command {
  readonly help: string;
  /** Returns the exit code. Throws RemitError for what people can mend. */
  run(argv: readonly string[]): Promise<number>;
}

interface Entry {
  readonly about: string;
  load(): Promise<Command>;
}

const commands: Readonly<Record<string, Entry>> = {
  train: { about: 'train a small transformer: the whole pipeline with ReMiT, or one phase of it', load: () => import('./train.ts') },
  study: { about: 'the same over arms and seeds, with intervals', load: () => import('./study.ts') },
  evaluate: { about: 'test a trained model on held-out questions', load: () => import('./evaluate.ts') },
  sample: { about: 'let a model continue a prompt', load: () => import('./sample.ts') },
  score: { about: 'loss and log-probabilities of given tokens, as JSON', load: () => import('./score.ts') },
  export: { about: 'write a trained model in the Hugging Face layout', load: () => import('./export.ts') },
  devices: { about: 'what can compute here', load: () => import('./devices.ts') },
  tune: { about: 'measure which GPU programs are the fastest here, and remember', load: () => import('./tune.ts') },
  doctor: { about: 'check this machine: Node, drivers, a kernel on each device, disk', load: () => import('./doctor.ts') },
};

const help = `remit-mini <command> [flags]

${Object.entries(commands).map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`).join('\n')}

  remit-mini <command> --help   what a command takes
  --threads <n>                 threads of the CPU, for any command; one per core by default; results do not depend on it
  remit-mini --version

Start with: remit-mini train
`;

/** Runs one command line; resolves to the exit code, having printed everything there is to say. */
export async function main(argv: readonly string[]): Promise<number> {
  remember(argv);
  try {
    return await dispatch(argv);
  } catch (error) {
    report(error);
    return exitCode(error);
  }
}

async function dispatch([name, ...rest]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') return print(help);
  if (name === '--version' || name === '-v') return print(`${version()}\n`);
  const entry = Object.hasOwn(commands, name) ? commands[name]! : undefined;
  if (entry === undefined) {
    throw new ConfigError(`remit-mini: ${name}: no such command: did you mean ${nearest(name, Object.keys(commands))}? See remit-mini --help`);
  }
  const command = await entry.load();
  return asksForHelp(rest) ? print(command.help) : command.run(takeThreads(name, rest));
}

function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? argv.length : end).some((word) => word === '--help' || word === '-h');
}

function print(text: string): number {
  process.stdout.write(text);
  return EXIT.ok;
}

/** One line; the stack is for those who ask for it with REMIT_DEBUG=1. An error that nobody foresaw says so. */
function report(error: unknown): void {
  const known = error instanceof RemitError || !(error instanceof Error) || 'code' in error;
  const message = error instanceof Error ? error.message : String(error);
  const hint = known || process.env.REMIT_DEBUG ? '' : ' (a fault of this program; REMIT_DEBUG=1 shows where)';
  process.stderr.write(`error: ${message.split('\n')[0]}${hint}\n`);
  if (process.env.REMIT_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
}
