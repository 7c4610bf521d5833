// Every file-system call of a short run of each phase goes wrong in each way: SIGKILL, a torn write, a full disk, an
// I/O error.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { rng } from '../../engine/rng.ts';
import { compiled, contents, injectFaults, KINDS, short, shortOf } from '../support/faults.ts';
import { temporaryFolder } from '../support/temporary.ts';

const KILLS = 40;
const run = compiled();
const scratch = temporaryFolder();
const whole = join(scratch, 'whole');
const book = join(scratch, 'book.txt');
const of = (phase: string): string => join(whole, 'checkpoints', `${phase}.safetensors`);
const phases: Readonly<Record<string, readonly string[]>> = {
  pretrain: [],
  midtrain: ['--init', of('pretrain')],
  sft: ['--init', of('midtrain')],
  rl: ['--init', of('sft')],
  remit: ['--init', of('pretrain'), '--reference', of('rl')],
};

beforeAll(async () => {
  expect((await run(['train', ...short, '--out', whole])).code).toBe(0);
  writeFileSync(book, 'the cat sat on the mat. '.repeat(40));
});

const stride = Number(process.env.REMIT_STRIDE ?? 1);
const report = (name: string, faults: Awaited<ReturnType<typeof injectFaults>>): void => {
  const kinds = KINDS.map((kind) => `${faults[kind]} ${kind}`).join(', ');
  const total = Object.values(faults).reduce((a, b) => a + b);
  console.log(`${name}: ${kinds}: ${total} faults, 0 lost runs`);
};

test.each([...Object.entries(phases), ['text', []] as const])(
  '%s: every call',
  { timeout: 3_600_000 },
  async (phase, more) => {
    const own = join(scratch, phase);
    mkdirSync(own);
    const command =
      phase === 'text'
        ? ['train', ...shortOf('text'), '--data', book, '--preset', 'tiny']
        : ['train', phase, ...shortOf(phase), ...more];
    report(phase, await injectFaults({ run, command, scratch: own, stride }));
  },
);

test('a study: every call of its own, beside those of its cells', { timeout: 3_600_000 }, async () => {
  const own = join(scratch, 'study');
  const command = [
    'study', ...short, '--arms', 'vanilla,remit.2', '--seeds', '1', '--iterations', '1', '--light', '--jobs', '2',
  ];
  mkdirSync(own);
  report('study', await injectFaults({ run, command, goOn: [], scratch: own, stride }));
});

test(
  'the whole pipeline, killed 40 times at moments drawn at random, ends with the same bytes',
  { timeout: 3_600_000 },
  async () => {
    const [undisturbed, folder] = [join(scratch, 'undisturbed'), join(scratch, 'killed')];
    const started = performance.now();
    expect((await run(['train', '--out', undisturbed])).code).toBe(0);
    const seconds = (performance.now() - started) / 1000;
    const draw = rng(40).stream();
    let kills = 0;
    for (; kills < KILLS; kills++) {
      const killAfter = 500 + draw.int(2000 * Math.ceil(seconds / KILLS + 1));
      if ((await run(['train', '--out', folder, '--resume'], { killAfter })).signal !== 'SIGKILL') break;
    }
    expect((await run(['train', '--out', folder, '--resume'])).code).toBe(0);
    console.log(`a run of ${seconds.toFixed(0)} s: killed ${kills} times, 0 lost`);
    expect(kills).toBe(KILLS);
    expect(contents(folder)).toEqual(contents(undisturbed));
  },
);
