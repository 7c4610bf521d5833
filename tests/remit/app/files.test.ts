// `--world`: runs on a world made of files, the example of examples/sums at a small size: everything, each phase alone,
// with parts left out, tested, verified, taken up again.

import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { storedStages } from '../../../remit/app/run/evaluation.ts';
import { inProcess, type Outcome } from '../../support/command-line.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const scratch = temporaryFolder();
const at = (name: string): string => join(scratch, name);
const small = [
  '--device', 'cpu', '--model.width', '16', '--model.layers', '1', '--model.heads', '2', '--pretrain.steps', '4',
  '--midtrain.steps', '3', '--sft.steps', '3', '--rl.steps', '2', '--rl.prompts', '4', '--rl.samples', '2',
];
/** Small settings for phases, of those that a phase reads. */
const alone = (phase: string): string[] => {
  const section = phase === 'remit' ? 'midtrain' : phase;
  const pairs = small.flatMap((word, i) => (word.startsWith('--') ? [[word, small[i + 1]!] as const] : []));
  return pairs.filter(([name]) => name.startsWith(`--${section}.`) || name === '--device').flat();
};
const phasesOf = (run: string): string[] => [
  ...new Set(readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n')
    .map((line) => (JSON.parse(line) as { phase: string }).phase)),
];

/** A copy of the world without some of its files. */
function copy(name: string, ...without: string[]): string {
  cpSync(at('sums'), at(name), { recursive: true });
  for (const file of without) rmSync(join(at(name), file));
  return at(name);
}

let whole: Outcome;
beforeAll(async () => {
  execFileSync(process.execPath, ['examples/sums/make.mjs', at('sums'), '0.02']);
  whole = await inProcess(['train', '--world', at('sums'), '--out', at('whole'), ...small]);
}, 60_000);

test('everything: all stages are trained and tested', () => {
  expect(whole.code).toBe(0);
  expect(whole.stdout).toMatch(/cued +sampled +greedy +thinks\npretrain /);
  const stages = ['pretrain', 'midtrain', 'sft', 'rl', 'remit', 'remit-sft', 'remit-rl'];
  expect(phasesOf(at('whole'))).toEqual(stages);
  expect(storedStages(at('whole')).map(({ name }) => name)).toEqual(stages);
});

test('the example shows no held-out question in training', () => {
  expect(whole.stderr).not.toContain('held-out');
});

test('a run is verified, also when its world has moved', async () => {
  const world = copy('moving');
  await inProcess(['train', 'pretrain', '--world', world, '--out', at('moved'), ...alone('pretrain')]);
  expect(await inProcess(['verify', at('moved'), '--whole'])).toMatchObject({ code: 0 });
  expect(await inProcess(['verify', at('whole')])).toMatchObject({ code: 0 });
  expect((await inProcess(['runs', scratch])).stdout).toMatch(/whole.*done/);
});

test('a study: its cells one by one, and a report of their tasks', async () => {
  const out = at('study');
  const planned = await inProcess([
    'study', 'plan', '--world', at('sums'), '--arms', 'remit.2', '--seeds', '1', '--iterations', '1', '--light', ...small,
    '--out', out,
  ]);
  expect(planned).toMatchObject({ code: 0, stdout: expect.stringContaining('3 cells in 3 waves') as string });
  for (const index of ['0', '1', '2']) {
    expect(await inProcess(['study', 'run', '--out', out, '--index', index])).toMatchObject({ code: 0 });
  }
  const { code, stdout } = await inProcess(['study', 'collect', '--out', out]);
  expect(code).toBe(0);
  expect(stdout).toContain('2 + 3 digits');
  expect(JSON.parse(readFileSync(join(out, 'seed-1/remit.2/config.json'), 'utf8'))).toMatchObject({ model: { context: 48 } });
});

test('a study with curves asked for has none here; and it goes on with the same files alone', async () => {
  const world = copy('changing');
  const out = at('whole-study');
  const given = ['study', '--world', world, '--arms', 'remit.2', '--seeds', '1', '--iterations', '1', ...small, '--out', out];
  expect(await inProcess(['study', 'plan', ...given.slice(1)])).toMatchObject({ code: 0 });
  expect(await inProcess(['study', 'run', '--out', out, '--index', '0'])).toMatchObject({ code: 0 });
  writeFileSync(join(world, 'rl.jsonl'), readFileSync(join(world, 'rl.jsonl'), 'utf8').split('\n').slice(1).join('\n'));
  for (const words of [['run', '--index', '1'], ['collect']]) {
    const { code, stderr } = await inProcess(['study', ...words, '--out', out]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/the files of .*changing were changed since it began: bring them back/);
  }
});

test('each phase alone goes on from a model; evaluate and sample read it', async () => {
  const rlModel = join(at('whole'), 'checkpoints/rl.safetensors');
  for (const phase of ['midtrain', 'sft', 'rl', 'remit']) {
    const guided = phase === 'remit' ? ['--reference', rlModel] : [];
    const out = await inProcess([
      'train', phase, '--world', at('sums'), '--init', join(at('whole'), 'checkpoints/pretrain.safetensors'), ...guided,
      '--out', at(`alone-${phase}`), ...alone(phase),
    ]);
    expect(out).toMatchObject({ code: 0, stdout: expect.stringContaining(`\n${phase}`) as string });
  }
  const model = ['--model', at('whole'), '--device', 'cpu'];
  const tested = await inProcess(['evaluate', '--world', at('sums'), ...model, '--json']);
  const { evaluation } = storedStages(at('whole')).at(-1)!;
  expect(JSON.parse(tested.stdout)).toMatchObject({ world: 'sums', heldOutSeen: 0, ...evaluation });
  const sampled = await inProcess(['sample', ...model, '--prompt', '1+2=']);
  expect(sampled.stdout.startsWith('1+2=')).toBe(true);
});

test.each([
  [['rl.jsonl'], ['pretrain', 'midtrain', 'sft'], 'left out: rl, remit, remit-sft, remit-rl: '],
  [['midtrain.txt', 'sft.jsonl'], ['pretrain', 'rl'], 'left out: midtrain, sft, remit, '],
  [
    ['pretrain.txt', 'eval.jsonl'],
    ['midtrain', 'sft', 'rl', 'remit', 'remit-sft', 'remit-rl'],
    'no eval.jsonl: nothing was asked',
  ],
] as const)('without %j: %j', async (without, phases, said) => {
  const world = copy(`without-${without.join('-')}`, ...without);
  const out = await inProcess(['train', '--world', world, '--out', at(`run-${without.join('-')}`), ...small]);
  expect(out.stderr).toContain(said);
  expect(out.code).toBe(0);
  expect(phasesOf(at(`run-${without.join('-')}`))).toEqual(phases);
});

test('every arm', async () => {
  const start = ['--init', join(at('whole'), 'checkpoints/pretrain.safetensors')];
  const guide = ['--reference', join(at('whole'), 'checkpoints/rl.safetensors')];
  for (const arm of ['vanilla', 'sft-guided', 'normalised', 'shuffled', 'shuffled-rows', 'kd', 'rho']) {
    const out = await inProcess([
      'train', 'remit', '--world', at('sums'), ...start, ...guide, '--remit.arm', arm, '--out', at(arm),
      ...alone('remit'),
    ]);
    expect([arm, out.code]).toEqual([arm, 0]);
  }
});

test('a run goes on with the same world only', async () => {
  const world = copy('changing');
  const command = ['train', 'pretrain', '--world', world, '--out', at('going-on'), ...alone('pretrain')];
  expect((await inProcess(command)).code).toBe(0);
  expect((await inProcess(['train', '--resume', at('going-on')])).code).toBe(0);
  renameSync(world, at('elsewhere'));
  expect((await inProcess(['train', '--resume', at('going-on'), '--world', at('elsewhere')])).code).toBe(0);
  writeFileSync(join(at('elsewhere'), 'pretrain.txt'), readFileSync(join(at('sums'), 'pretrain.txt'), 'utf8').slice(9));
  expect(await inProcess(['train', '--resume', at('going-on'), '--world', at('elsewhere')])).toMatchObject({
    code: 2, stderr: expect.stringContaining('began with another world (--world)') as string,
  });
});

test.each<[string, string[], string]>([
  [
    'a phase without its part',
    ['train', 'rl', '--world', 'W', '--init', 'M'],
    'train: rl: W has no rl.jsonl: nothing can be trained',
  ],
  [
    'a setting of the tiny world',
    ['train', '--world', 'W', '--evaluate.questions', '9'],
    'eval.jsonl of your world says what is asked',
  ],
  ['text and a world', ['train', '--world', 'W', '--data', 'x.txt'], 'a run learns from one of them: leave one out'],
  [
    'too small a context',
    ['train', '--world', 'W', '--model.context', '24'],
    'model.context = 24: rows of sums need 48',
  ],
  ['a study', ['study', '--world', 'W'], 'has no rl: a study needs every part of a world'],
  [
    'a model of the tiny world',
    ['evaluate', '--world', 'W', '--model', 'T'],
    'its tokenizer is another than that of sums',
  ],
  ['no folder', ['train', '--world', 'none'], 'world: none: no such folder'],
])('%s is refused in one line', async (name, words, message) => {
  const world = copy(`refused-${name.replaceAll(' ', '-')}`, 'rl.jsonl');
  if (words.includes('T')) {
    const short = ['--preset', 'short', '--pretrain.steps', '1', '--device', 'cpu'];
    await inProcess(['train', 'pretrain', ...short, '--out', at('tiny')]);
  }
  const places: Record<string, string> = { W: world, M: at('whole'), T: at('tiny') };
  const out = words[0] === 'train' ? ['--out', at('no')] : [];
  const { code, stderr } = await inProcess([...words.map((word) => places[word] ?? word), ...out]);
  expect(code).toBe(2);
  expect(stderr.replaceAll(world, 'W')).toContain(message);
});
