// A short training run from seed to weights and samples, for tests that do it more than once or in another process.
// As a program, `tsx tests/support/tiny-run.ts`, it prints its outcome as JSON.

import { createHash } from 'node:crypto';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { createDevice } from '../../engine/device.ts';
import { rng } from '../../engine/rng.ts';
import { resolveConfig } from '../../remit/settings/resolve.ts';
import { corpus } from '../../remit/worlds/tiny/index.ts';
import { evaluate } from '../../remit/worlds/tiny/evaluate.ts';
import { midtrain } from '../../remit/phases/midtrain.ts';
import { newModel, pretrain } from '../../remit/phases/pretrain.ts';
import { quietRun, type StepRecord } from '../../remit/phases/run.ts';

export interface Outcome {
  readonly records: readonly StepRecord[];
  /** SHA-256 of every weight's bits. */
  readonly weights: string;
  readonly scores: unknown;
}

/** 20 steps of pre-training and 10 of mid-training on a device of its own, then a small test. */
export async function tinyRun(seed: number): Promise<Outcome> {
  await createDevice('cpu');
  const { config } = resolveConfig({
    flags: [
      ['seed', `${seed}`],
      ['model.width', '32'],
      ['pretrain.steps', '20'],
      ['pretrain.warmup', '5'],
      ['pretrain.batch', '8'],
      ['midtrain.steps', '10'],
      ['midtrain.batch', '8'],
    ],
  });
  const records: StepRecord[] = [];
  const run = { ...quietRun, log: (record: StepRecord) => void records.push(record) };
  const rows = (phase: 'pretrain' | 'midtrain') => corpus(config[phase].corpus, rng(seed).fold(phase));
  const base = await pretrain(config, rows('pretrain'), newModel(config, 70), run);
  const model = await midtrain(config, rows('midtrain'), base, run);

  const hash = createHash('sha256');
  for (const [name, { data }] of await model.parameters.toHost()) {
    hash.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return { records, weights: hash.digest('hex'), scores: await evaluate(model, { questions: 5, split: 'test', seed }) };
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  process.stdout.write(JSON.stringify(await tinyRun(Number(argv[2]))));
}
