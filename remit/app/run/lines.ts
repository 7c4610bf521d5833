// Files of lines that only grow, one JSON object each, and that a resumed run takes up where its checkpoint left them.
// Used by: folder.ts.

import {
  closeSync, copyFileSync, existsSync, openSync, readSync, renameSync, rmSync, truncateSync, writeFileSync,
} from 'node:fs';
import { FormatError, RemitError } from '../../../engine/errors.ts';
import { flush, temporaryName } from './atomic.ts';
import { reason } from './reason.ts';

const BLOCK = 65_536;
const NEWLINE = 0x0a;
const LONGEST = 2 ** 20;

export class Lines {
  readonly path: string;
  readonly #isNew: boolean;
  #file: number;

  /** Opens the file; makes it when it is not there. */
  constructor(path: string) {
    this.path = path;
    this.#isNew = !existsSync(path);
    this.#file = this.#open();
  }

  append(value: unknown): void {
    writeFileSync(this.#file, `${JSON.stringify(value)}\n`); // unlike writeSync(), never half of it without a word
  }

  /** Drops all but the first `count` lines. Throws FormatError, with nothing changed, when there are fewer. */
  cut(count: number): void {
    const { lines, end } = this.#find(count);
    if (lines < count) {
      throw new FormatError(
        `run: ${this.path}: has ${lines} lines of at least ${count}: bring them back, or begin anew in another folder`,
      );
    }
    this.#keep(end);
  }

  /**
   * The same of a file that nothing depends on: where lines are missing it keeps those that are there. Returns how many
   * are missing.
   */
  cutGently(count: number): number {
    const { lines, end } = this.#find(count);
    this.#keep(end);
    return count - lines;
  }

  #open(): number {
    try {
      return openSync(this.path, 'a+');
    } catch (error) {
      throw new RemitError(`run: ${this.path}: cannot be written: ${reason(error)}`, { cause: error });
    }
  }

  /**
   * Keeps the first bytes, in a new file that takes the old one's name: another process that still has the old one
   * open, asleep on another machine, then writes where nobody reads.
   */
  #keep(end: number): void {
    if (this.#isNew) return;
    const copy = temporaryName(this.path);
    try {
      copyFileSync(this.path, copy);
      truncateSync(copy, end);
      const file = openSync(copy, 'r+');
      try {
        flush(file, this.path);
      } finally {
        closeSync(file);
      }
      renameSync(copy, this.path);
    } catch (error) {
      rmSync(copy, { force: true });
      throw new RemitError(`run: ${this.path}: cannot be written: ${reason(error)}`, { cause: error });
    }
    closeSync(this.#file);
    this.#file = this.#open();
  }

  /** How many of the first `count` lines there are, and the byte after them. */
  #find(count: number): { readonly lines: number; readonly end: number } {
    let lines = 0;
    let end = 0;
    if (count === 0) return { lines, end };
    for (const line of wholeLines(this.#file, this.path)) {
      end = line.end;
      lines++;
      if (lines === count) break;
    }
    return { lines, end };
  }

  /** Returns once everything is on the disk. */
  sync(): void {
    flush(this.#file, this.path);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Consecutive lines of metrics.jsonl that belong to one phase. */
export interface Span {
  readonly phase: string;
  /** Lines before its first. */
  readonly before: number;
  /** Its steps are 1 to this one. */
  steps: number;
}

/**
 * The phases in a metrics.jsonl, in their order. Throws FormatError, naming the line, when it is not what a run wrote.
 */
export function readSpans(path: string): Span[] {
  const spans: Span[] = [];
  const file = openSync(path, 'r');
  try {
    let lines = 0;
    for (const { text } of wholeLines(file, path)) {
      const { phase, step } = stepOf(text, `run: ${path}:${lines + 1}`);
      const last = spans.at(-1);
      if (phase === last?.phase && step === last.steps + 1) last.steps++;
      else if (step === 1 && spans.every((span) => span.phase !== phase)) {
        spans.push({ phase, before: lines, steps: 1 });
      } else {
        const before = last ? `step ${last.steps} of ${last.phase}` : 'nothing';
        const found = `step ${step} of ${phase} after ${before}`;
        throw new FormatError(`run: ${path}:${lines + 1}: ${found}: lines were lost or added`);
      }
      lines++;
    }
  } finally {
    closeSync(file);
  }
  return spans;
}

function stepOf(text: string, where: string): { phase: string; step: number } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FormatError(`${where}: is not JSON: the file was damaged`);
  }
  const { phase, step } = (value ?? {}) as { phase?: unknown; step?: unknown };
  if (typeof phase !== 'string' || !Number.isSafeInteger(step)) {
    throw new FormatError(`${where}: is no step of a phase`);
  }
  return { phase, step: step as number };
}

/**
 * Lines that end with a newline, with the byte after each; what follows the last newline was being written when
 * something happened.
 */
function* wholeLines(file: number, path: string): Generator<{ readonly text: string; readonly end: number }> {
  const block = new Uint8Array(BLOCK);
  const decoder = new TextDecoder();
  let pending = new Uint8Array(0);
  for (let at = 0, length; (length = readSync(file, block, 0, BLOCK, at)) > 0; at += length) {
    let start = 0;
    for (let i = block.indexOf(NEWLINE); i >= 0 && i < length; i = block.indexOf(NEWLINE, start)) {
      const text = decoder.decode(joined(pending, block.subarray(start, i)));
      pending = new Uint8Array(0);
      yield { text, end: at + (start = i + 1) };
    }
    pending = joined(pending, block.subarray(start, length));
    if (pending.length > LONGEST) {
      throw new FormatError(`run: ${path}: has a line of over ${LONGEST} bytes: not a file of this program`);
    }
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
