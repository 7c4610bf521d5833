// Memory over 2,000 training steps and 200 iterations of reinforcement learning on either backend: what is there after
// the first quarter is enough for the rest. Judged is resident memory without the free pages of V8's heap: it keeps 5
// to 60 MB of those, as it sees fit, so a leak of the size of the limit could not be told from its moods. Resident
// memory as a whole is printed beside. Training first warms up: the drivers' own heap takes up to a thousand steps to
// reach its size.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { useBackend } from '../../engine/runtime.ts';
import { resolveConfig } from '../../remit/settings/resolve.ts';
import { newModel, pretrain } from '../../remit/phases/pretrain.ts';
import { rl } from '../../remit/phases/rl.ts';
import { quietRun, type Run } from '../../remit/phases/run.ts';
import { worldOf } from '../../remit/phases/world.ts';
import { gpu } from '../support/gpu.ts';

// the last quarter against the second
const WARM_UP = 1000;
const STEPS = 2000;
const ITERATIONS = 200;
const SAMPLES = 40;
const GROWTH = 1.05;
const { config } = resolveConfig({
  flags: [
    ['model.width', '16'],
    ['model.layers', '1'],
    ['model.heads', '2'],
    ['pretrain.steps', `${WARM_UP + STEPS}`],
    ['pretrain.batch', '4'],
    ['rl.steps', `${ITERATIONS}`],
    ['rl.prompts', '4'],
    ['rl.samples', '4'],
    ['rl.warmup', '0'],
  ],
});
const world = worldOf(config);
afterAll(() => gpu?.close());

const median = (x: readonly number[]): number => [...x].sort((a, b) => a - b)[x.length >> 1]!;

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;
const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Collects garbage, which V8 puts off for thousands of steps when there is room, and waits for its threads to give
 * pages back.
 */
function collect(): void {
  gc();
  Atomics.wait(never, 0, 0, 50);
}

/** A run that looks at the process every few steps, after the first `warmUp`. */
function watched(
  steps: number,
  warmUp = 0,
): { run: Run; quarters: () => { used: number[]; rss: number[]; buffers: number[] } } {
  const used: number[] = [];
  const all: number[] = [];
  const buffers: number[] = [];
  const every = steps / SAMPLES;
  const medians = (samples: readonly number[]): number[] =>
    [0, 1, 2, 3].map((q) => median(samples.slice((q * SAMPLES) / 4, ((q + 1) * SAMPLES) / 4)));
  return {
    run: {
      ...quietRun,
      log({ step }) {
        if (step <= warmUp || step % every !== 0) return;
        collect();
        const { rss, heapTotal, heapUsed } = process.memoryUsage();
        all.push(rss);
        used.push(rss - (heapTotal - heapUsed));
        buffers.push(gpu?.counters.buffers ?? 0);
      },
    },
    quarters: () => ({
      used: medians(used),
      rss: medians(all),
      buffers: [0, 1, 2, 3].map((q) => buffers[((q + 1) * SAMPLES) / 4 - 1]!),
    }),
  };
}

test.each(['cpu', ...(gpu ? ['webgpu'] : [])])('%s', async (place) => {
  useBackend(place === 'cpu' ? new CpuBackend() : gpu);
  const training = watched(STEPS, WARM_UP);
  const reinforcement = watched(ITERATIONS);
  await pretrain(config, world.pretrain, newModel(config, 70), training.run);
  // a fresh model: its longest answer is always as long as can be
  await rl(config, world.questions, newModel(config, 70), reinforcement.run);
  for (const [what, { quarters }] of [
    [`${STEPS} training steps`, training],
    [`${ITERATIONS} iterations of RL`, reinforcement],
  ] as const) {
    const { used, rss, buffers } = quarters();
    const megabytes = (samples: readonly number[]): string =>
      samples.map((bytes) => (bytes / 2 ** 20).toFixed(1)).join(', ');
    console.log(
      `${place}: ${what}: MB in use by quarters ${megabytes(used)} (resident ${megabytes(rss)}); GPU buffers made by ` +
      `then ${buffers.join(', ')}`,
    );
    expect(used[3]! / used[1]!, what).toBeLessThan(GROWTH);
    expect(buffers[3], what).toBe(buffers[0]);
  }
});
