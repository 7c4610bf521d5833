// A graphics device that goes away while a phase trains: the run ends with one line and exit code 3, and goes on with
// the same bytes on another device.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { DeviceError } from '../../engine/errors.ts';
import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import { rng } from '../../engine/rng.ts';
import { useBackend } from '../../engine/runtime.ts';
import { openGpu } from '../../engine/webgpu/adapter.ts';
import { WebGpuBackend } from '../../engine/webgpu/backend.ts';
import { EXIT, exitCode } from '../../remit/app/cli/exit.ts';
import { inRunFolder } from '../../remit/app/cli/session.ts';
import { resolveConfig } from '../../remit/settings/resolve.ts';
import { tinyWorldTokenizer } from '../../remit/worlds/tiny/tokenizer.ts';
import { corpus } from '../../remit/worlds/tiny/index.ts';
import { nextTokenLoop } from '../../remit/phases/next-token.ts';
import { newModel } from '../../remit/phases/pretrain.ts';
import { describeGpu } from '../support/gpu.ts';
import { temporaryFolder } from '../support/temporary.ts';

const scratch = temporaryFolder();
const opened: WebGpuBackend[] = [];
const { config } = resolveConfig({
  flags: [
    ['model.width', '8'],
    ['model.layers', '1'],
    ['model.heads', '2'],
    ['pretrain.steps', '12'],
    ['pretrain.warmup', '0'],
    ['pretrain.batch', '2'],
    ['checkpoint.every', '2'],
  ],
});

afterAll(async () => { for (const backend of opened) await backend.close(); });

/**
 * Pre-trains in `folder` on a device of its own; `lose` may destroy that at a step, in the middle of its body or after
 * it.
 */
async function train(
  folder: string,
  lose?: { readonly step: number; readonly when: 'inside' | 'after' },
): Promise<number> {
  const found = await openGpu({ software: 'allowed' });
  if (typeof found === 'string') throw new Error(found);
  const device = new WebGpuBackend(found.device, found);
  const data = corpus(config.pretrain.corpus, rng(1));
  opened.push(device);
  useBackend(device);
  const model = newModel(config, 70);
  const at = (i: number, when: string): void => {
    if (lose?.step === i + 1 && lose.when === when) found.device.destroy();
  };
  return inRunFolder(
    { config, device, model, tokenizer: tinyWorldTokenizer, out: join(scratch, folder), name: 'x', resume: 'if-there' },
    async (run) => {
      run.watch = async (_, step) => at(step - 1, 'after');
      await nextTokenLoop({
        phase: 'pretrain',
        section: 'pretrain',
        settings: config.pretrain,
        model,
        run,
        rows: (i, batch) => ({ rows: data.rows(i, batch) }),
        loss({ inputs, targets }, i) {
          const logits = model.forward(inputs);
          at(i, 'inside');
          return { loss: crossEntropy(logits, targets) };
        },
      });
    },
  );
}

describeGpu('a device that is lost', () => {
  test.each(['inside', 'after'] as const)(
    '%s a step: one line, exit code 3, and the run goes on with the same bytes',
    async (when) => {
      expect(await train(`${when}-whole`)).toBe(EXIT.ok);
      for (const step of [4, 11]) {
        const error: unknown = await train(when, { step, when }).catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(DeviceError);
        expect((error as Error).message).toMatch(/^webgpu: the device was lost .*: start again, or use --device cpu$/);
        expect(exitCode(error)).toBe(EXIT.device);
      }
      expect(await train(when)).toBe(EXIT.ok);
      for (const file of ['metrics.jsonl', 'checkpoints/pretrain.safetensors']) {
        expect(
          readFileSync(join(scratch, when, file)).equals(readFileSync(join(scratch, `${when}-whole`, file))),
          file,
        ).toBe(true);
      }
    },
  );
});
