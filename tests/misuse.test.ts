// Not one mistake of an honest user ends in silence with a number, or in a TypeError from inside. Every export of
// index.ts and node.ts has a right call here, and so has every method; each call is changed in all the ways of
// support/mistakes.ts. An export without a call fails, so that the next function is covered without anyone
// remembering. Where a change is right after all, its call says so.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../engine/errors.ts';
import { useBackend } from '../engine/runtime.ts';
import * as library from '../index.ts';
import { checkGradients } from '../engine.ts';
import { wgsl } from '../kernels.ts';
import * as inNode from '../node.ts';
import * as plot from '../remit/app/plot/index.ts';
import { caseOf, everyOp, fillAll, largest, upload } from './support/fill.ts';
import { mistakesIn, outcomeOf, type RightCall } from './support/mistakes.ts';
import { temporaryFolder } from './support/temporary.ts';

const {
  advantages, AdamW, backward, byteTokenizer, characterTokenizer, createDevice, evaluate, exportHuggingFace,
  defineExperiment, generate, importHuggingFace, keep, midtrain, Muon, newModel, noGrad, ones, ops, Parameters, pipeline,
  packCheckpoint, pretrain, quietRun, randn, readSafetensors, remitLoss, resolveConfig, rl, rng, rollout, schedule,
  settingsHash, sft, step, tensor, textCorpus, textLoss, tinyWorldTokenizer, trainTokenizer, Transformer, unpackCheckpoint,
  variable, weightsHash, world, worldOf, worldTask,
  writeSafetensors, zeros,
} = library;

const folder = temporaryFolder();
const home = process.cwd();
process.chdir(folder); // claimFolder() makes runs/ there
const { config } = resolveConfig({
  flags: [
    ['model.width', '8'],
    ['model.heads', '2'],
    ['model.layers', '1'],
    ['rl.prompts', '2'],
    ['rl.samples', '2'],
    ['remit.iterations', '1'],
    ...['pretrain', 'midtrain', 'sft', 'rl'].flatMap((phase): [string, string][] => [
      [`${phase}.steps`, '1'],
      [`${phase}.warmup`, '0'],
    ]),
    ...['pretrain', 'midtrain', 'sft'].map((phase): [string, string] => [`${phase}.batch`, '2']),
  ],
});
const V = tinyWorldTokenizer.vocabulary;
const shape = { ...config.model, vocabulary: V };

const device = await createDevice('cpu', { threads: 1 });
const model = newModel(config, V);

const anyItems = [
  "'x'", '[it]', 'its text', 'with null', 'with text', 'with NaN', 'with a list', 'with 1n', 'of BigInt',
];
const unset = ['seed', 'device']; // of a config, what has a default
const anyReal = ['-1', '1.5', '2**53'];
const positive = ['1.5', '2**53'];
const x = () => tensor([1, 2, 3, 4], [2, 2]);
const prompts = () => Int32Array.of(1, 2, 3, 4);
const seed = () => rng(0);
const corpus = () => world.corpus(config.pretrain.corpus, seed());
const demonstrations = () => world.demonstrations(config.sft.demonstrations, seed());
const path = (name: string): string => join(mkdtempSync(join(folder, 'a')), name);
const attended = () => ({ qkv: tensor(new Float32Array(16), [1, 2, 8]), table: tensor(new Float32Array(6), [3, 2]) });
const declared = () => {
  const parameters = new Parameters();
  parameters.declare({ name: 'w', shape: [2, 3], initial: { deviation: 1 } });
  return parameters;
};
const allocated = () => {
  const parameters = declared();
  parameters.allocate(seed());
  return parameters;
};
const place = { phase: 'sft', step: 1, seed: 0, configHash: 'x' };
const record = { phase: 'sft', step: 1, steps: 2, loss: 1, rate: 1, gradNorm: 1, tokens: 5 };
const huggingFace = await exportHuggingFace(model, tinyWorldTokenizer);
const files = () => (name: string) => {
  const contents = huggingFace.get(name);
  return typeof contents === 'string' ? new TextEncoder().encode(contents) : contents;
};
const stored = path('model.safetensors');
await inNode.writeCheckpoint(stored, model, tinyWorldTokenizer, place);
const modelFolder = path('exported');
inNode.writeFolder(modelFolder, huggingFace);
const book = path('book.txt');
writeFileSync(book, 'once upon a time');
const environment = inNode.environment('1', 'cpu');
const runOptions = () => ({ config, environment, tokenizer: tinyWorldTokenizer });
const aRun = () => {
  const run = new inNode.RunFolder(inNode.claimFolder(path('run'), 'x'), runOptions());
  opened.push(run);
  return run;
};
const opened: InstanceType<typeof inNode.RunFolder>[] = [];
let run: InstanceType<typeof inNode.RunFolder> | undefined;
const oneRun = () => (run ??= aRun());
const silent = { write() {} };

/** Calls by the name of the export, or of a method that only a result has. */
const calls: Record<string, readonly RightCall[]> = {
  tensor: [
    {
      run: tensor,
      given: () => ({ values: [1, 2], shape: [2], dtype: 'f32' }),
      optional: ['shape', 'dtype'],
      takes: { values: ['with NaN'] },
    },
  ],
  zeros: [{ run: zeros, given: () => ({ shape: [2, 3], dtype: 'i32' }), optional: ['dtype'], takes: { shape: ['[]'] } }],
  ones: [{ run: ones, given: () => ({ shape: [2, 3], dtype: 'i32' }), optional: ['dtype'], takes: { shape: ['[]'] } }],
  randn: [{ run: randn, given: () => ({ shape: [2, 3], random: seed() }), takes: { shape: ['[]'] } }],
  variable: [
    {
      run: variable,
      given: () => ({ values: [1, 2], shape: [2] }),
      optional: ['shape'],
      takes: { values: ['with NaN'] },
    },
  ],
  backward: [
    {
      run: backward,
      given: () => ({ loss: variable([1, 2]).sum(), seed: tensor([1], []) }),
      optional: ['seed'],
      swaps: true,
    },
  ],
  keep: [{ run: keep, given: () => ({ x: x() }) }],
  noGrad: [{ run: noGrad, given: () => ({ body: () => 1 }) }],
  step: [
    {
      run: step,
      given: () => ({ body: (a: number) => a, options: { poison: false } }),
      optional: ['options', 'poison'],
    },
  ],
  rng: [{ run: rng, given: () => ({ seed: 1 }), forMap: true }],
  createDevice: [
    {
      run: createDevice,
      after: () => useBackend(device),
      given: () => ({
        kind: 'cpu',
        options: { threads: 1, notice: () => {}, budgetBytes: 1e9, tuned: () => undefined },
      }),
      optional: ['kind', 'options', 'threads', 'notice', 'budgetBytes', 'tuned'],
      takes: { budgetBytes: [...positive, 'Infinity'] },
    },
  ],
  schedule: [
    {
      run: schedule,
      given: () => ({ options: { kind: 'linear', peak: 1, steps: 10, warmup: 2, floor: 0.1, decayShare: 0.5 } }),
      optional: ['warmup', 'floor', 'decayShare'],
      takes: { peak: positive },
    },
  ],
  'schedule()': [{ run: schedule({ kind: 'linear', peak: 1, steps: 10 }), given: () => ({ step: 3 }), forMap: true }],
  AdamW: [
    {
      run: (...given: [never, never]) => new AdamW(...given),
      given: () => ({
        parameters: model.parameters,
        options: { beta1: 0.9, beta2: 0.9, epsilon: 1e-8, weightDecay: 0, clip: 1 },
      }),
      optional: ['options', 'beta1', 'beta2', 'epsilon', 'weightDecay', 'clip'],
      takes: { weightDecay: ['1.5'], clip: ['1.5'] },
      after: (made) => (made as InstanceType<typeof AdamW>).free(),
    },
  ],
  Muon: [
    {
      run: (...given: [never, never]) => new Muon(...given),
      given: () => ({
        parameters: model.parameters,
        options: { beta1: 0.9, beta2: 0.9, epsilon: 1e-8, weightDecay: 0, clip: 1, momentum: 0.9, takes: () => true },
      }),
      optional: ['options', 'beta1', 'beta2', 'epsilon', 'weightDecay', 'clip', 'momentum', 'takes'],
      takes: { weightDecay: ['1.5'], clip: ['1.5'] },
      after: (made) => (made as InstanceType<typeof Muon>).free(),
    },
  ],
  'AdamW.update': [
    {
      run: (...given: [never, never]) => new AdamW(allocated()).update(...given),
      given: () => ({ step: 5, rate: 0.1 }),
    },
  ],
  Transformer: [
    {
      run: (...given: [never, never]) => new Transformer(...given),
      given: () => ({ config: shape, rng: seed() }),
      optional: ['rng'],
      takes: { rotaryBase: ['1.5'] },
    },
  ],
  'Transformer.forward': [
    {
      run: (...given: [never]) => model.forward(...given),
      given: () => ({ tokens: tensor([1, 2], [1, 2], 'i32'), options: { capture: new Map() } }),
      optional: ['options', 'capture'],
      takes: { options: ['{}'] },
    },
  ],
  'Transformer.decode': [
    {
      run: (...given: [never, never, never]) => model.decode(...given),
      given: () => ({ tokens: tensor([1, 2], [1, 2], 'i32'), state: model.decodeState(1), position: 2 }),
      open: ['state'],
    },
  ],
  'Transformer.decodeState': [{ run: (...given: [never]) => model.decodeState(...given), given: () => ({ batch: 2 }) }],
  'Transformer.clone': [{ run: () => model.clone(), given: () => ({}), forMap: true }],
  generate: [
    {
      run: generate,
      given: () => ({
        model,
        prompts: prompts(),
        options: { batch: 2, maxNew: 3, temperature: 1, topK: 2, seed: seed(), force: 1, stop: 2 },
      }),
      optional: ['topK', 'force', 'stop'],
      takes: { temperature: positive },
    },
  ],
  remitLoss: [
    {
      run: remitLoss,
      given: () => ({
        logits: tensor([0, 1, 2, 3], [1, 1, 4]),
        targets: tensor([1], [1, 1], 'i32'),
        reference: tensor([-1], [1, 1]),
        options: { epsilon: 0.2, scale: 1, centre: true, detach: true, count: 1 },
      }),
      optional: ['options', 'epsilon', 'scale', 'centre', 'detach', 'count'],
      takes: { scale: ['1.5'], count: positive },
    },
  ],
  resolveConfig: [
    {
      run: resolveConfig,
      given: () => ({ sources: { preset: 'short', file: { path: 'x', values: { seed: 1 } }, flags: [['seed', '2']] } }),
      optional: ['sources', 'preset', 'file', 'flags'],
      takes: { flags: ['a Map'] },
    },
  ],
  newModel: [{ run: newModel, optional: unset, given: () => ({ config, vocabulary: V }) }],
  worldOf: [{ run: worldOf, optional: unset, given: () => ({ config }) }],
  worldTask: [{ run: worldTask, given: () => ({ random: seed() }) }],
  'worldTask().question': [{ run: worldTask(seed()).question, given: () => ({ n: 3 }), forMap: true }],
  pretrain: [
    {
      run: pretrain,
      optional: unset,
      given: () => ({ config, data: corpus(), model: model.clone(), run: quietRun }),
      open: ['data', 'run'],
    },
  ],
  midtrain: [
    {
      run: midtrain,
      optional: [...unset, 'guide'],
      given: () => ({
        config,
        data: corpus(),
        base: model,
        run: quietRun,
        guide: { phase: 'remit', reference: model },
      }),
      open: ['data', 'run', 'guide'],
      takes: { phase: ['itx'] },
    },
  ],
  sft: [
    {
      run: sft,
      optional: [...unset, 'phase'],
      given: () => ({ config, data: demonstrations(), base: model, run: quietRun, phase: 'sft' }),
      open: ['data', 'run'],
      takes: { phase: ['itx'] },
    },
  ],
  rl: [
    {
      run: rl,
      optional: [...unset, 'phase', 'vocabulary', 'measures'],
      given: () => ({ config, task: worldTask(seed()), base: model, run: quietRun, phase: 'rl' }),
      open: ['task', 'run'],
      takes: { phase: ['itx'] },
    },
  ],
  pipeline: [
    {
      run: pipeline,
      optional: unset,
      given: () => ({ config, world: worldOf(config), model: model.clone(), run: quietRun, stages: { onStage: async () => {} } }),
      open: ['world', 'run', 'stages'],
    },
  ],
  textLoss: [
    {
      run: textLoss,
      given: () => ({ model, rows: prompts(), length: 2, batch: 16 }),
      optional: ['batch'],
      takes: { batch: [] },
    },
  ],
  evaluate: [{ run: evaluate, given: () => ({ model, options: { questions: 1, split: 'test', seed: 0 } }) }],
  defineExperiment: [
    {
      run: defineExperiment,
      given: () => ({ experiment: { arms: { mine: { method: 'kd' } }, contrasts: [{ of: 'mine', less: 'vanilla' }] } }),
      optional: ['arms', 'contrasts'],
      open: ['arms'],
      takes: { of: ['itx'], less: ['itx'] },
    },
  ],
  advantages: [
    {
      run: advantages,
      given: () => ({ rewards: [1, 0], size: 2, kind: 'grpo', memory: { baseline: 0 } }),
      optional: ['memory', 'baseline'],
      open: ['memory'],
      takes: { baseline: anyReal, memory: ['{}'] },
    },
  ],
  rollout: [
    {
      run: rollout,
      given: () => ({
        model,
        task: worldTask(seed()),
        options: { from: 0, prompts: 2, samples: 2, temperature: 1, seed: seed() },
      }),
      optional: ['vocabulary', 'measures'],
      open: ['task'],
      takes: { temperature: ['1.5'] },
    },
  ],
  textCorpus: [
    {
      run: textCorpus,
      given: () => ({
        tokens: Int32Array.from({ length: 100 }, (_, i) => i),
        settings: { context: 4, validation: 0.5 },
        random: seed(),
      }),
    },
  ],
  'textCorpus().rows': [
    {
      run: textCorpus(new Int32Array(100), { context: 4, validation: 0.5 }, seed()).rows,
      given: () => ({ step: 3, batch: 2 }),
      swaps: true,
    },
  ],
  trainTokenizer: [{ run: trainTokenizer, given: () => ({ text: 'abab abab', vocabulary: 258 }), takes: { text: ['itx'] } }],
  characterTokenizer: [{ run: characterTokenizer, given: () => ({ alphabet: 'abc' }), takes: { alphabet: ['itx'] } }],
  'byteTokenizer.encode': [
    { run: byteTokenizer.encode, given: () => ({ text: 'abc' }), takes: { text: ['itx'] }, forMap: true },
  ],
  'byteTokenizer.decode': [{ run: byteTokenizer.decode, given: () => ({ tokens: [1, 2] }), forMap: true }],
  'byteTokenizer.byteLength': [{ run: byteTokenizer.byteLength, given: () => ({ tokens: [1, 2] }), forMap: true }],
  'tinyWorldTokenizer.encode': [
    { run: tinyWorldTokenizer.encode, given: () => ({ text: 'abc' }), takes: { text: ['itx'] }, forMap: true },
  ],
  'tinyWorldTokenizer.byteLength': [
    { run: (...args: [any]) => tinyWorldTokenizer.byteLength(...args), given: () => ({ tokens: [1, 2] }), forMap: true },
  ],
  'tinyWorldTokenizer.decode': [{ run: tinyWorldTokenizer.decode, given: () => ({ tokens: [1, 2] }), forMap: true }],
  'world.encode': [{ run: world.encode, given: () => ({ text: 'abc' }), takes: { text: ['itx'] }, forMap: true }],
  'world.decode': [{ run: world.decode, given: () => ({ tokens: [1, 2] }), forMap: true }],
  'world.corpus': [{ run: world.corpus, given: () => ({ settings: config.pretrain.corpus, random: seed() }) }],
  'world.corpus().rows': [{ run: corpus().rows, given: () => ({ step: 3, batch: 2 }), swaps: true }],
  'world.demonstrations': [
    { run: world.demonstrations, given: () => ({ settings: config.sft.demonstrations, random: seed() }) },
  ],
  'world.demonstrations().rows': [{ run: demonstrations().rows, given: () => ({ step: 3, batch: 2 }), swaps: true }],
  'world.evaluationSet': [
    { run: world.evaluationSet, given: () => ({ split: 'test', perTask: 2, seed: 3 }), takes: { seed: ['swapped'] } },
  ],
  'world.instance': [
    {
      run: world.instance,
      given: () => ({ task: world.TASKS[0], stream: seed().stream(), split: 'train' }),
      open: ['task'],
      takes: { name: ['*'], group: ['*'] },
      optional: ['name', 'group'],
    },
  ],
  'world.splitOf': [
    { run: world.splitOf, given: () => ({ question: 'S1+1+1+1+1' }), takes: { question: ['itx'] }, forMap: true },
  ],
  'world.solve': [
    { run: world.solve, given: () => ({ question: 'S1+1+1+1+1', tasks: world.TASKS }), optional: ['tasks'], open: ['tasks'] },
  ],
  'world.trainQuestion': [{ run: world.trainQuestion, given: () => ({ stream: seed().stream() }), forMap: true }],
  'world.verdict': [
    {
      run: world.verdict,
      given: () => ({ row: world.encode('^S1+1-1-4-4?]3.'), answer: '3' }),
      takes: { answer: ['itx'] },
    },
  ],
  exportHuggingFace: [
    {
      run: exportHuggingFace,
      given: () => ({ model, tokenizer: tinyWorldTokenizer }),
      optional: ['tokenizer'],
      open: ['tokenizer'],
      takes: { name: ['itx'] },
    },
  ],
  importHuggingFace: [
    { run: importHuggingFace, given: () => ({ files: files(), where: 'here' }), takes: { where: ['itx'] } },
  ],
  writeSafetensors: [
    {
      run: writeSafetensors,
      given: () => ({
        tensors: [['a', { dtype: 'F32', shape: [2], data: new Float32Array(2) }]],
        metadata: [['k', 'v']],
      }),
      optional: ['metadata'],
    },
  ],
  readSafetensors: [
    {
      run: readSafetensors,
      given: () => ({
        bytes: writeSafetensors([['a', { dtype: 'F32', shape: [2], data: new Float32Array(2) }]]),
        where: 'here',
      }),
      takes: { where: ['itx'] },
    },
  ],
  Parameters: [{ run: () => new Parameters(), given: () => ({}), forMap: true }],
  'Parameters.declare': [
    {
      run: (...given: [never]) => new Parameters().declare(...given),
      given: () => ({ part: { name: 'w', shape: [2, 3], initial: { deviation: 1 } } }),
      takes: { name: ['itx'] },
    },
  ],
  'Parameters.allocate': [
    { run: (...given: [never]) => declared().allocate(...given), given: () => ({ rng: seed() }), optional: ['rng'] },
  ],
  'Parameters.clearGradients': [{ run: () => allocated().clearGradients(), given: () => ({}), forMap: true }],
  'Parameters.copyFrom': [
    { run: (...given: [never]) => allocated().copyFrom(...given), given: () => ({ other: allocated() }) },
  ],
  'Parameters.entries': [{ run: () => allocated().entries(), given: () => ({}), forMap: true }],
  'Parameters.toHost': [{ run: () => allocated().toHost(), given: () => ({}), forMap: true }],
  'Parameters.gradientsToHost': [{ run: () => allocated().gradientsToHost(), given: () => ({}), forMap: true }],
  'Parameters.load': [
    {
      run: (...given: [never, never]) => allocated().load(...given),
      given: () => ({ tensors: new Map([['w', { shape: [2, 3], data: new Float32Array(6) }]]), where: 'here' }),
      takes: { where: ['itx'] },
    },
  ],
  'Parameters.free': [{ run: () => allocated().free(), given: () => ({}), forMap: true }],
  'AdamW.setSkipped': [
    { run: (...given: [never]) => new AdamW(allocated()).setSkipped(...given), given: () => ({ count: 1 }) },
  ],
  'AdamW.readSkipped': [{ run: () => new AdamW(allocated()).readSkipped(), given: () => ({}), forMap: true }],
  'ops.atLeast': [{ run: ops.atLeast, given: () => ({ a: x(), b: x() }), swaps: true }],
  'ops.mean': [
    {
      run: ops.mean,
      given: () => ({ x: x(), options: { axis: 1 } }),
      optional: ['options', 'axis'],
      takes: { axis: ['-1'] },
    },
  ],
  'ops.sumTo': [{ run: ops.sumTo, given: () => ({ x: x(), shape: [1, 2] }) }],
  'ops.rotaryTable': [
    { run: ops.rotaryTable, given: () => ({ context: 4, D: 2, base: 100 }), swaps: true, takes: { base: positive } },
  ],
  'ops.crossEntropy': [
    {
      run: ops.crossEntropy,
      given: () => ({ logits: x(), targets: tensor([0, 1], [2], 'i32'), options: { count: 2 } }),
      optional: ['options', 'count'],
      takes: { count: positive },
    },
  ],
  'ops.keepLargest': [
    {
      run: ops.keepLargest,
      given: () => ({ x: x(), targets: tensor([0, 1, 1, 0], [2, 2], 'i32'), options: { keep: 2 } }),
    },
  ],
  'ops.attentionWeights': [
    {
      run: ops.attentionWeights,
      given: () => ({ ...attended(), options: { heads: 2, kvHeads: 1, rotary: true } }),
      optional: ['rotary'],
      swaps: true,
    },
  ],
  'ops.attentionInSmallOps': [
    {
      run: ops.attentionInSmallOps,
      given: () => ({ ...attended(), options: { heads: 2, kvHeads: 1, rotary: true } }),
      optional: ['rotary'],
      swaps: true,
    },
  ],
  'ops.attentionCached': [
    {
      run: ops.attentionCached,
      given: () => ({
        ...attended(),
        cache: { k: tensor(new Float32Array(6), [1, 1, 3, 2]), v: tensor(new Float32Array(6), [1, 1, 3, 2]) },
        options: { heads: 2, kvHeads: 1, rotary: true, position: 1 },
      }),
      optional: ['rotary'],
      open: ['cache'],
      swaps: true,
    },
  ],
  'AdamW.free': [{ run: () => new AdamW(allocated()).free(), given: () => ({}), forMap: true }],
  Rng: [
    {
      run: (...given: [never, never]) => new library.Rng(...given),
      given: () => ({ k0: 1, k1: 2 }),
      swaps: true,
      forMap: true,
    },
  ],
  'Rng.fold': [
    {
      run: (...given: [never]) => seed().fold(...given),
      given: () => ({ name: 'a' }),
      takes: { name: ['itx'] },
      forMap: true,
    },
  ],
  'Rng.at': [{ run: (...given: [never]) => seed().at(...given), given: () => ({ index: 1 }), forMap: true }],
  'Rng.bits': [{ run: (...given: [never]) => seed().bits(...given), given: () => ({ index: 1 }), forMap: true }],
  'Rng.uniform': [{ run: (...given: [never]) => seed().uniform(...given), given: () => ({ index: 1 }), forMap: true }],
  'Rng.normals': [
    {
      run: (...given: [never, never]) => seed().normals(...given),
      given: () => ({ n: 3, deviation: 1 }),
      optional: ['deviation'],
      takes: { deviation: positive },
      swaps: true,
    },
  ],
  'Rng.stream': [{ run: () => seed().stream(), given: () => ({}), forMap: true }],
  'Stream.int': [
    {
      run: (...given: [never]) =>
        seed()
          .stream()
          .int(...given),
      given: () => ({ n: 3 }),
      forMap: true,
    },
  ],
  'Stream.choice': [
    {
      run: (...given: [never]) =>
        seed()
          .stream()
          .choice(...given),
      given: () => ({ items: [1, 2] }),
      takes: { items: anyItems },
      forMap: true,
    },
  ],
  'Stream.sample': [
    {
      run: (...given: [never, never]) =>
        seed()
          .stream()
          .sample(...given),
      given: () => ({ items: [1, 2], n: 1 }),
      takes: { items: anyItems },
    },
  ],
  'Stream.weighted': [
    {
      run: (...given: [never]) =>
        seed()
          .stream()
          .weighted(...given),
      given: () => ({ cumulative: [1, 2] }),
      forMap: true,
    },
  ],
  'Tensor.read': [{ run: () => x().read(), given: () => ({}), forMap: true }],
  'Tensor.item': [{ run: () => tensor([1]).item(), given: () => ({}), forMap: true }],
  'Tensor.stopGradient': [{ run: () => x().stopGradient(), given: () => ({}), forMap: true }],
  'Tensor.neg': [{ run: () => x().neg(), given: () => ({}), forMap: true }],
  ...Object.fromEntries(
    (['add', 'sub', 'mul', 'div'] as const).map((name) => [
      `Tensor.${name}`,
      [
        { run: (...given: [never]) => x()[name](...given), given: () => ({ other: x() }), takes: { other: ['5'] } },
        {
          run: (...given: [never]) => x()[name](...given),
          given: () => ({ other: 2 }),
          takes: { other: [...anyReal, 'Infinity'] },
        },
      ],
    ]),
  ),
  'Tensor.matmul': [{ run: (...given: [never]) => x().matmul(...given), given: () => ({ other: x() }) }],
  'Tensor.reshape': [{ run: (...given: [never]) => x().reshape(...given), given: () => ({ to: { shape: [4, 1] } }) }],
  ...Object.fromEntries(
    (['sum', 'mean', 'max'] as const).map((name) => [
      `Tensor.${name}`,
      [
        {
          run: (...given: [never]) => x()[name](...given),
          given: () => ({ along: { axis: 1 } }),
          optional: ['along', 'axis'],
          takes: { axis: ['-1'] },
        },
      ],
    ]),
  ),
  ...Object.fromEntries(
    (['exp', 'log', 'sqrt', 'square', 'tanh', 'relu', 'sigmoid'] as const).map((name) => [
      `Tensor.${name}`,
      [{ run: () => x()[name](), given: () => ({}), forMap: true }],
    ]),
  ),
  'gradients.of': [
    {
      run: (...given: [never]) => backward(variable([1]).sum()).of(...given),
      given: () => ({ x: variable([1]) }),
      forMap: true,
    },
  ],
};

/** Numbers of a step, which the engine made: what it says of a step that it left out is no number. */
const json = [
  'null', 'a promise', 'an async function', 'NaN', 'Infinity', '-1', '1.5', '2**53', 'its text', '[it]', '{}', 'true',
];
const anyNumber = ['NaN', 'Infinity', '-1', '1.5', '2**53'];
const recorded = { loss: anyNumber, rate: anyNumber, gradNorm: anyNumber, phase: ['itx'] };

/** Of node.ts. */
const nodeCalls: Record<string, readonly RightCall[]> = {
  main: [{ run: commandLine, given: () => ({ argv: ['--version'] }) }],
  readText: [{ run: inNode.readText, given: () => ({ path: book, options: { field: 'text' } }),
    optional: ['options', 'field'], takes: { field: ['itx'] } }],
  readModelFolder: [{ run: inNode.readModelFolder, given: () => ({ folder: modelFolder }) }],
  writeFolder: [{ run: inNode.writeFolder, given: () => ({ out: path('out'), files: new Map([['a.txt', 'text']]) }),
    takes: { out: ['itx'] } }],
  readCheckpoint: [{ run: inNode.readCheckpoint, given: () => ({ path: stored }) }],
  packCheckpoint: [{ run: packCheckpoint,
    given: () => ({ model, tokenizer: tinyWorldTokenizer, place: { ...place, loss: 1 } }),
    optional: ['loss'], open: ['tokenizer'], takes: { phase: ['itx'], configHash: ['itx'], loss: anyReal, name: ['itx'] } }],
  unpackCheckpoint: [{ run: unpackCheckpoint, given: () => ({ bytes: Uint8Array.from(readFileSync(stored)), name: 'a' }), open: ['bytes'],
    takes: { name: ['itx'] } }],
  weightsHash: [{ run: weightsHash, given: () => ({ model }) }],
  settingsHash: [{ run: settingsHash, optional: unset, given: () => ({ config }) }],
  writeCheckpoint: [{ run: inNode.writeCheckpoint,
    given: () => ({ path: path('a.safetensors'), model, tokenizer: tinyWorldTokenizer, place: { ...place, loss: 1 } }),
    optional: ['loss'], open: ['tokenizer'],
      takes: { path: ['itx'], phase: ['itx'], configHash: ['itx'], loss: anyReal, name: ['itx'] } }],
  environment: [{ run: inNode.environment, given: () => ({ version: '1', device: 'cpu' }), swaps: true,
    takes: { version: ['itx'], device: ['itx'] } }],
  claimFolder: [{ run: inNode.claimFolder, given: () => ({ wanted: path('run'), name: 'x', resume: 'never' }),
    optional: ['wanted', 'resume'], takes: { wanted: ['itx'], name: ['itx'] }, swaps: true }],
  RunFolder: [{ run: (...given: [never, never]) => new inNode.RunFolder(...given),
    given: () => ({ path: inNode.claimFolder(path('run'), 'x'),
      options: { ...runOptions(), progress: new inNode.Progress(silent), notice: () => {}, patience: 10 } }),
    optional: ['progress', 'notice', 'patience'], takes: { patience: positive },
      after: (made) => (made as InstanceType<typeof inNode.RunFolder>).close() }],
  'RunFolder.log': [{ run: (...given: [never]) => oneRun().log(...given), given: () => ({ record }), open: ['record'],
    takes: recorded }],
  'RunFolder.checkpoint': [{ run: (...given: [never]) => oneRun().checkpoint(...given),
    given: () => ({ phase: 'sft' }), takes: { phase: ['itx'] } }],
  'RunFolder.save': [{ run: (...given: [never, never]) => oneRun().save(...given),
    given: () => ({ phase: 'sft', model }), takes: { phase: ['itx'] } }],
  'RunFolder.saveBest': [{ run: (...given: [never, never, never, never]) => oneRun().saveBest(...given),
    given: () => ({ phase: 'sft', step: 1, model, loss: 1 }), takes: { phase: ['itx'], loss: anyReal } }],
  'RunFolder.report': [{ run: (...given: [never, never]) => oneRun().report(...given),
    given: () => ({ name: 'evaluation', contents: { a: 1 } }), open: ['contents'], optional: ['a'],
    takes: { name: ['itx'], contents: ['[it]', '[]'], a: json } }],
  'RunFolder.stop': [{ run: () => aRun().stop(), given: () => ({}), forMap: true }],
  'RunFolder.close': [{ run: () => aRun().close(), given: () => ({}), forMap: true }],
  'RunFolder.hold': [{ run: () => aRun().hold(), given: () => ({}), forMap: true }],
  openModel: [{ run: inNode.openModel, given: () => ({ path: stored }) }],
  Progress: [{ run: (...given: [never, never]) => new inNode.Progress(...given),
    given: () => ({ screen: silent, now: () => 0 }), optional: ['screen', 'now'], open: ['screen'] }],
  'Progress.update': [{ run: (...given: [never]) => new inNode.Progress(silent).update(...given),
    given: () => ({ record }), open: ['record'], takes: recorded }],
  'Progress.endLine': [{ run: () => new inNode.Progress(silent).endLine(), given: () => ({}), forMap: true }],
};

/**
 * Of ops, what else an attribute or input may be: infinities where the formula has a meaning for them, and more than
 * settings allow.
 */
const opTakes: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  affine: { factor: [...anyReal, 'Infinity'], offset: [...anyReal, 'Infinity'] },
  clamp: { low: ['-1'], high: ['Infinity', '1.5', '2**53'] },
  linear: { input3: ['{}'] }, // no attributes
  rmsNorm: { epsilon: positive }, layerNorm: { epsilon: positive },
  policyLoss: { clip: positive, clipHigh: positive },
  tokenWeights: { epsilon: positive },
  sum: { axis: ['-1'] }, max: { axis: ['-1'] }, slice: { axis: ['-1'] },
};

/** Inputs that may be left out; and an attribute whose default does not fit the case. */
// the last place may hold no attributes
const opOptional: Readonly<Record<string, readonly string[]>> = { linear: ['input3'] };
const opEnds: Readonly<Record<string, readonly string[]>> = { linear: ['input2', 'input3'] };
const opNeeds: Readonly<Record<string, string>> = { attention: 'kvHeads' };

/** What is no business of a caller's. */
const own: Record<string, string> = {
  Tensor: 'made by tensor(), variable() and the ops',
  'Rng.child': 'private',
  'byteTokenizer.toJSON': 'for JSON.stringify()',
  'tinyWorldTokenizer.toJSON': 'for JSON.stringify()',
  'quietRun.log': 'does nothing',
  'quietRun.save': 'does nothing',
  'RunFolder.restore': 'called by the loop of a phase',
  'RunFolder.keep': 'as restore',
  'RunFolder.suspend': 'as restore',
  'RunFolder.show': 'as restore',
  'Progress.begin': 'private',
  'Progress.draw': 'private',
  'Progress.bar': 'private',
};

/**
 * Every op from its own test cases, the largest sizes of its first variant: input0, input1, ..., and its attributes.
 */
const opCalls: Record<string, readonly RightCall[]> = Object.fromEntries(everyOp.map((op) => {
  const { attrs, fills } = caseOf(op, 0, largest(op));
  const inputs = () => fillAll(fills, 1).map(upload);
  const named = () => Object.fromEntries(inputs().map((input, i) => [`input${i}`, input]));
  const given = () => ({ ...named(), ...(Object.keys(attrs).length > 0 && { attrs }) });
  const rules = Object.entries((op.def.attrs ?? {}) as Record<string, object>);
  const optional = rules
    .filter(([name, rule]) => 'fallback' in rule && opNeeds[op.def.name] !== name)
    .map(([name]) => name);
  const all = rules.every(([, rule]) => 'fallback' in rule) ? ['attrs'] : [];
  const mayMiss = [...optional, ...all, ...(opOptional[op.def.name] ?? [])];
  return [`ops.${op.def.name}`, [{ run: op as never, given, swaps: true, optional: mayMiss,
    ends: opEnds[op.def.name] ?? [], takes: opTakes[op.def.name] ?? {} }]];
}));

afterAll(() => {
  for (const run of opened) run.close();
  process.chdir(home);
});

const point = { x: 1, y: 2 };
const words = ['title', 'name', 'x', 'y', 'text', 'about', 'description'];
const anyText = Object.fromEntries(words.map((name) => [name, ['itx']]));

/** Of the other entrances what is in neither: charts, and what helps with ops and kernels of one's own. */
const entranceCalls: Record<string, readonly RightCall[]> = {
  'plot.lineChart': [{
    run: plot.lineChart,
    given: () => ({ options: { title: 'a', x: 'x', y: 'y', lines: [{ name: 'a', points: [point, { x: 2, y: 3 }] }] } }),
    takes: anyText,
  }],
  'plot.scatterChart': [{
    run: plot.scatterChart,
    given: () => ({ options: { title: 'a', x: 'x', y: 'y', groups: [{ name: 'a', points: [point] }] } }),
    takes: anyText,
  }],
  'plot.barChart': [{
    run: plot.barChart, given: () => ({ options: { title: 'a', x: 'x', bars: [{ name: 'a', value: 1 }] } }), takes: anyText,
  }],
  'plot.stackedBarChart': [{
    run: plot.stackedBarChart,
    given: () => ({ options: { title: 'a', x: 'x', parts: ['p'], bars: [{ name: 'a', values: [1] }] } }),
    takes: anyText,
  }],
  'plot.histogram': [{ run: plot.histogram, given: () => ({ options: { title: 'a', x: 'x', values: [1, 2] } }), takes: anyText }],
  'plot.tokenRow': [{
    run: plot.tokenRow, given: () => ({ options: { title: 'a', tokens: [{ text: 'a', value: 1 }] } }), takes: anyText,
  }],
  'plot.standalone': [{ run: plot.standalone, given: () => ({ svg: '<svg></svg>' }), takes: { svg: ['itx'] } }],
  'plot.stackedCharts': [{ run: plot.stackedCharts, given: () => ({ charts: ['<svg viewBox="0 0 1 1"></svg>'] }) }],
  'engine.checkGradients': [{
    run: checkGradients as never, given: () => ({ op: ops.square, options: { seed: 1, draws: 1 } }),
    optional: ['options', 'seed', 'draws'],
  }],
  'kernels.wgsl': [{
    run: wgsl as never,
    given: () => ({ source: 'struct Params { n: u32, }\n@compute @workgroup_size(1) fn main() {}', path: 'mine' }),
    optional: ['path'], takes: { path: ['itx'], source: ['itx'] },
  }],
};

const everyCall = { ...opCalls, ...calls, ...nodeCalls, ...entranceCalls };

/** What may be called: functions, classes and their methods, and what namespaces and objects hold. */
function callables(exports: Readonly<Record<string, unknown>>, prefix = ''): string[] {
  return Object.entries(exports).flatMap(([name, value]) => {
    const at = prefix + name;
    if (typeof value === 'function') return [at, ...methodsOf(value).map((method) => `${at}.${method}`)];
    const isHolder = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isHolder ? callables(value as Record<string, unknown>, `${at}.`) : [];
  });
}

function methodsOf({ prototype }: { prototype?: object }): string[] {
  const all = Object.entries(Object.getOwnPropertyDescriptors(prototype ?? {}));
  return all.filter(([name, { value }]) => name !== 'constructor' && typeof value === 'function').map(([name]) => name);
}

/** For subclasses alone. */
const protectedOnes = new Set(['AdamW.move', 'AdamW.moveStretch', 'Muon.move']);

const others = { plot: { ...plot }, engine: { checkGradients }, kernels: { wgsl } };
const exported = [...callables(library), ...callables(inNode), ...callables(others)].filter(
  (name) => !isError(name) && !protectedOnes.has(name),
);

function isError(name: string): boolean {
  const value = { ...library, ...inNode }[name as never] as { prototype?: unknown } | undefined;
  return value?.prototype instanceof Error;
}

test('every export has a right call', () => {
  expect(exported.filter((name) => !(name in everyCall) && !(name in own))).toEqual([]);
  expect(Object.keys(own).filter((name) => !exported.includes(name))).toEqual([]);
});

const totals = { calls: 0, mistakes: 0, refused: 0, right: 0, silent: 0, inside: 0 };

afterAll(() => {
  const { mistakes, refused, right, silent, inside } = totals;
  console.log(
    `misuse: ${exported.length} exports and methods, ${totals.calls} right calls, ${mistakes} changes of them: ` +
      `${refused} refused, ${right} right after all, ${silent} silent, ${inside} from inside`,
  );
});

describe.each(Object.entries(everyCall))('%s', (_, rightCalls) => {
  test.each(rightCalls)('no mistake is silent, or ends inside', async (call) => {
    const result = call.run(...Object.values(call.given()) as never[]);
    const isAsync = result instanceof Promise;
    await call.after?.(await result);
    const wrong: string[] = [];
    totals.calls++;
    for (const mistake of mistakesIn(call)) {
      const { kind, detail } = await outcomeOf(call, mistake, isAsync);
      totals.mistakes++;
      totals[kind]++;
      if (kind === 'silent' || kind === 'inside') wrong.push(`${mistake.title}: ${kind}: ${detail}`);
    }
    expect(wrong).toEqual([]);
  });
});

/** main() prints what went wrong, and resolves to an exit code. */
async function commandLine(...argv: never[]): Promise<unknown> {
  const write = { out: process.stdout.write, error: process.stderr.write };
  let said = '';
  const collect = (text: string): boolean => {
    said += text;
    return true;
  };
  Object.assign(process.stdout, { write: collect });
  Object.assign(process.stderr, { write: collect });
  try {
    const code = await (inNode.main as (...given: never[]) => Promise<number>)(...argv);
    if (code !== 0) throw said.includes('a fault of this program') ? new TypeError(said) : new ConfigError(said.trim());
    return code;
  } finally {
    process.stdout.write = write.out;
    process.stderr.write = write.error;
  }
}
