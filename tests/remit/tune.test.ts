// The command tune, and what it keeps: a file that later runs read, that may be damaged, and that another adapter
// shares.

import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { TensorStorage } from '../../engine/backend.ts';
import { openGpu } from '../../engine/webgpu/adapter.ts';
import { sourceOf } from '../../engine/webgpu/pipelines.ts';
import { ladder, matmulKernel } from '../../kernels/matmul/matmul.ts';
import { openDevice } from '../../remit/app/cli/device.ts';
import { readTuning, tuningPath, writeTuning } from '../../remit/app/cli/tune-cache.ts';
import { winnerOf } from '../../remit/app/cli/tune.ts';
import { inProcess, remitMini } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary.ts';

const scratch = temporaryFolder();
vi.stubEnv('XDG_CACHE_HOME', scratch);
afterAll(() => vi.unstubAllEnvs());
beforeEach(() => rmSync(join(scratch, 'remit-mini'), { recursive: true, force: true }));

/** What readTuning() returns, and what it prints. */
function reading(adapter: string): { tuned: ReturnType<typeof readTuning>; warning: string } {
  let warning = '';
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((text) => (warning += String(text)) !== '');
  try {
    return { tuned: readTuning(adapter), warning };
  } finally {
    spy.mockRestore();
  }
}

function damage(text: string): void {
  mkdirSync(dirname(tuningPath()), { recursive: true });
  writeFileSync(tuningPath(), text);
}

describe('the cache', () => {
  test('lies in the cache folder of the user', () => {
    expect(tuningPath()).toBe(join(scratch, 'remit-mini', 'tune.json'));
  });

  test('is empty at first, and that is nothing to warn of', () => {
    expect(reading('a')).toEqual({ tuned: undefined, warning: '' });
  });

  test('gives back what was put in, for each adapter, and adds to it', () => {
    writeTuning('a', { one: 'tiled', two: 'gemv' });
    writeTuning('b', { one: 'portable' });
    writeTuning('a', { two: 'split16' });
    expect(reading('a')).toEqual({ tuned: { one: 'tiled', two: 'split16' }, warning: '' });
    expect(reading('b').tuned).toEqual({ one: 'portable' });
    expect(reading('toString').tuned).toBeUndefined();
    expect(readdirSync(dirname(tuningPath()))).toEqual(['tune.json']);
  });

  test.each(['', '{', '[]', '{"version":2,"adapters":{}}', '{"version":1,"adapters":{"a":{"one":1}}}', 'null'])(
    '%j in its place is one line of warning, and made anew',
    (text) => {
      damage(text);
      expect(reading('a')).toEqual({
        tuned: undefined,
        warning: `tune: ${tuningPath()}: is damaged: ignored: remit-mini tune makes it anew\n`,
      });
      const spy = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
      writeTuning('a', { one: 'tiled' });
      spy.mockRestore();
      expect(reading('a')).toEqual({ tuned: { one: 'tiled' }, warning: '' });
    },
  );

  test('a folder in its place says why it cannot be read', () => {
    mkdirSync(tuningPath(), { recursive: true });
    expect(reading('a').warning).toBe(
      `tune: ${tuningPath()}: cannot be read (EISDIR): ignored: remit-mini tune makes it anew\n`,
    );
  });
});

describe('the winner', () => {
  const timing = (name: string, ms: number, right = true) => ({ name, ms, right });

  test('is the fastest that is right', () => {
    expect(winnerOf([timing('portable', 3), timing('tiled', 1, false), timing('gemv', 2)], 'portable')).toBe('gemv');
    expect(winnerOf([timing('tiled', 1, false)], 'tiled')).toBeUndefined();
    expect(winnerOf([timing('portable', Infinity), timing('gemv', 2)], 'portable')).toBe('gemv');
  });

  test('is what would run anyway unless another is clearly faster', () => {
    expect(winnerOf([timing('portable', 1), timing('tiled', 1.01)], 'tiled')).toBe('tiled');
    expect(winnerOf([timing('portable', 1), timing('tiled', 1.1)], 'tiled')).toBe('portable');
  });
});

describe('the command', () => {
  const gpuHere = openGpu({ software: 'allowed' }).then((gpu) =>
    typeof gpu === 'string' ? undefined : (gpu.device.destroy(), gpu),
  );
  const small = [
    '--set', 'model.width=8', '--set', 'model.layers=1', '--set', 'model.heads=2', '--pretrain.batch', '2', '--device',
    'webgpu',
  ];

  test('measures every shape of a step; the runs after it read what it kept', async ({ skip }) => {
    const gpu = await gpuHere;
    const { key } = gpu ?? {};
    if (key === undefined) {
      expect(process.env.REMIT_REQUIRE_WEBGPU).not.toBe('1');
      return skip('no WebGPU');
    }
    const { code, stdout, stderr } = remitMini(['tune', ...small, '--midtrain.batch', '2']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [title, names, ...rows] = stdout.trimEnd().split('\n');
    const last = rows.pop();
    expect(title).toMatch(/: microseconds per product/);
    const measured = names!.trim().split(/ +/).filter((name) => !name.startsWith('subgroup'));
    expect(measured).toEqual(['portable', 'tiled', 'large', 'medium', 'split16', 'split32', 'gemv']);
    expect(names).toContain(gpu!.name.includes('SwiftShader') ? 'subgroup4' : '');
    expect(rows.length).toBeGreaterThan(10); // qkv, projection, MLP up and down, head: forward and two gradients each
    for (const row of rows) expect(row).toMatch(/^matmul \d+x\d+x\d+ [NT][NT] .*\*[\d.]+/);
    expect(last).toBe(`${rows.length} shapes kept in ${tuningPath()}`);
    const kept = reading(key).tuned!;
    expect(Object.keys(kept)).toEqual(rows.map((row) => row.split('  ')[0]));

    damage('{');
    const out = join(scratch, 'run');
    const train = [
      ...small, '--pretrain.steps', '1', '--pretrain.warmup', '0', '--evaluate.questions', '1', '--out', out,
    ];
    const trained = remitMini(['train', 'pretrain', ...train]);
    expect(trained.code).toBe(0);
    expect(trained.stderr).toContain(`tune: ${tuningPath()}: is damaged: ignored`);
  }, 60_000);

  test('what it keeps decides what runs, at that shape', async ({ skip }) => {
    const { key } = (await gpuHere) ?? {};
    if (key === undefined) return skip('no WebGPU');
    const { shader, grid } = ladder.naive;
    const marked = {
      shader: { ...shader, source: sourceOf(shader).replace('epilogue(sum,', 'epilogue(sum + 100.0,') },
      grid,
    };
    const kernel = { ...matmulKernel, variants: { marked } };
    writeTuning(key, { 'matmul 1x1x3 NN': 'marked' });
    const device = await openDevice('webgpu');
    const found: number[] = [];
    for (const [K, transB] of [[3, 0], [2, 0], [3, 1]] as const) {
      const [a, b, out] = [K, K, 1].map((count) => device.alloc(count, 'f32')) as [
        TensorStorage,
        TensorStorage,
        TensorStorage,
      ];
      device.write(a, new Float32Array(K).fill(1));
      device.write(b, new Float32Array(K).fill(1));
      device.dispatch(
        kernel,
        { a, b, bias: b, residual: b, out },
        {
          batch: 1, M: 1, N: 1, K, transA: 0, transB, strideA: 0, strideB: 0, accumulate: 0, addBias: 0, addResidual: 0,
        },
      );
      found.push((await device.read(out))[0]!);
    }
    await openDevice('cpu'); // closes the other
    expect(found).toEqual([103, 2, 3]);
  });

  test('has nothing to do on the CPU, and takes software only when told', async () => {
    expect(await inProcess(['tune', '--device', 'cpu'])).toMatchObject({
      code: 2,
      stderr: 'error: tune: --device cpu: the CPU has one program for each kernel: use auto or webgpu\n',
    });
    expect(await inProcess(['tune', '--set', 'model.width'])).toMatchObject({
      code: 2,
      stderr: 'error: tune: --set model.width: must be <setting>=<value>, as in --set model.width=128\n',
    });
    vi.stubEnv('REMIT_NO_WEBGPU', '1');
    expect(await inProcess(['tune'])).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(
        /^error: tune: the package "webgpu" is switched off: .*; or try a software driver with --device webgpu\n$/,
      ),
    });
    expect(existsSync(tuningPath())).toBe(false);
  });
});
