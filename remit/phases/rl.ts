// Phase 4: reinforcement learning by policy gradient. Sample answers, reward the right ones, raise the probability of
// those that did better than their group, and stay close to the model that it began with.
// What is left out of larger systems: no value model, no reward model, no replay; several updates per batch are
// possible (rl.updates). Settings: config.rl. Sources: RLOO, arXiv 2402.14740; the clipped loss, arXiv 1707.06347; k3,
// arXiv 2402.03300. Read after: sft.ts, ../rl/rollout.ts, ../rl/advantage.ts, engine/ops/policy-loss.ts. Read next:
// pipeline.ts.

import { affine } from '../../engine/ops/arithmetic.ts';
import { logProb } from '../../engine/ops/cross-entropy.ts';
import { policyLoss } from '../../engine/ops/policy-loss.ts';
import { anything, checkArguments, optional, text } from '../../engine/options.ts';
import { rng } from '../../engine/rng.ts';
import { noGrad } from '../../engine/runtime.ts';
import { step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, type Tensor } from '../../engine/tensor.ts';
import { aTransformer, type Transformer } from '../../nn/transformer.ts';
import { checkConfig, type Config } from '../settings/resolve.ts';
import { advantages } from '../rl/advantage.ts';
import { rollout, type Rollouts } from '../rl/rollout.ts';
import { taskRule, type Task } from '../rl/task.ts';
import { nextTokens, type NextTokenBatch } from './next-token.ts';
import { aRun, type Run } from './run.ts';
import { trainLoop, type Apply } from './train-loop.ts';

const rlArguments = { config: anything, task: taskRule, base: aTransformer, run: aRun, phase: optional(text) };

/**
 * Trains a copy of `base` and returns it; the base is the reference that it is kept close to. `phase` names it in
 * metrics and checkpoints.
 */
export async function rl(given: Config, task: Task, base: Transformer, run: Run, phase = 'rl'): Promise<Transformer> {
  checkArguments('rl', arguments, rlArguments);
  const config = checkConfig('rl', given);
  const { prompts, samples, temperature, updates, advantage, ratioClip: clip, klWeight } = config.rl;
  const model = base.clone();
  const random = rng(config.seed).fold('rollout');
  const memory: Record<string, number> = {};
  const B = prompts * samples;

  /** log p of the targets [B,T], at the temperature that they were sampled with. */
  const score = (by: Transformer, { inputs, targets }: NextTokenBatch): Tensor => {
    const logits = by.forward(inputs);
    return logProb(temperature === 1 ? logits : affine(logits, { factor: 1 / temperature }), targets);
  };

  /** What stays as it is during the updates: log p of the model that wrote the answers, and of the reference. */
  const look = step(({ rows, mask }: Rollouts) => noGrad(() => {
    const tokens = nextTokens(rows, B, mask);
    return { old: updates === 1 ? undefined : score(model, tokens), reference: score(base, tokens) };
  }));

  const learn = step(
    (
      { rows, mask }: Rollouts,
      gains: Float32Array,
      seen: { old: Tensor | undefined; reference: Tensor },
      apply: () => Tensor,
    ) => {
      // own [B,T]
      const tokens = nextTokens(rows, B, mask);
      const own = score(model, tokens);
      const { count } = tokens;
      // the one update comes before any change: the ratio is exactly 1
      const old = seen.old ?? own.stopGradient();
      const [loss, , , diagnostics] = policyLoss.all(own, old, seen.reference, tensor(gains), tokens.targets, {
        clip,
        klWeight,
        count,
      });
      model.parameters.clearGradients();
      backward(loss);
      return { loss, gradNorm: apply(), own, diagnostics: diagnostics!, count };
    },
  );

  await trainLoop({
    phase, section: 'rl', settings: config.rl, model, run, updates, memory,
    async body(i: number, apply: Apply) {
      const sampled = await rollout(model, task, {
        from: i * prompts,
        prompts,
        samples,
        temperature,
        seed: random.at(i),
      });
      const gains = advantages(sampled.rewards, samples, advantage, memory);
      const seen = await look(sampled);
      let found = await learn(sampled, gains, seen, () => apply(0));
      let gradNorm = await found.gradNorm.item();
      // of what was sampled: before the first update
      const entropy = -mean(await found.own.read()) * found.own.size / found.count;
      for (let update = 1; update < updates; update++) {
        found = await learn(sampled, gains, seen, () => apply(update));
        // one that is not is told, whatever follows
        if (Number.isFinite(gradNorm)) gradNorm = await found.gradNorm.item();
      }
      const [loss, diagnostics] = [await found.loss.item(), await found.diagnostics.read()];
      const perToken = (x: ArrayLike<number>): number => mean(x) * x.length / found.count;
      const n = diagnostics.length / 2;
      return {
        loss,
        gradNorm,
        tokens: found.count,
        reward: mean(sampled.rewards),
        kl: perToken(diagnostics.subarray(0, n)),
        clipFraction: perToken(diagnostics.subarray(n)),
        entropy,
        length: mean(sampled.lengths),
        ...Object.fromEntries(Object.entries(sampled.measured).map(([name, values]) => [name, mean(values)])),
      };
    },
  });
  look.free();
  learn.free();
  return model;
}

function mean(x: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += x[i]!;
  return total / x.length;
}
