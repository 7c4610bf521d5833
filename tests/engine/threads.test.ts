// Threads of the CPU backend: the same bits on any number of them, and nothing that outlives the work.

import { execFileSync } from 'node:child_process';
import { afterAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../engine/cpu/backend.ts';
import { defaultThreads } from '../../engine/cpu/threads.ts';
import { crossEntropy } from '../../engine/ops/cross-entropy.ts';
import { rng } from '../../engine/rng.ts';
import { step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, type Tensor } from '../../engine/tensor.ts';
import { matmulKernel } from '../../kernels/matmul/matmul.ts';
import { generate } from '../../nn/generate.ts';
import { Transformer, type TransformerConfig } from '../../nn/transformer.ts';
import { AdamW } from '../../optim/adamw.ts';
import { gpt2, llama } from '../nn/shapes.ts';
import { onBackend } from '../support/backends.ts';

const devices = [1, 2, 3].map((threads) => new CpuBackend({ threads }));
afterAll(() => {
  for (const device of devices) void device.close();
});

const B = 16;
const T = 20;

/**
 * Bytes of the weights after some steps, and of what the model then writes. Large enough that most kernels are shared
 * out.
 */
async function trained(config: TransformerConfig): Promise<Buffer> {
  const model = new Transformer({ ...config, context: 24, width: 64, hidden: 176 }, rng(1));
  const optimiser = new AdamW(model.parameters);
  const advance = step((i: number) => {
    const stream = rng(2).at(i).stream();
    const draw = (): Tensor =>
      tensor(
        Int32Array.from({ length: B * T }, () => stream.int(config.vocabulary)),
        [B, T],
        'i32',
      );
    const loss = crossEntropy(model.forward(draw()), draw());
    model.parameters.clearGradients();
    backward(loss);
    return optimiser.update(i, 1e-2);
  }, { poison: true });
  for (let i = 0; i < 5; i++) await advance(i);
  const weights = [...(await model.parameters.toHost()).values()].map(({ data }) => data);
  const prompts = Int32Array.from({ length: 64 * 3 }, (_, i) => i % config.vocabulary);
  const tokens = await generate(model, prompts, { batch: 64, maxNew: 8, temperature: 1, topK: 5, seed: rng(3) });
  return Buffer.concat(
    [...weights, tokens].map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
  );
}

describe('the number of threads', () => {
  test.each([
    ['a Llama', { ...llama, kvHeads: 2 }],
    ['a GPT-2', gpt2],
  ] as const)('changes no bit of what %s learns and writes', async (_, config) => {
    const found: Buffer[] = [];
    for (const device of devices) found.push(await onBackend(device, () => trained(config)));
    expect(found[0]!.length).toBeGreaterThan(100_000);
    expect(Buffer.compare(found[0]!, found[1]!)).toBe(0);
    expect(Buffer.compare(found[0]!, found[2]!)).toBe(0);
  });

  test('is that of the cores by default, and no more than 8', () => {
    expect(defaultThreads()).toBeGreaterThanOrEqual(1);
    expect(defaultThreads()).toBeLessThanOrEqual(8);
  });
});

describe('the other threads', () => {
  const n = 256;
  const sizes = {
    batch: 1, M: n, N: n, K: n, transA: 0, transB: 0, strideA: 0, strideB: 0, accumulate: 0, addBias: 0, addResidual: 0,
  };

  test('may end at any time: what follows is computed alone', async () => {
    const device = new CpuBackend({ threads: 3 });
    const [a, b, out] = [device.alloc(n * n, 'f32'), device.alloc(n * n, 'f32'), device.alloc(n * n, 'f32')];
    for (const operand of [a, b]) device.write(operand, new Float32Array(n * n).fill(1));
    device.dispatch(matmulKernel, { a, b, bias: b, residual: b, out }, sizes);
    await device.close();
    device.write(out, new Float32Array(n * n));
    device.dispatch(matmulKernel, { a, b, bias: b, residual: b, out }, sizes);
    expect(new Set(await device.read(out))).toEqual(new Set([n]));
  });

  test('do not keep the process alive', () => {
    const program = `
      import { CpuBackend } from './engine/cpu/backend.ts';
      import { matmulKernel } from './kernels/matmul/matmul.ts';
      const device = new CpuBackend({ threads: 2 }), n = 256, [a, b, out] = [1, 2, 3].map(() => device.alloc(n * n, 'f32'));
      for (let i = 0; i < 50; i++) device.dispatch(matmulKernel, { a, b, bias: b, residual: b, out }, ${JSON.stringify(sizes)});
      console.log('done');`;
    const said = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(said).toBe('done\n');
  });
});
