// How a run looks while it runs, on stderr: a bar that redraws ten times a second on a terminal,
// a plain key=value line every five seconds anywhere else (logs, pipes, CI). Results go to stdout, never through here.
// Read next: folder.ts, which feeds it.

import { callable, checkArguments, having, optional } from '../../../engine/options.ts';
import { aRecord, type StepRecord } from '../../phases/run.ts';

/** The part of a stream that is used, so that a test can hand in a string collector. */
export interface Screen {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  hasColors?(): boolean; // of Node's terminal streams: it honours NO_COLOR and FORCE_COLOR
}

const REDRAW_SECONDS = { terminal: 0.1, plain: 5 } as const;

const aScreen = having<Screen>('a stream: what has write(text)', { write: callable() });

/** Shows each step: one line that is drawn over on a terminal, a line now and then elsewhere. */
export class Progress {
  private readonly screen: Screen;
  private readonly now: () => number;
  private readonly terminal: boolean;
  private phase = '';
  private started = 0;
  private firstStep = 1; // of this process: a phase that was taken up again does not begin with step 1
  private drawn = -Infinity;
  private pending = false;
  private speed = new Speed();
  private loss = new Average(0.95);
  private reward = new Average(0.9);

  /** `now` is a clock in seconds. */
  constructor(screen: Screen = process.stderr, now: () => number = () => performance.now() / 1000) {
    checkArguments('Progress', arguments, { screen: optional(aScreen), now: optional(callable()) });
    this.screen = screen;
    this.now = now;
    this.terminal = screen.isTTY === true && process.env.TERM !== 'dumb' && !process.env.CI;
  }

  /** Call once per step, after it. */
  update(record: StepRecord): void {
    checkArguments('Progress.update', arguments, { record: aRecord });
    const time = this.now();
    if (record.phase !== this.phase) this.begin(record, time);
    this.loss.add(record.loss);
    if (typeof record.reward === 'number') this.reward.add(record.reward);
    const last = record.step >= record.steps;
    const interval = this.terminal ? REDRAW_SECONDS.terminal : REDRAW_SECONDS.plain;
    if (!last && time - this.drawn < interval) return;
    this.drawn = time;
    this.speed.add(record.tokens, time);
    this.draw(record, time - this.started);
    if (last) this.endLine();
  }

  /** Leaves the bar's line, so that what is printed next starts on its own. */
  endLine(): void {
    if (this.pending) this.screen.write('\n');
    this.pending = false;
  }

  /** The clock starts with a phase's first step, so that step's own time is not in the estimate. */
  private begin(record: StepRecord, time: number): void {
    this.endLine();
    this.phase = record.phase;
    this.started = time;
    this.firstStep = record.step;
    this.drawn = this.terminal ? -Infinity : time;
    this.speed = new Speed();
    this.speed.add(record.tokens, time);
    this.loss = new Average(0.95);
    this.reward = new Average(0.9);
  }

  private draw(record: StepRecord, elapsed: number): void {
    const { phase, step, steps } = record;
    const done = step - this.firstStep;
    const left = done > 0 ? (elapsed / done) * (steps - step) : NaN;
    const times = { elapsed: clock(elapsed), left: clock(left) };
    const rate = `${short(this.speed.perSecond)}`;
    const { reward } = record; // of reinforcement learning
    if (this.terminal) {
      const measured =
        typeof reward === 'number' ? `reward ${this.reward.value.toFixed(3)}` : `loss ${this.loss.value.toFixed(3)}`;
      this.screen.write(
        `\r\x1b[2K${this.bar(`${phase} ${step}/${steps}`, [measured, `${rate} tok/s`, `${times.elapsed} < ${times.left}`], step / steps)}`,
      );
      this.pending = true;
    } else {
      const measured = `loss=${record.loss.toFixed(4)}${typeof reward === 'number' ? ` reward=${reward.toFixed(4)}` : ''}`;
      this.screen.write(
        `phase=${phase} step=${step}/${steps} ${measured} tok/s=${rate} elapsed=${times.elapsed} eta=${times.left}\n`,
      );
    }
  }

  /** `pretrain 120/1200 ████░░░░  loss 2.310 ...`, as wide as there is room for, never wider. */
  private bar(head: string, parts: readonly [measured: string, rate: string, times: string], done: number): string {
    const columns = this.screen.columns || 80; // some terminals say that they have none
    const fits = (some: readonly string[]): boolean => head.length + 2 + some.join('  ').length < columns;
    const numbers = [parts, [parts[0]!, parts[2]!], [parts[0]!], []].find(fits)?.join('  ') ?? '';
    const room = Math.max(0, Math.min(30, columns - head.length - numbers.length - 4));
    const full = Math.round(room * Math.min(1, done));
    const blocks = '█'.repeat(full) + '░'.repeat(room - full);
    const coloured = this.screen.hasColors?.() === true && room > 0 ? `\x1b[36m${blocks}\x1b[39m` : blocks;
    return room > 0 ? `${head} ${coloured}  ${numbers}` : `${head}  ${numbers}`.trimEnd().slice(0, columns - 1);
  }
}

/** Exponential moving average; starts at the first value. */
class Average {
  value = NaN;
  private readonly memory: number;

  constructor(memory: number) {
    this.memory = memory;
  }

  add(next: number): void {
    this.value = Number.isNaN(this.value) ? next : this.memory * this.value + (1 - this.memory) * next;
  }
}

/** Tokens per second between two draws, smoothed. */
export class Speed {
  private readonly average = new Average(0.7);
  private last: { tokens: number; time: number } | undefined;

  /** `tokens` is a running total, `time` in seconds. */
  add(tokens: number, time: number): void {
    if (this.last !== undefined && time > this.last.time) {
      this.average.add((tokens - this.last.tokens) / (time - this.last.time));
    }
    this.last = { tokens, time };
  }

  get perSecond(): number {
    return this.average.value;
  }
}

/** Seconds as `0:07`, `12:03` or `1:02:03`; `?` when unknown. */
export function clock(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.floor(seconds);
  const two = (n: number): string => String(n).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** 12345 -> `12.3k`. */
export function short(n: number): string {
  if (!Number.isFinite(n)) return '?';
  if (n >= 1e6) return `${(n / 1e6).toFixed(1)}M`;
  return n >= 1e3 ? `${(n / 1e3).toFixed(1)}k` : n.toFixed(0);
}
