// What a model answered while it was reinforced, where the run kept some (`rl.show`): the last of each phase, with what
// each answer was worth. Read after: page.ts. Used by: run.ts.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readJsonFile } from '../../text/read.ts';
import { paragraph, section, table, text, type Html } from './page.ts';

const SHOWN = 8; // answers of a phase

interface Answer {
  readonly prompt: string;
  readonly answer: string;
  readonly reward: number;
  readonly advantage: number;
}

/** `phases`: those that the run went through, in order. Nothing for a run without any answers. */
export function samplesSection(run: string, phases: readonly string[]): Html[] {
  const folder = join(run, 'samples');
  const last = lastOfEach(folder);
  const parts = phases.flatMap((phase) => {
    const step = last.get(phase);
    if (step === undefined) return [];
    const answers = answersIn(join(folder, `${phase}-${step}.json`));
    const rows = answers.slice(0, SHOWN).map(({ prompt, answer, reward, advantage }) =>
      [prompt, answer, String(reward), advantage.toFixed(2)]);
    const head = ['question', 'answer', 'reward', 'advantage'];
    return rows.length === 0 ? [] : [paragraph(text(`${phase}, step ${step}`)), table(head, rows)];
  });
  return parts.length === 0 ? [] : [section('What it answered', ...parts)];
}

/** By phase: the last step that samples/<phase>-<step>.json is there of. */
function lastOfEach(folder: string): Map<string, number> {
  const last = new Map<string, number>();
  for (const name of existsSync(folder) ? readdirSync(folder).sort() : []) {
    const [, phase, step] = /^([a-z0-9-]+)-(\d+)\.json$/.exec(name) ?? [];
    if (phase !== undefined) last.set(phase, Math.max(Number(step), last.get(phase) ?? 0));
  }
  return last;
}

/** None of a file that is damaged: a report is of what can be read. */
function answersIn(path: string): Answer[] {
  try {
    const found = readJsonFile('report', path);
    return Array.isArray(found) ? found.filter(isAnswer) : [];
  } catch {
    return [];
  }
}

function isAnswer(value: unknown): value is Answer {
  const { prompt, answer, reward, advantage } = (value ?? {}) as Partial<Answer>;
  return typeof prompt === 'string' && typeof answer === 'string' && Number.isFinite(reward) && Number.isFinite(advantage);
}
