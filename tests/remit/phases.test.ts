// The phases of a run on a budget of seconds: what they report, what they leave alone, how they end, and what their
// scores mean.

import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { DivergedError } from '../../engine/errors.ts';
import { rng } from '../../engine/rng.ts';
import { noGrad, useBackend } from '../../engine/runtime.ts';
import { tensor } from '../../engine/tensor.ts';
import type { Transformer } from '../../nn/transformer.ts';
import { schedule, type ScheduleOptions } from '../../optim/schedule.ts';
import { resolveConfig, type Config } from '../../remit/settings/resolve.ts';
import { characterTokenizer } from '../../remit/text/tokenizer.ts';
import { textCorpus } from '../../remit/text/text.ts';
import { corpus, TASKS } from '../../remit/worlds/tiny/index.ts';
import { evaluate, type Evaluation } from '../../remit/worlds/tiny/evaluate.ts';
import { midtrain } from '../../remit/phases/midtrain.ts';
import { nextTokens } from '../../remit/phases/next-token.ts';
import { newModel, pretrain } from '../../remit/phases/pretrain.ts';
import { pipeline } from '../../remit/phases/pipeline.ts';
import type { PhaseState, Run, StepRecord } from '../../remit/phases/run.ts';
import { sft } from '../../remit/phases/sft.ts';
import { textLoss } from '../../remit/phases/text-loss.ts';
import { worldOf } from '../../remit/phases/world.ts';

beforeAll(() => useBackend(new CpuBackend()));

const STEPS = 60;

/** The tiny world's recipe, cut short. */
function budget(...flags: [name: string, text: string][]): Config {
  return resolveConfig({
    flags: [
      ['model.width', '32'],
      ['pretrain.steps', `${STEPS}`],
      ['pretrain.warmup', '5'],
      ['pretrain.batch', '16'],
      ['midtrain.steps', '20'],
      ['midtrain.batch', '16'],
      ...flags,
    ],
  }).config;
}

const rows = (config: Config, phase: 'pretrain' | 'midtrain') =>
  corpus(config[phase].corpus, rng(config.seed).fold(phase));

/** Remembers what it is told; wants to stop after `last` records. */
class Recorder implements Run {
  readonly records: StepRecord[] = [];
  readonly saved: [phase: string, model: Transformer][] = [];
  readonly suspended: number[] = [];
  readonly last: number;

  constructor(last = Infinity) {
    this.last = last;
  }

  get stopping(): boolean {
    return this.records.length >= this.last;
  }

  log(record: StepRecord): void {
    this.records.push(record);
  }

  async save(phase: string, model: Transformer): Promise<void> {
    this.saved.push([phase, model]);
  }

  async suspend({ step }: PhaseState): Promise<void> {
    this.suspended.push(step);
  }
}

const mean = (x: readonly number[]): number => x.reduce((total, value) => total + value, 0) / x.length;

describe('pre-training, then mid-training', () => {
  const config = budget();
  const run = new Recorder();
  let model: Transformer;
  let base: Transformer;
  let before: unknown;

  beforeAll(async () => {
    model = newModel(config, 70);
    base = await pretrain(config, rows(config, 'pretrain'), model, run);
    before = await base.parameters.toHost();
    model = await midtrain(config, rows(config, 'midtrain'), base, run);
  });

  const of = (phase: string): StepRecord[] => run.records.filter((record) => record.phase === phase);

  test('the loss starts at ln 70 and falls, in both', () => {
    const losses = of('pretrain').map(({ loss }) => loss);
    const later = of('midtrain').map(({ loss }) => loss);
    expect(losses[0]).toBeCloseTo(Math.log(70), 1);
    expect(mean(losses.slice(-10))).toBeLessThan(3);
    expect(mean(later.slice(-10))).toBeLessThan(mean(losses.slice(-10)));
  });

  test('each step leaves one record, without a clock', () => {
    for (const [phase, settings] of [['pretrain', config.pretrain], ['midtrain', config.midtrain]] as const) {
      const { steps, batch, rate: peak, floor, warmup } = settings;
      const kind = settings.schedule as ScheduleOptions['kind'];
      const rate = schedule({ kind, peak, steps, warmup, floor: floor * peak });
      expect(of(phase)).toEqual(
        Array.from({ length: steps }, (_, i) => ({
          phase,
          step: i + 1,
          steps,
          loss: expect.any(Number),
          rate: rate(i),
          gradNorm: expect.any(Number),
          tokens: (i + 1) * batch * 23,
        })),
      );
    }
    expect(run.records.every(({ loss, gradNorm }) => Number.isFinite(loss) && gradNorm > 0)).toBe(true);
  });

  test('pre-training trains the model it is given; mid-training leaves its base as it was', async () => {
    expect(run.saved).toEqual([['pretrain', base], ['midtrain', model]]);
    expect(model).not.toBe(base);
    expect(await base.parameters.toHost()).toEqual(before);
    expect(await model.parameters.toHost()).not.toEqual(before);
  });

  test('two mid-trainings of one base are the same, whatever came between', async () => {
    const again = new Recorder();
    await midtrain(config, rows(config, 'midtrain'), base, again);
    expect(again.records).toEqual(of('midtrain'));
    expect(await again.saved[0]![1].parameters.toHost()).toEqual(await model.parameters.toHost());
  });

  test('the seed decides the first weights', async () => {
    const first = (seed: number) => newModel({ ...config, seed }, 70).parameters.toHost();
    expect(await first(1)).toEqual(await first(1));
    expect(await first(1)).not.toEqual(await first(2));
  });
});

describe('supervised fine-tuning', () => {
  const config = budget(['sft.steps', '15'], ['sft.batch', '8']);
  const run = new Recorder();
  let base: Transformer;
  let tuned: Transformer;
  let before: unknown;

  beforeAll(async () => {
    base = newModel(config, 70);
    before = await base.parameters.toHost();
    tuned = await sft(config, worldOf(config).demonstrations, base, run);
  });

  test('counts the tokens of the responses alone', () => {
    const responses = Array.from({ length: 15 }, (_, i) =>
      worldOf(config)
        .demonstrations.rows(i, 8)
        .mask.reduce((total, value) => total + value, 0),
    );
    expect(run.records.map(({ tokens }) => tokens)).toEqual(
      responses.map((_, i) => responses.slice(0, i + 1).reduce((total, value) => total + value)),
    );
    expect(Math.max(...responses)).toBeLessThanOrEqual(8 * 12); // of 8 * 23 targets
  });

  test('learns, and leaves its base as it was', async () => {
    expect(run.records[0]!.loss).toBeCloseTo(Math.log(70), 1);
    expect(run.records.at(-1)!.loss).toBeLessThan(run.records[0]!.loss - 0.3);
    expect(run.saved).toEqual([['sft', tuned]]);
    expect(await base.parameters.toHost()).toEqual(before);
  });
});

describe('the whole pipeline', () => {
  const short: [string, string][] = [
    ['model.width', '8'], ['model.heads', '2'], ['model.layers', '1'], ['pretrain.steps', '6'], ['midtrain.steps', '4'],
    ['sft.steps', '3'], ['rl.steps', '2'], ['rl.warmup', '0'], ['rl.prompts', '3'], ['rl.samples', '2'],
  ];

  async function everything(...flags: [string, string][]) {
    const config = budget(...short, ...flags);
    const run = new Recorder();
    const told: [string, Transformer][] = [];
    await pipeline(
      config,
      worldOf(config),
      newModel(config, 70),
      run,
      { onStage: async (name, model) => void told.push([name, model]) },
    );
    return { config, run, told, models: Object.fromEntries(told) };
  }

  test('tells of every stage in order, each once it is saved', async () => {
    const { run, told } = await everything(['remit.iterations', '2']);
    expect(told.map(([name]) => name)).toEqual([
      'pretrain', 'midtrain', 'sft', 'rl', 'remit', 'remit-sft', 'remit-rl', 'remit2', 'remit2-sft', 'remit2-rl',
    ]);
    expect(run.saved).toEqual(told);
    expect(new Set(run.records.map(({ phase }) => phase))).toEqual(new Set(told.map(([name]) => name)));
  });

  test('turn 1 is mid-training of the pre-trained model guided by the RL model; turn 2, by that of turn 1', async () => {
    const { config, models } = await everything(['remit.iterations', '2']);
    const data = worldOf(config).midtrain;
    for (const [phase, guide] of [
      ['remit', 'rl'],
      ['remit2', 'remit-rl'],
    ] as const) {
      const alone = await midtrain(config, data, models.pretrain!, new Recorder(), {
        phase,
        reference: models[guide]!,
      });
      expect(await alone.parameters.toHost()).toEqual(await models[phase]!.parameters.toHost());
    }
    expect(await models.remit!.parameters.toHost()).not.toEqual(await models.remit2!.parameters.toHost());
  });

  // so little training earns no reward: weight decay sets the RL model apart
  test('the arm sft-guided takes the SFT model for its reference', async () => {
    const { config, models } = await everything(['remit.arm', 'sft-guided'], ['rl.weightDecay', '1']);
    const data = worldOf(config).midtrain;
    const guided = (reference: Transformer): Promise<Transformer> =>
      midtrain(config, data, models.pretrain!, new Recorder(), { phase: 'remit', reference });
    expect(await (await guided(models.sft!)).parameters.toHost()).toEqual(await models.remit!.parameters.toHost());
    expect(await (await guided(models.rl!)).parameters.toHost()).not.toEqual(await models.remit!.parameters.toHost());
  });

  test('with no turns it ends after RL', async () => {
    expect((await everything(['remit.iterations', '0'])).told.map(([name]) => name)).toEqual([
      'pretrain',
      'midtrain',
      'sft',
      'rl',
    ]);
  });
});

describe('an end before the end', () => {
  test('a run that wants to stop ends after the step in hand and can store where it stands, which is no result', async () => {
    const config = budget();
    const run = new Recorder(7);
    const whole = new Recorder();
    await pretrain(config, rows(config, 'pretrain'), newModel(config, 70), run);
    expect(run.records.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect([run.saved, run.suspended]).toEqual([[], [7]]);
    await pretrain(config, rows(config, 'pretrain'), newModel(config, 70), whole);
    expect([whole.saved.length, whole.suspended]).toEqual([1, []]);
    expect(whole.records.slice(0, 7)).toEqual(run.records);
  });

  test.each(['pretrain', 'midtrain'] as const)(
    '%s: weights that grow without end are told at the step where the loss is lost, and nothing is saved',
    async (phase) => {
      const config = budget();
      const run = new Recorder();
      const model = newModel(config, 70);
      const large = [...(await model.parameters.toHost())].map(
        ([name, { shape, data }]) => [name, { shape, data: data.map((w) => 1e8 * w) }] as const,
      );
      model.parameters.load(new Map(large), 'test');
      // a step multiplies each matrix by -9
      const absurd = { ...config, [phase]: { ...config[phase], rate: 1, warmup: 0, weightDecay: 10 } };
      const error: unknown = await (phase === 'pretrain' ? pretrain : midtrain)(
        absurd,
        rows(config, phase),
        model,
        run,
      ).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(DivergedError);
      const step = run.records.length + 1; // the last record was the last finite one
      expect((error as Error).message).toMatch(
        new RegExp(
          `^${phase}: (loss|gradNorm) is (NaN|Infinity) at step ${step}: lower ${phase}.rate or ${phase}.clip$`,
        ),
      );
      expect(step).toBeLessThan(5);
      expect(run.saved).toEqual([]);
    },
  );
});

describe('evaluation', () => {
  const config = budget();
  const keys = ['cued', 'sampled', 'greedy', 'thinkRate'] as const;
  let fresh: Transformer;
  let scores: Evaluation;
  const ask = (model: Transformer, seed = 1): Promise<Evaluation> =>
    evaluate(model, { questions: 20, split: 'validation', seed });

  beforeAll(async () => {
    fresh = newModel(config, 70);
    scores = await ask(fresh);
  });

  test('has the ten tasks, and their means', () => {
    expect(scores.tasks.map(({ name, group }) => ({ name, group }))).toEqual(
      TASKS.map(({ name, group }) => ({ name, group })),
    );
    for (const key of keys) expect(scores[key]).toBeCloseTo(mean(scores.tasks.map((task) => task[key])), 12);
  });

  test('gives shares of twentieths', () => {
    for (const task of scores.tasks) {for (const key of keys) {
      expect(task[key]).toBeGreaterThanOrEqual(0);
      expect(task[key]).toBeLessThanOrEqual(1);
      expect(task[key] * 20).toBeCloseTo(Math.round(task[key] * 20), 12);
    }}
  });

  test('a model that knows nothing is right next to never, and begins with `[` one time in 70', () => {
    // `]`, the answer and `.` in a row: 70^-3 at each place
    for (const key of ['cued', 'sampled', 'greedy'] as const) expect(scores[key]).toBeLessThan(0.02);
    expect(scores.thinkRate).toBeLessThan(0.015 + 4 * Math.sqrt(0.015 / 200)); // 200 samples
  });

  test('the same seed samples the same; greedy scores do not depend on it', async () => {
    const trained = await pretrain(config, rows(config, 'pretrain'), newModel(config, 70), new Recorder());
    const [a, again, other] = [await ask(trained), await ask(trained), await ask(trained, 2)];
    expect(again).toEqual(a);
    expect([other.cued, other.greedy]).toEqual([a.cued, a.greedy]);
    expect(other.tasks.map(({ thinkRate }) => thinkRate)).not.toEqual(a.tasks.map(({ thinkRate }) => thinkRate));
    expect(a.thinkRate).toBeGreaterThan(0.05); // sixty steps teach it the first character of an answer
  });
});

describe('the loss on text', () => {
  const text = 'she sells sea shells by the sea shore; the shells she sells are sea shells, I\'m sure. '.repeat(8);
  const context = 10;
  const tokenizer = characterTokenizer([...new Set(text)].join(''));
  const V = tokenizer.vocabulary;
  const data = textCorpus(tokenizer.encode(text), { context, validation: 0.3 }, rng(1));
  const config = budget(['model.context', '24'], ['model.layers', '1']);

  /** -log p of every target, from the forward pass of one row at a time, in double precision. */
  async function byHand(model: Transformer, held: Int32Array): Promise<number> {
    const losses: number[] = [];
    for (let start = 0; start < held.length; start += context + 1) {
      const row = held.subarray(start, start + context + 1);
      const logits = await noGrad(() => model.forward(tensor(row.subarray(0, context), [1, context], 'i32'))).read();
      for (let t = 0; t < context; t++) {
        const scores = Array.from(logits.subarray(t * V, (t + 1) * V));
        losses.push(Math.log(scores.reduce((total, x) => total + Math.exp(x), 0)) - scores[row[t + 1]!]!);
      }
    }
    return mean(losses);
  }

  test('is the mean over all targets, however the rows are batched', async () => {
    const model = newModel(config, V);
    const held = data.validationRows();
    const expected = await byHand(model, held);
    expect(held.length / (context + 1)).toBe(20);
    for (const batch of [1, 3, 16, 20, 99]) {
      expect(await textLoss(model, held, context + 1, batch)).toBeCloseTo(expected, 6);
    }
    expect(await textLoss(model, held, context + 1)).toBeCloseTo(expected, 6);
  });

  test('falls when the model is trained on the other part', async () => {
    const model = newModel(config, V);
    const held = data.validationRows();
    const before = await textLoss(model, held, context + 1);
    expect(before).toBeCloseTo(Math.log(V), 1);
    await pretrain(config, data, model, new Recorder());
    expect(await textLoss(model, held, context + 1)).toBeLessThan(before - 1);
  });
});

test('a row of T + 1 tokens is T inputs and T targets, shifted by one', async () => {
  const { inputs, targets } = nextTokens(Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8), 2);
  expect([inputs.shape, targets.shape, inputs.dtype, targets.dtype]).toEqual([[2, 3], [2, 3], 'i32', 'i32']);
  expect([Array.from(await inputs.read()), Array.from(await targets.read())]).toEqual([
    [1, 2, 3, 5, 6, 7],
    [2, 3, 4, 6, 7, 8],
  ]);
});
