// Threads in a page that is isolated from other origins (served with COOP and COEP), and so has shared memory: in the
// page, whose main thread may only spin, and in a worker of it, which may sleep.

import { expect, test } from 'vitest';
import { onBoth, type Outcome } from './shared.ts';

function inWorker(): Promise<Outcome> {
  const worker = new Worker(new URL('./shared.ts', import.meta.url), { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (typeof data === 'string' ? reject(new Error(data)) : resolve(data));
    worker.onerror = ({ message }) => reject(new Error(message || 'the worker did not start'));
  });
}

test.each([
  ['the page', onBoth],
  ['a worker', inWorker],
] as const)('in %s, two threads compute the bits of one', async (_, run) => {
  expect(crossOriginIsolated).toBe(true);
  const {
    out: [one, two],
    helped,
  } = await run();
  expect(helped).toBe(true);
  expect(one.length).toBeGreaterThan(90_000);
  expect(one.every(Number.isFinite) && one.some((x) => x !== 0)).toBe(true);
  expect(new Uint8Array(two.buffer)).toEqual(new Uint8Array(one.buffer));
});
