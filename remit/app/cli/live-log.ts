// --log tensorboard, of train and study: where the steps of a run go besides, while it trains. No setting of a run,
// since results do not depend on it. Used by: train.ts, study.ts, session.ts. Read next: remit/app/report/event-log.ts.

import { ConfigError } from '../../../engine/errors.ts';
import { EventLog } from '../report/event-log.ts';
import type { Arguments } from './arguments.ts';

let isWanted = false;

/** Remembers what the command line asked for. Throws ConfigError for anything but tensorboard. */
export function chooseLog(command: string, args: Arguments): void {
  const format = args.text('log');
  if (format !== undefined && format !== 'tensorboard') {
    throw new ConfigError(`${command}: --log ${format}: must be tensorboard; metrics.jsonl is written anyhow`);
  }
  isWanted = format !== undefined;
}

/** For the run in this folder; undefined when nobody asked. */
export function liveLog(run: string): EventLog | undefined {
  return isWanted ? new EventLog(run) : undefined;
}
