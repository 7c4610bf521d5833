// The whole idea in one file: it learns what it says it learns, and its weights, losses and gradients are the engine's.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { backward as backwardHere, logProb, put, tokenWeights, weightedLoss } from '../examples/microremit.ts';
import { CpuBackend } from '../engine/cpu/backend.ts';
import { rng } from '../engine/rng.ts';
import { useBackend } from '../engine/runtime.ts';
import { backward } from '../engine/tape.ts';
import { tensor, variable } from '../engine/tensor.ts';
import { remitLoss } from '../remit/weights.ts';

const file = fileURLToPath(new URL('../examples/microremit.ts', import.meta.url));

test('it has at most 200 lines, and imports nothing', () => {
  const text = readFileSync(file, 'utf8');
  expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(200);
  expect(text).not.toMatch(/\bimport\b.*from|\bimport\(|\brequire\(/);
});

test.each([1, 2, 3, 4, 5])('weights, loss and gradient are the engine\'s (%i)', async (seed) => {
  useBackend(new CpuBackend({ precision: 'f64' }));
  const random = rng(seed);
  const logits = Array.from({ length: 6 }, (_, t) => [...random.fold(`${t}`).normals(5, 1)]);
  const reference = [...random.fold('reference').normals(6, 1)].map((x) => -Math.abs(x));
  const targets = [0, 4, 2, 2, 1, 3];

  const values = logits.map((row) => row.map((x) => put(x)));
  const own = values.map((row, t) => logProb(row, targets[t]!));
  const weights = tokenWeights(own.map(({ data }) => data), reference, 0.7);
  const loss = weightedLoss(own, weights);
  backwardHere(loss);

  const x = variable(logits.flat(), [1, 6, 5]);
  const theirs = remitLoss(x, tensor(targets, [1, 6], 'i32'), tensor(reference, [1, 6]), { epsilon: 0.7 });
  const close = (found: Iterable<number>, expected: readonly number[]): void =>
    [...found].forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-9));
  close(await theirs.weights.read(), weights);
  close([await theirs.loss.item()], [loss.data]);
  close(await backward(theirs.loss).of(x)!.read(), values.flat().map(({ grad }) => grad));
  expect(weights.filter((weight) => Math.abs(weight - 1) < 0.69).length).toBeGreaterThan(2); // not all clipped
});

test('the RL model thinks and is right; ReMiT takes some of that to the base, vanilla does not', () => {
  const tsx = join(file, '../../node_modules/tsx/dist/cli.mjs');
  const { stdout, stderr } = spawnSync(process.execPath, [tsx, file], { encoding: 'utf8' });
  expect(stderr).toBe('');
  const scores = Object.fromEntries(
    [...stdout.matchAll(/^(\w+) +thinks (\d+)%, is right (\d+)%$/gm)].map(([, name, thinks, right]) => [
      name!,
      { thinks: Number(thinks), right: Number(right) },
    ]),
  );
  const { base, rl, vanilla, remit } = scores as Record<string, { thinks: number; right: number }>;
  expect(Math.abs(base!.thinks - 30)).toBeLessThan(10);
  expect(rl!.thinks).toBeGreaterThan(80);
  expect(rl!.right).toBeGreaterThan(80);
  expect(remit!.thinks - vanilla!.thinks).toBeGreaterThan(4);
  expect(remit!.right).toBeGreaterThan(vanilla!.right);
  expect(remit!.thinks).toBeLessThan(45); // the bound: .3 x 1.2 / (.3 x 1.2 + .7 x .8) = 39%
}, 60_000);
