// Numbers that are none: seen on the device, in the step where they arise; the weights stay good, and the run stops or
// leaves the step out.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { DivergedError } from '../../engine/errors.ts';
import { mul } from '../../engine/ops/arithmetic.ts';
import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import { rng } from '../../engine/rng.ts';
import { backend, useBackend } from '../../engine/runtime.ts';
import { tensor } from '../../engine/tensor.ts';
import type { Transformer } from '../../nn/transformer.ts';
import { AdamW } from '../../optim/adamw.ts';
import { EXIT } from '../../remit/app/cli/exit.ts';
import { inRunFolder } from '../../remit/app/cli/session.ts';
import { resolveConfig } from '../../remit/settings/resolve.ts';
import { tinyWorldTokenizer } from '../../remit/worlds/tiny/tokenizer.ts';
import { corpus } from '../../remit/worlds/tiny/index.ts';
import { nextTokenLoop } from '../../remit/phases/next-token.ts';
import { newModel } from '../../remit/phases/pretrain.ts';
import { quietRun, type Run, type StepRecord } from '../../remit/phases/run.ts';
import { textLoss } from '../../remit/phases/text-loss.ts';
import { writeCheckpoint } from '../../remit/app/run/checkpoint.ts';
import { inProcess } from '../support/command-line.ts';
import { backendAt, places } from '../support/gpu.ts';
import { temporaryFolder } from '../support/temporary.ts';

const scratch = temporaryFolder();
const { config } = resolveConfig({
  flags: [
    ['model.width', '8'],
    ['model.layers', '1'],
    ['model.heads', '2'],
    ['pretrain.steps', '30'],
    ['pretrain.warmup', '0'],
    ['pretrain.batch', '2'],
    ['checkpoint.every', '2'],
  ],
});

/** Pre-training whose loss is multiplied by NaN in the steps of `bad` (from 0). */
function pretrain(
  model: Transformer,
  run: Run,
  bad: (i: number) => boolean,
  diverged: 'stop' | 'skip' = 'stop',
): Promise<void> {
  const data = corpus(config.pretrain.corpus, rng(1));
  return nextTokenLoop({
    phase: 'pretrain',
    section: 'pretrain',
    settings: { ...config.pretrain, diverged },
    model,
    run,
    rows: (i, batch) => ({ rows: data.rows(i, batch) }),
    loss: ({ inputs, targets }, i) => ({
      loss: mul(crossEntropy(model.forward(inputs), targets), tensor([bad(i) ? NaN : 1], [])),
    }),
  });
}

const weights = async (model: Transformer): Promise<Map<string, number[]>> =>
  new Map([...(await model.parameters.toHost())].map(([name, { data }]) => [name, [...data]]));

/** Remembers the records, and the weights after each step. */
function recorder(): Run & { records: StepRecord[]; weights: Map<string, number[]>[] } {
  const records: StepRecord[] = [];
  const seen: Map<string, number[]>[] = [];
  return {
    ...quietRun,
    records,
    weights: seen,
    log: (record) => void records.push(record),
    watch: async (_, __, model) => void seen.push(await weights(model)),
  };
}

describe.each(places)('on %s', (place) => {
  beforeEach(() => useBackend(backendAt(place)));

  test.each([NaN, Infinity, -Infinity])(
    'a gradient with one %d leaves weights and moments as they are, to the bit, and the next one does not',
    async (value) => {
      const model = newModel(config, 70);
      const { flat } = model.parameters;
      const optimiser = new AdamW(model.parameters);
      const gradients = rng(3).normals(flat.size);
      const everything = async (): Promise<number[][]> =>
        Promise.all(
          [flat.values, ...Object.values(optimiser.moments)].map(async (storage) => [
            ...(await backend().read(storage)),
          ]),
        );
      backend().write(flat.gradients, gradients);
      optimiser.update(0, 0.1);
      const before = await everything();
      backend().write(
        flat.gradients,
        gradients.map((g, i) => (i === flat.size - 5 ? value : g)),
      );
      expect(await optimiser.update(1, 0.1).item()).toBe(Number.isNaN(value) ? NaN : Infinity);
      expect(await everything()).toEqual(before);
      backend().write(flat.gradients, gradients);
      optimiser.update(2, 0.1);
      const after = await everything();
      after.forEach((part, p) => expect(part.some((x, i) => x !== before[p]![i])).toBe(true));
      expect(after.flat().every(Number.isFinite)).toBe(true);
    },
  );

  test('a run stops at the step itself, with the weights of the step before', async () => {
    const model = newModel(config, 70);
    const run = recorder();
    await expect(pretrain(model, run, (i) => i === 4)).rejects.toThrow(
      new DivergedError('pretrain: loss is NaN at step 5: lower pretrain.rate or pretrain.clip'),
    );
    expect(run.records.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    expect(await weights(model)).toEqual(run.weights[3]);
  });

  test('or leaves the step out, counts it, and goes on', async () => {
    const model = newModel(config, 70);
    const run = recorder();
    const calm = recorder();
    await pretrain(model, run, (i) => i === 4 || i === 7, 'skip');
    await pretrain(newModel(config, 70), calm, () => false, 'skip');
    expect(run.records).toHaveLength(30);
    expect(run.records.map(({ skipped = 0 }) => skipped)).toEqual(
      run.records.map(({ step }) => Number(step >= 5) + Number(step >= 8)),
    );
    expect(run.records.filter(({ loss }) => Number.isNaN(loss)).map(({ step }) => step)).toEqual([5, 8]);
    expect([run.weights[4], run.weights[7]]).toEqual([run.weights[3], run.weights[6]]);
    // without a skipped step there is nothing to count
    expect(run.records.slice(0, 4)).toEqual(calm.records.slice(0, 4));
    expect(run.records.at(-1)!.loss).toBeLessThan(run.records[0]!.loss);
  });
});

describe('when it does not end', () => {
  beforeEach(() => useBackend(new CpuBackend()));

  test('weights that are not finite after the last step are told, and not saved', async () => {
    const model = newModel(config, 70);
    const { values, size } = model.parameters.flat;
    const saved: string[] = [];
    const run: Run = {
      ...quietRun, save: async (phase) => void saved.push(phase),
      async watch(_, step) {
        // as an update at the edge of the floats would leave them
        if (step === 30) backend().write(values, new Float32Array(size).fill(-Infinity));
      },
    };
    await expect(pretrain(model, run, () => false)).rejects.toThrow(
      'pretrain: a weight is -Infinity after step 30: lower pretrain.rate or pretrain.clip',
    );
    expect(saved).toEqual([]);
  });

  test('more than ten in a row are not skipped', async () => {
    const run = recorder();
    await expect(pretrain(newModel(config, 70), run, (i) => i >= 6, 'skip')).rejects.toThrow(
      /^pretrain: loss is NaN at step 17: /,
    );
    expect(run.records).toHaveLength(16);
  });

  test('the last good checkpoint is named, with exit code 5; it holds no step that went wrong', async () => {
    const out = join(scratch, 'diverged');
    const model = newModel(config, 70);
    const error: unknown = await inRunFolder(
      { config, device: backend(), model, tokenizer: tinyWorldTokenizer, out, name: 'x' },
      (run) => pretrain(model, run, (i) => i === 5),
    ).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DivergedError);
    expect((error as Error).message).toBe(
      'pretrain: loss is NaN at step 6: lower pretrain.rate or pretrain.clip: the last good checkpoint is ' +
      `${join(out, 'checkpoints', 'pretrain.step-00000004.safetensors')}`,
    );
    expect(readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n')).toHaveLength(5);
  });

  test('skipped steps are counted on by a run that is taken up again', async () => {
    const session = (out: string) =>
      ({
        config,
        device: backend(),
        model: newModel(config, 70),
        tokenizer: tinyWorldTokenizer,
        out: join(scratch, out),
        name: 'x',
        resume: 'if-there',
      }) as const;
    const bad = (i: number): boolean => i === 1 || (i >= 5 && i < 12);
    await inRunFolder(session('whole'), (run) => pretrain(newModel(config, 70), run, bad, 'skip'));
    for (const at of [7, 9, 30]) {
      await inRunFolder(session('parts'), (run) => {
        run.watch = async (_, step) => { if (step === at) run.stop(); };
        return pretrain(newModel(config, 70), run, bad, 'skip');
      });
    }
    for (const file of ['metrics.jsonl', 'checkpoints/pretrain.safetensors']) {
      expect(readFileSync(join(scratch, 'parts', file)).equals(readFileSync(join(scratch, 'whole', file))), file).toBe(
        true,
      );
    }
    expect(readFileSync(join(scratch, 'whole', 'metrics.jsonl'), 'utf8')).toContain('"step":30,"steps":30,');
    expect(readFileSync(join(scratch, 'whole', 'metrics.jsonl'), 'utf8')).toContain('"skipped":8,');
  });

  test('a model whose logits overflow, on the command line: exit code 5, one line', async () => {
    const model = newModel(config, 70);
    const path = join(scratch, 'huge.safetensors');
    const values = new Map(
      [...(await model.parameters.toHost())].map(([name, { shape, data }]) => [
        name,
        { shape, data: data.map((x) => x * 1e30) },
      ]),
    );
    model.parameters.load(values, 'test');
    await writeCheckpoint(path, model, tinyWorldTokenizer, { phase: 'pretrain', step: 1, seed: 0, configHash: '' });
    const { code, stderr } = await inProcess([
      'train', 'midtrain', '--init', path, '--device', 'cpu', '--out', join(scratch, 'huge'), '--evaluate.questions',
      '1',
    ]);
    expect(code).toBe(EXIT.diverged);
    expect(stderr).toMatch(
      /error: generate: row 0, position \d+: the model's logits are NaN or infinite: no token can be drawn: /,
    );
  });

  test('such a model, asked in any other way: exit code 5, and no number that means nothing', async () => {
    const path = join(scratch, 'huge.safetensors');
    const tokens = join(scratch, 'tokens.json');
    writeFileSync(tokens, '{"tokens": [[1, 2, 3]]}');
    for (const [argv, message] of [
      [
        ['evaluate', '--model', path, '--questions', '1'],
        /error: generate: row 0, position \d+: the model's logits are NaN or infinite: /,
      ],
      [
        ['sample', '--model', path, '--prompt', '^S'],
        /error: generate: row 0, position 2: the model's logits are NaN or infinite: /,
      ],
      [
        ['score', '--model', path, '--data', tokens],
        /error: score: tokens\[0\]\[1\]: its log-probability is NaN: the weights of the model are not finite, or its logits too large\n/,
      ],
    ] as const) {
      const { code, stdout, stderr } = await inProcess([...argv]);
      expect(stderr).toMatch(message);
      expect(code).toBe(EXIT.diverged);
      expect(stdout).toBe('');
    }
    const model = newModel(config, 70);
    const start = await model.parameters.toHost();
    model.parameters.load(
      new Map([...start].map(([name, { shape, data }]) => [name, { shape, data: data.map((x) => x * 1e30) }])),
      'test',
    );
    await expect(textLoss(model, Int32Array.of(1, 2, 3), 3)).rejects.toThrow(
      "textLoss: the loss is NaN: the model's weights are not finite, or its logits too large",
    );
  });

  test('a weight that is no number is never stored', async () => {
    const model = newModel(config, 70);
    const path = join(scratch, 'never.safetensors');
    backend().write(model.parameters.flat.values, [NaN]);
    await expect(
      writeCheckpoint(path, model, tinyWorldTokenizer, { phase: 'sft', step: 3, seed: 0, configHash: '' }),
    ).rejects.toThrow(new DivergedError('sft: model.embed_tokens.weight has values that are no numbers after step 3'));
  });
});
