// The folder of a study: study.json (its configuration), experiment.json (what the user put in the place of ours), a run
// folder per cell (seed-3/remit.2), logs/, and the report.
// Read after: plan.ts, ../run/folder.ts.

import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../engine/errors.ts';
import type { Transformer } from '../../../nn/transformer.ts';
import { show } from '../../settings/layers.ts';
import { differingSettings, resolveConfig, type Config } from '../../settings/resolve.ts';
import { tinyWorldTokenizer } from '../../worlds/tiny/tokenizer.ts';
import type { StepRecord } from '../../phases/run.ts';
import { isNobodys, makeFolder, sweep, writeAtomically } from '../run/atomic.ts';
import { sha256, writeCheckpoint } from '../run/checkpoint.ts';
import { withNamesOfToday } from '../run/evaluation.ts';
import { checkSameExperiment, keptOf, openExperiment, type ExperimentFile, type KeptExperiment } from '../run/experiment-file.ts';
import type { RunFolder } from '../run/folder.ts';
import { openModel } from '../run/model.ts';
import { readJsonFile } from '../../text/read.ts';
import type { CellFolder, CellResult, CurvePoint } from './cell.ts';
import type { ReadWorld } from '../../worlds/files/read.ts';
import type { Cell, StudyOptions } from './plan.ts';

const EXPERIMENT = 'experiment.json';
const WORLD = 'world.json'; // the hash of a world of files

/** What stands in the place of ours. */
type Elsewhere = Pick<StudyOptions, 'experiment' | 'world'>;

export interface Attempts {
  readonly starts: number;
  readonly completions: number;
}

export class StudyFolder {
  readonly path: string;
  /** Of every cell, before its seed and its arm's settings. */
  readonly config: Config;

  private constructor(path: string, config: Config) {
    this.path = path;
    this.config = config;
  }

  /**
   * Makes the folder, or goes on with it. Throws ConfigError when it holds something else, or a study with another
   * configuration.
   */
  static claim(path: string, config: Config, { experiment, world }: Elsewhere = {}): StudyFolder {
    const file = join(path, 'study.json');
    const kept = experiment && keptOf(experiment);
    if (existsSync(file)) {
      const there = StudyFolder.open(path);
      checkSameExperiment(path, there.#kept, kept);
      there.checkWorld(world);
      const differing = differingSettings(there.config, config).filter(({ name }) => name !== 'seed');
      if (differing.length === 0) {
        sweep(path);
        return there;
      }
      const shown = differing
        .slice(0, 3)
        .map(({ name, before, now }) => `${name} = ${show(before)} there, ${show(now)} now`);
      throw new ConfigError(
        `study: ${path}: holds a study with another configuration (${shown.join('; ')}): choose another --out`,
      );
    }
    if (existsSync(path) && !readdirSync(path).every(isNobodys)) {
      throw new ConfigError(`study: ${path}: exists, is not empty and holds no study: choose another --out`);
    }
    mkdirSync(path, { recursive: true });
    sweep(path);
    if (kept !== undefined) writeAtomically(join(path, EXPERIMENT), `${JSON.stringify(kept, null, 2)}\n`);
    if (world !== undefined) writeAtomically(join(path, WORLD), `${JSON.stringify({ sha256: sha256(world.contents) })}\n`);
    writeAtomically(file, `${JSON.stringify(config, null, 2)}\n`);
    return new StudyFolder(path, config);
  }

  /** A study that is there. Throws ConfigError. */
  static open(path: string): StudyFolder {
    const file = join(path, 'study.json');
    if (!existsSync(file)) throw new ConfigError(`study: ${path}: holds no study: there is no study.json`);
    return new StudyFolder(path, resolveConfig({ file: { path: file, values: readJsonFile('study', file) } }).config);
  }

  /** What the user put in the place of ours, from where it lies. Throws ConfigError when it is another one now. */
  async experiment(): Promise<ExperimentFile | undefined> {
    const kept = this.#kept;
    if (kept === undefined) return undefined;
    const experiment = await openExperiment(kept.path);
    checkSameExperiment(this.path, kept, keptOf(experiment));
    return experiment;
  }

  /** Throws ConfigError when the files of its world are not those that it began with: its cells would not compare. */
  checkWorld(world: ReadWorld | undefined): void {
    const file = join(this.path, WORLD);
    if (!existsSync(file) || world === undefined) return;
    const { sha256: before } = readJsonFile('study', file) as { readonly sha256?: unknown };
    if (before === sha256(world.contents)) return;
    throw new ConfigError(
      `study: ${this.path}: the files of ${this.config.data.world} were changed since it began: bring them back, or ` +
      'choose another --out',
    );
  }

  get #kept(): KeptExperiment | undefined {
    const file = join(this.path, EXPERIMENT);
    return existsSync(file) ? (readJsonFile('study', file) as KeptExperiment) : undefined;
  }

  cell({ name }: Pick<Cell, 'name'>): string {
    return join(this.path, name);
  }

  /** Where a cell's process writes what it has to say. */
  log({ name }: Pick<Cell, 'name'>): string {
    return join(this.path, 'logs', `${name.replace('/', '-')}.log`);
  }

  isDone(cell: Pick<Cell, 'name'>): boolean {
    return existsSync(join(this.cell(cell), 'result.json'));
  }

  result(cell: Pick<Cell, 'name'>): CellResult {
    return withNamesOfToday(readJsonFile('study', join(this.cell(cell), 'result.json'))) as CellResult;
  }

  /** Notes who begins or has ended a cell's work; for whoever holds the cell's lock. */
  count(cell: Pick<Cell, 'name'>, event: keyof Attempts): void {
    const line = { event, time: new Date().toISOString(), host: hostname(), pid: process.pid };
    appendFileSync(this.#attemptsFile(cell), `${JSON.stringify(line)}\n`);
  }

  /** How often a cell was begun and ended: more than one ending would be work done twice. */
  attempts(cell: Pick<Cell, 'name'>): Attempts {
    const file = this.#attemptsFile(cell);
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    const count = (event: keyof Attempts): number =>
      lines.filter((line) => line.startsWith(`{"event":"${event}"`)).length;
    return { starts: count('starts'), completions: count('completions') };
  }

  #attemptsFile(cell: Pick<Cell, 'name'>): string {
    return join(this.cell(cell), 'attempts.jsonl');
  }

  /** The run folder of a cell, with what its work needs beside. */
  equip(run: RunFolder, seed: number): RunFolder & CellFolder {
    const curveFile = join(run.path, 'curve.json');
    const points = existsSync(curveFile) ? (withNamesOfToday(readJsonFile('study', curveFile)) as CurvePoint[]) : [];
    const curve = new Map(points.map((point) => [point.step, point]));
    const snapshotOf = (cell: string, phase: string, step: number): string =>
      join(cell, 'snapshots', `${phase}-${step}.safetensors`);
    const snapshots = join(run.path, 'snapshots');
    makeFolder(snapshots);
    sweep(snapshots);
    return Object.assign(run, {
      curve,
      saveCurve: () => {
        run.hold();
        writeAtomically(curveFile, `${JSON.stringify([...curve.values()])}\n`);
      },
      open: (cell: string, stage: string) =>
        openModel(join(this.path, cell, 'checkpoints', `${stage}.safetensors`)).model,
      openSnapshot: (cell: string, phase: string, step: number) =>
        openModel(snapshotOf(join(this.path, cell), phase, step)).model,
      snapshot: (phase: string, step: number, model: Transformer) =>
        writeCheckpoint(snapshotOf(run.path, phase, step), model, tinyWorldTokenizer, {
          phase,
          step,
          seed,
          configHash: 'snapshot',
        }),
      steps: (phase: string) =>
        readFileSync(join(run.path, 'metrics.jsonl'), 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as StepRecord)
          .filter((record) => record.phase === phase),
    });
  }
}
