// A study by the other schedulers, each a real one: GNU parallel, Snakemake, and BullMQ on a Redis of its own; every
// time it is stopped in the middle and goes on, and the report has the bytes of an undisturbed one. What Kubernetes is
// given is held against its schema.
//   npm run test:soak schedulers      needs Debian's parallel, snakemake and redis-server; takes bullmq, ioredis
//   and kubernetes-models from npm into a temporary folder

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readLedger } from '../../remit/app/study/ledger.ts';
import { inProcess, remitMini } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary.ts';

const folder = temporaryFolder();
const at = (...names: string[]): string => join(folder, ...names);
const settings = [
  '--preset', 'short', '--pretrain.steps', '8', '--pretrain.warmup', '2', '--midtrain.steps', '4', '--sft.steps', '2',
  '--rl.steps', '2', '--evaluate.questions', '2', '--device', 'cpu', '--iterations', '1', '--light', '--arms', 'remit.5',
  '--seeds', '1-2',
];
const lacks = (program: string): boolean => spawnSync('which', [program]).status !== 0;
const children: ChildProcess[] = [];

beforeAll(() => {
  expect(remitMini(['study', ...settings, '--out', at('undisturbed')]).code).toBe(0);
}, 120_000);

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** Plans the study anew and writes the scheduler's script. */
function planned(scheduler: string, file: string): string {
  const out = at(scheduler);
  expect(remitMini(['study', 'plan', ...settings, '--out', out]).code).toBe(0);
  const script = at(file);
  writeFileSync(script, remitMini(['study', 'script', scheduler, '--out', out]).stdout); // it names this program
  return script;
}

async function expectSameReport(scheduler: string): Promise<void> {
  const out = at(scheduler);
  const { stdout } = await inProcess(['study', 'status', '--out', out]);
  const [states, counts] = stdout.split('\n');
  const [, begun, ended] = /^begun (\d+) times, ended (\d+) times$/.exec(counts!)!.map(Number);
  expect([states, ended]).toEqual([`${out}: 6 cells: 6 done`, 6]); // nothing twice
  expect(begun).toBeGreaterThanOrEqual(6);
  console.log(`${scheduler}: 6 cells, begun ${begun} times, ended ${ended} times`);
  for (const name of ['report.md', 'report.json', 'report.csv']) {
    expect(readFileSync(join(out, name)).equals(readFileSync(at('undisturbed', name))), name).toBe(true);
  }
}

/** Starts it, stops it in the middle as Ctrl-C would, starts it again, and expects it to end well. */
async function stopAndGo(scheduler: string, program: string, ...args: string[]): Promise<void> {
  const options = { cwd: folder, env: { ...process.env, JOBS: '2' } } as const;
  const first = spawn(program, args, { ...options, stdio: 'ignore', detached: true });
  while (!existsSync(at(scheduler, 'seed-1', 'base', 'attempts.jsonl'))) await sleep(20);
  process.kill(-first.pid!, 'SIGINT');
  await new Promise((resolve) => first.once('exit', resolve));
  const { status, stderr } = spawnSync(program, args, { ...options, encoding: 'utf8' });
  expect([status, status === 0 ? '' : stderr]).toEqual([0, '']);
}

/** Packages that only this suite needs, from npm. */
function install(...packages: string[]): string {
  const place = at('packages');
  mkdirSync(place, { recursive: true });
  const { status, stderr } = spawnSync(
    'npm', ['install', '--no-audit', '--no-fund', '--prefix', place, ...packages], { encoding: 'utf8' },
  );
  expect([status, status === 0 ? '' : stderr]).toEqual([0, '']);
  return place;
}

describe('the same report', () => {
  test.skipIf(lacks('parallel'))('by GNU parallel', async () => {
    const script = planned('parallel', 'parallel.sh');
    await stopAndGo('parallel', 'bash', script);
    await expectSameReport('parallel');
  });

  test.skipIf(lacks('snakemake'))('by Snakemake', async () => {
    const script = planned('snakemake', 'Snakefile');
    await stopAndGo('snakemake', 'snakemake', '--snakefile', script, '--cores', '2');
    await expectSameReport('snakemake');
  });

  test.skipIf(lacks('redis-server'))('by BullMQ, two workers of which one is killed', async () => {
    const script = planned('bullmq', 'worker.mjs');
    install('bullmq', 'ioredis');
    const local = at('packages', 'worker.mjs'); // beside node_modules
    writeFileSync(local, readFileSync(script));
    const port = 17_379;
    children.push(spawn('redis-server', ['--port', `${port}`, '--save', '', '--dir', folder], { stdio: 'ignore' }));
    await sleep(1000);
    const env = { ...process.env, REDIS_URL: `redis://127.0.0.1:${port}` };
    const worker = (): ChildProcess => {
      const child = spawn(process.execPath, [local], { env, stdio: 'ignore' });
      children.push(child);
      return child;
    };
    const first = worker();
    worker();
    await sleep(2000);
    first.kill('SIGKILL'); // what it had in hand goes to the other when its job is seen as stalled
    const deadline = performance.now() + 180_000;
    const done = async (): Promise<boolean> =>
      (await inProcess(['study', 'status', '--out', at('bullmq')])).stdout.includes(': 6 cells: 6 done');
    while (!(await done())) {
      expect(performance.now()).toBeLessThan(deadline);
      await sleep(1000);
    }
    expect((await inProcess(['study', 'collect', '--out', at('bullmq')])).code).toBe(0);
    await expectSameReport('bullmq');
  });
});

test('Kubernetes is given Indexed Jobs as its schema has them', async () => {
  planned('kubernetes', 'jobs.yaml');
  const load = createRequire(join(install('kubernetes-models', 'yaml'), 'x.js'));
  const { Job } = load('kubernetes-models/batch/v1') as { Job: new (job: object) => { validate(): void } };
  const { parseAllDocuments } = load('yaml') as { parseAllDocuments(text: string): { toJS(): unknown }[] };
  const jobs = parseAllDocuments(readFileSync(at('jobs.yaml'), 'utf8')).map((document) => document.toJS() as object);
  expect(jobs).toHaveLength(readLedger(at('kubernetes'))!.waves.length);
  for (const job of jobs) new Job(job).validate();
  const broken = structuredClone(jobs[0]) as { spec: { completions: unknown } };
  broken.spec.completions = 'two';
  expect(() => new Job(broken).validate()).toThrow(/completions/);
});
