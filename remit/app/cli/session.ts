// What surrounds training on the command line: the run folder, the progress bar, and Ctrl-C.
// The first signal ends the run after the step in hand, with everything on disk that it takes to go on, and says how;
// between phases there is nothing to lose, and it ends at once. A second signal, more than a moment later, always ends
// it at once. Used by: train-world.ts, train-text.ts.

import type { Backend } from '../../../engine/backend.ts';
import { CpuBackend } from '../../../engine/cpu/backend.ts';
import { bitsOf } from '../../../engine/cpu/wasm/program-width.ts';
import { DivergedError } from '../../../engine/errors.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import type { Config } from '../../settings/resolve.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { weightsHash } from '../../phases/checkpoint.ts';
import type { StepRecord } from '../../phases/run.ts';
import { onUnflushed } from '../run/atomic.ts';
import { sha256 } from '../run/checkpoint.ts';
import { environment, type SourceName } from '../run/environment.ts';
import type { KeptExperiment } from '../run/experiment-file.ts';
import { claimFolder, RunFolder, StoppedError, type Resume } from '../run/folder.ts';
import { letIn } from '../run/lock.ts';
import { Progress } from '../run/progress.ts';
import { onStop, type StopSignal } from '../run/signals.ts';
import { noteSources } from '../run/sources.ts';
import { closeDevice } from './device.ts';
import { EXIT } from './exit.ts';
import { liveLog } from './live-log.ts';
import { command, commandLine } from './program.ts';
import { say } from './terminal.ts';
import { version } from './version.ts';

export interface Session {
  readonly config: Config;
  readonly device: Backend;
  readonly model: Transformer;
  readonly tokenizer: Tokenizer;
  /** Where the run goes; without it, the first free folder of runs/<name>-1, -2, ... */
  readonly out: string | undefined;
  readonly name: string;
  /** Whether to go on with a run in `out`; never, unless given. */
  readonly resume?: Resume;
  /**
   * The model that guides `model`, if any, and the user's own text, if it learns from that: a run goes on with the
   * same.
   */
  readonly reference?: Transformer | undefined;
  readonly data?: string;
  /** Milliseconds to wait for another process that is at work in the folder. */
  readonly patience?: number;
  /** What the run is for, and its phases; and where the things lie that it begins with. */
  readonly plan?: string;
  readonly phases?: readonly string[];
  readonly experiment?: KeptExperiment | undefined;
  readonly sources?: Readonly<Partial<Record<SourceName, string | undefined>>>;
  /** Of a run that only checks another one: shown each step, and how it ends is nobody's business but the caller's. */
  readonly check?: ((record: StepRecord) => void) | undefined;
}

/** Runs `body` in a run folder; resolves to the exit code. Throws ConfigError when the folder is not for this run. */
export async function inRunFolder(session: Session, body: (folder: RunFolder) => Promise<void>): Promise<number> {
  const {
    config, device, model, tokenizer, out, name, resume, reference, data, patience, plan, phases, sources = {}, experiment, check,
  } = session;
  const progress = new Progress();
  const notice = (text: string): void => {
    progress.endLine();
    say(text);
  };
  onUnflushed(notice);
  const hashes = {
    start: await weightsHash(model),
    ...(reference && { reference: await weightsHash(reference) }),
    ...(data !== undefined && { data: sha256(data), dataLength: data.length }),
  };
  const signals = listen(notice, (path) => (check === undefined ? goOn(path) : 'nothing was changed'));
  let folder: RunFolder | undefined;
  let live: ReturnType<typeof liveLog>;
  try {
    const path = claimFolder(out, name, resume);
    await letIn(path, notice);
    const vectors = device instanceof CpuBackend && device.width ? { vectors: bitsOf(device.width) } : {};
    const began = {
      ...environment(version(), device.name),
      ...vectors,
      ...hashes,
      ...(plan !== undefined && { plan }),
      ...(config.data.world !== undefined && phases !== undefined && { phases }),
      sources: noteSources(path, sources),
      ...(experiment && { experiment }),
    };
    live = liveLog(path);
    const look = check ?? live?.log.bind(live);
    folder = new RunFolder(path, { config, environment: began, tokenizer, progress, notice, patience, phases, check: look });
    signals.folder = folder;
    if (check === undefined) {
      notice(
        `${folder.path}: ${model.parameters.count.toLocaleString('en')} parameters, seed ${config.seed}, device ` +
        `${device.name}`,
      );
    }
    await body(folder);
    return EXIT.ok;
  } catch (error) {
    if (error instanceof DivergedError) {
      const { good } = folder ?? {};
      const left = good === undefined ? 'no checkpoint was written before' : `the last good checkpoint is ${good}`;
      throw new DivergedError(`${error.message}: ${left}`);
    }
    if (!(error instanceof StoppedError)) throw error;
    notice(check === undefined ? `${error.message}: ${goOn(folder!.path)}` : 'stopped');
    return EXIT[signals.received ?? 'SIGINT'];
  } finally {
    progress.endLine();
    signals.unlisten();
    live?.close();
    folder?.close();
  }
}

interface Signals {
  /** The run that a signal ends, as soon as there is one. */
  folder: RunFolder | undefined;
  received: StopSignal | undefined;
  unlisten(): void;
}

/**
 * The first signal is heard; later ones do what they always do, which ends the process even in the middle of a long
 * step.
 */
function listen(notice: (text: string) => void, afterwards: (path: string) => string): Signals {
  const signals: Signals = { folder: undefined, received: undefined, unlisten: onStop((signal) => {
    const { folder } = signals;
    signals.received = signal;
    folder?.stop();
    if (folder?.training) return notice('stopping after this step; once more to stop at once');
    if (folder !== undefined) notice(`stopped between two phases: ${afterwards(folder.path)}`);
    void closeDevice().catch(() => {}).then(() => {
      folder?.close();
      process.exit(EXIT[signal]);
    });
  }) };
  return signals;
}

/** The command line of this process, to be given again. */
function goOn(folder: string): string {
  const place = /^--(out|resume)$/;
  const words = commandLine();
  const rest = words.filter(
    (word, i) => !/^--(out|resume)(=|$)/.test(word) && (word.startsWith('--') || !place.test(words[i - 1] ?? '')),
  );
  return `go on with: ${command(...rest, '--resume', folder)}`;
}
