// Runs the cells of a study, each in a process of its own, some at a time; a cell starts when those it needs are done.
// Knows no models: a killed study is started again with the cells that are not done. Read after: plan.ts.

import type { ChildProcess } from 'node:child_process';
import { RemitError } from '../../../engine/errors.ts';
import { onStop, type StopSignal } from '../run/signals.ts';
import type { Cell } from './plan.ts';

export interface Schedule {
  /** Processes at a time. */
  readonly jobs: number;
  isDone(cell: Cell): boolean;
  start(cell: Cell): ChildProcess;
  /** After each cell; `done` counts those that were done before too. */
  onDone?(cell: Cell, done: number, seconds: number): void;
  /** What went wrong in a cell, for the message. */
  explain?(cell: Cell): string;
}

/**
 * Resolves when all cells are done, or to the signal that ended it. Throws RemitError when a cell fails, after those
 * that run have ended.
 */
export async function runCells(
  cells: readonly Cell[],
  { jobs, isDone, start, onDone, explain }: Schedule,
): Promise<StopSignal | undefined> {
  const done = new Set(cells.filter(isDone).map(({ name }) => name));
  const running = new Map<string, ChildProcess>();
  const waiting = cells.filter(({ name }) => !done.has(name));
  let stopped: StopSignal | undefined;
  let failed: string | undefined;
  const stop = (signal: StopSignal): void => {
    stopped ??= signal;
    for (const child of running.values()) child.kill(signal);
  };
  const unlisten = onStop(stop, stop); // a second one ends the cells at once, and then the study
  try {
    await new Promise<void>((resolve, reject) => {
      const next = (): void => {
        while (running.size < jobs && stopped === undefined && failed === undefined) {
          const i = waiting.findIndex(({ needs }) => needs.every((name) => done.has(name)));
          if (i < 0) break;
          launch(waiting.splice(i, 1)[0]!);
        }
        if (running.size === 0) resolve();
      };
      const launch = (cell: Cell): void => {
        const began = performance.now();
        const child = attempt(cell);
        if (child === undefined) return;
        running.set(cell.name, child);
        child.once('error', reject);
        child.once('exit', (code, signal) => {
          running.delete(cell.name);
          if (code === 0) {
            done.add(cell.name);
            onDone?.(cell, done.size, (performance.now() - began) / 1000);
          } else if (stopped === undefined) {
            failed ??= `study: ${cell.name}: ended with ${signal ?? `exit code ${code}`}: ${explain?.(cell) ?? 'see its log'}`;
          }
          next();
        });
      };
      const attempt = (cell: Cell): ChildProcess | undefined => {
        try {
          return start(cell);
        } catch (error) {
          // a full disk, say
          failed ??= `study: ${cell.name}: cannot be started: ${(error as Error).message}`;
          return undefined;
        }
      };
      next();
    });
  } finally {
    unlisten();
  }
  if (failed !== undefined) throw new RemitError(failed);
  return stopped;
}
