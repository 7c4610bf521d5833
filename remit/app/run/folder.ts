// A run folder: everything that one run leaves behind, written as it happens.
//   config.json        every setting, resolved: `remit-mini train --config <this file>` repeats the run
//   env.json           versions, machine, device
//   metrics.jsonl      one line per step, without a clock: equal runs write equal bytes
//   timing.jsonl       one line per step: seconds and tokens per second
//   checkpoints/       the model at the end of each phase, and the phase in hand (states.ts)
//   evaluation.json    scores per task and stage
// A run that was interrupted, by whatever, is taken up from its folder and ends with the same bytes as one that was
// not: every phase asks for its state, the first that is not finished cuts metrics.jsonl back to where its state was
// stored, and goes on. Nothing else is ever overwritten. Read after: checkpoint.ts, states.ts. Read next: claim.ts,
// model.ts.

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, FormatError, RemitError } from '../../../engine/errors.ts';
import {
  anything, callable, checkArguments, checkOptions, having, isOptions, list, optional, real, such, text, whole,
  type Rule, type Rules,
} from '../../../engine/options.ts';
import { aTransformer, type Transformer } from '../../../nn/transformer.ts';
import { checkConfig, type Config } from '../../settings/resolve.ts';
import { aTokenizer, type Tokenizer } from '../../text/tokenizer.ts';
import { aRecord, type PhaseState, type Run, type StepRecord } from '../../phases/run.ts';
import type { Answer } from '../../rl/sampling.ts';
import { readJsonFile } from '../../text/read.ts';
import { makeFolder, sweep, writeAtomically } from './atomic.ts';
import { readCheckpoint, writeCheckpoint, type Checkpoint, type Place } from './checkpoint.ts';
import { toJson } from '../../phases/checkpoint.ts';
import { hashOfSettings, storedSettings } from './claim.ts';
import { anEnvironment, checkSame, type Environment } from './environment.ts';
import { lock, type Lock } from './lock.ts';
import { Lines, readSpans, type Span } from './lines.ts';
import { Speed, type Progress } from './progress.ts';
import { States } from './states.ts';

export { claimFolder, type Resume } from './claim.ts';

const COST = 50; // storing a phase on its way may take one part in so many of the time

/** Thrown when a phase ends because of stop(), when everything that it takes to go on is on disk. */
export class StoppedError extends RemitError {}

/** What a run folder is made for. */
export interface RunFolderOptions {
  readonly config: Config;
  readonly environment: Environment;
  readonly tokenizer: Tokenizer;
  /** Shows each step; absent: silent. */
  readonly progress?: Progress;
  /** Told from where the run goes on, and what is damaged. */
  readonly notice?: (text: string) => void;
  /** Milliseconds to wait for another process that is at work in the folder; by default 3000. */
  readonly patience?: number | undefined;
  /** The phases that this run goes through, in order: a folder with steps of any other is refused. Absent: any. */
  readonly phases?: readonly string[] | undefined;
  /** Shown each step before it is written; what it throws ends the run. */
  readonly check?: ((record: StepRecord) => void) | undefined;
}

const aReport = such(
  'an object or a list that JSON can hold',
  (value) => (isOptions(value) || Array.isArray(value)) && isJson(value),
);

const runRules: Rules<RunFolderOptions> = {
  config: such('a config: resolveConfig().config is one', isOptions), // which checkConfig() looks at
  environment: anEnvironment,
  tokenizer: aTokenizer,
  progress: optional(having<Progress>('a Progress', { update: callable() })),
  notice: optional(callable()),
  patience: optional(real({ from: 0 })),
  phases: optional(list('a list of phases', text) as unknown as Rule<readonly string[]>),
  check: optional(callable()),
};

/** A run on disk: see the header of this file. Close it, so that another process may have it. */
export class RunFolder implements Run {
  readonly path: string;
  /** The latest step, for messages. */
  last: StepRecord | undefined;
  /** The newest checkpoint that this process wrote or read. */
  good: string | undefined;
  /** A phase is on its way: to leave now would lose steps. */
  training = false;
  stopping = false;
  /** Set by who wants to look at the model while it is trained. */
  watch?: NonNullable<Run['watch']>;
  readonly #options: RunFolderOptions;
  readonly #known: ReadonlySet<string>; // hashes that mean these settings
  #configHash: string; // the one that checkpoints bear
  readonly #states: States;
  readonly #metrics: Lines;
  readonly #timing: Lines;
  readonly #lock: Lock;
  readonly #spans: readonly Span[]; // of the metrics that were there
  #lines = 0; // of them, those that stay
  #begun = false; // a phase was trained by this process: whatever is stored of later ones is out of date
  #stored = { at: 0, took: 0 }; // seconds
  #best: Place | undefined;
  #closed = false;
  #speed = new Speed();
  #phaseStart = 0;

  /**
   * Fills the folder `path`, which claimFolder() has made, or takes up the run in it. Throws ConfigError when that has
   * other settings.
   */
  constructor(path: string, given: RunFolderOptions) {
    checkArguments('RunFolder', arguments, { path: text, options: anything });
    const options = checkOptions<RunFolderOptions>('RunFolder', given, runRules);
    checkConfig('RunFolder', options.config);
    this.path = path;
    this.#options = options;
    const stored = storedSettings(path, options.config);
    this.#configHash = hashOfSettings(options.config);
    this.#known = stored ?? new Set([this.#configHash]);
    this.#states = new States(join(path, 'checkpoints'));
    this.#lock = lock(path, options.patience);
    try {
      sweep(path);
      if (stored === undefined) writeAtomically(join(path, 'config.json'), toJson(options.config));
      const environment = join(path, 'env.json');
      if (existsSync(environment)) {
        checkSame(readJsonFile('run', environment), options.environment, path, (text) => options.notice?.(text));
      } else writeAtomically(environment, toJson(options.environment));
      makeFolder(this.#states.folder);
      sweep(this.#states.folder);
      this.#metrics = new Lines(join(path, 'metrics.jsonl'));
      this.#timing = new Lines(join(path, 'timing.jsonl'));
      this.#spans = readSpans(this.#metrics.path);
      this.#checkPhases();
    } catch (error) {
      this.#lock.release();
      throw error;
    }
  }

  /** See Run. Throws FormatError when checkpoints and metrics do not belong together. */
  async restore(state: PhaseState): Promise<boolean> {
    const { phase, steps, model, optimiser, memory } = state;
    if (this.stopping) throw new StoppedError(`stopped before ${phase}`);
    const result = this.#open(phase, this.#states.result(phase));
    if (result !== undefined) {
      model.parameters.load(result.tensors, this.good!);
      this.#lines = this.#linesUpTo(result.place);
      this.#states.clear(phase);
      return true;
    }
    let found: Checkpoint | undefined;
    for (const path of this.#states.of(phase)) if ((found = this.#open(phase, path)) !== undefined) break;
    if (found?.unfinished) {
      model.parameters.load(found.tensors, this.good!);
      for (const key of ['m', 'v'] as const) {
        model.parameters.load(found.unfinished.moments[key], this.good!, optimiser.moments[key]);
      }
      Object.assign(memory, found.unfinished.memory);
      [state.step, state.tokens, this.#lines] = [
        found.place.step,
        found.unfinished.tokens,
        this.#linesUpTo(found.place),
      ];
      this.#options.notice?.(`going on from ${this.good}: ${phase}, step ${state.step} of ${steps}`);
    } else this.#states.clear(phase);
    if (!this.#begun) this.#cut(phase);
    this.#begun = this.training = true;
    this.#stored.at = now();
    return false;
  }

  log(record: StepRecord): void {
    checkArguments('RunFolder.log', arguments, { record: aRecord });
    const time = now();
    if (record.phase !== this.last?.phase) this.#beginPhase(time);
    this.last = record;
    this.#lock.tick();
    this.#options.check?.(record);
    this.#speed.add(record.tokens, time);
    const { phase, step } = record;
    this.#metrics.append(record);
    this.#timing.append({
      phase,
      step,
      seconds: round(time - this.#phaseStart),
      tokensPerSecond: round(this.#speed.perSecond),
    });
    this.#options.progress?.update(record);
  }

  async keep(state: PhaseState): Promise<void> {
    const { seconds, every } = this.#options.config.checkpoint;
    const { at, took } = this.#stored;
    const due =
      (every > 0 && state.step % every === 0) || (seconds > 0 && now() - at >= Math.max(seconds, COST * took));
    if (due) await this.#store(state);
  }

  async suspend(state: PhaseState): Promise<void> {
    await this.#store(state);
    throw new StoppedError(`stopped in ${state.phase} after step ${state.step} of ${state.steps}`);
  }

  /** Throws StoppedError when the run was asked to stop; the model is on disk first. */
  async save(phase: string, model: Transformer): Promise<void> {
    checkArguments('RunFolder.save', arguments, { phase: text, model: aTransformer });
    const step = this.last?.phase === phase ? this.last.step : 0;
    await this.#write(this.#states.result(phase), model, { phase, step });
    this.#states.clear(phase);
    this.training = false;
    if (this.stopping) throw new StoppedError(`stopped after ${phase}`);
  }

  /**
   * Stores the model beside the others when its loss is the lowest of the phase so far; resolves to where the best one
   * stands.
   */
  async saveBest(phase: string, step: number, model: Transformer, loss: number): Promise<Place> {
    checkArguments('RunFolder.saveBest', arguments, {
      phase: text,
      step: whole({ min: 0 }),
      model: aTransformer,
      loss: real(),
    });
    this.hold();
    const path = this.#states.best(phase);
    if (this.#best?.phase !== phase) this.#best = existsSync(path) ? this.#read(path)?.place : undefined;
    if (this.#best?.loss !== undefined && this.#best.loss <= loss) return this.#best;
    this.#best = { phase, step, seed: this.#options.config.seed, configHash: this.#configHash, loss };
    await writeCheckpoint(path, model, this.#options.tokenizer, this.#best);
    return this.#best;
  }

  /** Where the result of a phase is, or will be. */
  checkpoint(phase: string): string {
    checkArguments('RunFolder.checkpoint', arguments, { phase: text });
    return this.#states.result(phase);
  }

  /** See Run: samples/<phase>-<step>.json, as text. */
  show(phase: string, step: number, answers: readonly Answer[]): void {
    makeFolder(join(this.path, 'samples'));
    const { tokenizer } = this.#options;
    const told = answers.map(({ prompt, answer, ...worth }) => ({
      prompt: tokenizer.decode(prompt), answer: tokenizer.decode(answer), ...worth,
    }));
    this.report(join('samples', `${phase}-${step}`), told);
  }

  /** Writes evaluation.json, or another report beside it. */
  report(name: string, contents: unknown): void {
    checkArguments('RunFolder.report', arguments, { name: text, contents: aReport });
    this.hold();
    writeAtomically(join(this.path, `${name}.json`), toJson(contents));
  }

  /**
   * Throws BusyError when another process has taken the folder over (lock.ts). To be called before something is
   * written there by other ways than this object's.
   */
  hold(): void {
    this.#lock.hold();
  }

  /** Ends the run with the step that is being computed. */
  stop(): void {
    this.stopping = true;
  }

  /** Lets another process in. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#metrics.close();
    this.#timing.close();
    this.#lock.release();
  }

  async #store(state: PhaseState): Promise<void> {
    const start = now();
    await this.#write(this.#states.at(state.phase, state.step), state.model, state, state);
    this.#states.prune(state.phase, this.#options.config.checkpoint.keep, state.step);
    this.#stored = { at: now(), took: now() - start };
  }

  /** The lines go first: a checkpoint never knows of steps that the metrics do not. */
  async #write(
    path: string,
    model: Transformer,
    { phase, step }: Pick<Place, 'phase' | 'step'>,
    state?: PhaseState,
  ): Promise<void> {
    this.hold();
    for (const lines of [this.#metrics, this.#timing]) lines.sync();
    const place = { phase, step, seed: this.#options.config.seed, configHash: this.#configHash };
    try {
      await writeCheckpoint(path, model, this.#options.tokenizer, place, state);
    } catch (error) {
      this.hold(); // who took over has removed what was half written
      throw error;
    }
    try {
      this.hold();
    } catch (error) {
      if (state !== undefined) rmSync(path, { force: true }); // written a moment too late
      throw error;
    }
    this.good = path;
  }

  /** A checkpoint to go on from, if there is one. */
  #open(phase: string, path: string): Checkpoint | undefined {
    const found = this.#begun || !existsSync(path) ? undefined : this.#read(path);
    if (found === undefined) return undefined;
    if (found.place.phase !== phase) {
      throw new FormatError(
        `checkpoint: ${path}: is of phase ${found.place.phase}: give it its name back, or remove it`,
      );
    }
    this.good = path;
    return found;
  }

  /** A checkpoint of this run. Undefined when it is damaged, which is told. */
  #read(path: string): Checkpoint | undefined {
    let found: Checkpoint;
    try {
      found = readCheckpoint(path);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#options.notice?.(`${error.message}: left out`);
      return undefined;
    }
    if (!this.#known.has(found.place.configHash)) {
      throw new FormatError(`checkpoint: ${path}: is from a run with other settings: remove it`);
    }
    this.#configHash = found.place.configHash;
    return found;
  }

  /** Lines of metrics.jsonl up to a checkpoint. */
  #linesUpTo({ phase, step }: Place): number {
    const span = this.#spans.find((each) => each.phase === phase);
    const steps = span?.steps ?? 0;
    if (span && steps >= step) return span.before + step;
    throw new FormatError(
      `run: ${this.#metrics.path}: has ${steps} steps of ${phase}, and ${this.good} was written after ${step}: bring ` +
      'them back, or begin anew in another folder',
    );
  }

  /** Throws ConfigError when there are steps of phases that this run does not go through: they would be cut away. */
  #checkPhases(): void {
    const { phases } = this.#options;
    const there = this.#spans.map(({ phase }) => phase);
    if (phases === undefined || there.every((phase, i) => phase === phases[i])) return;
    throw new ConfigError(
      `run: ${this.path}: holds a run of ${there.join(', ')}, not of ${phases.join(', ')}: go on with the command ` +
      'that it began with, or choose another --out',
    );
  }

  /** Brings the lines back to where the first phase goes on that is not finished. */
  #cut(phase: string): void {
    const result = this.#states.result(phase);
    const lost = this.#spans.reduce((total, { steps }) => total + steps, 0) - this.#lines;
    const isOver = this.#spans.some((span) => span.phase === phase) && this.#spans.at(-1)!.phase !== phase;
    if (isOver && !existsSync(result)) {
      this.#options.notice?.(`${result}: is missing: ${phase} and what follows, ${lost} steps, are trained again`);
    }
    this.hold();
    this.#metrics.cut(this.#lines);
    const missing = this.#timing.cutGently(this.#lines);
    if (missing > 0) {
      this.#options.notice?.(`${this.#timing.path}: ${missing} lines are missing: nothing depends on them`);
    }
  }

  #beginPhase(time: number): void {
    this.#phaseStart = time;
    this.#speed = new Speed();
  }
}

function isJson(value: unknown): boolean {
  try {
    return JSON.stringify(value) !== undefined;
  } catch {
    return false; // a BigInt, a circle
  }
}

/** Seconds on a clock that only goes forward. */
function now(): number {
  return performance.now() / 1000;
}

function round(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(6)) : null;
}
