// Ctrl-C and SIGTERM, sent to a process that trains or tests: nothing is lost, and it says how to go on.

import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { remitMini, startRemitMini } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary.ts';

const scratch = temporaryFolder();
const whole = join(scratch, 'whole');
const settings = [
  '--set', 'model.width=8', '--set', 'model.layers=1', '--set', 'model.heads=2', '--pretrain.warmup', '0',
  '--pretrain.steps', '200', '--pretrain.batch', '4',
];
const train = (...args: string[]): string[] => ['train', 'pretrain', ...settings, '--evaluate.questions', '1', ...args];

interface Ended { code: number | null; signal: string | null; stderr: string }

/** Starts a process and sends it a signal each time one of `cues` is true of its folder and what it said. */
async function interrupted(
  args: string[],
  signal: NodeJS.Signals,
  ...cues: ((stderr: string) => boolean)[]
): Promise<Ended> {
  const child = startRemitMini(args);
  let stderr = '';
  let ended = false;
  child.stderr!.on('data', (part: Buffer) => {
    stderr += part.toString();
  });
  const end = once(child, 'exit') as Promise<[number | null, string | null]>;
  void end.then(() => {
    ended = true;
  });
  for (const cue of cues) {
    while (!ended && !cue(stderr)) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill(signal);
  }
  const [code, killedBy] = await end;
  return { code, signal: killedBy, stderr };
}

/** A cue that comes so many milliseconds after it is first looked for. */
function later(ms: number): () => boolean {
  let since: number | undefined;
  return () => performance.now() - (since ??= performance.now()) > ms;
}

const lines = (folder: string): number =>
  existsSync(join(folder, 'metrics.jsonl'))
    ? readFileSync(join(folder, 'metrics.jsonl'), 'utf8').split('\n').length - 1
    : 0;

/** The words of the command that a process offered to go on with. */
function offered({ stderr }: Ended): string[] {
  return / \S*remit\/cli\/bin\.[jt]s (.*)$/m.exec(stderr)![1]!.split(' ');
}

function expectSame(folder: string): void {
  for (const name of ['metrics.jsonl', 'evaluation.json', 'config.json', 'checkpoints/pretrain.safetensors']) {
    expect(readFileSync(join(folder, name)).equals(readFileSync(join(whole, name))), name).toBe(true);
  }
  expect(readdirSync(join(folder, 'checkpoints'))).toEqual(['pretrain.safetensors']);
}

beforeAll(() => {
  expect(remitMini(train('--out', whole)).code).toBe(0);
});

describe.each([['SIGINT', 130], ['SIGTERM', 143]] as const)('%s', (signal, code) => {
  test('in training: the step in hand is finished and stored, and the command that is offered ends with the same bytes', async () => {
    const folder = join(scratch, signal);
    const ended = await interrupted(train('--out', folder), signal, () => lines(folder) >= 20);
    expect(ended).toMatchObject({ code, signal: null });
    const step = /^stopped in pretrain after step (\d+) of 200: go on with: /m.exec(ended.stderr)![1]!;
    expect(lines(folder)).toBe(Number(step));
    expect(readdirSync(join(folder, 'checkpoints'))).toEqual([`pretrain.step-${step.padStart(8, '0')}.safetensors`]);
    expect(remitMini(['sample', '--model', folder, '--prompt', '^']).code).toBe(0);
    const again = remitMini(offered(ended));
    expect(again.code).toBe(0);
    expect(again.stderr).toContain(
      `going on from ${join(folder, 'checkpoints')}/pretrain.step-${step.padStart(8, '0')}.safetensors: pretrain, ` +
      `step ${step} of 200`,
    );
    expectSame(folder);
  });

  test.runIf(signal === 'SIGINT')(
    'in a test of the model: it ends at once, and the phase need not be trained again',
    async () => {
      const folder = join(scratch, `${signal}-evaluate`);
      const long = [
        'train', 'pretrain', ...settings, '--model.width', '64', '--pretrain.steps', '3', '--evaluate.questions', '100',
        '--out', folder,
      ];
      const ended = await interrupted(long, signal, () =>
        existsSync(join(folder, 'checkpoints', 'pretrain.safetensors')),
      );
      expect(ended).toMatchObject({ code, signal: null });
      expect(ended.stderr).toMatch(/^stopped between two phases: go on with: /m);
      expect(['evaluation.json', 'lock'].map((name) => existsSync(join(folder, name)))).toEqual([false, false]);
      const again = remitMini(offered(ended));
      expect(again.code).toBe(0);
      expect(again.stderr).not.toContain('phase=');
      expect(existsSync(join(folder, 'evaluation.json'))).toBe(true);
    },
  );

  test.runIf(signal === 'SIGINT')(
    'twice in a moment is once; again a second later, it ends at once, in the middle of a long step, without another ' +
    'word',
    async () => {
      const folder = join(scratch, `${signal}-twice`);
      const slow = [
        'train',
        'rl',
        ...settings.slice(0, 6),
        '--init',
        whole,
        '--set',
        'rl.prompts=128',
        '--set',
        'rl.updates=1000',
        '--evaluate.questions',
        '1',
        '--out',
        folder,
      ];
      const ended = await interrupted(
        slow,
        signal,
        () => existsSync(join(folder, 'evaluation.json')),
        (stderr) => stderr.includes('once more'),
        later(1100),
      );
      expect(ended).toMatchObject({ code: null, signal });
      expect(ended.stderr).toContain('stopping after this step; once more to stop at once');
      expect(ended.stderr).not.toContain('go on with');
    },
  );
});
