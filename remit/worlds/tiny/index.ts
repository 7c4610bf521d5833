// The tiny world: ten small reasoning tasks, documents about them and questions to test with, all made from a seed.
// It is small enough to train on a laptop in minutes, and rich enough to show what ReMiT changes: whether a model
// thinks before it answers. Read in this order: alphabet.ts, tasks.ts, questions.ts, chatter.ts, documents.ts,
// corpus.ts, evaluation-set.ts, reward.ts.

export { PROMPT, RESPONSE, ROW } from './alphabet.ts';
export { corpus, demonstrations, type Corpus, type DemonstrationBatch, type Demonstrations } from './corpus.ts';
export type { CorpusSettings, Style, StyleSettings } from './documents.ts';
export { evaluationSet, type EvaluationSet } from './evaluation-set.ts';
export { instance, splitOf, trainQuestion, type Split } from './questions.ts';
export { verdict, type Verdict } from './reward.ts';
export { solve, TASKS, type Problem, type TaskKind } from './tasks.ts';
export { decode, encode } from './tokenizer.ts';
