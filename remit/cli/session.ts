// What surrounds training on the command line: the run folder, the progress bar, and Ctrl-C.
// The first signal ends the run after the step in hand; the second ends the process at once. Used by: train-world.ts, train-text.ts.

import type { Backend } from '../../engine/backend.ts';
import type { Transformer } from '../../nn/transformer.ts';
import type { Config } from '../config/config.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { environment } from '../run/environment.ts';
import { claimFolder, RunFolder, StoppedError } from '../run/folder.ts';
import { Progress } from '../run/progress.ts';
import { EXIT, type StopSignal } from './exit.ts';
import { version } from './version.ts';

export interface Session {
  readonly config: Config;
  readonly device: Backend;
  readonly model: Transformer;
  readonly tokenizer: Tokenizer;
  /** Where the run goes; without it, the first free folder of runs/<name>-1, -2, ... */
  readonly out: string | undefined;
  readonly name: string;
}

/** Runs `body` in a fresh run folder; resolves to the exit code. */
export async function inRunFolder({ config, device, model, tokenizer, out, name }: Session, body: (folder: RunFolder) => Promise<void>): Promise<number> {
  const progress = new Progress();
  const folder = new RunFolder(claimFolder(out, name), { config, environment: environment(version(), device.name), tokenizer, progress });
  process.stderr.write(`${folder.path}: ${model.parameters.count.toLocaleString('en')} parameters, seed ${config.seed}, device ${device.name}\n`);
  const signals = listen(folder, progress);
  try {
    await body(folder);
    return EXIT.ok;
  } catch (error) {
    progress.endLine();
    if (!(error instanceof StoppedError)) throw error;
    process.stderr.write(`${error.message}: see ${folder.path}\n`);
    return EXIT[signals.received ?? 'SIGINT'];
  } finally {
    signals.unlisten();
    folder.close();
  }
}

function listen(folder: RunFolder, progress: Progress): { readonly received: StopSignal | undefined; unlisten(): void } {
  let received: StopSignal | undefined;
  const stop = (signal: StopSignal): void => {
    if (received !== undefined) process.exit(EXIT[signal]);
    received = signal;
    progress.endLine();
    process.stderr.write('stopping after this step; once more to stop at once\n');
    folder.stop();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  return {
    get received() { return received; },
    unlisten: () => void process.off('SIGINT', stop).off('SIGTERM', stop),
  };
}
