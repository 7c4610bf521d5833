// `remit-mini tune`: runs one training step to see which matrix products it makes, measures every GPU program at each
// of their shapes, and keeps the winners for the runs to come. Read next: tune-matmul.ts (measuring), tune-cache.ts
// (keeping), engine/webgpu/variants.ts (using).

import type { Backend } from '../../../engine/backend.ts';
import { ConfigError, DeviceError } from '../../../engine/errors.ts';
import type { MatmulParams } from '../../../engine/matmul-probe.ts';
import { rng } from '../../../engine/rng.ts';
import { useBackend } from '../../../engine/runtime.ts';
import { openGpu } from '../../../engine/webgpu/adapter.ts';
import { WebGpuBackend } from '../../../engine/webgpu/backend.ts';
import { shapeKey } from '../../../engine/webgpu/variants.ts';
import { matmulKernel } from '../../../kernels/matmul/matmul.ts';
import type { Config } from '../../settings/resolve.ts';
import { byteTokenizer } from '../../text/tokenizer.ts';
import { tinyWorldTokenizer } from '../../worlds/tiny/tokenizer.ts';
import { ROW } from '../../worlds/tiny/index.ts';
import { newModel, pretrain } from '../../phases/pretrain.ts';
import { quietRun } from '../../phases/run.ts';
import { onStop, type StopSignal } from '../run/signals.ts';
import { readArguments } from './arguments.ts';
import { EXIT } from './exit.ts';
import { readSettings, settingFlags } from './settings.ts';
import { print, say } from './terminal.ts';
import { writeTuning } from './tune-cache.ts';
import { programsOn, timeMatmul, type Timing } from './tune-matmul.ts';

export const help = `remit-mini tune [flags]

There are several GPU programs for the matrix product, and which is the fastest depends on its size and on the GPU. This command measures
them at the sizes of a training step, and keeps the winners in the user's cache folder; from then on the other commands use them on this
adapter with this driver. Results of runs before and after differ in their last bits. Takes seconds on a GPU.

  --device webgpu                        take a software driver, too, if there is no GPU
  --preset, --config, --set, --data      the model and the batch, as for remit-mini train

The file is $XDG_CACHE_HOME/remit-mini/tune.json, or ~/.cache/remit-mini/tune.json; to forget everything, remove it.
`;

const CLEARLY = 0.97; // of the time of what would run anyway: less of a gain may be noise
const CELL = 11;

export async function run(argv: readonly string[]): Promise<number> {
  const { config } = readSettings('tune', readArguments('tune', argv, settingFlags));
  if (config.device === 'cpu') {
    throw new ConfigError('tune: --device cpu: the CPU has one program for each kernel: use auto or webgpu');
  }
  const gpu = await openGpu({ software: config.device === 'webgpu' ? 'allowed' : 'never' });
  if (typeof gpu === 'string') {
    throw new DeviceError(
      `tune: ${gpu}${config.device === 'auto' ? '; or try a software driver with --device webgpu' : ''}`,
    );
  }
  const backend = new WebGpuBackend(gpu.device, gpu);
  const programs = Object.keys(programsOn(backend));
  const winners: Record<string, string> = {};
  let healthy = true;
  let stopped: StopSignal | undefined;
  const unlisten = onStop((signal) => {
    stopped = signal;
    say('stopping after this shape; once more to stop at once');
  });
  try {
    useBackend(backend);
    const shapes = await recordShapes(backend, config);
    print(`${gpu.name}: microseconds per product, the best of samples taken by turns; * is kept, - is far behind`);
    print(`${''.padEnd(28)}${programs.map((name) => name.padStart(CELL)).join('')}`);
    for (const [key, params] of shapes) {
      if (stopped !== undefined) break;
      const timings = await timeMatmul(backend, params);
      const winner = winnerOf(timings, backend.chosen(matmulKernel, params));
      healthy &&= timings.every(({ right }) => right);
      if (winner !== undefined) winners[key] = winner;
      print(
        `${key.padEnd(28)}${programs
          .map((name) =>
            cell(
              timings.find((timing) => timing.name === name),
              name === winner,
            ).padStart(CELL),
          )
          .join('')}`,
      );
    }
    const count = Object.keys(winners).length;
    if (count > 0) print(`${count} ${count === 1 ? 'shape' : 'shapes'} kept in ${writeTuning(gpu.key, winners)}`);
    if (stopped !== undefined) say(`stopped: ${count} of ${shapes.size} shapes were measured`);
    if (!healthy) say('tune: a program computes wrongly here and will not be used: update the driver');
    if (stopped !== undefined) return EXIT[stopped];
    return healthy ? EXIT.ok : EXIT.failed;
  } finally {
    unlisten();
    await backend.close();
  }
}

/** The matrix products of a training step of either phase, on random tokens: key -> one of its dispatches. */
async function recordShapes(backend: Backend, config: Config): Promise<Map<string, MatmulParams>> {
  const ownText = config.data.path !== undefined;
  const { vocabulary } = ownText ? byteTokenizer : tinyWorldTokenizer;
  const row = ownText ? config.model.context + 1 : ROW;
  const stream = rng(config.seed).fold('tune').stream();
  const corpus = {
    rows: (_: number, batch: number) => Int32Array.from({ length: batch * row }, () => stream.int(vocabulary)),
  };

  const shapes = new Map<string, MatmulParams>();
  const { dispatch } = backend;
  backend.dispatch = (kernel, buffers, params) => {
    if (kernel.name === matmulKernel.name) shapes.set(shapeKey(kernel, params), params as MatmulParams);
    dispatch.call(backend, kernel, buffers, params);
  };
  try {
    for (const batch of new Set([config.pretrain.batch, config.midtrain.batch])) {
      const settings = { ...config.pretrain, batch, steps: 1, warmup: 0 };
      await pretrain({ ...config, pretrain: settings }, corpus, newModel(config, vocabulary), quietRun);
    }
  } finally {
    backend.dispatch = dispatch;
  }
  return shapes;
}

/** The fastest, unless it hardly beats `usual`; undefined when none is right. */
export function winnerOf(timings: readonly Timing[], usual: string): string | undefined {
  const right = timings.filter(({ right, ms }) => right && ms < Infinity);
  const best = right.toSorted((a, b) => a.ms - b.ms)[0];
  if (!best) return undefined;
  const current = right.find(({ name }) => name === usual);
  return current && best.ms > CLEARLY * current.ms ? usual : best.name;
}

function cell(timing: Timing | undefined, isWinner: boolean): string {
  if (timing === undefined) return '';
  if (!timing.right) return 'WRONG';
  return timing.ms === Infinity ? '-' : `${isWinner ? '*' : ''}${(1000 * timing.ms).toFixed(1)}`;
}
