// The program as a process among others: signals as they really come, readers that leave, limits, paths and places that
// nobody expects.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { compiledProgram } from '../support/faults.ts';
import { temporaryFolder } from '../support/temporary.ts';

const scratch = temporaryFolder();
const run = join(scratch, 'run');
const small = [
  '--model.width', '8', '--model.layers', '1', '--model.heads', '2', '--pretrain.warmup', '0', '--pretrain.batch', '2',
  '--evaluate.questions', '1',
];
const later = [
  '--midtrain.steps', '1', '--sft.steps', '1', '--rl.steps', '1', '--rl.warmup', '0', '--rl.prompts', '2',
  '--rl.samples', '2',
];
const train = (steps: number, out: string): string[] => [
  'train', 'pretrain', ...small, '--pretrain.steps', `${steps}`, '--out', out,
];
const FOREVER = 1_000_000;
let program: string;

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What `script` ends with in a shell where $P is this program. */
function shell(script: string, env: Record<string, string | undefined> = {}): Ended {
  // $P is two words, whatever spaces are in them
  const { status, signal, stdout, stderr } = spawnSync('bash', ['-c', `IFS=$'\\n'; ${script}`], {
    cwd: scratch,
    encoding: 'utf8',
    env: { ...process.env, P: `${process.execPath}\n${program}`, ...env },
  });
  return { code: status, signal, stdout, stderr };
}

const lines = (folder: string): number =>
  existsSync(join(folder, 'metrics.jsonl'))
    ? readFileSync(join(folder, 'metrics.jsonl'), 'utf8').split('\n').length - 1
    : 0;

async function until(child: ChildProcess, condition: () => boolean): Promise<void> {
  while (child.exitCode === null && child.signalCode === null && !condition()) await wait(5);
}

const wait = (ms: number): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts the program; when `cue` is true, sends it signals 20 ms apart. */
async function signalled(
  args: readonly string[],
  cue: (stderr: string) => boolean,
  signals: readonly NodeJS.Signals[],
  env: Record<string, string> = {},
): Promise<Ended> {
  // the shell's note may say nohup
  const child = spawn(process.execPath, [program, ...args], { cwd: scratch, env: { ...process.env, _: '', ...env } });
  const out = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (part: Buffer) => {
      out[name] += part.toString();
    });
  }
  const end = once(child, 'close') as Promise<[number | null, string | null]>;
  await until(child, () => cue(out.stderr));
  for (const signal of signals) {
    child.kill(signal);
    await wait(20);
  }
  const [code, signal] = await end;
  return { code, signal, ...out };
}

beforeAll(() => {
  program = compiledProgram();
  const trained = shell(`$P ${train(3, run).join(' ')}`);
  expect(trained.code, trained.stderr).toBe(0);
}, 60_000);

describe('signals', () => {
  test.each<[string, NodeJS.Signals[], number]>([
    ['a Ctrl-C that npx has passed on', ['SIGINT', 'SIGINT'], 130],
    ['a supervisor in a hurry', ['SIGINT', 'SIGTERM'], 130],
    ['SIGTERM twice, as of a process group', ['SIGTERM', 'SIGTERM'], 143],
    ['a closed terminal, which its shell tells, too', ['SIGHUP', 'SIGHUP', 'SIGTERM'], 129],
    ['again and again while the process ends', ['SIGINT', ...Array<'SIGTERM'>(40).fill('SIGTERM')], 130],
  ])('%s ends a run once, with its state', async (what, signals, code) => {
    const out = join(scratch, what.replaceAll(' ', '-'));
    const ended = await signalled(train(FOREVER, out), () => lines(out) > 3, signals);
    expect(ended).toMatchObject({ code, signal: null });
    expect(ended.stderr.match(/go on with: node .*bin\.js'? train pretrain .* --resume .*$/gm)).toHaveLength(1);
    expect(existsSync(join(out, 'lock'))).toBe(false);
  });

  test('before the first step, there is nothing to lose, and no lock is left', async () => {
    const out = join(scratch, 'early');
    const ended = await signalled(train(FOREVER, out), () => existsSync(join(out, 'config.json')), [
      'SIGINT',
      'SIGINT',
    ]);
    expect(ended).toMatchObject({ code: 130, signal: null });
    expect(existsSync(join(out, 'lock'))).toBe(false);
  });

  test('under nohup, a hang-up is left alone', async () => {
    const out = join(scratch, 'nohup');
    const ended = await signalled(train(FOREVER, out), () => lines(out) > 3, ['SIGHUP', 'SIGTERM'], {
      _: '/usr/bin/nohup',
    });
    expect(ended).toMatchObject({ code: 143, signal: null });
  });

  test('a study ends its cells, and says how to go on', async () => {
    const out = join(scratch, 'stopped-study');
    const cell = join(out, 'seed-1/vanilla');
    const study = [
      'study', '--preset', 'tiny', ...small, ...later, '--pretrain.steps', `${FOREVER}`, '--seeds', '1', '--arms',
      'vanilla', '--light', '--jobs', '1', '--out', out,
    ];
    const ended = await signalled(study, () => lines(join(out, 'seed-1/base')) + lines(cell) > 3, ['SIGINT', 'SIGINT']);
    expect(ended).toMatchObject({ code: 130, signal: null });
    expect(ended.stderr).toMatch(/^stopped: what is done is kept; go on with: node .*bin\.js'? study /m);
    for (const folder of [join(out, 'seed-1/base'), cell]) expect(existsSync(join(folder, 'lock'))).toBe(false);
  });
});

describe('readers that leave', () => {
  test('end no training', () => {
    expect(shell(`$P ${train(40, 'piped').join(' ')} 2>&1 | head -1; echo \${PIPESTATUS[0]}`).stdout).toMatch(
      /^piped: .*\n0\n$/,
    );
    expect(lines(join(scratch, 'piped'))).toBe(40);
    expect(shell(`$P ${train(5, 'closed').join(' ')} >&- 2>&- <&-`)).toMatchObject({ code: 0 });
    expect(lines(join(scratch, 'closed'))).toBe(5);
  });

  test('of help and of a result are no failure', () => {
    expect(shell('$P train --help all | head -1; echo ${PIPESTATUS[0]}')).toMatchObject({
      stdout: 'remit-mini train [pretrain | midtrain | sft | rl | remit] [flags]\n0\n',
      stderr: '',
    });
    expect(shell(`$P sample --model ${run} --prompt ^ | true; echo \${PIPESTATUS[0]}`)).toMatchObject({
      stdout: '0\n',
      stderr: '',
    });
  });

  test.runIf(existsSync('/dev/full'))('but a result that a full disk did not take is told', () => {
    const { code, stderr } = shell(`$P sample --model ${run} --prompt ^ > /dev/full`);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'error: stdout: ENOSPC: no space left on device, write: the result is not all there\n',
    });
  });
});

describe('limits', () => {
  test('a size that no file may have is a full disk: one line, nothing half written, and the run goes on later', () => {
    const first = shell(`ulimit -f 8; $P ${train(20, 'limited').join(' ')} --model.width 32`);
    expect(first).toMatchObject({ code: 1, signal: null });
    expect(first.stderr).toMatch(/^error: .*EFBIG.*\n$/m);
    expect(shell('$P train --resume limited')).toMatchObject({ code: 0 });
  });

  test.runIf(process.platform === 'linux')('too little address space is explained, and the way out works', () => {
    const sample = `ulimit -v 8000000; $P sample --model ${run} --prompt ^ --device cpu`;
    expect(shell(sample)).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(
        /^error: cpu: too little address space .*ulimit -v.*NODE_OPTIONS=--disable-wasm-trap-handler.*\n$/,
      ),
    });
    expect(shell(sample, { NODE_OPTIONS: '--disable-wasm-trap-handler' })).toMatchObject({ code: 0 });
  });

  test('where workers are not allowed, one notice, and the same run', () => {
    const [major] = process.versions.node.split('.').map(Number) as [number];
    const flag = major < 23 ? '--experimental-permission' : '--permission';
    const large = ['--model.width', '32', '--pretrain.batch', '16', '--threads', '2']; // work to share out
    const ended = shell(
      `${process.execPath} --no-warnings ${flag} --allow-fs-read='*' --allow-fs-write='*' "${program}" ` +
      `${[...train(2, 'alone'), ...large].join(' ')}`,
    );
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr.match(/a worker could not be started/g)).toHaveLength(1);
    expect(shell(`$P ${[...train(2, 'together'), ...large].join(' ')}`).code).toBe(0);
    expect(readFileSync(join(scratch, 'alone/metrics.jsonl'), 'utf8')).toBe(
      readFileSync(join(scratch, 'together/metrics.jsonl'), 'utf8'),
    );
  });

  test('without WebAssembly, it says so', () => {
    const { code, stderr } = shell(
      `${process.execPath} --jitless "${program}" sample --model ${run} --prompt ^ --device cpu`,
    );
    expect(code).toBe(3);
    expect(stderr).toMatch(
      /^error: cpu: there is no WebAssembly here, as under node --jitless: start Node without that flag$/m,
    );
  });
});

describe('places', () => {
  test('a folder that was removed', () => {
    expect(shell('mkdir gone; cd gone; rmdir ../gone; $P --version')).toMatchObject({ code: 0, stderr: '' });
    const { code, stderr } = shell(`mkdir gone; cd gone; rmdir ../gone; $P ${train(1, 'x').join(' ')}`);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^error: .*\n$/);
  });

  test('no home, no temporary folder, no environment at all', () => {
    const nowhere = join(run, 'config.json'); // a file: not even root can make a folder in it
    const { stdout } = shell(`$P sample --model ${run} --prompt ^ --device cpu`);
    expect(shell(`env -i ${process.execPath} "${program}" sample --model ${run} --prompt ^ --device cpu`)).toMatchObject({
      code: 0,
      stdout,
      stderr: '',
    });
    expect(
      shell(`$P sample --model ${run} --prompt ^ --device cpu`, { HOME: `${nowhere}/home`, TMPDIR: `${nowhere}/tmp` }),
    ).toMatchObject({ code: 0, stdout, stderr: '' });
  });

  test("main() in a script of one's own, in any folder: a study starts the package's program; what is offered works", () => {
    const folder = join(scratch, "ä %23 #? 'x'");
    const home = join(folder, 'package');
    const script = join(folder, 'mine.mjs');
    cpSync(join(program, '../../../..'), home, { recursive: true });
    symlinkSync(join(dirname(dirname(import.meta.dirname)), 'node_modules'), join(home, 'node_modules'));
    const study = [
      'study', '--preset', 'tiny', ...small, ...later, '--pretrain.steps', '2', '--seeds', '1', '--arms', 'vanilla',
      '--light', '--jobs', '1', '--iterations', '1', '--out', 'st',
    ];
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      script,
      `
      import { appendFileSync } from 'node:fs';
      appendFileSync('starts', 'x');
      if (process.env.INSIDE) process.exit(9);
      process.env.INSIDE = '1';
      const { main } = await import('./package/dist/node.js');
      process.exitCode = await main(process.argv[2] === 'train' ? process.argv.slice(2) : ${JSON.stringify(study)});`,
    );
    const mine = (...args: string[]) =>
      spawnSync(process.execPath, [script, ...args], { cwd: folder, encoding: 'utf8' });
    const studied = mine();
    expect(studied.status, studied.stderr).toBe(0);
    expect(readFileSync(join(folder, 'starts'), 'utf8')).toBe('x');
    const trained = mine(...train(1, "it's"));
    expect(trained.status, trained.stderr).toBe(0);
    const next = /^next: (.*)$/m.exec(trained.stderr)![1]!;
    expect(
      spawnSync('bash', ['-c', next], {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` },
      }),
    ).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\^S1\+1/) });
  });
});
