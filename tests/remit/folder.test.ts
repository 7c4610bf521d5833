// What people do to run folders, and what disks do: another phase in the same folder, moved texts, links, files where
// folders should be, disks that cannot flush. What was written is never made less by a command that ends well.

import fs, {
  cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError, RemitError } from '../../engine/errors.ts';
import { Progress } from '../../remit/app/run/progress.ts';
import { makeFolder, writeAtomically } from '../../remit/app/run/atomic.ts';
import { claimFolder } from '../../remit/app/run/claim.ts';
import { BusyError, isLocked, lock } from '../../remit/app/run/lock.ts';
import { inProcess, remitMini } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary.ts';

const scratch = temporaryFolder();
const shape = ['--model.width', '8', '--model.layers', '1', '--model.heads', '2', '--evaluate.questions', '1'];
const pretraining = ['--pretrain.steps', '3', '--pretrain.warmup', '0', '--pretrain.batch', '4'];
const [base, tuned] = [join(scratch, 'base'), join(scratch, 'tuned')];
const evaluation = (folder: string): string => readFileSync(join(folder, 'evaluation.json'), 'utf8');
const metrics = (folder: string): string => readFileSync(join(folder, 'metrics.jsonl'), 'utf8');

beforeAll(async () => {
  expect((await inProcess(['train', 'pretrain', ...shape, ...pretraining, '--out', base])).code).toBe(0);
  expect(
    (
      await inProcess([
        'train', 'sft', ...shape, '--sft.steps', '2', '--sft.batch', '4', '--init', base, '--out', tuned,
      ])
    ).code,
  ).toBe(0);
});

describe('a run knows what it is for', () => {
  test('another phase is refused in its folder, and so is everything', async () => {
    const before = metrics(tuned);
    expect(await inProcess(['train', 'rl', '--init', base, '--resume', tuned])).toMatchObject({
      code: 2,
      stderr:
        `error: run: ${tuned}: is a run of sft, not of rl: go on with it by train sft --resume ${tuned}, or choose ` +
        `another --out\n`,
    });
    expect(await inProcess(['train', ...shape, ...pretraining, '--out', base, '--resume'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is a run of pretrain, not of everything'),
    });
    expect(metrics(tuned)).toBe(before);
  });

  test('... also when the folder no longer says so: its steps do', async () => {
    const folder = join(scratch, 'unsaid');
    cpSync(tuned, folder, { recursive: true });
    rmSync(join(folder, 'env.json'));
    expect(await inProcess(['train', 'rl', '--init', base, '--resume', folder])).toMatchObject({
      code: 2,
      stderr:
        `error: run: ${folder}: holds a run of sft, not of rl: go on with the command that it began with, or choose ` +
        `another --out\n`,
    });
    expect(metrics(folder)).toBe(metrics(tuned));
  });

  test('--resume alone goes on with it, from the model that it began with', async () => {
    const folder = join(scratch, 'alone');
    cpSync(tuned, folder, { recursive: true });
    rmSync(join(folder, 'evaluation.json')); // lost: it is tested again
    expect(await inProcess(['train', '--resume', folder])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^task group( +start +sft){4}$/m),
    });
    expect([evaluation(folder), metrics(folder)]).toEqual([evaluation(tuned), metrics(tuned)]);
  });

  test('a finished run that is tested again, and stopped, keeps the scores that it had', async () => {
    const folder = join(scratch, 'tested-again');
    cpSync(tuned, folder, { recursive: true });
    // stops it between two tests
    writeFileSync(
      join(folder, 'checkpoints', 'sft.safetensors'),
      readFileSync(join(base, 'checkpoints', 'pretrain.safetensors')),
    );
    expect((await inProcess(['train', '--resume', folder])).code).not.toBe(0);
    expect(evaluation(folder)).toBe(evaluation(tuned));
  });
});

describe('your own text is known by its contents', () => {
  const here = join(scratch, 'own');
  const data = [
    '--model.width', '8', '--model.layers', '1', '--model.heads', '2', '--model.context', '16', ...pretraining,
  ];
  beforeAll(() => {
    mkdirSync(join(here, 'sub'), { recursive: true });
    writeFileSync(join(here, 'text.txt'), 'the cat sat on the mat. '.repeat(60));
    expect(remitMini(['train', '--data', 'text.txt', ...data, '--out', 'r'], { cwd: here })).toMatchObject({ code: 0 });
  });

  test('from another folder, by another name, and after both were moved', () => {
    const before = evaluation(join(here, 'r'));
    expect(remitMini(['train', '--resume', '../r'], { cwd: join(here, 'sub') })).toMatchObject({ code: 0 });
    const moved = join(scratch, 'moved');
    renameSync(here, moved);
    expect(remitMini(['train', '--resume', join(moved, 'r')], { cwd: scratch })).toMatchObject({ code: 0 });
    renameSync(moved, here);
    renameSync(join(here, 'text.txt'), join(here, 'book.txt'));
    expect(remitMini(['train', '--resume', 'r', '--data', 'book.txt'], { cwd: here })).toMatchObject({ code: 0 });
    expect(remitMini(['train', '--resume', 'r'], { cwd: here })).toMatchObject({
      code: 2,
      stderr:
        `error: data: text.txt, ${join(here, 'text.txt')}: no such file or folder: if the text was moved, say where ` +
        `it is with --data\n`,
    });
    renameSync(join(here, 'book.txt'), join(here, 'text.txt'));
    expect(evaluation(join(here, 'r'))).toBe(before);
  }, 60_000);

  test('other text of the same name is passed over for the right one, and else refused with what differs', () => {
    writeFileSync(join(here, 'sub', 'text.txt'), 'x'.repeat(1441));
    expect(remitMini(['train', '--resume', '../r'], { cwd: join(here, 'sub') })).toMatchObject({ code: 0 });
    expect(remitMini(['train', '--resume', '../r', '--data', 'text.txt'], { cwd: join(here, 'sub') })).toMatchObject({
      code: 2,
      stderr:
        'error: run: ../r: began with other text (--data): 1440 characters then, 1441 now: bring that back, or ' +
        'choose another --out\n',
    });
  }, 60_000);
});

describe('claiming a folder', () => {
  test('what is nobody\'s work does not stand in the way', () => {
    const path = join(scratch, 'nobodys');
    mkdirSync(path);
    for (const name of ['.nfs00000000012a4c8f00000003', '.DS_Store', 'config.json.17.tmp']) {
      writeFileSync(join(path, name), '');
    }
    expect(claimFolder(path, 'x')).toBe(path);
    writeFileSync(join(path, '.nfsnotes'), '');
    expect(() => claimFolder(path, 'x')).toThrow(
      new ConfigError(`run: ${path}: exists and is not empty: choose another --out`),
    );
  });

  test('a name that is none, a path through a file, a file to go on with, a link that leads nowhere', () => {
    const file = join(scratch, 'file');
    const link = join(scratch, 'nowhere');
    writeFileSync(file, '');
    symlinkSync(join(scratch, 'gone', 'away'), link);
    expect(() => claimFolder('', 'x')).toThrow(new ConfigError("run: --out '': must be the name of a folder"));
    expect(() => claimFolder(join(file, 'x'), 'x')).toThrow(
      new ConfigError(`run: ${join(file, 'x')}: a part of the path is a file, not a folder: choose another --out`),
    );
    expect(() => claimFolder(file, 'x', 'required')).toThrow(
      new ConfigError(`run: ${file}: is a file: a run is a folder`),
    );
    expect(() => claimFolder(link, 'x')).toThrow(
      /^run: .*nowhere: (is there already|no such file or folder): choose another --out$/,
    );
    writeFileSync(join(scratch, 'checkpoints'), '');
    expect(() => makeFolder(join(scratch, 'checkpoints'))).toThrow(
      new RemitError(`${join(scratch, 'checkpoints')}: cannot be made: is a file: a folder of this name is needed`),
    );
  });

  test.each([
    ['checkpoints', 'checkpoints: cannot be made: is a file: a folder of this name is needed', 'file'],
    ['metrics.jsonl', 'metrics.jsonl: cannot be written: is a folder, not a file', 'folder'],
    ['lock', 'lock: is a folder: the lock of a run is a file: remove it', 'folder'],
    ['config.json', 'config.json: is a folder: give a file', 'folder'],
  ])('a run whose %s is another thing', async (name, message, kind) => {
    const folder = join(scratch, `odd-${name}`);
    cpSync(base, folder, { recursive: true });
    rmSync(join(folder, name), { recursive: true, force: true });
    if (kind === 'folder') mkdirSync(join(folder, name));
    else writeFileSync(join(folder, name), '');
    const { code, stderr } = await inProcess(['train', '--resume', folder]);
    expect([code === 0, stderr.endsWith(`${folder}/${message}\n`), stderr]).toEqual([false, true, stderr]);
  });

  test('a line that was cut off in the middle at the end of a finished run changes nothing', async () => {
    const folder = join(scratch, 'cut-off');
    cpSync(base, folder, { recursive: true });
    writeFileSync(join(folder, 'metrics.jsonl'), '{"phase":"pre', { flag: 'a' });
    rmSync(join(folder, 'evaluation.json'));
    expect((await inProcess(['train', '--resume', folder])).code).toBe(0);
    expect(evaluation(folder)).toBe(evaluation(base));
    expect((await inProcess(['verify', folder])).code).toBe(0);
  });

  test('a link to a folder is that folder', async () => {
    mkdirSync(join(scratch, 'elsewhere'));
    symlinkSync(join(scratch, 'elsewhere'), join(scratch, 'link'));
    expect(
      (await inProcess(['train', 'pretrain', ...shape, ...pretraining, '--out', join(scratch, 'link')])).code,
    ).toBe(0);
    expect(metrics(join(scratch, 'elsewhere'))).toBe(metrics(base));
  });
});

describe('disks', () => {
  const real = { ...fs };
  afterEach(() => {
    Object.assign(fs, { fsyncSync: real.fsyncSync, linkSync: real.linkSync });
    syncBuiltinESMExports();
  });
  const failing = (name: 'fsyncSync' | 'linkSync', code: string): void => {
    fs[name] = () => { throw Object.assign(new Error(code), { code }); };
    syncBuiltinESMExports();
  };

  test.each(['EINVAL', 'ENOTSUP', 'EPERM', 'ENOSYS'])('one that answers fsync with %s: the file is there', (code) => {
    failing('fsyncSync', code);
    writeAtomically(join(scratch, 'flushed'), code);
    expect(readFileSync(join(scratch, 'flushed'), 'utf8')).toBe(code);
  });

  test('one that fails to flush is no such disk', () => {
    failing('fsyncSync', 'EIO');
    expect(() => writeAtomically(join(scratch, 'lost'), 'x')).toThrow(RemitError);
    expect(existsSync(join(scratch, 'lost'))).toBe(false);
  });

  test.each([undefined, 'EPERM', 'ENOTSUP'])(
    'a lock appears whole, also where files have one name only (%s)',
    (code) => {
      const folder = join(scratch, `lock-${code}`);
      const path = join(folder, 'lock');
      mkdirSync(folder);
      if (code !== undefined) failing('linkSync', code);
      const held = lock(folder);
      expect(readFileSync(path, 'utf8')).toMatch(new RegExp(`^${process.pid} (\\d+|-)( \\S+){4}\\n$`));
      expect([readdirSync(folder), isLocked(folder)]).toEqual([['lock'], true]);
      expect(() => lock(folder, 0)).toThrow(BusyError);
      held.release();
      expect([readdirSync(folder), isLocked(folder)]).toEqual([[], false]);
    },
  );

  test('a lock that another process has taken since is not given back', () => {
    const folder = join(scratch, 'lock-taken');
    mkdirSync(folder);
    const held = lock(folder);
    writeFileSync(join(folder, 'lock'), '1 1\n');
    held.release();
    expect(readFileSync(join(folder, 'lock'), 'utf8')).toBe('1 1\n');
  });
});

test('the time that is left goes by the steps of this process, not by those that were done before', () => {
  let text = '';
  let now = 0;
  const progress = new Progress({ write: (part) => { text += part; } }, () => now);
  for (let step = 2001; step <= 2006; step++, now += 1) {
    progress.update({ phase: 'pretrain', step, steps: 3000, loss: 1, rate: 1, gradNorm: 1, tokens: step });
  }
  // 994 steps of a second
  expect(text).toBe('phase=pretrain step=2006/3000 loss=1.0000 tok/s=1 elapsed=0:05 eta=16:34\n');
});
