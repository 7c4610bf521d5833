// A study by its contract: planned, its cells done one by one in any order that their needs allow, by whoever calls; the
// same report as by the program's own processes. And what schedulers are given.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { readLedger } from '../../../../remit/app/study/ledger.ts';
import { inProcess, remitMini } from '../../../support/command-line.ts';
import { temporaryFolder } from '../../../support/temporary.ts';

const folder = temporaryFolder();
const at = (...names: string[]): string => join(folder, ...names);
const read = (...names: string[]): string => readFileSync(at(...names), 'utf8');
const tiny = [
  '--preset', 'short', '--pretrain.steps', '8', '--pretrain.warmup', '2', '--midtrain.steps', '4', '--sft.steps', '2',
  '--rl.steps', '2', '--evaluate.questions', '2', '--device', 'cpu', '--iterations', '1', '--light', '--arms', 'remit.5',
];
const study = (...words: string[]) => inProcess(['study', ...words]);
const cell = (index: number, ...more: string[]) => study('run', '--out', at('s'), '--index', `${index}`, ...more);

beforeAll(async () => {
  const planned = await study('plan', '--out', at('s'), ...tiny, '--seeds', '1-2');
  expect(planned).toMatchObject({
    code: 0,
    stdout: `${at('s', 'plan.json')}: 6 cells in 3 waves\n  wave 0: cells 0 to 1\n  wave 1: cells 2 to 3\n  wave 2: cells 4 to 5\n`,
  });
});

test('a wave needs nothing but earlier ones', () => {
  const { cells } = readLedger(at('s'))!;
  expect(cells.map(({ name, needs }) => [name, needs])).toEqual([
    ['seed-1/base', []], ['seed-2/base', []],
    ['seed-1/vanilla', [0]], ['seed-2/vanilla', [1]],
    ['seed-1/remit.5', [0, 2]], ['seed-2/remit.5', [1, 3]],
  ]);
});

describe('cell by cell', () => {
  test('what is needed and not there is 75', async () => {
    expect(await cell(4)).toMatchObject({
      code: 75, stderr: expect.stringContaining('needs seed-1/base, seed-1/vanilla: not done yet') as string,
    });
    expect((await study('collect', '--out', at('s'))).code).toBe(75);
  });

  test('one seed: the partial report; status says where each stands', async () => {
    for (const index of [0, 2, 4]) expect((await cell(index)).code).toBe(0);
    const { stdout } = await study('status', '--out', at('s'));
    expect(stdout.split('\n')[0]).toBe(`${at('s')}: 6 cells: 3 done, 1 ready, 2 waiting`);
    const part = await study('collect', '--out', at('s'), '--partial');
    expect(part).toMatchObject({ code: 0, stdout: expect.stringContaining('1 seeds (1)') as string });
  });

  test('a cell that fails says why, until it is begun again', async () => {
    const base = at('s', 'seed-2', 'base');
    mkdirSync(base, { recursive: true });
    writeFileSync(join(base, 'config.json'), '{}'); // somebody else's: the cell cannot begin
    expect((await cell(1)).code).not.toBe(0);
    const states = JSON.parse((await study('status', '--out', at('s'), '--json')).stdout) as { state: string; fault?: string }[];
    expect(states[1]).toMatchObject({ state: 'failed', fault: expect.stringContaining('seed-2') as string });
    rmSync(base, { recursive: true });
    expect((await cell(1)).code).toBe(0);
    expect(existsSync(join(base, 'fault.txt'))).toBe(false);
  });

  test('all of it: the same bytes as by the program\'s own processes; what is done is not done again', async () => {
    for (const name of ['seed-2/vanilla', 'seed-2/remit.5']) {
      expect((await study('run', '--out', at('s'), '--cell', name)).code).toBe(0);
    }
    const before = read('s', 'seed-1', 'base', 'timing.jsonl');
    expect((await cell(0)).code).toBe(0);
    expect(read('s', 'seed-1', 'base', 'timing.jsonl')).toBe(before);
    expect((await study('collect', '--out', at('s'))).code).toBe(0);
    expect(remitMini(['study', '--out', at('own'), ...tiny, '--seeds', '1-2']).code).toBe(0);
    for (const file of ['report.json', 'report.md', 'report.csv']) expect(read('s', file)).toBe(read('own', file));
    const { stdout } = await study('status', '--out', at('s'));
    expect(stdout).toBe(`${at('s')}: 6 cells: 6 done\nbegun 6 times, ended 6 times\n`);
    // the folder says what it is: no settings are needed to go on
    const again = remitMini(['study', '--out', at('own')]);
    expect([again.code, again.stderr.includes(': 6 runs, 6 of them done, ')]).toEqual([0, true]);
  });

  test('more seeds are appended: indices never change', async () => {
    const { cells } = readLedger(at('s'))!;
    expect((await study('plan', '--out', at('s'), '--seeds', '3')).code).toBe(0);
    const now = readLedger(at('s'))!;
    expect(now.cells.slice(0, 6)).toEqual(cells);
    expect(now.cells.slice(6).map(({ name, needs }) => [name, needs])).toEqual([
      ['seed-3/base', []], ['seed-3/vanilla', [6]], ['seed-3/remit.5', [6, 7]],
    ]);
    expect((await study('plan', '--out', at('s'))).stdout).toContain('9 cells in 6 waves'); // asked again: the same
  });

  test('cells of another engine are not taken together without a word', async () => {
    const env = at('own', 'seed-1', 'base', 'env.json');
    const kept = read('own', 'seed-1', 'base', 'env.json');
    writeFileSync(env, kept.replace(/"v8": "[^"]+"/, '"v8": "99.9"'));
    const refused = await study('collect', '--out', at('own'));
    expect([refused.code, refused.stderr.includes('by different engines: seed-1/base by cpu, V8 99.9')]).toEqual([2, true]);
    expect((await study('collect', '--out', at('own'), '--mixed')).code).toBe(0);
    writeFileSync(env, kept);
  });
});

describe('script', () => {
  const script = async (name: string): Promise<string> => (await study('script', name, '--out', at('s'))).stdout;

  test('shell scripts are right to the shell, the others to their readers', async () => {
    for (const name of ['slurm', 'parallel']) {
      expect([name, spawnSync('bash', ['-n'], { input: await script(name) }).status]).toEqual([name, 0]);
    }
    const worker = spawnSync(process.execPath, ['--check', '--input-type=module'], { input: await script('bullmq') });
    expect([worker.status, String(worker.stderr)]).toEqual([0, '']);
    const slurm = await script('slurm');
    expect(slurm).toContain('--array=0-1 "$cell"');
    expect(slurm).toContain('--array=2-3 --dependency=afterok:$last');
    expect(slurm).toMatch(/75\|143\) exec scontrol requeue "\$\{SLURM_ARRAY_JOB_ID\}_\$SLURM_ARRAY_TASK_ID"/);
    const jobs = (await script('kubernetes')).split('\n---\n').slice(1);
    expect(jobs).toHaveLength(6);
    expect(jobs[1]).toMatch(/completions: 2\n[^]*--index \$\(\(2 \+ JOB_COMPLETION_INDEX\)\)/);
    expect(await script('snakemake')).toMatch(/rule cell_4:\n {4}input:\n.*seed-1\/base\/result.json",\n.*vanilla\/result.json",/);
  });

  test('the file of the plan damaged, and none', async () => {
    renameSync(at('s', 'plan.json'), at('kept.json'));
    expect((await study('status', '--out', at('s'))).stderr).toContain('has no plan yet: ');
    writeFileSync(at('s', 'plan.json'), '{"version":2}');
    expect(await study('status', '--out', at('s'))).toMatchObject({ code: 4 });
    renameSync(at('kept.json'), at('s', 'plan.json'));
  });
});

test.each([
  [['pln'], 'study: pln: must be one of plan, run, status, collect, script: did you mean plan?'],
  [['run', '--out', at('s')], 'study run: which cell? Give --index <n> or --cell <name>, one of them'],
  [['run', '--out', at('s'), '--index', '99'], 'study run: --index 99: must be a whole number from 0 to 8'],
  [['run', '--out', at('s'), '--cell', 'seed-1/remit.4'], 'is not in the plan: did you mean seed-1/remit.5?'],
  [['run', '--out', at('s'), '--index', '1', '--rl.steps', '9'], 'study run: --rl.steps: the plan says it: leave it out'],
  [['status', '--out', at('s'), '--partial'], 'study status: --partial: is for study collect: leave it out'],
  [['status', 'x', '--out', at('s')], 'study status: x: unexpected'],
  [['script', '--out', at('s')], 'study script: which scheduler? must be one of slurm, '],
  [['script', 'slrum', '--out', at('s')], 'did you mean slurm?'],
  [['status', '--out', at('nothing')], 'holds no study: there is no study.json'],
  [['plan', '--out', at('s'), '--light', '--seeds', '4', '--midtrain.steps', '5'], 'another configuration'],
  [['plan', '--out', at('s'), '--preset', 'tiny'], 'another configuration'],
  [['--out', at('s'), '--preset', 'think-only'], 'another configuration'],
])('%j is refused in one line', async (words, message) => {
  const { code, stderr } = await study(...words);
  expect([code, stderr.includes(message) ? message : stderr]).toEqual([2, message]);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});
