// Phase 4: reinforcement learning by policy gradient. Sample answers, reward the right ones, raise the probability of
// those that did better than their group, and stay close to the model that it began with.
// What is left out of larger systems: no value model, no reward model, no replay; several updates per batch are
// possible (rl.updates). Settings: config.rl. Sources: RLOO, arXiv 2402.14740; the clipped loss, arXiv 1707.06347; k3,
// arXiv 2402.03300; questions drawn again, two clips, answers that were cut off, arXiv 2503.14476. Read after: sft.ts,
// ../rl/rollout.ts, ../rl/advantage.ts, engine/ops/policy-loss.ts. Read next: pipeline.ts.

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
import { regrouped, rollout, silentGroups, type Rollouts } from '../rl/rollout.ts';
import { taskRule, type Task } from '../rl/task.ts';
import { nextTokens, type NextTokenBatch } from './next-token.ts';
import { aRun, type Answer, type Run } from './run.ts';
import { trainLoop, type Apply } from './train-loop.ts';

const rlArguments = { config: anything, task: taskRule, base: aTransformer, run: aRun, phase: optional(text) };

/**
 * Trains a copy of `base` and returns it; the base is the reference that it is kept close to. `phase` names it in
 * metrics and checkpoints.
 */
export async function rl(given: Config, task: Task, base: Transformer, run: Run, phase = 'rl'): Promise<Transformer> {
  checkArguments('rl', arguments, rlArguments);
  const config = checkConfig('rl', given);
  const { prompts, samples, temperature, updates, advantage, klWeight, ratioClip: clip } = config.rl;
  const { ratioClipHigh: clipHigh = clip, divisor, resample, maskTruncated, show } = config.rl;
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

  /** Advantages [B]; where each answer counts alike, [B,2] with what each of its tokens does. */
  const worth = (gains: Float32Array, lengths: Int32Array): Tensor => {
    if (divisor !== 'answer') return tensor(gains);
    return tensor(Float32Array.from({ length: 2 * B }, (_, i) => (i % 2 ? 1 / lengths[i >> 1]! : gains[i >> 1]!)), [B, 2]);
  };

  const learn = step(
    (
      { rows, mask, lengths }: Rollouts,
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
      const [loss, , , diagnostics] = policyLoss.all(own, old, seen.reference, worth(gains, lengths), tokens.targets, {
        clip,
        clipHigh,
        klWeight,
        count: { tokens: Math.max(1, count), answer: B, constant: B * task.maxNew }[divisor],
      });
      model.parameters.clearGradients();
      backward(loss);
      return { loss, gradNorm: apply(), own, diagnostics: diagnostics!, count };
    },
  );

  /**
   * The answers of iteration i. Questions whose answers are all worth the same give way to others, as often as
   * rl.resample allows; `silent` of all that were `drawn` were such.
   */
  async function sample(i: number): Promise<{ sampled: Rollouts; silent: number; drawn: number }> {
    const draws: Rollouts[] = [];
    const chosen = Array.from({ length: prompts }, (_, group) => [0, group] as readonly [number, number]);
    const places = chosen.map(([, group]) => group);
    let missing = places;
    let silent = 0;
    for (let at = 0; at <= resample && missing.length > 0; at++) {
      const from = (i * (1 + resample) + at) * prompts;
      const seed = at === 0 ? random.at(i) : random.at(i).fold(`again ${at}`);
      const drawn = await rollout(model, task, { from, prompts, samples, temperature, seed });
      const without = silentGroups(drawn, samples);
      silent += without.length;
      draws.push(drawn);
      const speaking = places.filter((group) => !without.includes(group));
      if (at > 0) speaking.slice(0, missing.length).forEach((group, k) => (chosen[missing[k]!] = [at, group]));
      missing = at === 0 ? without : missing.slice(speaking.length);
    }
    const sampled = draws.length === 1 ? draws[0]! : regrouped(draws, chosen, { samples, stop: task.stop });
    return { sampled: maskTruncated ? withoutTruncated(sampled) : sampled, silent, drawn: draws.length * prompts };
  }

  await trainLoop({
    phase, section: 'rl', settings: config.rl, model, run, updates, memory,
    async body(i: number, apply: Apply) {
      const { sampled, silent, drawn } = await sample(i);
      const gains = advantages(sampled.rewards, samples, advantage, memory);
      if (show > 0 && (i + 1) % show === 0) run.show?.(phase, i + 1, shown(sampled, gains, SHOWN * samples));
      const seen = await look(sampled);
      let found = await learn(sampled, gains, seen, () => apply(0));
      let gradNorm = await found.gradNorm.item();
      // of what was sampled: before the first update
      const counted = Math.max(1, found.count); // of answers that were all cut off and left out, there is none
      const entropy = -mean(await found.own.read()) * found.own.size / counted;
      for (let update = 1; update < updates; update++) {
        found = await learn(sampled, gains, seen, () => apply(update));
        // one that is not is told, whatever follows
        if (Number.isFinite(gradNorm)) gradNorm = await found.gradNorm.item();
      }
      const [loss, diagnostics] = [await found.loss.item(), await found.diagnostics.read()];
      const perToken = (x: ArrayLike<number>): number => mean(x) * x.length / counted;
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
        ...(samples > 1 && { noSignal: silent / drawn }),
        truncated: mean(sampled.truncated),
        ...Object.fromEntries(Object.entries(sampled.measured).map(([name, values]) => [name, mean(values)])),
      };
    },
  });
  look.free();
  learn.free();
  return model;
}

const SHOWN = 4; // questions

function shown({ rows, rewards, starts, lengths }: Rollouts, gains: Float32Array, most: number): Answer[] {
  const L = rows.length / rewards.length;
  return Array.from({ length: Math.min(most, rewards.length) }, (_, b) => {
    const begin = b * L + starts[b]!;
    return {
      prompt: rows.slice(b * L, begin),
      answer: rows.slice(begin, begin + lengths[b]!),
      reward: rewards[b]!,
      advantage: gains[b]!,
    };
  });
}

/** No token of an answer that was cut off counts. */
function withoutTruncated(sampled: Rollouts): Rollouts {
  const mask = sampled.mask.slice();
  const T = mask.length / sampled.truncated.length;
  sampled.truncated.forEach((cut, b) => {
    if (cut) mask.fill(0, b * T, (b + 1) * T);
  });
  return { ...sampled, mask };
}

function mean(x: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += x[i]!;
  return total / x.length;
}
