// Phase 4: reinforcement learning by policy gradient. Sample answers, reward the right ones, raise the probability of
// those that did better than their group, and stay close to the model that it began with.
// What is left out of larger systems: no value model, no reward model, no replay; several updates per batch are
// possible (rl.updates). Settings: config.rl. Sources: RLOO, arXiv 2402.14740; the clipped loss, arXiv 1707.06347; k3,
// arXiv 2402.03300; questions drawn again, two clips, answers that were cut off, arXiv 2503.14476. Read after: sft.ts,
// ../rl/sampling.ts, ../rl/advantage.ts, engine/ops/policy-loss.ts. Read next: pipeline.ts.

import { affine } from '../../engine/ops/arithmetic.ts';
import { logProb } from '../../engine/ops/cross-entropy.ts';
import { policyLoss } from '../../engine/ops/policy-loss.ts';
import { anything, checkArguments, optional, text } from '../../engine/options.ts';
import { rng } from '../../engine/rng.ts';
import { noGrad } from '../../engine/runtime.ts';
import { step } from '../../engine/step.ts';
import { backward } from '../../engine/tape.ts';
import { tensor, Tensor } from '../../engine/tensor.ts';
import type { HostArray } from '../../kernels/kernel.ts';
import { aTransformer, type Transformer } from '../../nn/transformer.ts';
import { checkConfig, type Config } from '../settings/resolve.ts';
import { advantages } from '../rl/advantage.ts';
import { inParts, sampleAnswers, shown, type Part } from '../rl/sampling.ts';
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
  const { prompts, samples, temperature, updates, advantage, klWeight, ratioClip: clip } = config.rl;
  const { ratioClipHigh: clipHigh = clip, divisor, microBatch, show } = config.rl;
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
  const look = step(({ rows, mask, gains }: Part) => noGrad(() => {
    const tokens = nextTokens(rows, gains.length, mask);
    return { old: updates === 1 ? undefined : score(model, tokens), reference: score(base, tokens) };
  }));

  /** Advantages [B]; where each answer counts alike, [B,2] with what each of its tokens does. */
  const worth = ({ gains, lengths }: Part): Tensor => {
    if (divisor !== 'answer') return tensor(gains);
    const both = [...gains].flatMap((gain, b) => [gain, 1 / lengths[b]!]);
    return tensor(both, [gains.length, 2]);
  };

  const learn = step((part: Part, seen: Seen, { counted, isFirst, apply }: Turn) => {
    const tokens = nextTokens(part.rows, part.gains.length, part.mask);
    const own = score(model, tokens); // [B,T]
    const given = (values: Tensor | HostArray): Tensor => (values instanceof Tensor ? values : tensor(values, own.shape));
    // the one update comes before any change: the ratio is exactly 1
    const old = seen.old === undefined ? own.stopGradient() : given(seen.old);
    const [loss, , , diagnostics] = policyLoss.all(own, old, given(seen.reference), worth(part), tokens.targets, {
      clip,
      clipHigh,
      klWeight,
      count: { tokens: Math.max(1, counted), answer: B, constant: B * task.maxNew }[divisor],
    });
    if (isFirst) model.parameters.clearGradients();
    backward(loss);
    return { loss, gradNorm: apply?.(), own, diagnostics: diagnostics! };
  });

  /** An update: of what all parts say together. */
  async function update(parts: readonly Part[], seen: readonly Seen[], apply: () => Tensor): Promise<Update> {
    const counted = parts.reduce((sum, { mask }) => sum + mask.filter((counts) => counts !== 0).length, 0);
    const found: Update = { loss: 0, gradNorm: 0, counted, logProb: 0, k3: 0, cut: 0 };
    for (const [at, part] of parts.entries()) {
      const turn = { counted, isFirst: at === 0, apply: at === parts.length - 1 ? apply : undefined };
      const { loss, gradNorm, own, diagnostics } = await learn(part, seen[at]!, turn);
      const told = await diagnostics.read();
      found.loss += await loss.item();
      found.gradNorm = (await gradNorm?.item()) ?? 0;
      found.logProb += sum(await own.read());
      found.k3 += sum(told.subarray(0, told.length / 2));
      found.cut += sum(told.subarray(told.length / 2));
    }
    return found;
  }

  await trainLoop({
    phase, section: 'rl', settings: config.rl, model, run, updates, memory,
    async body(i: number, apply: Apply) {
      const { sampled, silent, drawn } = await sampleAnswers(model, task, { ...config.rl, iteration: i, seed: random.at(i) });
      const gains = advantages(sampled.rewards, samples, advantage, memory);
      if (show > 0 && (i + 1) % show === 0) run.show?.(phase, i + 1, shown(sampled, gains, samples));
      const parts = inParts(sampled, gains, microBatch);
      const seen: Seen[] = [];
      for (const part of parts) seen.push(await kept(await look(part), parts.length));
      const first = await update(parts, seen, () => apply(0));
      let last = first;
      for (let again = 1; again < updates; again++) {
        const { gradNorm } = last;
        last = await update(parts, seen, () => apply(again));
        // one that is not is told, whatever follows
        if (!Number.isFinite(gradNorm)) last.gradNorm = gradNorm;
      }
      const counted = Math.max(1, last.counted); // of answers that were all cut off and left out, there is none
      return {
        loss: last.loss,
        gradNorm: last.gradNorm,
        tokens: last.counted,
        reward: mean(sampled.rewards),
        kl: last.k3 / counted,
        clipFraction: last.cut / counted,
        entropy: -first.logProb / counted, // of what was sampled: before the first update
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

/** What stays as it is during the updates, [B,T] in nats: in memory of the device's, or not. */
interface Seen {
  readonly old: Tensor | HostArray | undefined;
  readonly reference: Tensor | HostArray;
}

interface Turn {
  /** Tokens that count, of all parts. */
  readonly counted: number;
  readonly isFirst: boolean;
  /** For the last part. */
  readonly apply: (() => Tensor) | undefined;
}

/** Sums over the tokens that count. */
interface Update {
  loss: number;
  gradNorm: number;
  readonly counted: number;
  logProb: number;
  k3: number;
  cut: number;
}

/** As it is, where no other part takes its memory; else read. */
async function kept({ old, reference }: { old: Tensor | undefined; reference: Tensor }, parts: number): Promise<Seen> {
  return parts === 1 ? { old, reference } : { old: await old?.read(), reference: await reference.read() };
}

function sum(x: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += x[i]!;
  return total;
}

function mean(x: ArrayLike<number>): number {
  return sum(x) / x.length;
}
