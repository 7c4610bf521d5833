// What a run wrote while it trained, as curves: metrics.jsonl by phase, smoothed. Read next: run.ts.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StepRecord } from '../../phases/run.ts';
import type { Line, LinePoint } from '../plot/lines.ts';

/** The steps of each phase, in the order in which they began; a line that was cut off is left out. */
export function phasesOfRun(run: string): Map<string, StepRecord[]> {
  const path = join(run, 'metrics.jsonl');
  const phases = new Map<string, StepRecord[]>();
  if (!existsSync(path)) return phases;
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const record = parse(line);
    if (record === undefined) continue;
    const steps = phases.get(record.phase);
    if (steps) steps.push(record);
    else phases.set(record.phase, [record]);
  }
  return phases;
}

function parse(line: string): StepRecord | undefined {
  try {
    const record = JSON.parse(line) as StepRecord;
    return typeof record.phase === 'string' && typeof record.step === 'number' ? record : undefined;
  } catch {
    return undefined;
  }
}

const SHARE = 20; // of a curve: what its smoothed value looks back on
const MOST = 400; // points of a curve: more are nothing to the eye

/** A number of each step over the steps: as it was, and smoothed by a mean over the steps before. */
export function curve(name: string, steps: readonly StepRecord[], key: string): Line {
  const raw = steps.flatMap((record): LinePoint[] => {
    const y = record[key];
    return typeof y === 'number' && Number.isFinite(y) ? [{ x: record.step, y }] : [];
  });
  const span = Math.max(1, Math.round(raw.length / SHARE));
  const points = raw.map(({ x }, i) => {
    const before = raw.slice(Math.max(0, i - span + 1), i + 1);
    return { x, y: before.reduce((sum, { y }) => sum + y, 0) / before.length };
  });
  return { name, points: thinned(points), raw: thinned(raw) };
}

/** Every so many, and always the last. */
function thinned(points: readonly LinePoint[]): LinePoint[] {
  const every = Math.ceil(points.length / MOST);
  return points.filter((_, i) => i % every === 0 || i === points.length - 1);
}
