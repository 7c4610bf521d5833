// npm run bench peers [folder of the peers] [--only=TEXT] [--rounds=3] [--ours]: the same training steps, matrix
// products and generation in other engines and here, each in a process of its own, by turns, and the ratio of the
// medians of their best runs. The models, tokens, initial weights and the optimiser are those of the peers
// (lib/common.mjs in their folder); the losses of the training steps are compared.
// --ours runs our part alone, in this process, and prints its figures as JSON, one a line.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { defaultThreads } from '../engine/cpu/threads.ts';
import { createDevice } from '../engine/device.ts';
import { ConfigError } from '../engine/errors.ts';
import { highest } from '../engine/extremes.ts';
import { crossEntropy } from '../engine/ops/cross-entropy.ts';
import type { HostTensor, Parameters } from '../engine/parameters.ts';
import { rng } from '../engine/rng.ts';
import { backend } from '../engine/runtime.ts';
import { step } from '../engine/step.ts';
import { backward } from '../engine/tape.ts';
import { tensor } from '../engine/tensor.ts';
import { matmulKernel } from '../kernels/matmul/matmul.ts';
import { generate } from '../nn/generate.ts';
import { Transformer } from '../nn/transformer.ts';
import { AdamW } from '../optim/adamw.ts';
import { wholeNumber } from '../remit/app/cli/arguments.ts';
import { benchArguments } from './arguments.ts';

/** What the peers' lib/common.mjs offers. */
interface Common {
  readonly MODELS: Readonly<Record<string, Sizes>>;
  readonly OPT: {
    readonly lr: number;
    readonly b1: number;
    readonly b2: number;
    readonly eps: number;
    readonly wd: number;
  };
  readonly MATMULS: readonly {
    readonly name: string;
    readonly b: number;
    readonly m: number;
    readonly k: number;
    readonly n: number;
    readonly tb?: boolean;
  }[];
  readonly GEN: { readonly tokens: number };
  initWeights(
    sizes: Sizes,
  ): readonly { readonly name: string; readonly shape: readonly number[]; readonly data: Float32Array }[];
  uniform(n: number, seed: number, scale: number): Float32Array;
  promptTokens(): Int32Array;
  trainLoop(
    peer: string,
    model: string,
    step: (x: Int32Array, y: Int32Array) => Promise<number>,
    options: object,
  ): Promise<void>;
  genLoop(peer: string, run: () => Promise<ArrayLike<number>>, options: object): Promise<void>;
  timeReps(run: (times: number) => Promise<void>): Promise<object>;
  emitMatmul(peer: string, shape: object, timing: object): void;
}

type Sizes = Readonly<Record<'V' | 'D' | 'L' | 'H' | 'F' | 'T' | 'B', number>>;

/** A line that a benchmark prints. */
interface Line {
  readonly bench: string;
  readonly peer: string;
  readonly model?: string;
  readonly shape?: string;
  readonly ms_median: number;
  readonly ms_min: number;
  readonly first_step_ms?: number;
  readonly peak_rss_mb?: number;
  readonly losses?: readonly number[];
  readonly sample?: readonly number[];
}

const WORK = ['train bench', 'train tiny', 'generate', 'matmul'] as const;
const STEPS: Readonly<Record<string, number>> = { bench: 20, tiny: 40 };

export const help = `npm run bench peers -- [<folder>] [flags]

Our steps, products and generation beside other engines', whose benchmarks lie in the folder (default ../shared/peers).

  --only <work>     part of: ${WORK.join(', ')}
  --rounds <n>      how often each is run (default 3)
  --threads <n>     one per core by default
  --ours            only ours, as JSON lines
`;

export async function run(argv: readonly string[]): Promise<void> {
  const args = benchArguments(
    'peers',
    argv,
    { only: { type: 'string' }, rounds: { type: 'string' }, ours: { type: 'boolean' }, threads: { type: 'string' } },
    1,
  );
  const threads = wholeNumber('bench peers', args, 'threads', { min: 1, max: 64, fallback: defaultThreads() });
  const rounds = wholeNumber('bench peers', args, 'rounds', { min: 1, max: 1000, fallback: 3 });
  const only = args.text('only') ?? '';
  const wanted = WORK.filter((work) => work.includes(only));
  if (wanted.length === 0) {
    throw new ConfigError(`bench peers: --only ${only}: must be part of one of ${WORK.join(', ')}`);
  }
  const folder = resolve(args.positionals[0] ?? '../shared/peers');
  if (!existsSync(join(folder, 'lib/common.mjs'))) {
    throw new ConfigError(`bench peers: ${folder}: has no lib/common.mjs: give the folder of the peers' benchmarks`);
  }
  if (args.has('ours')) return ours(folder, wanted, threads);
  for (const work of wanted) report(work, byTurns(folder, work, threads, rounds));
}

/** Everyone's lines, round after round. */
function byTurns(folder: string, work: (typeof WORK)[number], threads: number, rounds: number): Line[] {
  const [bench, model] = work.split(' ') as [string, string?];
  const steps = model === undefined ? [] : [`--model=${model}`, `--steps=${STEPS[model]}`];
  const python = process.env.PYTHON ?? '/usr/bin/python3';
  const tsx = fileURLToPath(import.meta.resolve('tsx/cli'));
  const main = join(import.meta.dirname, 'main.ts');
  const commands: (readonly [string, ...string[]])[] = [
    [process.execPath, tsx, main, 'peers', folder, '--ours', `--only=${work}`, `--threads=${threads}`],
    [
      process.execPath,
      '--experimental-wasm-relaxed-simd',
      'bench/jax.mjs',
      `--threads=${bench === 'generate' ? 1 : threads}`,
      `--bench=${bench}`,
      ...steps,
    ],
    ...[...new Set([1, threads])].map(
      (count) => [python, 'bench/torch_cpu.py', `--threads=${count}`, `--bench=${bench}`, ...steps] as const,
    ),
  ];
  const lines: Line[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const [program, ...args] of commands) {
      const { status, stdout, stderr } = spawnSync(program, args, {
        cwd: folder,
        encoding: 'utf8',
        timeout: 300_000,
        env: { ...process.env, OMP_WAIT_POLICY: 'PASSIVE' },
      });
      if (status !== 0) console.error(`${program} ${args.join(' ')}: ${(stderr ?? '').trim().split('\n').at(-1)}`);
      for (const line of (stdout ?? '').split('\n')) if (line.startsWith('{')) lines.push(JSON.parse(line) as Line);
    }
  }
  return lines;
}

/** Best median of each, and how many times ours it takes. */
function report(work: string, lines: readonly Line[]): void {
  for (const shape of new Set(lines.map((line) => line.shape))) {
    const best = new Map<string, Line>();
    for (const line of lines) {
      if (line.shape === shape && line.ms_median < (best.get(line.peer)?.ms_median ?? Infinity)) best.set(line.peer, line);
    }
    const mine = [...best.values()].find(({ peer }) => peer.startsWith('remit-mini'));
    console.log(`\n${work}${shape === undefined ? '' : ` ${shape}`}`);
    for (const {
      peer, ms_median: median, ms_min: min, losses, first_step_ms: first, peak_rss_mb: rss, sample,
    } of best.values()) {
      const away =
        losses && mine?.losses && highest(mine.losses.map((loss, i) => Math.abs(loss - (losses[i] ?? loss))));
      console.log(
        [
          `  ${peer.padEnd(34)} ${median.toFixed(2).padStart(8)} ms (best ${min.toFixed(2)})`,
          mine ? `${(median / mine.ms_median).toFixed(2)}x` : '',
          away === undefined ? '' : `losses within ${away.toExponential(1)}`,
          first === undefined ? '' : `first step ${first.toFixed(0)} ms`,
          rss === undefined ? '' : `${rss} MB`,
          sample && mine?.sample ? (String(sample) === String(mine.sample) ? 'same tokens' : 'other tokens') : '',
        ]
          .filter(Boolean)
          .join('  '),
      );
    }
  }
}

async function ours(folder: string, wanted: readonly string[], threads: number): Promise<void> {
  const common = await import(pathToFileURL(join(folder, 'lib/common.mjs')).href) as Common;
  const peer = `remit-mini/wasm/${threads}t`;
  await createDevice('cpu', { threads });
  for (const work of wanted) {
    const [bench, model] = work.split(' ');
    if (bench === 'train') await train(common, peer, model!);
    else if (bench === 'generate') await generation(common, peer);
    else {
      for (const shape of common.MATMULS) common.emitMatmul(peer, shape, await common.timeReps(product(common, shape)));
    }
  }
}

async function train(common: Common, peer: string, name: string): Promise<void> {
  const sizes = common.MODELS[name]!;
  const { B, T } = sizes;
  const { lr, b1, b2, eps, wd } = common.OPT;
  const model = modelOf(common, sizes);
  // as in the peers
  const everythingDecays = { flat: { ...model.parameters.flat, decayed: model.parameters.flat.size } } as Parameters;
  const optimiser = new AdamW(everythingDecays, { beta1: b1, beta2: b2, epsilon: eps, weightDecay: wd, clip: 0 });
  const advance = step((x: Int32Array, y: Int32Array, i: number) => {
    const loss = crossEntropy(model.forward(tensor(x, [B, T], 'i32')), tensor(y, [B, T], 'i32'));
    model.parameters.clearGradients();
    backward(loss);
    optimiser.update(i, lr);
    return loss;
  });
  let i = 0;
  await common.trainLoop(peer, name, async (x, y) => (await advance(x, y, i++)).item(), {
    steps: STEPS[name],
    warm: 3,
  });
}

async function generation(common: Common, peer: string): Promise<void> {
  const model = modelOf(common, common.MODELS.bench!);
  const prompt = common.promptTokens();
  const maxNew = common.GEN.tokens;
  await common.genLoop(
    peer,
    async () => [
      ...(await generate(model, prompt, { batch: 1, maxNew, temperature: 0, seed: rng(1) })).subarray(prompt.length),
    ],
    { runs: 7 },
  );
}

function product({ uniform }: Common, { b, m, k, n, tb }: Common['MATMULS'][number]): (times: number) => Promise<void> {
  const device = backend();
  const [x, y, out] = [device.alloc(b * m * k, 'f32'), device.alloc(b * k * n, 'f32'), device.alloc(b * m * n, 'f32')];
  device.write(x, uniform(b * m * k, 1, 1));
  device.write(y, uniform(b * k * n, 2, 1));
  const sizes = {
    batch: b,
    M: m,
    N: n,
    K: k,
    transA: 0,
    transB: tb ? 1 : 0,
    strideA: m * k,
    strideB: k * n,
    accumulate: 0,
    addBias: 0,
    addResidual: 0,
  };
  return async (times) => {
    for (let i = 0; i < times; i++) device.dispatch(matmulKernel, { a: x, b: y, bias: y, residual: y, out }, sizes);
  };
}

/** Our transformer with the peers' weights, which they store [in,out] and we [out,in]. */
function modelOf(common: Common, sizes: Sizes): Transformer {
  const { V, D, L, H, F, T } = sizes;
  const given = new Map(common.initWeights(sizes).map((weight) => [weight.name, weight]));
  const model = new Transformer({
    vocabulary: V, context: T, width: D, layers: L, heads: H, kvHeads: H, hidden: F,
    norm: 'layer', positions: 'learned', rotaryBase: 10000, mlp: 'gelu', bias: false, tied: false, epsilon: 1e-5,
  });
  const tensors = new Map<string, HostTensor>();
  const same = (ours: string, theirs: string): void => void tensors.set(ours, given.get(theirs)!);
  /** Columns first .. first+count-1, as rows. */
  const turned = (ours: string, theirs: string, first = 0, count = given.get(theirs)!.shape[1]!): void => {
    const {
      shape: [rows, columns],
      data,
    } = given.get(theirs)! as { shape: readonly number[]; data: Float32Array } as {
      shape: readonly [number, number];
      data: Float32Array;
    };
    tensors.set(ours, {
      shape: [count, rows],
      data: Float32Array.from(
        { length: count * rows },
        (_, i) => data[(i % rows) * columns + first + Math.floor(i / rows)]!,
      ),
    });
  };
  same('model.embed_tokens.weight', 'wte');
  same('model.embed_positions.weight', 'wpe');
  for (let i = 0; i < L; i++) {
    const layer = `model.layers.${i}`;
    for (const [norm, theirs] of [['input_layernorm', 'ln1'], ['post_attention_layernorm', 'ln2']] as const) {
      same(`${layer}.${norm}.weight`, `l${i}.${theirs}g`);
      same(`${layer}.${norm}.bias`, `l${i}.${theirs}b`);
    }
    ['q', 'k', 'v'].forEach((name, part) =>
      turned(`${layer}.self_attn.${name}_proj.weight`, `l${i}.wqkv`, part * D, D),
    );
    turned(`${layer}.self_attn.o_proj.weight`, `l${i}.wo`);
    turned(`${layer}.mlp.up_proj.weight`, `l${i}.w1`);
    turned(`${layer}.mlp.down_proj.weight`, `l${i}.w2`);
  }
  same('model.norm.weight', 'lnfg');
  same('model.norm.bias', 'lnfb');
  turned('lm_head.weight', 'head');
  model.parameters.load(tensors, 'peers');
  return model;
}
