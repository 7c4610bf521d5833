// A run can be trained again to the same bits, whatever its kind, and what was changed in its folder is found, by its
// place. And the list of runs: how far each came.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { readSafetensors, writeSafetensors, type TensorToWrite } from '../../engine/safetensors.ts';
import { EXIT } from '../../remit/app/cli/exit.ts';
import { runsTable } from '../../remit/app/cli/runs.ts';
import { sha256 } from '../../remit/app/run/checkpoint.ts';
import { lock } from '../../remit/app/run/lock.ts';
import type { Overview } from '../../remit/app/run/overview.ts';
import { inProcess } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary.ts';

const scratch = temporaryFolder();
const runs = join(scratch, 'runs');
const temporary = join(scratch, 'temporary'); // this file's own: others verify runs at the same time
const at = (name: string): string => join(runs, name);
const shape = ['--model.width', '8', '--model.layers', '1', '--model.heads', '2'];
const pretraining = ['--pretrain.steps', '3', '--pretrain.warmup', '0', '--pretrain.batch', '2'];
const others = [
  '--midtrain.steps', '2', '--midtrain.batch', '2', '--sft.steps', '2', '--sft.batch', '2', '--rl.steps', '2',
  '--rl.warmup', '0', '--rl.prompts', '2', '--rl.samples', '2',
];
const train = async (...args: string[]): Promise<void> => {
  const { code, stderr } = await inProcess(['train', ...args]);
  expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
};

beforeAll(async () => {
  const text = join(scratch, 'text.txt');
  mkdirSync(runs);
  mkdirSync(temporary);
  vi.stubEnv('TMPDIR', temporary);
  vi.stubEnv('TEMP', temporary);
  writeFileSync(text, 'the cat sat on the mat. '.repeat(60));
  await train(...shape, ...pretraining, ...others, '--evaluate.questions', '1', '--out', at('whole'));
  const { config } = { config: join(at('whole'), 'config.json') };
  const checkpoint = (phase: string): string => join(at('whole'), 'checkpoints', `${phase}.safetensors`);
  await train('pretrain', '--config', config, '--seed', '3', '--out', at('pretrain'));
  await train('midtrain', '--config', config, '--init', checkpoint('pretrain'), '--out', at('midtrain'));
  await train('rl', '--config', config, '--init', checkpoint('sft'), '--out', at('rl'));
  await train(
    'remit',
    '--config',
    config,
    '--init',
    checkpoint('pretrain'),
    '--reference',
    checkpoint('rl'),
    '--out',
    at('remit'),
  );
  await train('--data', text, ...shape, '--model.context', '16', ...pretraining, '--out', at('text'));
}, 120_000);

/** A copy of a run, changed. */
function changed(name: string, copy: string, change: (folder: string) => void): string {
  const folder = join(scratch, copy);
  cpSync(at(name), folder, { recursive: true });
  change(folder);
  return folder;
}

const verify = (...args: string[]) => inProcess(['verify', ...args]);
const everything = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();

describe('verify', () => {
  test.each<[string, string[], string]>([
    [
      'whole',
      [],
      'the same, bit for bit: 2 lines of metrics, 1 checkpoint and all scores\nnot trained again: pretrain, ' +
      'midtrain, sft, rl, remit and remit-sft: --whole does that\n',
    ],
    ['whole', ['--whole'], 'the same, bit for bit: 15 lines of metrics, 7 checkpoints and all scores\n'],
    ['pretrain', [], 'the same, bit for bit: 3 lines of metrics, 1 checkpoint and all scores\n'],
    ['midtrain', [], 'the same, bit for bit: 2 lines of metrics, 1 checkpoint and all scores\n'],
    ['rl', ['--whole'], 'the same, bit for bit: 2 lines of metrics, 1 checkpoint and all scores\n'],
    ['remit', [], 'the same, bit for bit: 2 lines of metrics, 1 checkpoint and all scores\n'],
    ['text', [], 'the same, bit for bit: 3 lines of metrics, 1 checkpoint and its loss\n'],
  ])('a run of %s %j', async (name, more, said) => {
    const files = everything(at(name));
    expect(await verify(at(name), ...more)).toMatchObject({ code: EXIT.ok, stdout: `${at(name)}: ${said}` });
    expect([everything(at(name)), readdirSync(temporary)]).toEqual([files, []]); // it writes nowhere
  });

  test('a line of metrics that was changed is found, by line, step and number', async () => {
    const folder = changed('whole', 'metrics', (path) => {
      const file = join(path, 'metrics.jsonl');
      const lines = readFileSync(file, 'utf8').split('\n');
      lines[4] = lines[4]!.replace(/"loss":[\d.]+/, '"loss":1.25');
      writeFileSync(file, lines.join('\n'));
    });
    const { code, stdout } = await verify(folder, '--whole');
    expect(code).toBe(EXIT.different);
    expect(stdout).toMatch(
      /metrics: different: metrics\.jsonl:5: midtrain, step 2: loss\n {2}stored {9}1\.25\n {2}trained again {2}\d\.\d+\n$/,
    );
    expect((await verify(folder)).code).toBe(EXIT.ok); // the last phase is as it was
  });

  test('lines that are written otherwise, missing, or too many', async () => {
    const edit = (change: (lines: string[]) => string[]) => (path: string): void => {
      const file = join(path, 'metrics.jsonl');
      writeFileSync(file, change(readFileSync(file, 'utf8').trim().split('\n')).map((line) => `${line}\n`).join(''));
    };
    const spaced = changed(
      'pretrain',
      'spaced',
      edit((lines) => lines.map((line, i) => (i === 1 ? line.replace(',', ', ') : line))),
    );
    expect(await verify(spaced)).toMatchObject({
      code: EXIT.different,
      stdout: expect.stringContaining('metrics.jsonl:2: pretrain, step 2\n'),
    });
    const fewer = changed('pretrain', 'fewer', edit((lines) => lines.slice(0, 2)));
    expect(await verify(fewer)).toMatchObject({
      code: EXIT.different,
      stdout: expect.stringMatching(/metrics\.jsonl:3: pretrain, step 3\n {2}stored {9}nothing\n/),
    });
    const more = changed(
      'pretrain',
      'more',
      edit((lines) => [...lines, lines.at(-1)!.replace('"step":3', '"step":4')]),
    );
    expect(await verify(more)).toMatchObject({
      code: EXIT.different,
      stdout: expect.stringMatching(
        /metrics\.jsonl:4\n.*"step":4.*\n {2}trained again {2}nothing: the run ends before\n/,
      ),
    });
  });

  test.each([true, false])(
    'a number of a checkpoint that was changed is found, by tensor and index; with a checksum that fits: %s',
    async (fits) => {
      const name = 'model.layers.0.self_attn.o_proj.weight';
      const folder = changed('pretrain', `weights-${fits}`, (path) => {
        const file = join(path, 'checkpoints', 'pretrain.safetensors');
        const { tensors, metadata } = readSafetensors(readFileSync(file), file);
        tensors.get(name)!.data[11] = 0.5; // [8,8]: row 1, column 3
        const entries = [...tensors] as [string, TensorToWrite][];
        const checksum = metadata.get('sha256')!;
        metadata.delete('sha256');
        metadata.set('sha256', fits ? sha256(writeSafetensors(entries, metadata)) : checksum);
        writeFileSync(file, writeSafetensors(entries, metadata));
      });
      const { code, stdout } = await verify(folder);
      expect(code).toBe(EXIT.different);
      expect(stdout).toContain(
        `: different: checkpoints/pretrain.safetensors: ${name}[1,3]\n  stored         0.5\n  trained again  `,
      );
    },
  );

  test('a checkpoint that is no checkpoint any more, and a score that was improved', async () => {
    const cut = changed('pretrain', 'cut', (path) =>
      writeFileSync(join(path, 'checkpoints', 'pretrain.safetensors'), 'cut short'),
    );
    expect(await verify(cut)).toMatchObject({
      code: EXIT.different,
      stdout: expect.stringContaining(': different: checkpoints/pretrain.safetensors\n'),
    });
    const better = changed('pretrain', 'better', (path) => {
      const file = join(path, 'evaluation.json');
      const evaluation = JSON.parse(readFileSync(file, 'utf8')) as { stages: { evaluation: { cued: number } }[] };
      evaluation.stages[0]!.evaluation.cued = 0.99;
      writeFileSync(file, JSON.stringify(evaluation));
    });
    expect(await verify(better)).toMatchObject({
      code: EXIT.different,
      stdout: expect.stringMatching(
        /different: evaluation\.json: stages\[0\]: evaluation: cued\n {2}stored {9}0\.99\n/,
      ),
    });
  });

  test('one that was interrupted, as far as it came', async () => {
    const folder = changed('whole', 'interrupted', (path) => {
      const file = join(path, 'metrics.jsonl');
      writeFileSync(file, readFileSync(file, 'utf8').split('\n').slice(0, 6).map((line) => `${line}\n`).join(''));
      for (const phase of ['sft', 'rl', 'remit', 'remit-sft', 'remit-rl']) {
        rmSync(join(path, 'checkpoints', `${phase}.safetensors`));
      }
      rmSync(join(path, 'evaluation.json'));
    });
    expect(await verify(folder)).toMatchObject({
      code: EXIT.ok,
      stdout:
        `${folder}: the same, bit for bit: 1 line of metrics\nnot trained again: pretrain and midtrain: --whole does ` +
        `that\nsft was interrupted: compared as far as it came\n`,
    });
    expect(await verify(folder, '--whole')).toMatchObject({
      code: EXIT.ok,
      stdout: expect.stringContaining('6 lines of metrics and 2 checkpoints\n'),
    });
  });

  test('another machine is said', async () => {
    const folder = changed('pretrain', 'elsewhere', (path) => {
      const file = join(path, 'env.json');
      writeFileSync(
        file,
        JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), device: 'webgpu (x)', v8: '0.1' }),
      );
    });
    const { code, stdout, stderr } = await verify(folder, '--device', 'cpu');
    expect([code, stdout]).toEqual([
      EXIT.ok,
      expect.stringContaining(`it was made elsewhere: v8 0.1 then, ${process.versions.v8} now\n`),
    ]);
    expect(stderr).toContain('this run began on webgpu (x) and goes on on cpu: the last bits will differ');
  });

  test('what cannot be verified is said in one line', async () => {
    const other = join(scratch, 'other.txt');
    const cell = changed('pretrain', 'cell', (path) => writeFileSync(join(path, 'env.json'), '{"plan":"a study"}'));
    writeFileSync(other, 'something else. '.repeat(60));
    const held = lock(at('rl'));
    const cases: [string[], string][] = [
      [[], 'verify: which run? Give its folder'],
      [[join(scratch, 'no')], `verify: ${join(scratch, 'no')}: no such folder`],
      [[scratch], `verify: ${scratch}: holds no run: there is no config.json`],
      [[cell], `verify: ${cell}: is a part of a study, which depends on others: only runs of train can be verified`],
      [[at('rl')], `verify: ${at('rl')}: a process is at work in it: wait for its end`],
      [[at('pretrain'), '--device', 'tpu'], 'verify: --device tpu: must be auto, cpu or webgpu'],
    ];
    for (const [args, message] of cases) {
      expect(await verify(...args)).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringMatching(new RegExp(`error: ${message.replaceAll(/[.?]/g, '\\$&')}\n$`)),
      });
    }
    held.release();
    expect(await verify(at('text'), '--data', other)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('began with other text (--data): 1440 characters then, 960 now'),
    });
    expect(readdirSync(temporary)).toEqual([]);
  });
});

describe('runs', () => {
  test('a line for each: how far it came, what it scored, its state', async () => {
    const half = changed('whole', 'runs/half', (path) => rmSync(join(path, 'checkpoints', 'remit-rl.safetensors')));
    changed('whole', 'runs/broken', (path) => writeFileSync(join(path, 'metrics.jsonl'), 'ha\n'));
    mkdirSync(at('not a run'));
    mkdirSync(join(at('study'), 'seed-1', 'base'), { recursive: true });
    for (const name of ['study.json', 'seed-1/base/result.json']) writeFileSync(join(at('study'), name), '{}');
    ['whole', 'half', 'text', 'broken', 'study'].forEach((name, i) => {
      for (const file of ['metrics.jsonl', 'evaluation.json', 'env.json', 'study.json']) {
        if (existsSync(join(at(name), file))) utimesSync(join(at(name), file), i, 86_400 * (i + 1));
      }
    });
    const held = lock(half);
    const { code, stdout } = await inProcess(['runs', runs]);
    const lines = stdout.trimEnd().split('\n').map((line) => line.split(/ {2,}/));
    held.release();
    expect(code).toBe(0);
    expect(lines[0]).toEqual(['run', 'stage', 'seed', 'steps', 'cued', 'sampled', 'date', 'state']);
    expect(lines.slice(1, 3)).toEqual([
      [
        'whole',
        'remit-rl',
        '0',
        '15/15',
        expect.stringMatching(/^\d+\.\d$/),
        expect.stringMatching(/^\d+\.\d$/),
        '1970-01-02',
        'done',
      ],
      [
        'half',
        'remit-rl',
        '0',
        '15/15',
        expect.stringMatching(/^\d+\.\d$/),
        expect.stringMatching(/^\d+\.\d$/),
        '1970-01-03',
        'running',
      ],
    ]);
    expect(lines[3]).toEqual([
      'text',
      'pretrain',
      '0',
      '3/3',
      expect.stringMatching(/^\d\.\d\d$/),
      'bits',
      '1970-01-04',
      'done',
    ]);
    expect(lines.slice(4, 6)).toEqual([
      ['broken', '1970-01-05', 'damaged'],
      ['study', 'study', '1 runs', '1970-01-06', 'interrupted'],
    ]);
    expect(lines.slice(6).map(([name, stage, seed]) => [name, stage, seed])).toEqual([
      ['pretrain', 'pretrain', '3'],
      ['midtrain', 'midtrain', '0'],
      ['rl', 'rl', '0'],
      ['remit', 'remit', '0'],
    ]);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThan(80);
  });

  test('a run by itself, none, no folder', async () => {
    expect((await inProcess(['runs', at('rl')])).stdout.split('\n')[1]).toMatch(/^rl +rl +0 +2\/2 .* done$/);
    expect(await inProcess(['runs', at('not a run')])).toMatchObject({
      code: 0,
      stdout: `${at('not a run')}: holds no runs\n`,
    });
    expect(await inProcess(['runs', join(scratch, 'no')])).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: runs: ${join(scratch, 'no')}: no such folder\n`,
    });
    expect(JSON.parse((await inProcess(['runs', at('rl'), '--json'])).stdout)).toMatchObject([
      { kind: 'run', stage: 'rl', state: 'done' },
    ]);
  });

  test('fits 80 columns, whatever the names and numbers', () => {
    const one: Overview = {
      path: `runs/${'long'.repeat(40)}-7\u001b[31m`,
      kind: 'run',
      stage: 'remit20-sft',
      seed: 0xffff_ffff,
      steps: 99_999_999,
      ofSteps: 100_000_000,
      scores: { cued: 1, sampled: 1 },
      bits: undefined,
      loss: 1,
      date: new Date(),
      state: 'interrupted',
    };
    const lines = runsTable([one, { ...one, path: 'runs/b' }]).split('\n');
    for (const line of lines) expect(line.length).toBeLessThan(80);
    expect(lines[1]).toMatch(/^….*\[31m/);
    const usual = runsTable([{ ...one, seed: 12, steps: 1945, ofSteps: 1945 }]).split('\n');
    for (const line of usual) expect(line.length).toBeLessThan(80);
  });
});
