// What asks a process to end: Ctrl-C, kill, a terminal that is closed. They come as they like: npx passes Ctrl-C on
// beside the terminal, which sent it already; a closed terminal speaks, and so does its shell. Whatever follows within
// a second is the same request, also when the process is ending by then. Used by: remit/app/cli/session.ts,
// remit/app/cli/tune.ts, remit/app/study/schedule.ts.

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

const SAME_REQUEST_MS = 1000;

/**
 * Tells `first` of the first signal, and `again` of those that come a second later or more; by default these do what
 * signals do to a process that listens to none. Returns what ends the listening; what is left of the second is still
 * heard, and nothing done. Under nohup, SIGHUP is left alone.
 */
export function onStop(first: (signal: StopSignal) => void, again?: (signal: StopSignal) => void): () => void {
  const heard = STOP_SIGNALS.filter((signal) => signal !== 'SIGHUP' || !hangUpsAreIgnored());
  let at: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  const listener = (signal: NodeJS.Signals): void => {
    if (at === undefined) {
      at = performance.now();
      // from then on, even the middle of a long step can be ended
      if (again === undefined) timer = setTimeout(deafen, SAME_REQUEST_MS).unref();
      // an end without process.exit() gives signals back their own meaning a while before it
      process.once('beforeExit', () => process.exit());
      first(signal as StopSignal);
    } else if (performance.now() - at >= SAME_REQUEST_MS) (again ?? die)(signal as StopSignal);
  };
  const die = (signal: StopSignal): void => {
    deafen();
    process.kill(process.pid, signal);
  };
  const deafen = (): void => {
    clearTimeout(timer);
    for (const signal of heard) process.off(signal, listener);
  };
  const stop = (): void => {
    if (at === undefined) return deafen();
    again = () => {};
    clearTimeout(timer);
    timer = setTimeout(deafen, at + SAME_REQUEST_MS - performance.now()).unref();
  };
  for (const signal of heard) process.on(signal, listener);
  if (!heard.includes('SIGHUP') && process.listenerCount('SIGHUP', leaveAlone) === 0) process.on('SIGHUP', leaveAlone);
  return stop;
}

function leaveAlone(): void {}

/**
 * Whether this process was started so that it outlives its terminal. Node forgets at its start that SIGHUP was to be
 * ignored, so that has to be seen elsewhere: in the shell's note of what it ran, or in a parent that ignores it too.
 */
function hangUpsAreIgnored(): boolean {
  return basename(process.env._ ?? '') === 'nohup' || ignoresHangUps(process.ppid);
}

/** As Linux tells it; false elsewhere. */
function ignoresHangUps(pid: number): boolean {
  try {
    const mask = /^SigIgn:\s*([0-9a-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return mask !== undefined && (BigInt(`0x${mask}`) & 1n) === 1n; // bit 0 is signal 1
  } catch {
    return false;
  }
}
