// Memory over 2,000 training steps and 200 iterations of reinforcement learning on either backend: what is there after the first quarter is
// enough for the rest.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { useBackend } from '../../engine/runtime.ts';
import { resolveConfig } from '../../remit/config/config.ts';
import { newModel, pretrain } from '../../remit/phases/pretrain.ts';
import { rl } from '../../remit/phases/rl.ts';
import { quietRun, type Run } from '../../remit/phases/run.ts';
import { worldOf } from '../../remit/phases/world.ts';
import { gpu } from '../support/gpu.ts';

const STEPS = 2000, ITERATIONS = 200, SAMPLES = 40, GROWTH = 1.05; // the last quarter against the second
const { config } = resolveConfig({ flags: [
  ['model.width', '16'], ['model.layers', '1'], ['model.heads', '2'], ['pretrain.steps', `${STEPS}`], ['pretrain.batch', '4'],
  ['rl.steps', `${ITERATIONS}`], ['rl.prompts', '4'], ['rl.samples', '4'], ['rl.warmup', '0'],
] });
const world = worldOf(config);
afterAll(() => gpu?.close());

const median = (x: readonly number[]): number => [...x].sort((a, b) => a - b)[x.length >> 1]!;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void; // V8 puts it off for thousands of steps when there is room

/** A run that looks at the process every few steps. */
function watched(steps: number): { run: Run; quarters: () => { rss: number[]; buffers: number[] } } {
  const rss: number[] = [], buffers: number[] = [], every = steps / SAMPLES;
  return {
    run: {
      ...quietRun,
      log({ step }) {
        if (step % every !== 0) return;
        collect();
        rss.push(process.memoryUsage.rss());
        buffers.push(gpu?.counters.buffers ?? 0);
      },
    },
    quarters: () => ({
      rss: [0, 1, 2, 3].map((q) => median(rss.slice((q * SAMPLES) / 4, ((q + 1) * SAMPLES) / 4))),
      buffers: [0, 1, 2, 3].map((q) => buffers[((q + 1) * SAMPLES) / 4 - 1]!),
    }),
  };
}

test.each(['cpu', ...(gpu ? ['webgpu'] : [])])('%s', async (place) => {
  useBackend(place === 'cpu' ? new CpuBackend() : gpu);
  const training = watched(STEPS), reinforcement = watched(ITERATIONS);
  await pretrain(config, world.pretrain, newModel(config, 70), training.run);
  await rl(config, world.questions, newModel(config, 70), reinforcement.run); // a fresh model: its longest answer is always as long as can be
  for (const [what, { quarters }] of [[`${STEPS} training steps`, training], [`${ITERATIONS} iterations of RL`, reinforcement]] as const) {
    const { rss, buffers } = quarters();
    console.log(`${place}: ${what}: resident MB by quarters ${rss.map((bytes) => (bytes / 2 ** 20).toFixed(1)).join(', ')}; GPU buffers made by then ${buffers.join(', ')}`);
    expect(rss[3]! / rss[1]!, what).toBeLessThan(GROWTH);
    expect(buffers[3], what).toBe(buffers[0]);
  }
});
