// Gradients of a batch taken in parts: to rounding those of the whole, in every phase. In double precision, so that
// rounding is far below a mistake.

import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { ConfigError } from '../../engine/errors.ts';
import { backend, useBackend } from '../../engine/runtime.ts';
import type { Transformer } from '../../nn/transformer.ts';
import { midtrain } from '../../remit/phases/midtrain.ts';
import { newModel, pretrain } from '../../remit/phases/pretrain.ts';
import { rl } from '../../remit/phases/rl.ts';
import { quietRun, type Run, type StepRecord } from '../../remit/phases/run.ts';
import { sft } from '../../remit/phases/sft.ts';
import { worldOf } from '../../remit/phases/world.ts';
import { resolveConfig, type Config } from '../../remit/settings/resolve.ts';

beforeAll(() => useBackend(new CpuBackend({ precision: 'f64' })));

const configOf = (...flags: [string, string][]): Config => resolveConfig({ flags: [
  ['model.width', '16'], ['model.heads', '2'], ['model.layers', '1'],
  ...['pretrain', 'midtrain', 'sft', 'rl'].flatMap((phase): [string, string][] => [
    [`${phase}.steps`, '2'], [`${phase}.warmup`, '0'],
  ]),
  ...['pretrain', 'midtrain', 'sft'].map((phase): [string, string] => [`${phase}.batch`, '7']),
  ['rl.prompts', '3'], ['rl.samples', '4'], ...flags,
] }).config;

type Train = (config: Config, base: Transformer, run: Run) => Promise<Transformer>;

const phases: Readonly<Record<string, Train>> = {
  pretrain: (config, base, run) => pretrain(config, worldOf(config).pretrain, base.clone(), run),
  midtrain: (config, base, run) => midtrain(config, worldOf(config).midtrain, base, run, {
    phase: 'midtrain', reference: newModel({ ...config, seed: 9 }, 70),
  }),
  sft: (config, base, run) => sft(config, worldOf(config).demonstrations, base, run),
  rl: (config, base, run) => rl(config, worldOf(config).questions, base, run),
};

async function trained(phase: string, config: Config) {
  const records: StepRecord[] = [];
  const run = { ...quietRun, log: (record: StepRecord) => void records.push(record) };
  const model = await phases[phase]!(config, newModel(config, 70), run);
  return { records, weights: await backend().read(model.parameters.flat.values) };
}

function expectAlike(found: Awaited<ReturnType<typeof trained>>, whole: Awaited<ReturnType<typeof trained>>): void {
  for (const [i, record] of whole.records.entries()) {
    for (const [name, value] of Object.entries(record)) {
      if (typeof value === 'number') expect(found.records[i]![name], name).toBeCloseTo(value, 9);
    }
  }
  // the first updates of AdamW divide a gradient by itself: where it is all but 0, rounding decides its sign
  const moved = whole.weights.map((weight, i) => Math.abs(weight - found.weights[i]!)).filter((x) => x > 1e-6);
  expect(moved.length / whole.weights.length).toBeLessThan(0.01);
}

describe.each(['pretrain', 'midtrain', 'sft'])('%s', (phase) => {
  test.each(['1', '3', '7', '100'])('of 7 rows %s at a time', async (rows) => {
    const whole = await trained(phase, configOf());
    expectAlike(await trained(phase, configOf([`${phase}.microBatch`, rows])), whole);
  });
});

describe('rl', () => {
  const more = [
    ['one update', []],
    ['two updates', [['rl.updates', '2']]],
    ['each answer alike', [['rl.divisor', 'answer']]],
  ] as const satisfies readonly (readonly [string, readonly (readonly [string, string])[]])[];

  test.each(more)('of 12 answers 5 at a time: %s', async (_, flags) => {
    const given = flags.map(([name, value]): [string, string] => [name, value]);
    expectAlike(await trained('rl', configOf(...given, ['rl.microBatch', '5'])), await trained('rl', configOf(...given)));
  });
});

test.each(['shuffled', 'rho'])('%s compares all tokens of a batch, and is refused', async (arm) => {
  const config = configOf(['midtrain.microBatch', '3'], ['remit.arm', arm]);
  await expect(trained('midtrain', config)).rejects.toThrow(ConfigError);
  await expect(trained('midtrain', config)).rejects.toThrow(`midtrain.microBatch = 3: arm ${arm} compares all tokens`);
});
