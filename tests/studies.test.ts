// The experiments of docs/results.md: the parts of a row in which-tokens.mjs cover every target once, and the wrong
// guide is paid the wrong way round on the share that it says.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

describe('experiments of docs/results.md', () => {
  test('which-tokens.mjs: each target is weighed by one part, and all of them make ReMiT', () => {
    const { shares, apart } = said(`
      import study from './examples/studies/which-tokens.mjs';
      import { createDevice, noGrad, ops, resolveConfig, rng, tensor, tinyWorldTokenizer, world } from 'remit-mini';
      await createDevice('cpu', { threads: 1 });
      const [B, T, V] = [64, world.ROW - 1, tinyWorldTokenizer.vocabulary];
      const rows = world.corpus(resolveConfig().config.midtrain.corpus, rng(1)).rows(0, B);
      const targets = tensor(Array.from({ length: B * T }, (_, i) => rows[i + 1 + Math.floor(i / T)]), [B, T], 'i32');
      const random = (name) => tensor(rng(1).fold(name).normals(B * T * V), [B, T, V]);
      const [logits, guide] = [random('model'), random('guide')];
      const seen = { batch: { targets }, logits, guide: () => guide };
      const logProbs = noGrad(() => [ops.logProb(guide, targets), ops.logProb(logits, targets)]);
      const whole = await noGrad(() => ops.tokenWeights(...logProbs, targets, { epsilon: 0.5 })).read();
      const sum = new Float64Array(B * T).fill(1);
      const shares = {};
      for (const [name, { loss }] of Object.entries(study.arms)) {
        if (loss === undefined) continue;
        const weights = await noGrad(() => loss(seen).weights).read();
        shares[name] = weights.filter((weight) => weight !== 1).length;
        weights.forEach((weight, i) => (sum[i] += weight - 1));
      }
      const apart = Math.max(...sum.map((value, i) => Math.abs(value - whole[i])));
      console.log(JSON.stringify({ shares, apart }));
    `) as { shares: Record<string, number>; apart: number };
    expect(Object.keys(shares)).toEqual(['question', 'choice', 'steps', 'answer', 'chatter']);
    for (const [name, share] of Object.entries(shares)) expect(share, name).toBeGreaterThan(0);
    expect(apart).toBeLessThan(1e-6); // no target twice, and none left out
  });

  test('wrong-guide.mjs: a quarter of the questions, the same ones every time', () => {
    const { wrong, again } = said(`
      import study from './examples/studies/wrong-guide.mjs';
      import { rng, worldTask } from 'remit-mini';
      const [ours, usual] = [study.task(rng(3)), worldTask(rng(3))];
      const row = Array(24).fill(0); // no answer at all: never right
      const flips = (task) => Array.from({ length: 2000 }, (_, n) => task.question(n).reward(row));
      const wrong = flips(ours).filter((reward, n) => reward !== usual.question(n).reward(row)).length / 2000;
      console.log(JSON.stringify({ wrong, again: flips(study.task(rng(3))).join() === flips(ours).join() }));
    `) as { wrong: number; again: boolean };
    expect(wrong).toBeGreaterThan(0.22);
    expect(wrong).toBeLessThan(0.28);
    expect(again).toBe(true);
  });
});

/** What a module prints as JSON, run where the package finds itself by its name. */
function said(module: string): unknown {
  const options = { cwd: root, encoding: 'utf8' } as const;
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', module], options));
}
