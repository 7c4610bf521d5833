// Experiments from a file, in a project that has the built package installed: trained and resumed, studied, killed and
// taken up again, on a grid; and what is wrong with a file, told with its line.

import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { defineExperiment, type Experiment } from '../remit/experiment.ts';
import { advantages } from '../remit/rl/advantage.ts';
import { gridArms, withSettings } from '../remit/app/study/grid.ts';
import { STUDY_ARMS } from '../remit/app/study/arms.ts';
import { offerOf } from '../remit/app/study/offer.ts';
import { cellsOfSeed } from '../remit/app/study/plan.ts';
import { resolveConfig } from '../remit/settings/resolve.ts';
import { characterTokenizer } from '../remit/text/tokenizer.ts';
import { layOut } from './support/consumer.ts';
import { inProcess } from './support/command-line.ts';
import { describeGpu } from './support/gpu.ts';
import { temporaryFolder } from './support/temporary.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = temporaryFolder();
const at = (...names: string[]): string => join(folder, ...names);
const read = (...names: string[]): string => readFileSync(at(...names), 'utf8');
const program = at('node_modules/remit-mini/dist/remit/cli/bin.js');
const small = [
  '--preset', 'short', '--pretrain.steps', '8', '--pretrain.warmup', '2', '--midtrain.steps', '5', '--sft.steps', '3',
  '--rl.steps', '2', '--evaluate.questions', '2',
];

function remitMini(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { cwd: folder, encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

beforeAll(() => {
  layOut(folder, join(root, 'dist'), root);
  for (const name of ['webgpu', '@sparticuz']) symlinkSync(join(root, 'node_modules', name), at('node_modules', name));
  cpSync(join(root, 'examples/experiment.mjs'), at('experiment.mjs'));
});

const models = ['--init', 'run/checkpoints/pretrain.safetensors', '--reference', 'run/checkpoints/rl.safetensors'];
const metrics = (run: string) =>
  read(run, 'metrics.jsonl').trim().split('\n').map((line) => JSON.parse(line) as Record<string, number | string>);

describe('train --experiment', () => {
  test('trains with its arm, its reward and its schedule, and can be checked', () => {
    const shown = ['--rl.show', '2', '--out', 'run'];
    expect(remitMini('train', ...small, '--experiment', 'experiment.mjs', '--device', 'cpu', ...shown).code).toBe(0);
    const lines = metrics('run');
    const rates = lines.filter(({ phase }) => phase === 'remit').map(({ rate }) => rate as number);
    expect(rates).toEqual([0, 1, 2, 3, 4].map((step) => 5e-3 * (1 - step / 5) ** 2));
    const weights = lines.filter(({ phase }) => phase === 'remit').map(({ weightHighest }) => weightHighest as number);
    expect(Math.max(...weights)).toBeGreaterThan(1.2); // softplus clips nothing
    const rewards = lines.filter(({ phase }) => phase === 'rl').map(({ reward }) => reward as number);
    expect(rewards.some((reward) => !Number.isInteger(128 * reward))).toBe(true);
    expect(remitMini('verify', 'run', '--whole')).toMatchObject({ code: 0 });
    const [answer] = JSON.parse(read('run', 'samples/rl-2.json')) as Record<string, string | number>[];
    expect(answer).toMatchObject({ prompt: expect.stringMatching(/^\^.+\?$/) as string, reward: expect.any(Number) as number });
  });

  test('goes on with the same file alone', () => {
    writeFileSync(at('other.mjs'), read('experiment.mjs').replace('0.01 * Math.max', '0.02 * Math.max'));
    const { code, stderr } = remitMini('train', '--resume', 'run', '--experiment', 'other.mjs');
    expect(code).toBe(2);
    expect(stderr).toMatch(/other\.mjs:26: was changed since run began: .*0\.01.* then, .*0\.02.* now/);
    expect(remitMini('train', '--resume', 'run', '--arm', 'kd.3').code).toBe(2);
    expect(remitMini('train', '--resume', 'run').code).toBe(0);
  });

  test('an arm that is a method of ours', () => {
    const args = ['--midtrain.steps', '2', '--experiment', 'experiment.mjs', '--arm', 'kd.3', '--device', 'cpu', '--out', 'kd'];
    expect(remitMini('train', 'remit', '--preset', 'short', ...args, ...models).code).toBe(0);
    expect(JSON.parse(read('kd', 'config.json'))).toMatchObject({ remit: { arm: 'kd', distil: 0.3 } });
  });

  const define = (parts: string): string =>
    `import { defineExperiment } from "remit-mini";\nexport default defineExperiment({\n  ${parts},\n});\n`;

  test('a file that cannot be taken: one line that says where', () => {
    const cases: readonly (readonly [text: string, message: RegExp])[] = [
      ['const x = 1;', /^experiment: file0\.mjs: exports nothing by default: must be export default defineExperiment/],
      ['export default { arms: {} };', /^experiment: file1\.mjs: exports something else/],
      ['export default {\n  arms: [,\n', /^experiment: file2\.mjs:3: Unexpected/],
      ['import "nowhere";', /^experiment: file3\.mjs: Cannot find package 'nowhere'/],
      ['\n\nthrow new Error("too early");', /^experiment: file4\.mjs:3: too early/],
      [define('arm: {}'), /^experiment: file5\.mjs:2: defineExperiment: arm: .*arms/],
    ];
    cases.forEach(([text], i) => writeFileSync(at(`file${i}.mjs`), text));
    writeFileSync(at('open.mjs'), [
      'import { openExperiment } from "./node_modules/remit-mini/dist/remit/app/run/experiment-file.js";',
      `for (let i = 0; i < ${cases.length}; i++) {`,
      '  await openExperiment(`file${i}.mjs`).then(() => console.log("taken"), ({ message }) => console.log(message));',
      '}',
    ].join('\n'));
    const { stdout } = spawnSync(process.execPath, ['open.mjs'], { cwd: folder, encoding: 'utf8' });
    const told = stdout.trimEnd().split('\n');
    expect(told).toHaveLength(cases.length);
    cases.forEach(([, message], i) => expect(told[i]).toMatch(message));
  });

  test.each([
    ['remit', 'has an arm that throws', define('arms: { mine() { throw new Error("in vain"); } }'), /file\.mjs:3: in vain/],
    ['remit', 'has an arm without a loss', define('arms: { mine: () => 3 }'), /the loss returned = 3: must be \{ loss \}/],
    ['midtrain', 'has a promise as its world', define('world: async () => ({})'), /world\(\) returned = a promise: .*must be/],
    ['midtrain', 'has a rate that is none', define('schedules: { midtrain: () => NaN }'), /schedule: at step 0 = NaN: must/],
    ['midtrain', 'has an optimiser that is none', define('optimisers: { midtrain: () => ({}) }'), /optimiser.*must be/],
  ])('train %s with a file that %s: one line', (phase, _, text, message) => {
    writeFileSync(at('file.mjs'), text);
    const given = phase === 'remit' ? models : models.slice(0, 2);
    const { code, stderr } = remitMini('train', phase, '--preset', 'short', '--experiment', 'file.mjs', '--device', 'cpu', ...given);
    expect(code).toBe(2);
    const told = stderr.split('\n').filter((line) => line.startsWith('error'));
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(message);
    expect(stderr).not.toMatch(/^ {4}at /m);
  });

  test.each([
    [['--experiment', 'none.mjs'], /experiment: none\.mjs: no such file/],
    [['--arm', 'mine'], /--arm mine: is of an experiment: give --experiment/],
    [['--experiment', 'experiment.mjs', '--arm', 'softplsu'], /did you mean softplus\?/],
  ])('%j', (args, message) => {
    expect(remitMini('train', ...args)).toMatchObject({ code: 2, stderr: expect.stringMatching(message) as string });
  });
});

describeGpu('... on WebGPU', () => {
  test('eight steps, tested in a way of its own', () => {
    const evaluate = 'async () => ({ cued: 0.5, sampled: 0.25, greedy: 0.5, thinkRate: 0, tasks: [] })';
    writeFileSync(at('gpu.mjs'), [
      'import { defineExperiment } from "remit-mini";', 'import mine from "./experiment.mjs";',
      `export default defineExperiment({ ...mine, evaluate: ${evaluate} });`,
    ].join('\n'));
    const losses = ['cpu', 'webgpu'].map((device) => {
      const args = ['--preset', 'short', '--midtrain.steps', '8', '--midtrain.batch', '8', '--experiment', 'gpu.mjs', '--device', device];
      expect(remitMini('train', 'remit', ...args, ...models, '--out', device).code).toBe(0);
      expect(JSON.parse(read(device, 'evaluation.json'))).toMatchObject({
        stages: [{ evaluation: { cued: 0.5 } }, { evaluation: { cued: 0.5 } }],
      });
      return metrics(device).map(({ loss }) => loss as number);
    });
    expect(losses[0]).toHaveLength(8);
    losses[0]!.forEach((loss, i) => expect(Math.abs(loss - losses[1]![i]!)).toBeLessThan(1e-2));
  });
});

/** Starts a study, kills it in the middle, and begins it again. */
async function interrupted(out: string, args: readonly string[], after: string): Promise<void> {
  const child = spawn(process.execPath, [program, 'study', ...args, '--out', out], { cwd: folder, stdio: 'ignore' });
  while (!existsSync(at(out, after))) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  expect(remitMini('study', '--out', out).code).toBe(0);
}

describe('study', () => {
  const studied = [...small, '--device', 'cpu', '--seeds', '1', '--light'];

  test.each([
    [
      '--experiment',
      ['--experiment', 'experiment.mjs', '--arms', 'softplus,remit.2'],
      ['seed-1/softplus', 'seed-1/remit.2'],
    ],
    [
      '--grid',
      ['--grid', 'remit.epsilon=0.1,0.5', '--grid', 'model.width=32'],
      ['seed-1/remit@width=32_epsilon=0.1', 'seed-1/vanilla@width=32'],
    ],
  ])('%s: does every cell; killed and taken up again, the same bytes', async (name, args, cells) => {
    const whole = remitMini('study', ...studied, ...args, '--out', `whole${name}`);
    expect(whole.code).toBe(0);
    for (const cell of cells) expect(existsSync(at(`whole${name}`, cell, 'result.json'))).toBe(true);
    if (name === '--grid') return; // its cells are cells like others
    await interrupted(`killed${name}`, [...studied, ...args], 'seed-1');
    for (const file of ['report.md', 'report.json', 'report.csv']) {
      expect(read(`killed${name}`, file)).toBe(read(`whole${name}`, file));
    }
  });

  test('says what was compared', () => {
    const report = read('whole--experiment', 'report.md');
    expect(report).toContain('- **softplus**: weights by softplus of the gap');
    expect(report).toContain('softplus over remit.2');
    interface Report { readonly stages: { readonly midtrain: readonly { readonly arm: string; readonly difference?: object }[] } }
    const grid = JSON.parse(read('whole--grid', 'report.json')) as Report;
    expect(grid.stages.midtrain.map(({ arm, difference }) => [arm, difference !== undefined])).toEqual([
      ['vanilla@width=32', false], ['remit@width=32_epsilon=0.1', true], ['remit@width=32_epsilon=0.5', true],
    ]);
  });

  test.each([
    [['--grid', 'remit.epsilon'], /must be <setting>=<value>,<value>/],
    [['--grid', 'remit.epsilon=0.1,'], /must be <setting>=<value>,<value>/],
    [['--grid', 'remit.epsilom=0.1'], /no such setting: did you mean remit\.epsilon\?/],
    [['--grid', 'remit.epsilon=0.1,7'], /remit\.epsilon = 7 .*must be/],
    [['--grid', 'remit.epsilon=0.1,0.10'], /0\.10 is there twice/],
    [['--grid', 'seed=1,2'], /seed is the same for a whole study/],
    [['--grid', 'model.heads=3,4'], /width must be a multiple of heads/],
  ])('%j', async (args, message) => {
    const refused = await inProcess(['study', ...studied, ...args, '--out', at('refused')]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(message) as string });
  });

  test.each([
    [['--grid', 'remit.scale=2', '--out', 'whole--experiment'], /planned without a grid/],
    [['--experiment', 'other.mjs', '--out', 'whole--experiment'], /other\.mjs:26: was changed/],
    [['--experiment', 'experiment.mjs', '--arms', 'softplsu', '--out', 'refused'], /did you mean softplus\?/],
  ])('%j', (args, message) => {
    expect(remitMini('study', ...studied, ...args)).toMatchObject({ code: 2, stderr: expect.stringMatching(message) as string });
  });
});

test('a variant derives anew what follows from its settings, unless somebody asked for it', () => {
  const { config } = resolveConfig();
  expect(withSettings(config, { 'model.width': 32 }).model).toMatchObject({ width: 32, hidden: 96 });
  const asked = resolveConfig({ flags: [['model.hidden', '100']] }).config;
  expect(withSettings(asked, { 'model.width': 32 }).model).toMatchObject({ width: 32, hidden: 100 });
});

test('a grid of remit alone shares base and guide', () => {
  const { config } = resolveConfig();
  const arms = gridArms(['remit.epsilon=0.1,0.2', 'remit.scale=1,3'], STUDY_ARMS.filter(({ name }) => name === 'remit.5'), config);
  expect(arms.map(({ name, variant }) => [name, variant])).toEqual([
    ['vanilla', undefined],
    ...['0.1_scale=1', '0.1_scale=3', '0.2_scale=1', '0.2_scale=3'].map((end) => [`remit.5@epsilon=${end}`, undefined]),
  ]);
  expect(arms[2]!.settings).toEqual({ epsilon: 0.1, scale: 3 });
});

test('variants are compared with the first, and points of remit with nothing but vanilla', () => {
  const { config } = resolveConfig();
  const titles = (axes: string[]) =>
    offerOf(config, undefined, { axes, of: ['vanilla'] }).contrasts.map(({ title }) => title);
  expect(titles(['rl.advantage=rloo,grpo'])).toEqual(['midtrain', 'rl'].map(
    (stage) => `vanilla@advantage=grpo over vanilla@advantage=rloo, ${stage}`,
  ));
  expect(titles(['remit.epsilon=0.1,0.2'])).toEqual([]);
});

test('a base model is shared by what differs later only', () => {
  const { config } = resolveConfig();
  const arms = gridArms(['rl.advantage=rloo,grpo', 'model.width=32,64'], [], config);
  const cells = cellsOfSeed({ arms, seeds: [1], turns: 1, light: true }, 1);
  expect(cells.map(({ name, needs }) => [name, needs])).toEqual([
    ['seed-1/base@width=32', []], ['seed-1/base@width=64', []],
    ...['rloo', 'grpo'].flatMap((advantage) => ['32', '64'].map((width) => [
      `seed-1/vanilla@advantage=${advantage}_width=${width}`, [`seed-1/base@width=${width}`],
    ])),
  ]);
  const later = cellsOfSeed({ arms: gridArms(['rl.advantage=rloo,grpo'], [], config), seeds: [1], turns: 1, light: true }, 1);
  expect(later.map(({ name }) => name)).toEqual([
    'seed-1/base', 'seed-1/vanilla@advantage=rloo', 'seed-1/vanilla@advantage=grpo',
  ]);
});

/** Rows like "ab=a.": two letters, and the first of them again. */
const letters = `import { characterTokenizer, defineExperiment, ops, tensor, noGrad } from 'remit-mini';
const tokenizer = characterTokenizer('abc=.');
const text = (n) => 'abc'[n % 3] + 'abc'[Math.floor(n / 3) % 3] + '=' + 'abc'[n % 3] + '.';
const numbered = (step, batch) => Array.from({ length: batch }, (_, i) => step * batch + i);
const rows = { rows: (step, batch) => Int32Array.from(numbered(step, batch).flatMap((n) => [...tokenizer.encode(text(n))])) };
const demonstrations = {
  rows: (step, batch) => ({ rows: rows.rows(step, batch), mask: Float32Array.from(numbered(step, batch).flatMap(() => [0, 0, 1, 1])) }),
};
const questions = {
  maxNew: 2, stop: 4,
  question: (n) => ({ prompt: tokenizer.encode(text(n).slice(0, 3)), reward: (row) => (row[3] === row[0] ? 1 : 0) }),
};
/** How likely the right letter is, over all nine questions. */
async function evaluate(model) {
  const all = Int32Array.from(numbered(0, 9).flatMap((n) => [...tokenizer.encode(text(n).slice(0, 3))]));
  const probabilities = await noGrad(() => ops.softmax(model.forward(tensor(all, [9, 3], 'i32')))).read();
  const right = numbered(0, 9).reduce((total, n) => total + probabilities[(n * 3 + 2) * 5 + (n % 3)] / 9, 0);
  const scores = { cued: right, sampled: right, greedy: right, thinkRate: 0 };
  return { ...scores, tasks: [{ name: 'copy', group: 'letters', ...scores }] };
}
export default defineExperiment({
  tokenizer, evaluate, world: () => ({ pretrain: rows, midtrain: rows, demonstrations, questions }),
  arms: { mild: { method: 'remit', settings: { epsilon: 0.1 } } },
});
`;

describe('a tokenizer of its own', () => {
  const shape = ['--pretrain.steps', '40', '--model.width', '16', '--model.layers', '1', '--model.heads', '2'];

  test('its models have its vocabulary and are tested its way; verified, refused elsewhere, studied', () => {
    writeFileSync(at('letters.mjs'), letters);
    const trained = remitMini('train', ...small, ...shape, '--experiment', 'letters.mjs', '--device', 'cpu', '--out', 'letters');
    expect([trained.code, trained.code === 0 ? '' : trained.stderr]).toEqual([0, '']);
    expect(trained.stderr).toContain('--prompt ...');
    const { stages } = JSON.parse(read('letters', 'evaluation.json')) as { stages: { evaluation: { cued: number } }[] };
    expect(stages[0]!.evaluation.cued).toBeGreaterThan(0.5); // by chance .2
    expect(remitMini('sample', '--model', 'letters', '--prompt', 'ab=', '--tokens', '2').stdout).toMatch(/^ab=[abc=.]{1,2}/);
    expect(remitMini('verify', 'letters')).toMatchObject({ code: 0 });
    const asked = remitMini('evaluate', '--model', 'letters', '--experiment', 'letters.mjs', '--json');
    expect(JSON.parse(asked.stdout)).toMatchObject({ tasks: [{ name: 'copy' }] });
    expect(remitMini('evaluate', '--model', 'letters').stderr).toContain('the tiny world needs its own');
    const refused = remitMini('train', 'midtrain', '--preset', 'short', '--init', 'letters/checkpoints/pretrain.safetensors');
    expect(refused.stderr).toMatch(/its tokenizer is another .*: the tiny world needs its own/);
    const mine = ['--experiment', 'letters.mjs', '--init', 'run/checkpoints/pretrain.safetensors'];
    const { stderr } = remitMini('train', 'midtrain', '--preset', 'short', ...mine);
    expect(stderr).toMatch(/its tokenizer is another .*: the experiment's is needed/);
    const once = ['--seeds', '1', '--iterations', '1', '--out', 'spelled'];
    const study = remitMini('study', ...small, ...shape, '--experiment', 'letters.mjs', ...once);
    expect([study.code, study.code === 0 ? '' : study.stderr]).toEqual([0, '']);
    expect(read('spelled', 'report.md')).toContain('**mild**');
  }, 120_000);

  test('is given with all that speaks its tokens', () => {
    writeFileSync(at('parts.mjs'), letters.replace('demonstrations, questions }', 'questions }'));
    expect(remitMini('train', ...small, ...shape, '--experiment', 'parts.mjs', '--out', 'parts').stderr).toMatch(
      /world\(\) returned: has no demonstrations: with a tokenizer of its own it must have all parts/,
    );
    const tokenizer = characterTokenizer('ab');
    expect(() => defineExperiment({ tokenizer })).toThrow('give world() and evaluate(), too');
    expect(() => defineExperiment({ tokenizer: 'bytes' as never })).toThrow('tokenizer = "bytes": must be a tokenizer');
  });
});

describe('values in place of names', () => {
  test('advantages by a function', () => {
    expect([...advantages([1, 0, 1, 1], 2, (rewards) => rewards.map((reward) => 2 * reward))]).toEqual([2, 0, 2, 2]);
    expect(() => advantages([1, 0], 2, () => [1])).toThrow('returned 1 for 2 rewards: give one for each');
    expect(() => advantages([1, 0], 2, () => [1, NaN])).toThrow('returned[1] = NaN: must be a finite number');
  });

  test.each<[unknown, string]>([
    [{ arms: { 'a/b': () => 0 } }, 'arms: a/b: it names a folder'],
    [{ arms: { a: {} } }, 'arms: a: must have a loss of its own, or a method of ours'],
    [{ arms: { a: { method: 'kd', guide: 'sft' } } }, 'arms: a: guide: kd has its own'],
    [{ arms: { a: { method: 'kd', settings: { distill: 0.3 } } } }, 'no such setting: did you mean remit.distil?'],
    [{ arms: { a: { method: 'kd', settings: { distil: 3 } } } }, 'remit.distil = 3'],
    [{ schedules: { warmup: () => 0 } }, 'schedules: warmup'],
    [{ optimisers: { midtrain: 'muon' } }, 'optimisers: midtrain'],
    [{ contrasts: [{ of: 'a' }] }, 'must be two arms: { of, less }'],
  ])('refuses %j', (experiment, message) => {
    expect(() => defineExperiment(experiment as Experiment)).toThrow(message);
  });
});
