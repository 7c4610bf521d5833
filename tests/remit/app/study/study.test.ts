// A study on the command line: its plan, what is wrong with it in one line, and that one which was killed ends with the
// same bytes.

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError, RemitError } from '../../../../engine/errors.ts';
import { resolveConfig } from '../../../../remit/settings/resolve.ts';
import { configOf } from '../../../../remit/app/study/cell.ts';
import { StudyFolder } from '../../../../remit/app/study/folder.ts';
import { allCells, parseArms, parseSeeds, type Cell } from '../../../../remit/app/study/plan.ts';
import { runCells } from '../../../../remit/app/study/schedule.ts';
import { inProcess, remitMini, startRemitMini } from '../../../support/command-line.ts';
import { temporaryFolder } from '../../../support/temporary.ts';

const scratch = temporaryFolder();
const small = [
  '--set', 'model.width=8', '--set', 'model.layers=1', '--set', 'model.heads=2', '--pretrain.warmup', '0',
  '--rl.warmup', '0', '--pretrain.steps', '8', '--midtrain.steps', '10', '--sft.steps', '2', '--rl.steps', '2',
  '--rl.prompts', '2', '--rl.samples', '2', '--pretrain.batch', '4', '--midtrain.batch', '4', '--sft.batch', '4',
  '--evaluate.questions', '1',
];

describe('the plan', () => {
  const options = { arms: parseArms('all'), seeds: [1, 2], turns: 2 };
  const cells = allCells(options);

  test('has every arm of every seed, once', () => {
    expect(cells).toHaveLength(2 * 14);
    expect(new Set(cells.map(({ name }) => name)).size).toBe(28);
    expect(cells.filter(({ seed }) => seed === 1).map(({ name }) => name.slice(7))).toEqual([
      'base', 'vanilla', 'remit.2', 'remit.2-turn2', 'remit.5', 'remit.5-turn2', 'shuffled.2', 'shuffled-rows.2',
      'normalised.2', 'sft-guided.2', 'kd.5', 'rho.6', 'vanilla+33%', 'analysis',
    ]);
  });

  test('no cell needs one that comes later, and all of a seed', () => {
    cells.forEach(({ needs, seed }, i) => {
      for (const name of needs) expect(cells.slice(0, i).map((cell) => cell.name)).toContain(name);
      expect(needs.every((name) => name.startsWith(`seed-${seed}/`))).toBe(true);
    });
    const needs = Object.fromEntries(cells.map((cell) => [cell.name, cell.needs]));
    expect(needs['seed-1/remit.2']).toEqual(['seed-1/base', 'seed-1/vanilla']);
    expect(needs['seed-1/remit.2-turn2']).toEqual(['seed-1/base', 'seed-1/remit.2']);
    expect(needs['seed-2/vanilla+33%']).toEqual(['seed-2/base']);
  });

  test('a light one post-trains what guides, and no more', () => {
    const light = allCells({ arms: parseArms('remit.5,shuffled.2'), seeds: [3], turns: 1, light: true });
    expect(light.map(({ name, work }) => [name, typeof work === 'object' && work.arm.postTrained === true])).toEqual([
      ['seed-3/base', false], ['seed-3/vanilla', true], ['seed-3/remit.5', false], ['seed-3/shuffled.2', false],
    ]);
  });

  test('an arm sets its method and nothing else; a third more steps are a third more', () => {
    const study = resolveConfig({ flags: [['midtrain.steps', '30']] }).config;
    const cell = (name: string) => cells.find((one) => one.name === `seed-2/${name}`)!;
    expect(configOf(cell('base'), study)).toEqual({ ...study, seed: 2 });
    expect(configOf(cell('remit.5'), study)).toEqual({
      ...study,
      seed: 2,
      remit: { ...study.remit, arm: 'remit', epsilon: 0.5 },
    });
    expect(configOf(cell('vanilla+33%'), study).midtrain).toEqual({ ...study.midtrain, steps: 40 });
  });

  test('seeds and arms as people write them', () => {
    expect(parseSeeds('1-3, 7,2')).toEqual([1, 2, 3, 7]);
    expect(parseArms('kd.5').map(({ name }) => name)).toEqual(['vanilla', 'kd.5']);
  });
});

test('a cell that cannot be started, when the one before it has ended, is named', async () => {
  const cells = allCells({ arms: parseArms('vanilla'), seeds: [1], turns: 1, light: true });
  const start = ({ needs }: Cell): ChildProcess => {
    if (needs.length > 0) throw new Error('ENOSPC: no space left on device');
    return spawn(process.execPath, ['--eval', '']);
  };
  await expect(runCells(cells, { jobs: 2, isDone: () => false, start })).rejects.toThrow(
    new RemitError('study: seed-1/vanilla: cannot be started: ENOSPC: no space left on device'),
  );
});

test.each<[string[], string]>([
  [
    ['--arms', 'remit.3'],
    'study: --arms remit.3: no such arm: there are vanilla, remit.2, remit.5, shuffled.2, shuffled-rows.2, ' +
    'normalised.2, sft-guided.2, kd.5, rho.6, vanilla+33%: did you mean remit.2?',
  ],
  [['--seeds', '3-1'], 'study: --seeds 3-1: must be like 1-8 or 1,2,5'],
  [['--seeds', 'one'], 'study: --seeds one: must be like 1-8 or 1,2,5'],
  [['--iterations', '0'], 'study: --iterations 0: must be a whole number from 1 to 20'],
  [['--jobs', 'all'], 'study: --jobs all: must be a whole number from 1 to 1024'],
  [['--data', 'x.txt'], 'study: --data: a study is about the tiny world, whose answers can be checked: leave it out'],
  [
    ['--cell', 'seed-1/base', '--out', join(scratch, 'none')],
    `study: ${join(scratch, 'none')}: holds no study: there is no study.json`,
  ],
])('study %j', async (args, message) => {
  expect(await inProcess(['study', ...args])).toEqual({ code: 2, stdout: '', stderr: `error: ${message}\n` });
});

describe('a study', () => {
  const study = (out: string): string[] => [
    'study', ...small, '--arms', 'remit.2', '--seeds', '1-2', '--iterations', '1', '--light', '--jobs', '2', '--out',
    out,
  ];
  const [whole, killed] = [join(scratch, 'whole'), join(scratch, 'killed')];
  const reports = ['report.md', 'report.json', 'report.csv'];

  /** What a study says at its end. */
  const written = (folder: string): string =>
    `the same as Markdown, JSON and CSV: ${reports.map((name) => join(folder, name)).join(', ')}\n`;

  test('ends with a report of every arm and seed', () => {
    const { code, stdout, stderr } = remitMini(study(whole));
    expect(stderr).toMatch(
      /6 runs, 0 of them done, 2 at a time\nabout \d+:\d\d to go, by a few steps measured just now; .*\n/,
    );
    expect(stderr).toMatch(/\n( +\d\/6 +seed-[12]\/(base|vanilla|remit\.2) .*\n){6}the same as/);
    expect(stderr.endsWith(written(whole))).toBe(true);
    expect(code).toBe(0);
    expect(stdout).toContain('## After mid-training, SFT and RL');
    expect(stdout).toMatch(/^remit\.2 .*\[/m);
    // seeds, stages, ten tasks and their mean
    expect(readFileSync(join(whole, 'report.csv'), 'utf8').split('\n')).toHaveLength(1 + 2 * (1 + 3 + 1) * 11 + 1);
    const others = ['figures', 'logs', 'plan.json', 'seed-1', 'seed-2', 'study.json'];
    expect(readdirSync(whole).sort()).toEqual([...others, ...reports].sort());
  }, 60_000);

  test('killed at any moment, goes on with the same command and ends with the same bytes', async () => {
    const child = startRemitMini(study(killed));
    // a cell is done, and one under way
    while (!existsSync(join(killed, 'seed-1/vanilla/metrics.jsonl'))) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(existsSync(join(killed, 'report.md'))).toBe(false);
    const { code, stderr } = remitMini(study(killed));
    expect(code, stderr).toBe(0);
    for (const name of reports) {
      expect(readFileSync(join(killed, name)).equals(readFileSync(join(whole, name))), name).toBe(true);
    }
    const there = StudyFolder.open(killed);
    const cells = ['base', 'vanilla', 'remit.2'].flatMap((arm) => [1, 2].map((seed) => `seed-${seed}/${arm}`));
    const attempts = cells.map((name) => there.attempts({ name }));
    expect(attempts.filter(({ completions }) => completions > 1)).toEqual([]); // nothing is done twice
    expect(attempts.filter(({ starts }) => starts > 1).length).toBeLessThanOrEqual(2); // but what was under way
    for (const cell of ['seed-1/vanilla', 'seed-2/remit.2']) {
      for (const name of ['metrics.jsonl', 'result.json', 'checkpoints/midtrain.safetensors']) {
        expect(
          readFileSync(join(killed, cell, name)).equals(readFileSync(join(whole, cell, name))),
          `${cell}/${name}`,
        ).toBe(true);
      }
    }
  }, 60_000);

  test('killed while it wrote its first file begins in the same folder; one that holds something else is refused', () => {
    const [half, other] = [join(scratch, 'half'), join(scratch, 'other')];
    const { config } = resolveConfig({});
    for (const [folder, name] of [
      [half, 'study.json.123.tmp'],
      [other, 'notes.txt'],
    ] as const) {
      mkdirSync(folder);
      writeFileSync(join(folder, name), '{');
    }
    StudyFolder.claim(half, config);
    expect(readdirSync(half)).toEqual(['study.json']);
    expect(() => StudyFolder.claim(other, config)).toThrow(
      new ConfigError(`study: ${other}: exists, is not empty and holds no study: choose another --out`),
    );
    expect(readdirSync(other)).toEqual(['notes.txt']);
  });

  test('that is done does nothing but report again', () => {
    const { code, stderr } = remitMini(study(whole));
    expect([code, stderr]).toEqual([0, `${whole}: 6 runs, 6 of them done, 2 at a time\n${written(whole)}`]);
  });

  test('with other settings is refused, with the difference', async () => {
    expect(await inProcess([...study(whole), '--rl.steps', '3'])).toEqual({
      code: 2,
      stdout: '',
      stderr:
        `error: study: ${whole}: holds a study with another configuration (rl.steps = 2 there, 3 now): choose ` +
        `another --out\n`,
    });
  });

  test('a cell that fails is named, with what it said', () => {
    const base = join(whole, 'seed-1/base/checkpoints/pretrain.safetensors');
    const bytes = readFileSync(base);
    bytes[bytes.length - 2]! ^= 4;
    writeFileSync(base, bytes);
    // kd.5 starts from the damaged model
    const { code, stderr } = remitMini([...study(whole), '--arms', 'remit.2,kd.5', '--jobs', '1']);
    expect([code, stderr.trim().split('\n').at(-1)]).toEqual([
      1,
      'error: study: seed-1/kd.5: ended with exit code 4: error: checkpoint: ' +
      'seed-1/base/checkpoints/pretrain.safetensors: its checksum does not fit: the file was changed or damaged ' +
      `after it was written (see ${join(whole, 'logs/seed-1-kd.5.log')})`,
    ]);
  }, 60_000);
});
