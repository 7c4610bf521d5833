// What a run is for: everything, one phase, or the user's own text. A run folder keeps the plan that it began with, and
// nothing else goes on in it. Used by: folder.ts, remit/app/cli/train.ts, runs.ts, verify.ts.

import { turnName } from '../../phases/pipeline.ts';

export const PHASES = ['pretrain', 'midtrain', 'sft', 'rl', 'remit'] as const;

/** One phase of the tiny world, all of them and the flywheel, or pre-training on text. */
export type Plan = (typeof PHASES)[number] | 'everything' | 'text';

const PLANS: readonly string[] = [...PHASES, 'everything', 'text'];

/** Whether a word in a run folder is a plan; a cell of a study has none. */
export const isPlan = (word: unknown): word is Plan => typeof word === 'string' && PLANS.includes(word);

/** The phases of a plan as metrics and checkpoints name them, in order. `turns`: of the flywheel. */
export function phasesOf(plan: Plan, turns: number): string[] {
  if (plan === 'text') return ['pretrain'];
  if (plan !== 'everything') return [plan];
  const guided = Array.from({ length: turns }, (_, i) => turnName(i + 1));
  return ['pretrain', 'midtrain', 'sft', 'rl', ...guided.flatMap((name) => [name, `${name}-sft`, `${name}-rl`])];
}

/** The words of `remit-mini train` that mean a plan. */
export function planWords(plan: Plan): string {
  if (plan === 'everything') return 'train';
  return plan === 'text' ? 'train --data <path>' : `train ${plan}`;
}
