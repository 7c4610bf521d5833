// All that a run on the tiny world learns from, as functions of its seed. Each phase has a stream of its own, and every model that goes
// through a phase sees the same rows and questions in the same order: so two models of one seed can be compared as a pair.

import { rng } from '../../engine/rng.ts';
import type { Config } from '../config/config.ts';
import { corpus, demonstrations, type Corpus, type Demonstrations } from '../data/world.ts';
import { worldTask, type Task } from '../rl/task.ts';

export interface World {
  readonly pretrain: Corpus;
  readonly midtrain: Corpus;
  readonly demonstrations: Demonstrations;
  readonly questions: Task;
}

export function worldOf({ seed, pretrain, midtrain, sft }: Config): World {
  const random = rng(seed).fold('corpus');
  return {
    pretrain: corpus(pretrain.corpus, random.fold('pretrain')),
    midtrain: corpus(midtrain.corpus, random.fold('midtrain')),
    demonstrations: demonstrations(sft.demonstrations, random.fold('sft')),
    questions: worldTask(random.fold('rl')),
  };
}
