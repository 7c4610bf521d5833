// All that the page knows, and how it changes: one object, drawn anew at most ten times a second. Read after:
// client.ts, address.ts. Read next: main.ts, parts/.

import { DEFAULTS, fromAddress, toAddress, type Choices } from './address.ts';
import { Client } from './client.ts';
import type { BenchLine, Device, Event, Group, Reply, RunSummary, Sample, Stage, Weighed } from './worker/protocol.ts';
import type { StepRecord } from 'remit-mini';

export interface RunView extends Omit<RunSummary, 'records' | 'stages'> {
  readonly records: StepRecord[];
  readonly stages: Stage[];
  samples?: { readonly phase: string; readonly step: number; readonly samples: readonly Sample[] };
  /** When records came, for the speed: [milliseconds, steps so far]. */
  readonly clock: (readonly [number, number])[];
}

const DRAW_EVERY = 100; // milliseconds
const CLOCK = 50; // of its latest marks

export class Page {
  choices: Choices = fromAddress(location.hash);
  device: Device | undefined;
  readonly runs = new Map<string, RunView>();
  /** The run that is shown; those that are compared with it. */
  current: string | undefined;
  readonly compared = new Set<string>();
  weighed: Weighed | undefined;
  group: Group | undefined;
  replies: readonly Reply[] = [];
  bench: BenchLine[] = [];
  /** By the name of its file. */
  readonly otherBench = new Map<string, readonly BenchLine[]>();
  /** What went wrong, by part. */
  readonly words = new Map<string, string>();
  /** Parts that wait for an answer. */
  readonly busy = new Set<string>();
  /** What the visitor foretold of the think rate. */
  guess: 'more' | 'less' | undefined;
  /** Steps of the puzzle in part one that are shown. */
  shownSteps = 0;
  asked = ''; // the question of the replies
  place = 0; // of the reply's character that is looked at
  notice = '';
  /** Milliseconds that training waits after each step. */
  wait = 0;
  readonly #client: Client;
  readonly #draw: () => void;
  #awake: Promise<WakeLockSentinel | undefined> | undefined;
  #drawn = 0;
  #waiting = false;

  constructor(draw: (page: Page) => void) {
    this.#draw = () => draw(this);
    this.#client = new Client(
      (event) => this.#heard(event),
      (words) => this.say('status', words),
    );
    addEventListener('hashchange', () => {
      if (toAddress(this.choices) === location.hash || document.getElementById(location.hash.slice(1))) return;
      this.choices = fromAddress(location.hash);
      this.changed();
    });
  }

  get run(): RunView | undefined {
    return this.current === undefined ? undefined : this.runs.get(this.current);
  }

  /** Draws soon. */
  changed(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    const wait = Math.max(0, DRAW_EVERY - (performance.now() - this.#drawn));
    setTimeout(
      () =>
        requestAnimationFrame(() => {
          this.#waiting = false;
          this.#drawn = performance.now();
          this.#draw();
        }),
      wait,
    );
  }

  choose(some: Partial<Choices>): void {
    Object.assign(this.choices, some);
    history.replaceState(null, '', `${location.pathname}${location.search}${toAddress(this.choices)}`);
    this.changed();
  }

  /** Shows a run, and looks at its models from now on. */
  async show(id: string): Promise<void> {
    this.current = id;
    this.changed();
    await this.call('look', id);
  }

  reset(): void {
    this.choose(DEFAULTS);
  }

  say(part: string, words: string): void {
    this.words.set(part, words);
    this.changed();
  }

  call: Client['call'] = (name, ...given) => this.#client.call(name, ...given);

  /** Does something for a part; what goes wrong is told there, and the rest of the page goes on. */
  async attempt(part: string, work: () => Promise<void>): Promise<void> {
    this.words.delete(part);
    this.busy.add(part);
    this.changed();
    try {
      await work();
    } catch (error) {
      this.words.set(part, (error as Error).message);
    } finally {
      this.busy.delete(part);
      this.changed();
    }
  }

  /** Those that were stored, as they are now. */
  async readRuns(): Promise<void> {
    for (const run of await this.call('runs')) {
      const known = this.runs.get(run.id);
      const samples = known?.samples && { samples: known.samples };
      this.runs.set(run.id, { ...run, records: [...run.records], stages: [...run.stages], clock: [], ...samples });
    }
    const shown = this.current ?? [...this.runs.values()].findLast(({ text }) => text === undefined)?.id;
    if (shown !== undefined) await this.show(shown);
    this.changed();
  }

  /** While something trains, the screen stays on where the browser allows it: a laptop that sleeps trains nothing. */
  #stayAwake(): void {
    const isTraining = [...this.runs.values()].some(({ state }) => state === 'training');
    if (isTraining === (this.#awake !== undefined)) return;
    const before = this.#awake;
    this.#awake = isTraining ? navigator.wakeLock?.request('screen').catch(() => undefined) : undefined;
    void before?.then((lock) => lock?.release());
  }

  #heard(event: Event): void {
    switch (event.type) {
      case 'notice':
        this.notice = event.words;
        break;
      case 'bench':
        this.bench.push(event.line);
        break;
      case 'step': {
        const run = this.runs.get(event.id);
        if (run === undefined) return;
        cutTo(run.records, event.records[0]!);
        run.records.push(...event.records);
        run.clock.push([performance.now(), run.records.length]);
        if (run.clock.length > CLOCK) run.clock.shift();
        break;
      }
      case 'stage': {
        const stages = this.runs.get(event.id)?.stages;
        if (stages?.every(({ name }) => name !== event.stage.name)) stages.push(event.stage);
        break;
      }
      case 'samples': {
        const run = this.runs.get(event.id);
        if (run !== undefined) run.samples = event;
        break;
      }
      case 'state': {
        const run = this.runs.get(event.id);
        if (run === undefined) return;
        this.runs.set(event.id, {
          ...run,
          state: event.state,
          ...(event.words !== undefined && { words: event.words }),
        });
        break;
      }
      default:
        event satisfies never;
    }
    this.#stayAwake();
    this.changed();
  }
}

/** A run that goes on from a checkpoint does some steps again. */
function cutTo(records: StepRecord[], next: StepRecord): void {
  const at = records.findIndex(({ phase, step }) => phase === next.phase && step === next.step);
  if (at >= 0) records.length = at;
}
