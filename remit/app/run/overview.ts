// A run folder at a glance: what it is for, how far it came, what it scored. Reads, and changes nothing. Used by:
// remit/app/cli/runs.ts.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { resolveConfig, type Config } from '../../settings/resolve.ts';
import { readJsonFile } from '../../text/read.ts';
import { storedStages } from './evaluation.ts';
import { readSpans, type Span } from './lines.ts';
import { isLocked } from './lock.ts';
import { isPlan, phasesOf } from './plan.ts';
import { readEnvironment } from './environment.ts';
import { States } from './states.ts';

export type RunState = 'done' | 'running' | 'interrupted' | 'damaged';

export interface Overview {
  readonly path: string;
  readonly kind: 'run' | 'study';
  /** The phase that it is in, or ended with; empty before the first step. */
  readonly stage: string;
  readonly seed: number | undefined;
  /** Steps that are done, and of how many; of a study, its runs that are done. */
  readonly steps: number;
  readonly ofSteps: number | undefined;
  /** Of the last stage: shares of right answers, cued and sampled. */
  readonly scores: { readonly cued: number; readonly sampled: number } | undefined;
  /**
   * Of own text: bits per token on the part that was held out. Of a run without scores: the loss of its last step, in
   * nats.
   */
  readonly bits: number | undefined;
  readonly loss: number | undefined;
  /** When something was last written. */
  readonly date: Date;
  readonly state: RunState;
}

/** What there is in a folder, the oldest first: runs and studies in it, or the run that it is. */
export function overviews(folder: string): Overview[] {
  const own = overview(folder);
  if (own !== undefined) return [own];
  const inside = readdirSync(folder, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() || entry.isSymbolicLink(),
  );
  const found = inside.map(({ name }) => overview(join(folder, name))).filter((one) => one !== undefined);
  return found.sort((a, b) => a.date.getTime() - b.date.getTime() || (a.path < b.path ? -1 : 1));
}

/** Undefined when there is neither a run nor a study. */
function overview(path: string): Overview | undefined {
  if (existsSync(join(path, 'study.json'))) return ofStudy(path);
  // other programs have a config.json, too
  if (!existsSync(join(path, 'config.json')) || !existsSync(join(path, 'env.json'))) return undefined;
  try {
    return ofRun(path);
  } catch {
    const nothing = {
      stage: '', seed: undefined, steps: 0, ofSteps: undefined, scores: undefined, bits: undefined, loss: undefined,
    };
    return { path, kind: 'run', ...nothing, date: lastWritten(path), state: 'damaged' };
  }
}

function ofStudy(path: string): Overview {
  const seeds = readdirSync(path).filter((name) => /^seed-\d+$/.test(name));
  const done = seeds.flatMap((seed) =>
    readdirSync(join(path, seed)).filter((cell) => existsSync(join(path, seed, cell, 'result.json'))),
  ).length;
  // each of its runs has a lock, it has none
  const state = existsSync(join(path, 'report.md')) ? 'done' : 'interrupted';
  return {
    path,
    kind: 'study',
    stage: 'study',
    seed: undefined,
    steps: done,
    ofSteps: undefined,
    scores: undefined,
    bits: undefined,
    loss: undefined,
    date: lastWritten(path),
    state,
  };
}

function ofRun(path: string): Overview {
  const file = join(path, 'config.json');
  const { config } = resolveConfig({ file: { path: file, values: readJsonFile('run', file) } });
  const metrics = join(path, 'metrics.jsonl');
  const spans = existsSync(metrics) ? readSpans(metrics) : [];
  const phases = phasesHere(path, config, spans);
  const states = new States(join(path, 'checkpoints'));
  const stages = storedStages(path);
  const last = phases.at(-1);
  const tested = stages.at(-1);
  const isTested = config.data.path === undefined ? tested?.name === last : existsSync(join(path, 'evaluation.json'));
  const steps = spans.reduce((total, span) => total + span.steps, 0);
  const ofSteps = phases.reduce((total, phase) => total + stepsOf(phase, config), 0);
  const isDone = isTested && steps === ofSteps && phases.every((phase) => existsSync(states.result(phase)));
  const scores = tested === undefined ? undefined : { cued: tested.evaluation.cued, sampled: tested.evaluation.sampled };
  return {
    path,
    kind: 'run',
    stage: spans.at(-1)?.phase ?? '',
    seed: config.seed,
    steps,
    ofSteps,
    scores,
    bits: bitsOf(path),
    loss: spans.length > 0 ? lastLoss(metrics) : undefined,
    date: lastWritten(path),
    state: isLocked(path) ? 'running' : isDone ? 'done' : 'interrupted',
  };
}

function phasesHere(path: string, config: Config, spans: readonly Span[]): string[] {
  const { plan, phases } = readEnvironment(path) ?? {};
  if (Array.isArray(phases)) return phases;
  if (isPlan(plan)) return phasesOf(plan, config.remit.iterations);
  const there = spans.map(({ phase }) => phase);
  const [first] = there;
  // one phase, from before runs said what they are for, or a part of a study
  if (first !== undefined && first !== 'pretrain') return there;
  return config.data.path !== undefined ? ['pretrain'] : phasesOf('everything', config.remit.iterations);
}

/** remit2-sft -> those of sft. */
function stepsOf(phase: string, config: Config): number {
  const name = /^(?:remit\d*-)?(pretrain|midtrain|sft|rl)$/.exec(phase)?.[1] as
    'pretrain' | 'midtrain' | 'sft' | 'rl' | undefined;
  return config[name ?? 'midtrain'].steps;
}

function bitsOf(path: string): number | undefined {
  try {
    const { after } = readJsonFile('run', join(path, 'evaluation.json')) as { after?: unknown };
    return typeof after === 'number' ? after : undefined;
  } catch {
    return undefined;
  }
}

function lastLoss(metrics: string): number | undefined {
  const line = readFileSync(metrics, 'utf8').split('\n').slice(0, -1).at(-1);
  const { loss } = JSON.parse(line ?? '{}') as { loss?: unknown };
  return typeof loss === 'number' ? loss : undefined;
}

function lastWritten(path: string): Date {
  const files = ['metrics.jsonl', 'evaluation.json', 'env.json', 'study.json', 'report.md'].map(
    (name) => statSync(join(path, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return new Date(files.reduce((a, b) => Math.max(a, b)));
}
