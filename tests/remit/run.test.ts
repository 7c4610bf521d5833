// Run folders, checkpoints and the progress bar.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { createDevice } from '../../engine/device.ts';
import { ConfigError, FormatError } from '../../engine/errors.ts';
import { rng } from '../../engine/rng.ts';
import { readSafetensors } from '../../engine/safetensors.ts';
import { Transformer } from '../../nn/transformer.ts';
import { resolveConfig } from '../../remit/settings/resolve.ts';
import { tinyWorldTokenizer } from '../../remit/worlds/tiny/tokenizer.ts';
import { writeAtomically } from '../../remit/app/run/atomic.ts';
import { readCheckpoint, sha256, writeCheckpoint } from '../../remit/app/run/checkpoint.ts';
import { environment } from '../../remit/app/run/environment.ts';
import { claimFolder, RunFolder, StoppedError } from '../../remit/app/run/folder.ts';
import { BusyError, lock } from '../../remit/app/run/lock.ts';
import { openModel } from '../../remit/app/run/model.ts';
import { clock, Progress, short } from '../../remit/app/run/progress.ts';
import { temporaryFolder } from '../support/temporary.ts';

const scratch = temporaryFolder();
const config = resolveConfig({ flags: [['model.width', '8'], ['model.layers', '1'], ['model.heads', '2']] }).config;
const record = (step: number, steps = 3) => ({
  phase: 'pretrain',
  step,
  steps,
  loss: 4 - step,
  rate: 0.1,
  gradNorm: 1,
  tokens: 100 * step,
});

function model(seed = 1): Transformer {
  return new Transformer({ ...config.model, vocabulary: tinyWorldTokenizer.vocabulary }, rng(seed));
}

function newRun(name: string): RunFolder {
  return new RunFolder(claimFolder(join(scratch, name), 'unused'), {
    config,
    environment: environment('0.0.0', 'cpu'),
    tokenizer: tinyWorldTokenizer,
  });
}

beforeAll(async () => {
  await createDevice('cpu');
});

describe('claiming a folder', () => {
  test('a new one is made, with its parents; an empty one is taken', () => {
    const path = join(scratch, 'a', 'b');
    expect(claimFolder(path, 'x')).toBe(path);
    expect(claimFolder(path, 'x')).toBe(path);
    expect(readdirSync(path)).toEqual([]);
  });

  test('one that holds anything is refused and left alone', () => {
    const path = join(scratch, 'full');
    mkdirSync(path);
    writeFileSync(join(path, 'thesis.txt'), 'years of work');
    expect(() => claimFolder(path, 'x')).toThrow(
      new ConfigError(`run: ${path}: exists and is not empty: choose another --out`),
    );
    expect(readFileSync(join(path, 'thesis.txt'), 'utf8')).toBe('years of work');
    expect(() => claimFolder(join(path, 'thesis.txt'), 'x')).toThrow(
      new ConfigError(`run: ${join(path, 'thesis.txt')}: is a file: choose another --out`),
    );
  });

  test('without a wish, the first free number is taken', () => {
    const before = process.cwd();
    try {
      process.chdir(scratch);
      expect([claimFolder(undefined, 'tiny'), claimFolder(undefined, 'tiny'), claimFolder(undefined, 'text')])
        .toEqual([join('runs', 'tiny-1'), join('runs', 'tiny-2'), join('runs', 'text-1')]);
    } finally {
      process.chdir(before);
    }
  });
});

describe('a run folder', () => {
  test('holds config, environment, one line per step without a clock, and the checkpoint of a phase', async () => {
    const run = newRun('whole');
    for (const step of [1, 2, 3]) run.log(record(step));
    await run.save('pretrain', model());
    run.report('evaluation', { cued: 0.5 });
    run.close();

    const read = (name: string): string => readFileSync(join(run.path, name), 'utf8');
    expect(JSON.parse(read('config.json'))).toEqual(config);
    expect(JSON.parse(read('env.json'))).toMatchObject({ device: 'cpu', node: process.versions.node });
    expect(read('metrics.jsonl')).toBe([1, 2, 3].map((step) => `${JSON.stringify(record(step))}\n`).join(''));
    expect(
      read('timing.jsonl')
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { step: number }).step),
    ).toEqual([1, 2, 3]);
    expect(JSON.parse(read('evaluation.json'))).toEqual({ cued: 0.5 });
    expect(readdirSync(run.path).sort()).toEqual([
      'checkpoints', 'config.json', 'env.json', 'evaluation.json', 'metrics.jsonl', 'timing.jsonl',
    ]);
    expect(readdirSync(join(run.path, 'checkpoints'))).toEqual(['pretrain.safetensors']);
    const { place } = readCheckpoint(run.checkpoint('pretrain'));
    expect(place).toEqual({ phase: 'pretrain', step: 3, seed: 0, configHash: sha256(read('config.json')) });
  });

  test('is for one process at a time; when that is gone, the next one may', () => {
    const run = newRun('locked');
    const path = join(run.path, 'lock');
    const again = (): RunFolder =>
      new RunFolder(claimFolder(run.path, 'unused', 'required'), {
        config,
        environment: environment('0.0.0', 'cpu'),
        tokenizer: tinyWorldTokenizer,
      });
    expect(again).toThrow(
      new BusyError(
        `run: ${run.path}: process ${process.pid} is at work in it: wait for its end, or choose another --out`,
      ),
    );
    run.close();
    expect(existsSync(path)).toBe(false);
    // the fourth: a process of the same number, from before
    for (const stale of ['', 'nonsense', '4194305 1\n', `${process.pid} 1\n`, '-1 1\n']) {
      writeFileSync(path, stale);
      again().close();
      expect(existsSync(path)).toBe(false);
    }
  });

  test.runIf(process.platform === 'linux')(
    'waits for a process that is on its way out, and not for one that has ended and lingers',
    async () => {
      const folder = join(scratch, 'waiting');
      const path = join(folder, 'lock');
      mkdirSync(folder);
      // a parent that never asks how its child ended
      const shell = spawn('sh', ['-c', 'sleep 1 & echo $!; exec sleep 100']);
      const [pid] = (await once(shell.stdout, 'data')) as [Buffer];
      const stat = readFileSync(`/proc/${Number(pid)}/stat`, 'utf8');
      const claim = `${Number(pid)} ${stat.split(' ')[21]}\n`;
      writeFileSync(path, claim);
      expect(() => lock(folder, 100)).toThrow(
        new BusyError(
          `run: ${folder}: process ${Number(pid)} is at work in it: wait for its end, or choose another --out`,
        ),
      );
      lock(folder, 60_000).release();
      expect(readFileSync(`/proc/${Number(pid)}/stat`, 'utf8')).toContain(') Z ');
      writeFileSync(path, claim);
      lock(folder, 0).release();
      shell.kill();
    },
  );

  test('keeps the best model of a phase beside its result, and knows it again when it goes on', async () => {
    let run = newRun('best');
    const look = async (step: number, loss: number): Promise<number> =>
      (await run.saveBest('pretrain', step, model(step), loss)).step;
    expect([await look(10, 3), await look(20, 2), await look(30, 2.5), await look(40, 2)]).toEqual([10, 20, 20, 20]);
    run.close();
    run = new RunFolder(claimFolder(run.path, 'unused', 'required'), {
      config,
      environment: environment('0.0.0', 'cpu'),
      tokenizer: tinyWorldTokenizer,
    });
    expect([await look(25, 2.1), await look(30, 1.9)]).toEqual([20, 30]);
    run.close();
    const path = join(run.path, 'checkpoints', 'pretrain.best.safetensors');
    const { place } = readCheckpoint(path);
    expect(place).toMatchObject({ phase: 'pretrain', step: 30, loss: 1.9 });
    expect(await openModel(path).model.parameters.toHost()).toEqual(await model(30).parameters.toHost());
    expect(() => openModel(run.path)).toThrow(ConfigError); // the model of a run is the one that it ended with
  });

  test('a stop is seen by the phase, and its save is the last thing that happens', async () => {
    const run = newRun('stopped');
    run.log(record(1));
    expect(run.stopping).toBe(false);
    run.stop();
    run.log(record(2));
    expect(run.stopping).toBe(true);
    await expect(run.save('pretrain', model())).rejects.toThrow(new StoppedError('stopped after pretrain'));
    run.close();
    expect(readFileSync(join(run.path, 'metrics.jsonl'), 'utf8').trim().split('\n')).toHaveLength(2);
    expect(readCheckpoint(run.checkpoint('pretrain')).place.step).toBe(2);
  });
});

describe('a checkpoint', () => {
  const place = { phase: 'midtrain', step: 7, seed: 3, configHash: 'abc' };

  test('brings back the same model, from the file, its folder or the run folder', async () => {
    const folder = join(scratch, 'run-with-model', 'checkpoints');
    mkdirSync(folder, { recursive: true });
    const original = model(5);
    await writeCheckpoint(join(folder, 'pretrain.safetensors'), model(6), tinyWorldTokenizer, place);
    await writeCheckpoint(join(folder, 'midtrain.safetensors'), original, tinyWorldTokenizer, place);
    const expected = await original.parameters.toHost();
    expect(() => openModel(folder)).toThrow(
      new ConfigError(`model: ${folder}: holds checkpoints of midtrain, pretrain: name one of them`),
    );
    writeFileSync(
      join(folder, '..', 'metrics.jsonl'),
      ['pretrain', 'midtrain'].map((phase) => `${JSON.stringify({ ...record(1), phase })}\n`).join(''),
    );
    for (const path of [join(folder, 'midtrain.safetensors'), folder, join(folder, '..')]) {
      const opened = openModel(path);
      expect(opened.source.endsWith('midtrain.safetensors')).toBe(true);
      expect(opened.model.config).toEqual(original.config);
      expect(opened.tokenizer?.encode('^S1')).toEqual(tinyWorldTokenizer.encode('^S1'));
      expect(await opened.model.parameters.toHost()).toEqual(expected);
    }
  });

  test('is the same bytes each time, and leaves no other file', async () => {
    const folder = join(scratch, 'twice');
    mkdirSync(folder);
    await writeCheckpoint(join(folder, 'a'), model(), tinyWorldTokenizer, place);
    await writeCheckpoint(join(folder, 'b'), model(), tinyWorldTokenizer, place);
    expect(readFileSync(join(folder, 'a')).equals(readFileSync(join(folder, 'b')))).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['a', 'b']);
  });

  test('any single flipped bit is found', async () => {
    const path = join(scratch, 'flipped.safetensors');
    await writeCheckpoint(path, model(), tinyWorldTokenizer, place);
    const whole = readFileSync(path);
    const expected = readCheckpoint(path);
    fc.assert(fc.property(fc.nat(whole.length - 1), fc.nat(7), (byte, bit) => {
      const damaged = Buffer.from(whole);
      damaged[byte]! ^= 1 << bit;
      writeFileSync(path, damaged);
      expect(() => readCheckpoint(path)).toThrow(FormatError);
    }), { numRuns: 300 });
    writeFileSync(path, whole);
    expect(readCheckpoint(path).tensors).toEqual(expected.tensors);
  });

  test('a file cut short, and a foreign one, are named', async () => {
    const path = join(scratch, 'cut.safetensors');
    await writeCheckpoint(path, model(), tinyWorldTokenizer, place);
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, whole.length - 1));
    expect(() => openModel(path)).toThrow(/^safetensors: .*cut\.safetensors: .*cut short$/);
    expect(readSafetensors(whole, 'x').metadata.get('phase')).toBe('midtrain');
    writeFileSync(path, Buffer.from('\x08\0\0\0\0\0\0\0{}      '));
    expect(() => openModel(path)).toThrow(
      new FormatError(`checkpoint: ${path}: has no "sha256" in its metadata: not a checkpoint of remit-mini`),
    );
  });

  test('what is no model at all is said so', () => {
    const empty = join(scratch, 'nothing-here');
    mkdirSync(empty);
    expect(() => openModel(empty)).toThrow(
      new ConfigError(`model: ${empty}: is no run folder and no Hugging Face folder: it holds nothing`),
    );
    expect(() => openModel(join(empty, 'no'))).toThrow(
      new ConfigError(`model: ${join(empty, 'no')}: no such file or folder`),
    );
  });
});

test('an atomic write that fails leaves the old file and no other', () => {
  const folder = join(scratch, 'atomic');
  mkdirSync(join(folder, 'taken'), { recursive: true });
  writeAtomically(join(folder, 'a'), 'old');
  expect(() => writeAtomically(join(folder, 'taken'), 'new')).toThrow(); // a folder cannot be replaced by a file
  writeAtomically(join(folder, 'a'), 'new');
  expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('new');
  expect(readdirSync(folder).sort()).toEqual(['a', 'taken']);
  expect(existsSync(join(folder, 'taken'))).toBe(true);
});

describe('progress', () => {
  /** Everything that ten steps, one every `seconds`, write. */
  function show({
    seconds, isTTY, columns = 80, colors = false, env = {},
  }: {
    seconds: number;
    isTTY: boolean;
    columns?: number;
    colors?: boolean;
    env?: Record<string, string>;
  }): string {
    for (const [name, value] of Object.entries({ CI: '', TERM: 'xterm', ...env })) vi.stubEnv(name, value);
    let text = '';
    let now = 100;
    const screen = {
      write: (part: string) => {
        text += part;
      },
      isTTY,
      columns,
      hasColors: () => colors,
    };
    const progress = new Progress(screen, () => now);
    for (let step = 1; step <= 10; step++) {
      progress.update({ ...record(step, 10), loss: 2, tokens: step * 1000 });
      now += seconds;
    }
    vi.unstubAllEnvs();
    return text;
  }

  test('off a terminal: a plain line every five seconds and one at the end', () => {
    expect(show({ seconds: 2, isTTY: false })).toBe([
      'phase=pretrain step=4/10 loss=2.0000 tok/s=500 elapsed=0:06 eta=0:12',
      'phase=pretrain step=7/10 loss=2.0000 tok/s=500 elapsed=0:12 eta=0:06',
      'phase=pretrain step=10/10 loss=2.0000 tok/s=500 elapsed=0:18 eta=0:00',
      '',
    ].join('\n'));
  });

  test('on a terminal: one line, redrawn at most ten times a second, ended at the end', () => {
    const text = show({ seconds: 0.05, isTTY: true });
    const frames = text.split('\r\x1b[2K').slice(1);
    expect(frames.length).toBeGreaterThanOrEqual(4);
    expect(frames.length).toBeLessThanOrEqual(6);
    expect(frames.at(-1)).toBe(`pretrain 10/10 ${'█'.repeat(26)}  loss 2.000  20.0k tok/s  0:00 < 0:00\n`);
    expect(text.match(/\n/g)).toHaveLength(1);
  });

  test('the line is never as wide as the terminal', () => {
    for (const columns of [1, 2, 10, 40, 60, 80, 200]) {
      for (const frame of show({ seconds: 1, isTTY: true, columns }).split('\r\x1b[2K')) {
        expect(frame.replace('\n', '').length).toBeLessThan(columns);
      }
    }
  });

  test('a terminal of 0 columns has 80; where there is little room, the speed goes first, then the times', () => {
    const last = (columns: number): string =>
      show({ seconds: 1, isTTY: true, columns }).split('\r\x1b[2K').at(-1)!.trimEnd();
    expect(last(0)).toBe(last(80));
    expect(last(40)).toBe('pretrain 10/10  loss 2.000  0:09 < 0:00');
    expect(last(30)).toBe('pretrain 10/10 ██  loss 2.000');
    expect(last(16)).toBe('pretrain 10/10');
  });

  test('of reinforcement learning, the reward', () => {
    let text = '';
    const progress = new Progress({ write: (part: string) => { text += part; }, isTTY: false }, () => 0);
    progress.update({ ...record(10, 10), reward: 0.5 });
    expect(text).toContain(' reward=0.5000 ');
  });

  test.each([[{ CI: 'true' }], [{ TERM: 'dumb' }]])('with %o there are no control codes', (env) => {
    expect(show({ seconds: 2, isTTY: true, env })).not.toMatch(/[\x1b\r]/);
  });

  test('colour only where the terminal says so', () => {
    expect(show({ seconds: 1, isTTY: true, colors: true })).toContain('\x1b[36m');
    expect(show({ seconds: 1, isTTY: true, colors: false })).not.toContain('\x1b[36m');
  });

  test('numbers for people', () => {
    expect([7, 723, 3723, NaN].map(clock)).toEqual(['0:07', '12:03', '1:02:03', '?']);
    expect([7, 12_345, 2_500_000, NaN].map(short)).toEqual(['7', '12.3k', '2.5M', '?']);
  });
});
