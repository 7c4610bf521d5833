// The engine off the page's own thread: training belongs there, so that the page stays alive.

import { expect, test } from 'vitest';
import type { Answer } from './worker.ts';

test('both devices work in a web worker, and agree', async () => {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  const answer = await new Promise<string | [Answer, Answer]>((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message || 'the worker did not start'));
  });
  worker.terminate();
  if (typeof answer === 'string') throw new Error(answer);
  const [cpu, gpu] = answer;
  expect([cpu.device, gpu.device]).toEqual(['cpu', expect.stringMatching(/^webgpu /)]);
  for (const key of ['values', 'gradient'] as const) {
    expect(gpu[key].length).toBe(cpu[key].length);
    // float32 sums of terms up to 20
    cpu[key].forEach((value, i) => expect(Math.abs(gpu[key][i]! - value)).toBeLessThan(20 * 1e-6));
  }
});
