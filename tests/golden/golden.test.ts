// The fixtures themselves: are they the ones that were made, and are they what README.md says?
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { golden } from './golden.ts';
import { plainLlama } from './plain-llama.ts';

test('all 137 tensors have the bits they were made with', () => {
  const tensors = golden.tensors();
  const hash = createHash('sha256');
  for (const name of [...tensors.keys()].sort()) {
    const { dtype, shape, data } = tensors.get(name)!;
    hash.update(`${name} ${dtype} ${shape}\n`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  expect(tensors.size).toBe(137);
  expect(hash.digest('hex')).toBe('21f9ecc5e6e777bead3855cffb9f6e869bc9921cb26937a18fcd999debf44987');
});

test('models and gradients have the same 21 names and shapes', () => {
  const shapes = [
    golden.model('theta'),
    golden.model('rl'),
    ...(['ntp', 'remit', 'kd', 'pg'] as const).map((loss) => golden.gradients(loss)),
  ].map((tensors) => [...tensors].map(([name, { shape }]) => `${name} [${shape}]`).sort());
  expect(shapes[0]).toHaveLength(21);
  for (const other of shapes) expect(other).toEqual(shapes[0]);
});

test('a Llama in plain loops gets the logits, the log-probabilities and the greedy continuation of PyTorch', () => {
  const { config, greedy } = golden.scalars;
  const tokens = golden.tensor('input.tokens');
  const targets = golden.tensor('input.targets');
  const logits = golden.tensor('theta.logits');
  for (const which of ['theta', 'rl'] as const) {
    const logprob = golden.tensor(`logprob.${which}`);
    let worst = 0;
    for (let row = 0; row < 3; row++) {
      const ours = plainLlama(config, golden.model(which), [...tokens.subarray(row * 33, (row + 1) * 33)]); // [33][61]
      for (const [t, vector] of ours.entries()) {
        const at = row * 33 + t;
        if (which === 'theta') {
          vector.forEach((value, v) => (worst = Math.max(worst, Math.abs(value - logits[at * 61 + v]!))));
        }
        const total = vector.reduce((sum, value) => sum + Math.exp(value), 0);
        if (targets[at]! >= 0) {
          worst = Math.max(worst, Math.abs(vector[targets[at]!]! - Math.log(total) - logprob[at]!));
        }
      }
    }
    // both in float64; the stored values are rounded to float32, at most 2^-22 each below 8
    expect(worst).toBeLessThan(1e-6);
  }

  const sequence = [...greedy.prompt];
  while (sequence.length < greedy.prompt.length + greedy.continuation.length) {
    const last = plainLlama(config, golden.model('theta'), sequence).at(-1)!;
    sequence.push(last.indexOf(Math.max(...last)));
  }
  expect(sequence.slice(greedy.prompt.length)).toEqual(greedy.continuation);
});
