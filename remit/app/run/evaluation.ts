// The stages in a run folder's evaluation.json. Used by: remit/app/cli/train-world.ts, runs.ts.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Evaluation } from '../../worlds/tiny/evaluate.ts';

/** A stage of a run and what it scored. */
export interface StoredStage {
  readonly name: string;
  readonly evaluation: Evaluation;
}

/** None when the file is missing or damaged: a run that goes on tests its models again. */
export function storedStages(run: string): StoredStage[] {
  try {
    const { stages } = JSON.parse(readFileSync(join(run, 'evaluation.json'), 'utf8')) as { stages?: unknown };
    return Array.isArray(stages) && stages.every(isStage) ? stages : [];
  } catch {
    return [];
  }
}

function isStage(value: unknown): value is StoredStage {
  const { name, evaluation } = (value ?? {}) as Partial<StoredStage>;
  return typeof name === 'string' && typeof evaluation?.cued === 'number';
}
