// The command line as people meet it: real processes, their exit codes, and what they say.

import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../../engine/cpu/backend.ts';
import { ConfigError } from '../../../engine/errors.ts';
import { useBackend } from '../../../engine/runtime.ts';
import { readArguments } from '../../../remit/app/cli/arguments.ts';
import { evaluationTable } from '../../../remit/app/cli/table.ts';
import { resolveConfig } from '../../../remit/settings/resolve.ts';
import { settings } from '../../../remit/settings/schema.ts';
import { characterTokenizer } from '../../../remit/text/tokenizer.ts';
import type { Evaluation } from '../../../remit/worlds/tiny/evaluate.ts';
import { newModel } from '../../../remit/phases/pretrain.ts';
import { readCheckpoint, writeCheckpoint } from '../../../remit/app/run/checkpoint.ts';
import { inProcess, remitMini, startRemitMini } from '../../support/command-line.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const scratch = temporaryFolder();
const small = [
  '--set', 'model.width=8', '--set', 'model.layers=1', '--set', 'model.heads=2', '--pretrain.warmup', '0',
  '--pretrain.steps', '3', '--midtrain.steps', '2', '--pretrain.batch', '4', '--midtrain.batch', '4',
  '--evaluate.questions', '1', '--sft.steps', '2', '--sft.batch', '4', '--rl.steps', '2', '--rl.warmup', '1',
  '--rl.prompts', '3', '--rl.samples', '2',
];
const STAGES = ['pretrain', 'midtrain', 'sft', 'rl', 'remit', 'remit-sft', 'remit-rl'];
const [runA, runB] = [join(scratch, 'a'), join(scratch, 'b')];
const world = (...args: string[]) => remitMini(['train', ...small, ...args]);

describe('a run', () => {
  let trained: ReturnType<typeof world>;
  beforeAll(() => {
    trained = world('--out', runA);
    world('--out', runB);
  });

  test('goes through all seven stages, prints their comparison on stdout and the rest on stderr', () => {
    expect(trained.code).toBe(0);
    const lines = trained.stdout.split('\n');
    const rows = lines.slice(1, 8);
    expect(lines[0]).toMatch(/^ +cued +sampled +greedy +thinks +cued +sampled +greedy +thinks$/);
    expect(rows.map((line) => line.split(' ')[0])).toEqual(STAGES);
    for (const line of rows.slice(0, 4)) expect(line).toMatch(/^[a-z]+( +\d+\.\d){4}$/);
    for (const line of rows.slice(4)) {
      expect(line).toMatch(/^remit\S*( +\d+\.\d){4} {2}less (midtrain|sft|rl)( +[+-]\d+\.\d){4}$/);
    }
    expect(trained.stdout).toContain('One seed shows how the choice to think moved');
    // what each answers to two questions
    expect(trained.stdout.match(new RegExp(`^ {2}(${STAGES.join('|')}) +\\S.* (right|wrong)$`, 'gm'))).toHaveLength(
      2 * STAGES.length,
    );
    for (const line of trained.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(trained.stderr).toMatch(/^next: .* sample --model /m);
    expect(trained.stderr).toContain(`${runA}: `);
    expect(trained.stderr).toMatch(
      new RegExp(
        STAGES.map((stage) => `phase=${stage} step=${stage === 'pretrain' ? '3/3' : '2/2'} .*`).join('\n(?:.*\n)*'),
      ),
    );
    expect(readdirSync(runA).sort()).toEqual([
      'checkpoints', 'config.json', 'env.json', 'evaluation.json', 'metrics.jsonl', 'timing.jsonl',
    ]);
    expect(readdirSync(join(runA, 'checkpoints')).sort()).toEqual(STAGES.map((stage) => `${stage}.safetensors`).sort());
  });

  test('leaves a line of metrics per step, with what its phase measures', () => {
    const records = readFileSync(join(runA, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const always = ['phase', 'step', 'steps', 'loss', 'rate', 'gradNorm', 'tokens'];
    const keys = (phase: string): string[] =>
      [...new Set(records.filter((record) => record.phase === phase).flatMap((record) => Object.keys(record)))].filter(
        (key) => !always.includes(key),
      );
    expect(records.map(({ phase, step }) => `${String(phase)} ${String(step)}`)).toEqual(
      STAGES.flatMap((stage) => (stage === 'pretrain' ? [1, 2, 3] : [1, 2]).map((step) => `${stage} ${step}`)),
    );
    for (const stage of ['pretrain', 'midtrain', 'sft', 'remit-sft']) expect(keys(stage)).toEqual([]);
    for (const stage of ['rl', 'remit-rl']) {
      expect(keys(stage)).toEqual(['reward', 'kl', 'clipFraction', 'entropy', 'length', 'noSignal', 'truncated', 'thinkRate']);
    }
    expect(keys('remit')).toEqual([
      'nextToken', 'gap', 'weightMean', 'weightDeviation', 'weightLowest', 'weightHighest', 'weightsLow', 'weightsHigh',
    ]);
  });

  test.each([
    'metrics.jsonl',
    'evaluation.json',
    'config.json',
    ...STAGES.map((stage) => `checkpoints/${stage}.safetensors`),
  ])('two processes with one seed write the same %s', (name) => {
    expect(readFileSync(join(runA, name)).equals(readFileSync(join(runB, name)))).toBe(true);
  });

  test('is not overwritten', () => {
    const before = readFileSync(join(runA, 'metrics.jsonl'), 'utf8');
    expect(world('--out', runA)).toMatchObject({
      code: 2,
      stderr:
        `error: run: ${runA}: exists and is not empty: choose another --out, or go on with it by --resume ${runA}\n`,
    });
    expect(readFileSync(join(runA, 'metrics.jsonl'), 'utf8')).toBe(before);
  });

  test('can be repeated from its config.json', () => {
    const out = join(scratch, 'again');
    expect(remitMini(['train', 'pretrain', '--config', join(runA, 'config.json'), '--out', out]).code).toBe(0);
    expect(
      readFileSync(join(out, 'checkpoints/pretrain.safetensors')).equals(
        readFileSync(join(runA, 'checkpoints/pretrain.safetensors')),
      ),
    ).toBe(true);
  });

  test.each([
    ['midtrain', ['--init', 'pretrain']],
    ['sft', ['--init', 'midtrain']],
    ['rl', ['--init', 'sft']],
    ['remit', ['--init', 'pretrain', '--reference', 'rl']],
  ])('the phase %s alone, with %j of the run, gives the same model as in one go', async (phase, given) => {
    const out = join(scratch, phase);
    const models = given.map((word) =>
      word.startsWith('--') ? word : join(runA, 'checkpoints', `${word}.safetensors`),
    );
    const { code, stdout } = await inProcess([
      'train', phase, '--config', join(runA, 'config.json'), ...models, '--out', out,
    ]);
    expect(code).toBe(0);
    expect(stdout.split('\n')[1]).toMatch(new RegExp(`^task group( +start +${phase}){4}$`));
    expect(
      stdout
        .split('\n')
        .slice(2, 13)
        .map((line) => line.slice(0, 4)),
    ).toEqual(['SUM ', 'MUL ', 'CLK ', 'VAR ', 'DEP ', 'PTR ', 'BOO ', 'LOK ', 'CMP ', 'CNT ', 'mean']);
    expect(
      readFileSync(join(out, `checkpoints/${phase}.safetensors`)).equals(
        readFileSync(join(runA, `checkpoints/${phase}.safetensors`)),
      ),
    ).toBe(true);
  });

  test('the flywheel turns as often as it is told, each turn beside the ordinary pipeline', async () => {
    const turns = async (n: number): Promise<string[]> => {
      const { code, stdout } = await inProcess([
        'train',
        ...small,
        '--iterations',
        `${n}`,
        '--out',
        join(scratch, `turns-${n}`),
      ]);
      expect(code).toBe(0);
      return stdout
        .slice(0, stdout.indexOf('\n\n'))
        .split('\n')
        .slice(1)
        .map((line) =>
          line
            .replaceAll(/[-+]?\d+\.\d/g, '')
            .split(/ +/)
            .filter((word) => word !== '')
            .join(' '),
        );
    };
    const ordinary = STAGES.slice(0, 4);
    const first = ['remit less midtrain', 'remit-sft less sft', 'remit-rl less rl'];
    expect(await turns(0)).toEqual(ordinary);
    expect(await turns(2)).toEqual([
      ...ordinary, ...first, 'remit2 less midtrain', 'remit2-sft less sft', 'remit2-rl less rl',
    ]);
  });

  test('a reference with other tokens is refused', async () => {
    const reference = join(scratch, 'other-tokens.safetensors');
    useBackend(new CpuBackend());
    const { config } = resolveConfig({ flags: [['model.width', '8'], ['model.heads', '2'], ['model.layers', '1']] });
    await writeCheckpoint(reference, newModel(config, 3), characterTokenizer('abc'), {
      phase: 'rl',
      step: 0,
      seed: 0,
      configHash: '',
    });
    expect(
      await inProcess([
        'train',
        'remit',
        '--config',
        join(runA, 'config.json'),
        '--init',
        join(runA, 'checkpoints/pretrain.safetensors'),
        '--reference',
        reference,
        '--out',
        join(scratch, 'refused'),
      ]),
    ).toEqual({
      code: 2,
      stdout: '',
      stderr:
        `error: train: --reference ${reference}: its tokenizer is another (character): the tiny world needs its own ` +
        `70 characters\n`,
    });
    expect(existsSync(join(scratch, 'refused'))).toBe(false);
  });

  test('evaluate repeats its scores', async () => {
    const { stages } = JSON.parse(readFileSync(join(runA, 'evaluation.json'), 'utf8')) as {
      stages: { name: string; evaluation: Evaluation }[];
    };
    const { stdout, code } = await inProcess(['evaluate', '--model', runA, '--questions', '1', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ...stages.at(-1)!.evaluation, split: 'test', questions: 1 });
  });

  test('sample continues a prompt, the same way each time', async () => {
    const ask = async (...args: string[]) =>
      (await inProcess(['sample', '--model', runA, '--prompt', '^S1+1-1-4-4?', ...args])).stdout;
    expect(await ask()).toMatch(/^\^S1\+1-1-4-4\?.{12}\n$/);
    expect(await ask()).toBe(await ask());
    expect(await ask('--seed', '2')).not.toBe(await ask());
    expect(await ask('--tokens', '3', '--top-k', '1')).toBe(await ask('--tokens', '3', '--temperature', '0'));
  });

  test('export writes a folder that sample and score read back alike', async () => {
    const { stdout, code } = await inProcess(['export', runA, '--format', 'huggingface']);
    const folder = join(runA, 'huggingface');
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toContain(join(folder, 'model.safetensors'));
    const tokens = join(scratch, 'tokens.json');
    writeFileSync(tokens, JSON.stringify({ tokens: [[0, 1, 2, 3], [5, 6]], mask: [[1, 1, 0, 1], [0, 1]] }));
    const score = async (path: string) => (await inProcess(['score', '--model', path, '--data', tokens])).stdout;
    const scores = [await score(runA), await score(folder)];
    expect(scores[0]).toBe(scores[1]);
    const { loss, count, logProbs } = JSON.parse(scores[0]!) as { loss: number; count: number; logProbs: number[][] };
    expect(logProbs.map((row) => row.length)).toEqual([3, 1]);
    expect(count).toBe(3);
    expect(loss).toBeCloseTo(-(logProbs[0]![0]! + logProbs[0]![2]! + logProbs[1]![0]!) / 3, 12);
    expect(await inProcess(['export', runA])).toMatchObject({ code: 2, stderr: expect.stringContaining('not empty') });
  });

  test('export of a foreign folder carries its tokenizer and special tokens over, and names what it leaves', async () => {
    const [foreign, out] = [join(scratch, 'foreign'), join(scratch, 'carried')];
    cpSync(join(runA, 'huggingface'), foreign, { recursive: true });
    const tokenizer = '{"model":{"type":"WordPiece"}}';
    writeFileSync(join(foreign, 'tokenizer.json'), tokenizer);
    writeFileSync(join(foreign, 'LICENSE'), '');
    const config = JSON.parse(readFileSync(join(foreign, 'config.json'), 'utf8')) as object;
    writeFileSync(join(foreign, 'config.json'), JSON.stringify({ ...config, eos_token_id: [7, 8] }));
    const outcome = await inProcess(['export', foreign, '--out', out]);
    expect(outcome).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(
        'carried over as they are: tokenizer.json, tokenizer_config.json, generation_config.json\nnot carried over: ' +
        'LICENSE\n',
      ),
    });
    expect(readFileSync(join(out, 'tokenizer.json'), 'utf8')).toBe(tokenizer);
    expect(readFileSync(join(out, 'model.safetensors')).equals(readFileSync(join(foreign, 'model.safetensors')))).toBe(
      true,
    );
    expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).toEqual({ ...config, eos_token_id: [7, 8] });
  });

  test('a damaged checkpoint is named, with exit code 4', async () => {
    const path = join(scratch, 'damaged.safetensors');
    const bytes = readFileSync(join(runB, 'checkpoints/rl.safetensors'));
    bytes[bytes.length - 2]! ^= 4;
    writeFileSync(path, bytes);
    expect(await inProcess(['sample', '--model', path, '--prompt', '^'])).toEqual({
      code: 4,
      stdout: '',
      stderr:
        `error: checkpoint: ${path}: its checksum does not fit: the file was changed or damaged after it was ` +
        `written\n`,
    });
  });

  test('your own text: bits per byte fall, and the model continues a prompt', async () => {
    const text = join(scratch, 'book.txt');
    const out = join(scratch, 'text');
    writeFileSync(text, 'the cat sat on the mat. '.repeat(200));
    const outcome = await inProcess([
      'train', '--data', text, '--preset', 'tiny', '--pretrain.steps', '20', '--pretrain.warmup', '0', '--out', out,
    ]);
    expect(outcome.code).toBe(0);
    const [before, after] = /^validation: ([\d.]+) -> ([\d.]+) bits per byte\n$/
      .exec(outcome.stdout)!
      .slice(1)
      .map(Number);
    expect(before).toBeGreaterThan(7.5); // log2 256 = 8
    expect(after).toBeLessThan(5);
    expect(readdirSync(join(out, 'checkpoints'))).toEqual(['pretrain.best.safetensors', 'pretrain.safetensors']);
    expect(
      (await inProcess(['sample', '--model', out, '--prompt', 'the ', '--tokens', '8'])).stdout.startsWith('the '),
    ).toBe(true);
    expect(await inProcess(['evaluate', '--model', out])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('the tiny world needs its own 70 characters'),
    });
    expect(await inProcess(['train', ...small, '--init', out, '--out', join(scratch, 'never')])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('it cannot become 8 (flag): leave that out'),
    });
    expect(existsSync(join(scratch, 'never'))).toBe(false);

    const short = join(scratch, 'short.txt');
    const further = join(scratch, 'further');
    writeFileSync(short, 'the dog. and so on. '); // 18 bytes to train on and 2 to validate on
    const more = [
      'train', 'pretrain', '--data', short, '--init', out, '--pretrain.steps', '2', '--pretrain.warmup', '0', '--out',
      further,
    ];
    const room = readCheckpoint(join(out, 'checkpoints/pretrain.safetensors')).config.context;
    expect(await inProcess(more)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`context ${room} needs ${room + 1}: give more text, or a context of at most 17`),
    });
    const outcomeOfShort = await inProcess([...more, '--model.context', '17']);
    expect(outcomeOfShort).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('the part kept for validation has 2 bytes: it is tested in rows of 1, not 17'),
    });
    expect(JSON.parse(readFileSync(join(further, 'config.json'), 'utf8'))).toMatchObject({ model: { context: 17 } });
    // it learned from shorter rows, and keeps its room
    expect(readCheckpoint(join(further, 'checkpoints/pretrain.safetensors')).config.context).toBe(room);
    expect(await inProcess([...more, '--model.context', String(room + 1)])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`it cannot become ${room + 1} (flag)`),
    });
  });
});

describe('what is wrong is one line, and an exit code', () => {
  const one = (...args: string[]) => args;
  test.each<[string[], number, string]>([
    [one('trian'), 2, 'remit-mini: trian: no such command: see remit-mini --help: did you mean train?'],
    [one('constructor'), 2, 'remit-mini: constructor: no such command: see remit-mini --help'],
    [one('foo'), 2, 'remit-mini: foo: no such command: see remit-mini --help'],
    [one('help', 'trian'), 2, 'remit-mini: trian: no such command: see remit-mini --help: did you mean train?'],
    [one('train', '--no\u001b[31msuch\nflag'), 2, 'train: --no\\u001b[31msuch\\u000aflag: no such flag'],
    [
      one('train', 'sftt'),
      2,
      'train: sftt: no such phase: there are pretrain, midtrain, sft, rl, remit: did you mean sft?',
    ],
    [one('train', 'everything'), 2, 'train: everything: no such phase: there are pretrain, midtrain, sft, rl, remit'],
    [one('train', 'pretrain', 'more'), 2, 'train: more: unexpected: see remit-mini train --help'],
    [one('train', '--modl.width', '3'), 2, 'train: --modl.width: no such flag: did you mean --model.width?'],
    [one('train', '--seed'), 2, 'train: --seed: needs a value: a value that begins with - is given as --seed=VALUE'],
    [
      one('train', '--seed', '-1'),
      2,
      'train: --seed: needs a value: a value that begins with - is given as --seed=VALUE',
    ],
    [one('train', '--seed=-1'), 2, 'config: seed = -1 (flag): must be a whole number from 0 to 4294967295'],
    [one('train', '--print-config=3'), 2, 'train: --print-config: takes no value'],
    [one('train', '--set', 'seed'), 2, 'train: --set seed: must be <setting>=<value>, as in --set model.width=128'],
    [one('train', '--config', '/no/such.json'), 2, 'config: /no/such.json: no such file'],
    ...['midtrain', 'sft', 'rl', 'remit'].map((phase): [string[], number, string] => [
      one('train', phase),
      2,
      `train ${phase}: needs a model to start from: give --init <run folder>`,
    ]),
    [
      one('train', 'remit', '--init', 'x'),
      2,
      'train remit: needs a model to be guided by: give --reference <run folder>/checkpoints/rl.safetensors',
    ],
    [one('train', '--reference', 'x'), 2, 'train: --reference x: only train remit is guided by a model: leave it out'],
    [
      one('train', 'sft', '--init', 'x', '--reference', 'y'),
      2,
      'train: --reference y: only train remit is guided by a model: leave it out',
    ],
    [one('train', 'sft', '--init', '/no/such'), 2, 'model: /no/such: no such file or folder'],
    [
      one('train', '--data', 'x', '--remit.arm', 'kd', '--set', 'rl.steps=7'),
      2,
      'train --data: rl.steps = 7 (flag): nothing will read it: train, train rl, study would: leave it out',
    ],
    [
      one('train', '--preset', 'text'),
      2,
      'train: --preset text: is for your own text, and there is none: give --data <path>, or choose another preset',
    ],
    [
      one('study', '--set', 'remit.epsilon=0.3', '--arms', 'remit.2'),
      2,
      'study: remit.epsilon = 0.3 (flag): nothing will read it: each arm of a study has its own: choose among them ' +
      'with --arms, or use train',
    ],
    [
      one('study', '--seed', '3'),
      2,
      'study: seed = 3 (flag): nothing will read it: the runs of a study have seeds of their own: give --seeds',
    ],
    [
      one('train', '--rl.samples', '1'),
      2,
      'config: rl.samples = 1, rl.advantage = rloo: compares the samples of a question: needs at least 2, or ' +
      'rl.advantage=reinforce',
    ],
    [
      one('train', 'rl', '--data', 'x.txt'),
      2,
      'train rl: --data: your own text is for pretrain: use train pretrain, with --init to go on from a model',
    ],
    [
      one('train', 'midtrain', '--data', 'x.txt'),
      2,
      'train midtrain: --data: your own text is for pretrain: use train pretrain, with --init to go on from a model',
    ],
    [one('train', '--data', '/no/such.txt'), 2, 'data: /no/such.txt: no such file or folder'],
    [
      one('evaluate', '--model', 'x', '--questions', '0'),
      2,
      'evaluate: --questions 0: must be a whole number from 1 to 200',
    ],
    [one('evaluate', '--model', 'x', '--split', 'train'), 2, 'evaluate: --split train: must be test or validation'],
    [
      one('sample', '--model', 'x', '--prompt', 'y', '--device', 'gpu'),
      2,
      'sample: --device gpu: must be one of auto, cpu, webgpu: did you mean webgpu?',
    ],
    ...['evaluate', 'score'].map((name): [string[], number, string] => [
      one(name, '--model', 'x', '--data', 'y', '--device', 'cup').filter(
        (word) => name !== 'evaluate' || (word !== '--data' && word !== 'y'),
      ),
      2,
      `${name}: --device cup: must be one of auto, cpu, webgpu: did you mean cpu?`,
    ]),
    [one('export', 'x', '--device', ''), 2, 'export: --device : must be one of auto, cpu, webgpu'],
    [one('evaluate', '--model', '/no/such'), 2, 'model: /no/such: no such file or folder'],
    [one('sample'), 2, 'sample: --model is missing: give a run folder, a checkpoint, or a Hugging Face folder'],
    [
      one('sample', '--model', 'x', '--prompt', 'y', '--temperature=-1'),
      2,
      'sample: --temperature -1: must be a number at least 0',
    ],
    [one('score', '--model', 'x'), 2, 'score: --data is missing: give a JSON file of tokens'],
    [one('score', '--model', 'x', '--data', '/no/such.json'), 2, 'score: /no/such.json: no such file'],
    [one('export'), 2, 'export: which model? Give a run folder or a checkpoint'],
    [one('export', 'x', '--format', 'onnx'), 2, 'export: --format onnx: must be huggingface, csv or tensorboard'],
  ])('remit-mini %j', async (args, code, message) => {
    expect(await inProcess(args)).toEqual({ code, stdout: '', stderr: `error: ${message}\n` });
  });

  test('a stack only for those who ask', () => {
    const { stderr } = remitMini(['trian'], { env: { REMIT_DEBUG: '1' } });
    expect(stderr).toMatch(/^error: .*\nConfigError: .*\n {4}at /);
  });

  test.each<[unknown, string]>([
    ['not json', 'is not JSON: '],
    ['', 'is empty'],
    ['[[1, 2]]', 'must hold {"tokens": [[...], ...]}'],
    ['{"tokens": [[1, 2]], "tokens": [[3, 4]]}', 'has "tokens" twice'],
    [{ tokens: [[1, 2]], masks: [[1]] }, '"masks": no such field: there are "tokens" and "mask"'],
    [{}, '"tokens" must be a list of lists of whole numbers'],
    [{ tokens: [[1, 2], [1]] }, 'tokens[1] has 1 tokens: nothing is predicted: give 2 or more'],
    [{ tokens: [[1, 2, 3]], mask: [[1]] }, 'mask[0] has 1 numbers, tokens[0] 3: give 3, or 2 for the predicted ones'],
    [{ tokens: [[1, 2]], mask: [[1, 2]] }, '"mask" must be a list of lists of 0 and 1'],
  ])('score with %j', async (contents, message) => {
    const path = join(scratch, 'bad.json');
    writeFileSync(path, typeof contents === 'string' ? contents : JSON.stringify(contents));
    const { code, stderr } = await inProcess(['score', '--model', 'x', '--data', path]);
    expect(stderr.startsWith(`error: score: ${path}: ${message}`)).toBe(true);
    expect(code).toBe(4);
  });

  test('a config file that is no JSON', async () => {
    const path = join(scratch, 'bad-config.json');
    writeFileSync(path, '\uFEFF{"seed": 3');
    expect(await inProcess(['train', '--config', path])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error: config: .*bad-config\.json: is not JSON: .*\n$/),
    });
  });
});

describe('signals', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends a run after a step, keeps the model, and exits %i', async (signal, code) => {
    const out = join(scratch, signal);
    const child = startRemitMini(['train', ...small, '--pretrain.steps', '1000000', '--out', out]);
    let stderr = '';
    child.stderr!.on('data', (part: Buffer) => {
      stderr += part.toString();
    });
    await until(
      () =>
        existsSync(join(out, 'metrics.jsonl')) &&
        readFileSync(join(out, 'metrics.jsonl'), 'utf8').includes('"step":5,'),
    );
    child.kill(signal);
    expect(await new Promise((resolve) => child.on('exit', resolve))).toBe(code);
    const step = /stopped in pretrain after step (\d+) of 1000000/.exec(stderr)?.[1];
    expect(readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n')).toHaveLength(Number(step));
    expect(remitMini(['sample', '--model', out, '--prompt', '^']).code).toBe(0);
  });
});

describe('text', () => {
  test.each([
    ['--help'],
    ['train', '--help'],
    ['evaluate', '-h'],
    ['sample', '--help'],
    ['score', '--help'],
    ['export', '--help'],
    ['devices', '--help'],
    ['doctor', '--help'],
    ['study', '--help'],
    ['tune', '--help'],
    ['train', '--help', 'all'],
  ])('remit-mini %s %s %s', async (...args) => {
    const { code, stdout, stderr } = await inProcess(args.filter((word) => word !== undefined));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^remit-mini /);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('help train is train --help; every setting is in --help all, the usual ones in --help', async () => {
    const said = async (...args: string[]) => (await inProcess(args)).stdout;
    expect(await said('help', 'train')).toBe(await said('train', '--help'));
    expect(await said('help')).toBe(await said('--help'));
    expect(await said('help')).toContain('  130   ended by Ctrl-C');
    const all = (await said('help', 'train', 'all'))
      .match(/^ {2}--[a-z]+(\.[A-Za-z0-9]+)* /gm)!
      .map((flag) => flag.trim().slice(2));
    for (const name of settings.keys()) expect(all).toContain(name);
    expect((await said('train', '--help')).split('\n').length).toBeLessThan(60);
  });

  test('--version is that of package.json', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(remitMini(['--version']).stdout).toBe(`${version}\n`);
  });

  test('--print-config shows values and where they came from, and makes nothing', () => {
    const { code, stdout } = remitMini(['train', '--preset', 'short', '--seed', '7', '--print-config'], {
      cwd: scratch,
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^seed +7 +flag$/m);
    expect(stdout).toMatch(/^pretrain\.steps +60 +preset short$/m);
    expect(existsSync(join(scratch, 'runs'))).toBe(false);
  });

  test('a table has a column per stage and the mean at the end', () => {
    const scores = { cued: 0.5, sampled: 0.25, greedy: 1, thinkRate: 0 };
    const evaluation = { ...scores, tasks: [{ name: 'SUM', group: 'math', ...scores }] };
    expect(
      evaluationTable([
        { name: 'start', evaluation },
        { name: 'midtrain', evaluation },
      ])
        .split('\n')
        .slice(0, 4),
    ).toEqual([
      '              cued            sampled          greedy           thinks',
      'task group   start midtrain   start midtrain   start midtrain   start midtrain',
      'SUM  math     50.0     50.0    25.0     25.0   100.0    100.0     0.0      0.0',
      'mean          50.0     50.0    25.0     25.0   100.0    100.0     0.0      0.0',
    ]);
  });
});

test('a repeated flag counts last, and the order of flags is kept', () => {
  const args = readArguments('x', ['--a', '1', '--b=2', '--a', '3'], { a: { type: 'string' }, b: { type: 'string' } });
  expect(args.given).toEqual([['a', '1'], ['b', '2'], ['a', '3']]);
  expect(args.text('a')).toBe('3');
  expect(() => readArguments('x', ['--c'], { a: { type: 'string' } })).toThrow(new ConfigError('x: --c: no such flag'));
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}
