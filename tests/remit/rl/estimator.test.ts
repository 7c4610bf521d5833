// Does the policy gradient point where it should? On worlds so small that the expected reward and its exact gradient
// can be written down, the samples' mean gradient must lie within four standard errors of it: through the ops and
// advantages that training uses.

import { beforeAll, describe, expect, test } from 'vitest';
import { CpuBackend } from '../../../engine/cpu/backend.ts';
import { logProb } from '../../../engine/ops/cross-entropy.ts';
import { policyLoss } from '../../../engine/ops/policy-loss.ts';
import { rng, type Stream } from '../../../engine/rng.ts';
import { useBackend } from '../../../engine/runtime.ts';
import { backward } from '../../../engine/tape.ts';
import { tensor, variable } from '../../../engine/tensor.ts';
import { advantages, type AdvantageName } from '../../../remit/rl/advantage.ts';

beforeAll(() => useBackend(new CpuBackend({ precision: 'f64' })));

const SAMPLES = 100_000;
const GROUP = 4;

/**
 * A policy: logits for each of its contexts; context 0 comes first, and an action leads to another context or ends the
 * episode.
 */
interface Tree {
  readonly logits: readonly (readonly number[])[];
  next(context: number, action: number): number | undefined;
  /** Of the actions taken. */
  reward(actions: readonly number[]): number;
}

const bandit: Tree = {
  logits: [[0.3, -0.5, 1.1, 0]],
  next: () => undefined,
  reward: ([arm]) => [0, 1, 0.2, 0.7][arm!]!,
};

/** Two steps; action 2 ends after the first. What the second is worth depends on the first. */
const tree: Tree = {
  logits: [[0.2, -0.4, 0.5], [1, -1, 0.3], [-0.6, 0.8, 0]],
  next: (context, action) => (context === 0 && action < 2 ? action + 1 : undefined),
  reward: ([first, second]) => (first === 2 ? 0.3 : [[1, 0, 0.5], [0, 0.9, 0.1]][first!]![second!]!),
};

const softmax = (logits: readonly number[]): number[] => {
  const total = logits.reduce((sum, x) => sum + Math.exp(x), 0);
  return logits.map((x) => Math.exp(x) / total);
};

/** Every episode with its probability. */
function episodes({ logits, next }: Tree, context = 0): { actions: number[]; p: number }[] {
  return softmax(logits[context]!).flatMap((p, action) => {
    const after = next(context, action);
    return after === undefined
      ? [{ actions: [action], p }]
      : episodes({ logits, next } as Tree, after).map((rest) => ({
          actions: [action, ...rest.actions],
          p: p * rest.p,
        }));
  });
}

/** The exact gradient of the expected reward by every logit, by central differences of the enumerated expectation. */
function exactGradient(world: Tree): number[] {
  const expected = (logits: Tree['logits']): number =>
    episodes({ ...world, logits }).reduce((total, { actions, p }) => total + p * world.reward(actions), 0);
  return world.logits.flatMap((row, c) => row.map((_, a) => {
    const moved = (h: number) =>
      expected(world.logits.map((other, k) => (k === c ? other.map((x, j) => (j === a ? x + h : x)) : other)));
    return (moved(1e-5) - moved(-1e-5)) / 2e-5;
  }));
}

interface Sample { readonly contexts: number[]; readonly actions: number[]; readonly reward: number }

function play({ logits, next, reward }: Tree, stream: Stream): Sample {
  const contexts: number[] = [];
  const actions: number[] = [];
  for (let context: number | undefined = 0; context !== undefined; context = next(context, actions.at(-1)!)) {
    let left = stream.uniform();
    let action = 0;
    const p = softmax(logits[context]!);
    while (action < p.length - 1 && left >= p[action]!) left -= p[action++]!;
    contexts.push(context);
    actions.push(action);
  }
  return { contexts, actions, reward: reward(actions) };
}

/**
 * What training would add to each logit for each group of samples, through logProb and policyLoss: [groups][logits].
 */
async function estimates(
  world: Tree,
  samples: readonly Sample[],
  gains: Float32Array,
  { klTo, size = GROUP }: { klTo?: Tree['logits']; size?: number } = {},
): Promise<number[][]> {
  const N = samples.length;
  const T = Math.max(...samples.map(({ actions }) => actions.length));
  const K = world.logits[0]!.length;
  const places = samples.flatMap(({ contexts, actions }) =>
    Array.from({ length: T }, (_, t) => ({ context: contexts[t] ?? 0, action: actions[t] ?? -1 })),
  );
  const rows = (logits: Tree['logits']): Float64Array =>
    Float64Array.from(places.flatMap(({ context }) => [...logits[context]!]));
  const targets = tensor(
    places.map(({ action }) => action),
    [N, T],
    'i32',
  );
  const logits = variable(rows(world.logits), [N, T, K]);
  const own = logProb(logits, targets);
  const reference = klTo ? logProb(tensor(rows(klTo), [N, T, K]), targets) : own.stopGradient();
  const gradient = await backward(
    policyLoss(own, own.stopGradient(), reference, tensor(gains), targets, { klWeight: klTo ? 1 : 0, count: 1 }),
  )
    .of(logits)!
    .read();
  const groups = Array.from({ length: N / size }, () => new Array<number>(world.logits.length * K).fill(0));
  places.forEach(({ context }, i) => {
    const group = groups[Math.floor(i / (T * size))]!;
    // the loss falls where the reward rises
    for (let k = 0; k < K; k++) group[context * K + k]! -= gradient[i * K + k]! / size;
  });
  return groups;
}

/** Mean and standard error of each column. */
function summary(rows: readonly (readonly number[])[]): { mean: number; error: number }[] {
  return rows[0]!.map((_, k) => {
    const mean = rows.reduce((total, row) => total + row[k]!, 0) / rows.length;
    const variance = rows.reduce((total, row) => total + (row[k]! - mean) ** 2, 0) / (rows.length - 1);
    return { mean, error: Math.sqrt(variance / rows.length) };
  });
}

/** Advantages of all samples; for reinforce, a batch of ten groups at a time, as training does. */
function gainsOf(rewards: readonly number[], kind: AdvantageName, size: number): Float32Array {
  const memory: Record<string, number> = {};
  const batch = 10 * size;
  const out = new Float32Array(rewards.length);
  for (let start = 0; start < rewards.length; start += batch) {
    out.set(advantages(rewards.slice(start, start + batch), size, kind, memory), start);
  }
  return out;
}

async function measure(world: Tree, kind: AdvantageName, size = GROUP) {
  const stream = rng(1).stream();
  const samples = Array.from({ length: SAMPLES }, () => play(world, stream));
  return summary(await estimates(world, samples, gainsOf(samples.map(({ reward }) => reward), kind, size), { size }));
}

function expectUnbiased(found: readonly { mean: number; error: number }[], wanted: readonly number[]): void {
  found.forEach(({ mean, error }, k) =>
    expect(Math.abs(mean - wanted[k]!), `${mean} +- ${error}, exactly ${wanted[k]}`).toBeLessThan(4 * error),
  );
}

describe.each([
  ['an enumerable bandit', bandit],
  ['a tree of two steps, one branch of which ends early', tree],
] as const)('on %s', (_, world) => {
  const exact = exactGradient(world);

  test.each(['rloo', 'reinforce'] as const)(
    '%s is unbiased',
    async (kind) => {
      const found = await measure(world, kind);
      expectUnbiased(found, exact);
      // and precise enough to mean something
      expect(found.some(({ mean, error }) => Math.abs(mean) > 20 * error)).toBe(true);
    },
    60_000,
  );

  test('dr-grpo is unbiased but for the factor (size - 1) / size', async () => {
    const found = await measure(world, 'dr-grpo');
    expectUnbiased(
      found,
      exact.map((g) => (g * (GROUP - 1)) / GROUP),
    );
    expect(found.some(({ mean, error }, k) => Math.abs(mean - exact[k]!) > 4 * error)).toBe(true);
  }, 60_000);

  test('a baseline that looks at its own reward is not: the test can fail', async () => {
    const stream = rng(1).stream();
    const samples = Array.from({ length: SAMPLES }, () => play(world, stream));
    const found = summary(
      await estimates(
        world,
        samples,
        Float32Array.from(samples, ({ reward }) => reward - reward ** 2),
      ),
    );
    expect(found.some(({ mean, error }, k) => Math.abs(mean - exact[k]!) > 4 * error)).toBe(true);
  }, 60_000);
});

test('grpo is biased, and not by a factor: a question that is rarely right weighs more than one that is half right', async () => {
  const question = (p: number): Tree => ({
    logits: [[Math.log(p / (1 - p)), 0]],
    next: () => undefined,
    reward: ([action]) => +(action === 0),
  });
  const shares = await Promise.all(
    [0.5, 0.05].map(async (p) => {
      const [found] = await measure(question(p), 'grpo', 32);
      const [exact] = exactGradient(question(p));
      return { mean: found!.mean / exact!, error: found!.error / exact! };
    }),
  );
  const [easy, hard] = [shares[0]!, shares[1]!];
  expect(hard.mean - easy.mean).toBeGreaterThan(4 * (easy.error + hard.error));
  expect(hard.mean / easy.mean).toBeGreaterThan(1.5);
}, 60_000);

describe('the k3 penalty', () => {
  const other = [[-0.2, 0.4, 0.3, 0.9]];
  const [p, q] = [softmax(bandit.logits[0]!), softmax(other[0]!)];
  const divergence = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((total, x, k) => total + x * Math.log(x / b[k]!), 0);

  test('is an unbiased estimate of KL(model || reference), and never negative', async () => {
    const stream = rng(2).stream();
    const samples = Array.from({ length: SAMPLES }, () => play(bandit, stream).actions[0]!);
    const targets = tensor(samples, [SAMPLES, 1], 'i32');
    const of = (logits: readonly number[]) =>
      logProb(
        tensor(
          Float64Array.from({ length: 4 * SAMPLES }, (_, i) => logits[i % 4]!),
          [SAMPLES, 1, 4],
        ),
        targets,
      );
    const own = of(bandit.logits[0]!);
    const [, , , diagnostics] = policyLoss.all(own, own, of(other[0]!), tensor(new Float64Array(SAMPLES)), targets, {});
    const k3 = Array.from((await diagnostics!.read()).subarray(0, SAMPLES));
    expect(Math.min(...k3.slice(0, 1000))).toBeGreaterThanOrEqual(0);
    expectUnbiased(summary(k3.map((x) => [x])), [divergence(p, q)]);
  });

  test('as a loss, has in expectation the gradient of KL(reference || model), the other way round', async () => {
    const stream = rng(3).stream();
    const samples = Array.from({ length: SAMPLES }, () => play(bandit, stream));
    const found = summary(await estimates(bandit, samples, new Float32Array(SAMPLES), { klTo: other }));
    // minus the gradient of KL(q || p) by the logits
    expectUnbiased(found, p.map((x, k) => q[k]! - x));
    const backwards = p.map((x, k) => -x * (Math.log(x / q[k]!) - divergence(p, q)));     // minus that of KL(p || q)
    expect(found.some(({ mean, error }, k) => Math.abs(mean - backwards[k]!) > 4 * error)).toBe(true);
  });
});
