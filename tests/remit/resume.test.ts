// A run that was interrupted, wherever and however, and taken up again ends with the same bytes as one that was not:
// the whole pipeline, reinforcement learning and the flywheel included. And what stands in the way of that is said.

import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { createDevice } from '../../engine/device.ts';
import { ConfigError, FormatError } from '../../engine/errors.ts';
import { resolveConfig, type Config } from '../../remit/settings/resolve.ts';
import { tinyWorldTokenizer } from '../../remit/worlds/tiny/tokenizer.ts';
import { newModel } from '../../remit/phases/pretrain.ts';
import { pipeline } from '../../remit/phases/pipeline.ts';
import type { StepRecord } from '../../remit/phases/run.ts';
import { worldOf, type World } from '../../remit/phases/world.ts';
import type { Question } from '../../remit/rl/task.ts';
import { readCheckpoint } from '../../remit/app/run/checkpoint.ts';
import { environment } from '../../remit/app/run/environment.ts';
import { claimFolder, RunFolder, StoppedError, type Resume } from '../../remit/app/run/folder.ts';
import { openModel } from '../../remit/app/run/model.ts';
import { temporaryFolder } from '../support/temporary.ts';

const scratch = temporaryFolder();
const { config } = resolveConfig({ flags: [
  ['model.width', '8'], ['model.layers', '1'], ['model.heads', '2'], ['pretrain.warmup', '0'], ['rl.warmup', '0'],
  ['pretrain.steps', '5'], ['midtrain.steps', '4'], ['sft.steps', '3'], ['rl.steps', '4'],
  ['pretrain.batch', '2'], ['midtrain.batch', '2'], ['sft.batch', '2'], ['rl.prompts', '2'], ['rl.samples', '2'],
  ['rl.advantage', 'reinforce'], ['rl.updates', '2'], ['checkpoint.every', '2'], ['checkpoint.seconds', '0'],
] });
const PHASES = ['pretrain', 'midtrain', 'sft', 'rl', 'remit', 'remit-sft', 'remit-rl'];
const STEPS = 5 + 2 * (4 + 3 + 4);

class Crash extends Error {}

/** Ends with the line number `end.line` of this process: by stop(), or without a word. */
class Interrupted extends RunFolder {
  end = { line: Infinity, how: 'stop' as 'stop' | 'crash' };
  readonly trained: string[] = []; // the phase of each line

  override log(record: StepRecord): void {
    super.log(record);
    if (this.trained.push(record.phase) < this.end.line) return;
    if (this.end.how === 'crash') throw new Crash();
    this.stop();
  }
}

interface Options { resume?: Resume; line?: number; how?: 'stop' | 'crash'; settings?: Config }

/**
 * Trains in `folder` from wherever it is; resolves to the lines it wrote and what it was told. Throws what ended it.
 */
async function train(
  folder: string,
  { resume = 'if-there', line = Infinity, how = 'stop', settings = config }: Options = {},
) {
  const notices: string[] = [];
  const run = new Interrupted(claimFolder(folder, 'x', resume), {
    config: settings,
    environment: environment('0.0.0', 'cpu'),
    tokenizer: tinyWorldTokenizer,
    notice: (text) => void notices.push(text),
  });
  run.end = { line, how };
  const stages: string[] = [];
  try {
    await pipeline(settings, worldFor(settings), newModel(settings, 70), run, {
      async onStage(name, model) {
        stages.push(`${name} ${hash((await model.parameters.toHost()).get('model.embed_tokens.weight')!.data)}`);
      },
    });
    run.report('evaluation', stages);
  } finally {
    run.close();
  }
  return { lines: run.trained.length, notices, trained: [...new Set(run.trained)] };
}

/**
 * The tiny world, with a reward that a model which knows nothing gets half of the time: so that there is something to
 * learn, and a baseline to remember.
 */
function worldFor(settings: Config): World {
  const world = worldOf(settings);
  const { questions } = world;
  const question = (n: number): Question => {
    const { prompt } = questions.question(n);
    return { prompt, reward: (row) => row[prompt.length]! % 2 };
  };
  return { ...world, questions: { ...questions, question } };
}

const hash = (bytes: Uint8Array | Float32Array): string =>
  createHash('sha256')
    .update(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    .digest('hex');

/** Every file of a run folder that has no clock in it. */
function contents(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => !['checkpoints', 'timing.jsonl'].includes(name),
  );
  return Object.fromEntries(names.sort().map((name) => [name, hash(readFileSync(join(folder, name)))]));
}

const whole = join(scratch, 'whole');
const steps = (folder: string) => readFileSync(join(folder, 'timing.jsonl'), 'utf8').trim().split('\n').map((line) => {
  const { phase, step } = JSON.parse(line) as StepRecord;
  return `${phase} ${step}`;
});

beforeAll(async () => {
  await createDevice('cpu');
  expect(await train(whole)).toEqual({ lines: STEPS, notices: [], trained: PHASES });
  const tuned = readCheckpoint(join(whole, 'checkpoints', 'sft.safetensors'));
  const trained = readCheckpoint(join(whole, 'checkpoints', 'rl.safetensors'));
  expect(trained.tensors).not.toEqual(tuned.tensors); // reinforcement learning did something
});

describe.each(['stop', 'crash'] as const)('interrupted by a %s', (how) => {
  test.each(Array.from({ length: STEPS }, (_, i) => i + 1))('at line %i and taken up again', async (line) => {
    const folder = join(scratch, `${how}-${line}`);
    await expect(train(folder, { line, how })).rejects.toThrow(how === 'stop' ? StoppedError : Crash);
    const before = readFileSync(join(folder, 'metrics.jsonl'), 'utf8');
    expect(before).toBe(readFileSync(join(whole, 'metrics.jsonl'), 'utf8').slice(0, before.length));
    const { lines, notices } = await train(folder);
    if (how === 'stop') expect(lines).toBe(STEPS - line);                            // not a step is lost
    else expect(lines - (STEPS - line)).toBeLessThanOrEqual(config.checkpoint.every); // since the last checkpoint
    expect(notices.length).toBeLessThanOrEqual(1);
    expect(contents(folder)).toEqual(contents(whole));
    expect(steps(folder)).toEqual(steps(whole));
    rmSync(folder, { recursive: true });
  });
});

test('interrupted after every single step, over and over', async () => {
  const folder = join(scratch, 'patience');
  let starts = 1;
  for (; ; starts++) {
    const outcome = await train(folder, { line: 1 }).catch((error: unknown) => error);
    if (!(outcome instanceof Error)) break;
    expect(outcome).toBeInstanceOf(StoppedError);
  }
  expect(starts).toBe(STEPS + 1);
  expect(contents(folder)).toEqual(contents(whole));
});

test('a finished run trains nothing and ends the same', async () => {
  const folder = join(scratch, 'twice');
  cpSync(whole, folder, { recursive: true });
  expect(await train(folder, { resume: 'required' })).toEqual({ lines: 0, notices: [], trained: [] });
  expect(contents(folder)).toEqual(contents(whole));
  expect(steps(folder)).toEqual(steps(whole));
});

describe('states on the way', () => {
  const folder = join(scratch, 'on-the-way');
  const checkpoints = join(folder, 'checkpoints');
  const interrupt = async (): Promise<void> => {
    rmSync(folder, { recursive: true, force: true });
    // in midtrain, after step 4 of 9
    await expect(train(folder, { line: 5 + 4, how: 'crash', settings: long })).rejects.toThrow(Crash);
  };
  const long: Config = {
    ...config,
    midtrain: { ...config.midtrain, steps: 9 },
    checkpoint: { ...config.checkpoint, every: 1 },
  };
  const files = (): string[] => readdirSync(checkpoints).sort();

  test('the last few are kept; the newest says where it goes on, and is the model of the folder', async () => {
    await interrupt();
    expect(files()).toEqual([
      'midtrain.step-00000002.safetensors',
      'midtrain.step-00000003.safetensors',
      'pretrain.safetensors',
    ]);
    expect(openModel(folder).source).toBe(join(checkpoints, 'midtrain.step-00000003.safetensors'));
    const { notices } = await train(folder, { settings: long });
    expect(notices).toEqual([
      `going on from ${join(checkpoints, 'midtrain.step-00000003.safetensors')}: midtrain, step 3 of 9`,
    ]);
  });

  test('a damaged one is left out, aloud, and the one before it taken', async () => {
    await interrupt();
    const newest = join(checkpoints, 'midtrain.step-00000003.safetensors');
    const bytes = readFileSync(newest);
    bytes[bytes.length - 100]! ^= 1;
    writeFileSync(newest, bytes);
    const expected = join(scratch, 'expected');
    rmSync(expected, { recursive: true, force: true });
    await train(expected, { settings: long });
    const { notices, lines } = await train(folder, { settings: long });
    expect(notices).toEqual([
      `checkpoint: ${newest}: its checksum does not fit: the file was changed or damaged after it was written: left ` +
      'out',
      `going on from ${join(checkpoints, 'midtrain.step-00000002.safetensors')}: midtrain, step 2 of 9`,
    ]);
    expect(lines).toBe(STEPS + 2 * 5 - 5 - 2);
    expect(contents(folder)).toEqual(contents(expected));
  });

  test('a result that is damaged makes its phase, and all after it, be trained again, to the same bytes', async () => {
    const copy = join(scratch, 'damaged-result');
    cpSync(whole, copy, { recursive: true });
    writeFileSync(join(copy, 'checkpoints', 'sft.safetensors'), 'cut short');
    const { notices, trained } = await train(copy);
    expect(notices).toHaveLength(1);
    expect(notices[0]).toMatch(/sft\.safetensors: .*: left out$/);
    expect(trained).toEqual(PHASES.slice(2));
    expect(contents(copy)).toEqual(contents(whole));
  });

  test("a damaged one of a later step takes nobody's place: the good ones are kept, and the run goes on from them", async () => {
    const few: Config = { ...long, checkpoint: { ...long.checkpoint, keep: 1 } };
    rmSync(folder, { recursive: true, force: true });
    await expect(train(folder, { line: 5 + 4, how: 'crash', settings: few })).rejects.toThrow(Crash);
    const damaged = join(checkpoints, 'midtrain.step-00000008.safetensors');
    writeFileSync(damaged, readFileSync(join(checkpoints, 'midtrain.step-00000003.safetensors')).subarray(0, 500));
    // steps 4 and 5 are stored
    await expect(train(folder, { line: 3, how: 'crash', settings: few })).rejects.toThrow(Crash);
    expect(files()).toEqual([
      'midtrain.step-00000005.safetensors',
      'midtrain.step-00000008.safetensors',
      'pretrain.safetensors',
    ]);
    const told: string[] = [];
    expect(openModel(folder, (text) => void told.push(text)).source).toBe(
      join(checkpoints, 'midtrain.step-00000005.safetensors'),
    );
    expect(told).toEqual([expect.stringMatching(/step-00000008\.safetensors: .*: left out$/)]);
    const { notices } = await train(folder, { settings: few });
    expect(notices[1]).toBe(
      `going on from ${join(checkpoints, 'midtrain.step-00000005.safetensors')}: midtrain, step 5 of 9`,
    );
    expect(files()).toEqual(PHASES.map((phase) => `${phase}.safetensors`).sort());
  });

  test('a result that is missing is said so before its phase, and all after it, are trained again, to the same bytes', async () => {
    const copy = join(scratch, 'missing-result');
    const path = join(copy, 'checkpoints', 'sft.safetensors');
    cpSync(whole, copy, { recursive: true });
    rmSync(path);
    const { notices, trained } = await train(copy);
    expect(notices).toEqual([
      `${path}: is missing: sft and what follows, ${3 + 4 + 4 + 3 + 4} steps, are trained again`,
    ]);
    expect(trained).toEqual(PHASES.slice(2));
    expect(contents(copy)).toEqual(contents(whole));
  });

  test('half-written files of a killed process are swept up', async () => {
    const copy = join(scratch, 'litter');
    cpSync(whole, copy, { recursive: true });
    writeFileSync(join(copy, 'config.json.123.tmp'), 'ha');
    writeFileSync(join(copy, 'checkpoints', 'rl.safetensors.123.tmp'), 'ha');
    writeFileSync(join(copy, 'metrics.jsonl'), '{"phase":"remit-rl","st', { flag: 'a' });
    await train(copy);
    expect(contents(copy)).toEqual({
      ...contents(whole),
      'metrics.jsonl': hash(
        Buffer.concat([readFileSync(join(whole, 'metrics.jsonl')), Buffer.from('{"phase":"remit-rl","st')]),
      ),
    });
  });
});

test('a run goes on from the model, the guide and the text that it began with; another device is told', async () => {
  const folder = join(scratch, 'began');
  const told: string[] = [];
  const open = (more: Partial<ReturnType<typeof environment>>, resume: Resume = 'required'): RunFolder =>
    new RunFolder(claimFolder(folder, 'x', resume), {
      config,
      environment: { ...environment('0.0.0', 'cpu'), start: 'a', reference: 'r', data: 'b', ...more },
      tokenizer: tinyWorldTokenizer,
      notice: (text) => void told.push(text),
    });
  open({}, 'never').close();
  open({}).close();
  for (const [part, name] of [
    ['start', 'another model (--init)'],
    ['reference', 'another guide (--reference)'],
    ['data', 'other text (--data)'],
  ] as const) {
    expect(() => open({ [part]: 'c' })).toThrow(
      new ConfigError(`run: ${folder}: began with ${name}: bring that back, or choose another --out`),
    );
  }
  expect(told).toEqual([]);
  open({ device: 'webgpu (x)' }).close();
  expect(told).toEqual(['this run began on cpu and goes on on webgpu (x): the last bits will differ']);
});

describe('what does not stand in the way', () => {
  const reversed = (value: unknown): unknown =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .reverse()
            .map(([key, inner]) => [key, reversed(inner)]),
        )
      : value;

  test.each<[string, (text: string) => string]>([
    ['line ends of Windows', (text) => text.replaceAll('\n', '\r\n')],
    ['other spaces', (text) => JSON.stringify(JSON.parse(text), null, 4)],
    ['a byte order mark', (text) => `\uFEFF${text}`],
    ['keys in another order', (text) => JSON.stringify(reversed(JSON.parse(text)))],
    ['a number written otherwise', (text) => text.replace('"rate": 0.005', '"rate": 5.0e-3')],
  ])('a config.json with %s', async (name, change) => {
    const folder = join(scratch, name);
    const path = join(folder, 'config.json');
    await expect(train(folder, { line: 8, how: 'crash' })).rejects.toThrow(Crash);
    const before = readFileSync(path, 'utf8');
    writeFileSync(path, change(before));
    expect(readFileSync(path, 'utf8')).not.toBe(before);
    const { notices } = await train(folder, { resume: 'required' });
    expect(notices).toHaveLength(1); // going on
    writeFileSync(path, before);
    expect(contents(folder)).toEqual(contents(whole));
  });

  test.each<[string, (path: string) => void]>([
    ['is missing', (path) => rmSync(path)],
    ['lost lines', (path) => writeFileSync(path, readFileSync(path, 'utf8').split('\n').slice(0, 2).join('\n'))],
    ['is cut in the middle of a line', (path) => writeFileSync(path, readFileSync(path).subarray(0, -9))],
  ])('a timing.jsonl that %s', async (name, damage) => {
    const folder = join(scratch, `timing ${name}`);
    await expect(train(folder, { line: 5 + 4 + 3, how: 'stop' })).rejects.toThrow(StoppedError); // after a phase
    damage(join(folder, 'timing.jsonl'));
    const { notices } = await train(folder);
    expect(notices.at(-1)).toMatch(/timing\.jsonl: \d+ lines are missing: nothing depends on them$/);
    expect(contents(folder)).toEqual(contents(whole));
  });
});

describe('what stands in the way', () => {
  const copyOf = (name: string): string => {
    const folder = join(scratch, name);
    cpSync(whole, folder, { recursive: true });
    return folder;
  };

  test('other settings: the differences are shown, and nothing is touched', async () => {
    const folder = copyOf('other');
    const before = contents(folder);
    await expect(
      train(folder, { settings: { ...config, seed: 7, rl: { ...config.rl, klWeight: 0.5 } } }),
    ).rejects.toThrow(
      new ConfigError(
        `run: ${folder}: has other settings: seed is 0 there and 7 here, rl.klWeight is 0.02 there and 0.5 here: ` +
        'leave them out, or choose another --out',
      ),
    );
    expect(contents(folder)).toEqual(before);
  });

  test('a folder without a run, when there must be one; and with one, when there must be none', () => {
    expect(() => claimFolder(join(scratch, 'no'), 'x', 'required')).toThrow(
      new ConfigError(`run: ${join(scratch, 'no')}: no such folder: there is nothing to go on with`),
    );
    expect(() => claimFolder(scratch, 'x', 'required')).toThrow(
      new ConfigError(`run: ${scratch}: holds no run: there is nothing to go on with`),
    );
    expect(() => claimFolder(scratch, 'x', 'if-there')).toThrow(
      new ConfigError(`run: ${scratch}: exists and is not empty: choose another --out`),
    );
    expect(() => claimFolder(whole, 'x')).toThrow(
      new ConfigError(
        `run: ${whole}: exists and is not empty: choose another --out, or go on with it by --resume ${whole}`,
      ),
    );
    expect(existsSync(join(scratch, 'no'))).toBe(false);
  });

  test.each<[string, (folder: string) => void, RegExp]>([
    [
      'metrics that lost lines',
      (folder) => edit(folder, (lines) => lines.slice(0, 3)),
      /metrics\.jsonl: has 3 steps of pretrain, and .*pretrain\.safetensors was written after 5: bring them back/,
    ],
    [
      'metrics that lost a line in the middle',
      (folder) => edit(folder, (lines) => lines.filter((_, i) => i !== 2)),
      /metrics\.jsonl:3: step 4 of pretrain after step 2 of pretrain: lines were lost or added$/,
    ],
    [
      'metrics with a line of something else',
      (folder) => edit(folder, (lines) => ['[]', ...lines]),
      /metrics\.jsonl:1: is no step of a phase$/,
    ],
    [
      'metrics with a line that is not JSON',
      (folder) => edit(folder, (lines) => [...lines, 'x']),
      new RegExp(`metrics\\.jsonl:${STEPS + 1}: is not JSON: the file was damaged$`),
    ],
    [
      'a checkpoint of another run',
      (folder) => cpSync(otherSeed, join(folder, 'checkpoints', 'pretrain.safetensors')),
      /pretrain\.safetensors: is from a run with other settings: remove it$/,
    ],
    [
      'a checkpoint of another phase',
      (folder) =>
        cpSync(join(folder, 'checkpoints', 'sft.safetensors'), join(folder, 'checkpoints', 'midtrain.safetensors')),
      /midtrain\.safetensors: is of phase sft: give it its name back, or remove it$/,
    ],
    [
      'a config that is not JSON',
      (folder) => writeFileSync(join(folder, 'config.json'), '{'),
      /config\.json: is not JSON: Expected property name/,
    ],
  ])('%s', async (name, damage, message) => {
    const folder = copyOf(name);
    damage(folder);
    const before = contents(folder);
    const error: unknown = await train(folder).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(message);
    expect(contents(folder)).toEqual(before);
  });

  const edit = (folder: string, change: (lines: string[]) => string[]): void => {
    const path = join(folder, 'metrics.jsonl');
    writeFileSync(path, change(readFileSync(path, 'utf8').trim().split('\n')).map((line) => `${line}\n`).join(''));
  };
  const otherSeed = join(scratch, 'other-seed', 'checkpoints', 'pretrain.safetensors');
  beforeAll(async () => {
    await train(join(scratch, 'other-seed'), { line: 6, settings: { ...config, seed: 1 } }).catch(() => {});
  });
});
