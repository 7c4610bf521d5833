// The scores that a run or a study left: evaluation.json, result.json. Used by: remit/app/cli/train-world.ts, runs.ts,
// ../study/folder.ts.

import { join } from 'node:path';
import { readJsonFile } from '../../text/read.ts';
import type { Evaluation } from '../../worlds/tiny/evaluate.ts';

/** A stage of a run and what it scored. */
export interface StoredStage {
  readonly name: string;
  readonly evaluation: Evaluation;
}

/** Of evaluation.json. Version 1, which did not say so, had `samp` and `free` for `sampled` and `greedy`. */
export const EVALUATION_VERSION = 2;

const RENAMED: Readonly<Record<string, string>> = { samp: 'sampled', free: 'greedy' };

/** What a file of scores holds, a view by its name of today. */
export function withNamesOfToday(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(withNamesOfToday);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => [RENAMED[name] ?? name, withNamesOfToday(value)]),
  );
}

/** None when the file is missing or damaged: a run that goes on tests its models again. */
export function storedStages(run: string): StoredStage[] {
  try {
    const { stages } = withNamesOfToday(readJsonFile('run', join(run, 'evaluation.json'))) as { stages?: unknown };
    return Array.isArray(stages) && stages.every(isStage) ? stages : [];
  } catch {
    return [];
  }
}

function isStage(value: unknown): value is StoredStage {
  const { name, evaluation } = (value ?? {}) as Partial<StoredStage>;
  return typeof name === 'string' && typeof evaluation?.cued === 'number';
}
