// All that a run on the tiny world learns from, as functions of its seed. Each phase has a stream of its own, and every
// model that goes through a phase sees the same rows and questions in the same order: so two models of one seed can be
// compared as a pair. Read next: pretrain.ts.

import { anything, checkArguments, having } from '../../engine/options.ts';
import { rng } from '../../engine/rng.ts';
import { checkConfig, type Config } from '../settings/resolve.ts';
import { rowsRule } from '../worlds/tiny/corpus.ts';
import { corpus, demonstrations, type Corpus, type Demonstrations } from '../worlds/tiny/index.ts';
import { worldTask } from '../worlds/tiny/reward.ts';
import { taskRule, type Task } from '../rl/task.ts';

/** What each phase learns from. */
export interface World {
  readonly pretrain: Corpus;
  readonly midtrain: Corpus;
  readonly demonstrations: Demonstrations;
  readonly questions: Task;
}

/** An argument that is a world, of these or other data. */
export const aWorld = having<World>('a world, as worldOf(config) makes it', {
  pretrain: rowsRule, midtrain: rowsRule, demonstrations: rowsRule, questions: taskRule,
});

/** Throws ConfigError for what is no config. */
export function worldOf(config: Config): World {
  checkArguments('worldOf', arguments, { config: anything });
  const { seed, pretrain, midtrain, sft } = checkConfig('worldOf', config);
  const random = rng(seed).fold('corpus');
  return {
    pretrain: corpus(pretrain.corpus, random.fold('pretrain')),
    midtrain: corpus(midtrain.corpus, random.fold('midtrain')),
    demonstrations: demonstrations(sft.demonstrations, random.fold('sft')),
    questions: worldTask(random.fold('rl')),
  };
}
