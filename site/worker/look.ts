// What the page shows of models, each one call of the library: weights of a row, a group of answers and what a step
// does to it, replies side by side. Read after: models.ts. The method itself: remit/weights.ts, remit/rl/.

import {
  advantages,
  AdamW,
  backward,
  generate,
  noGrad,
  ops,
  rng,
  rollout,
  step,
  tensor,
  tinyWorldTokenizer,
  world,
  worldTask,
  resolveConfig,
  type Rollouts,
  type Tensor,
  type Transformer,
} from 'remit-mini';
import { ConfigError } from 'remit-mini/engine';
import type { Models } from './models.ts';
import {
  ESTIMATORS,
  type AskOptions,
  type Group,
  type GroupOptions,
  type Reply,
  type Sample,
  type Weighed,
  type WeighOptions,
} from './protocol.ts';

const { decode, encode } = tinyWorldTokenizer;
const { PROMPT, RESPONSE, ROW } = world;
const STOP = encode('.')[0]!;
const { vocabulary } = tinyWorldTokenizer;

/** Rows [B,L] as inputs and targets [B,L-1]. */
function shifted(rows: Int32Array, batch: number): { readonly inputs: Tensor; readonly targets: Tensor } {
  const L = rows.length / batch;
  const cut = (from: number): Int32Array =>
    Int32Array.from({ length: batch * (L - 1) }, (_, i) => rows[Math.floor(i / (L - 1)) * L + from + (i % (L - 1))]!);
  return { inputs: tensor(cut(0), [batch, L - 1], 'i32'), targets: tensor(cut(1), [batch, L - 1], 'i32') };
}

const HISTOGRAM_ROWS = 64;

export async function weigh(models: Models, { text, guide, epsilon, scale, centre }: WeighOptions): Promise<Weighed> {
  const [base, reference] = await models.of(['pretrain', guide]);
  const row = encode(text);
  if (row.length < 2 || row.length > ROW) {
    throw new ConfigError(`a row of ${row.length} characters: 2 to ${ROW}, please`);
  }
  const look = step((rows: Int32Array, batch: number) =>
    noGrad(() => {
      const { inputs, targets } = shifted(rows, batch);
      const model = ops.logProb(base!.forward(inputs), targets);
      const theirs = ops.logProb(reference!.forward(inputs), targets);
      return { model, theirs, weights: ops.tokenWeights(theirs, model, targets, { epsilon, scale, centre }) };
    }),
  );
  const found = await look(row, 1);
  const [model, theirs, weights] = [await found.model.read(), await found.theirs.read(), await found.weights.read()];
  const tokens = Array.from(row.subarray(1), (id, t) => ({
    text: decode([id]),
    model: model[t]!,
    reference: theirs[t]!,
    weight: weights[t]!,
  }));
  const rows = world.corpus(resolveConfig().config.midtrain.corpus, rng(7).fold('histogram')).rows(0, HISTOGRAM_ROWS);
  const histogram = Array.from(await (await look(rows, HISTOGRAM_ROWS)).weights.read());
  look.free();
  return { tokens, histogram };
}

const GROUP = 8;
const RATE = resolveConfig().config.rl.rate;

export async function group(models: Models, { question, estimator }: GroupOptions): Promise<Group> {
  const [model] = await models.of(['sft']);
  const task = worldTask(rng(0).fold('rl'));
  const sampled = await rollout(model!, task, {
    from: question,
    prompts: 1,
    samples: GROUP,
    temperature: 1,
    seed: rng(question).fold('group'),
  });
  const rewards = Array.from(sampled.rewards);
  const byEstimator = ESTIMATORS.map((kind) => advantages(rewards, GROUP, kind, { baseline: 0.5 }));
  const chosen = byEstimator[ESTIMATORS.indexOf(estimator)]!;
  const learned = model!.clone();
  const before = await logProbs(learned, sampled);
  await oneStep(learned, sampled, chosen);
  const after = await logProbs(learned, sampled);
  const L = sampled.rows.length / GROUP;
  const counted = sampled.mask.reduce((sum, x) => sum + x, 0);
  const k3 = before.map((own, i) => sampled.mask[i]! * (Math.expm1(after[i]! - own) - (after[i]! - own)));
  const kl = k3.reduce((sum, each) => sum + each, 0) / counted;
  const prompt = decode(sampled.rows.subarray(0, sampled.starts[0]!));
  return {
    prompt,
    answer: world.solve(prompt.slice(1, PROMPT - 1)).answer,
    kl,
    answers: rewards.map((reward, b) => {
      const start = sampled.starts[b]!;
      const ids = sampled.rows.subarray(b * L + start, b * L + start + sampled.lengths[b]!);
      return {
        text: decode(ids),
        reward,
        advantages: byEstimator.map((all) => all[b]!),
        tokens: Array.from(ids, (id, t) => {
          const at = b * (L - 1) + start - 1 + t;
          return { text: decode([id]), before: Math.exp(before[at]!), after: Math.exp(after[at]!) };
        }),
      };
    }),
  };
}

async function logProbs(model: Transformer, { rows, rewards }: Rollouts): Promise<Float32Array> {
  const look = step(() =>
    noGrad(() => {
      const { inputs, targets } = shifted(rows, rewards.length);
      return ops.logProb(model.forward(inputs), targets);
    }),
  );
  const found = Float32Array.from(await (await look()).read());
  look.free();
  return found;
}

/** One update of the policy gradient, without a clip or a penalty: raise what was better than its group. */
async function oneStep(model: Transformer, { rows, mask }: Rollouts, gains: Float32Array): Promise<void> {
  const optimiser = new AdamW(model.parameters, { clip: 1 });
  const T = mask.length / gains.length;
  const counted = mask.reduce((sum, x) => sum + x, 0);
  const learn = step(() => {
    const { inputs, targets } = shifted(rows, gains.length);
    const worth = tensor(
      mask.map((counts, i) => (-counts * gains[Math.floor(i / T)]!) / counted),
      [gains.length, T],
    );
    model.parameters.clearGradients();
    backward(ops.sum(ops.mul(ops.logProb(model.forward(inputs), targets), worth)));
    return optimiser.update(0, RATE);
  });
  await (await learn()).read();
  learn.free();
  optimiser.free();
}

const SIDE_BY_SIDE = ['pretrain', 'rl', 'remit'];
const SHOWN = 4; // of the likeliest at a place

export async function ask(models: Models, { prompt, temperature, topP, seed }: AskOptions): Promise<readonly Reply[]> {
  const found = await models.of(SIDE_BY_SIDE);
  const question = encode(prompt);
  if (question.length !== PROMPT) {
    throw new ConfigError(`a question of ${question.length} characters: ${PROMPT}, as in ^S1+1-1-4-4?`);
  }
  const { answer } = world.solve(prompt.slice(1, PROMPT - 1));
  const replies: Reply[] = [];
  for (const [i, model] of found.entries()) {
    const row = await generate(model, question, {
      batch: 1,
      maxNew: RESPONSE,
      temperature,
      topP,
      seed: rng(seed).fold('ask'),
      stop: STOP,
      vocabulary,
    });
    const end = row.indexOf(STOP, PROMPT);
    const said = row.subarray(0, end < 0 ? row.length : end + 1);
    replies.push({
      stage: SIDE_BY_SIDE[i]!,
      text: decode(said.subarray(PROMPT)),
      correct: world.verdict(row, answer).correct,
      ...(await inside(model, said)),
    });
  }
  return replies;
}

async function inside(model: Transformer, row: Int32Array): Promise<Pick<Reply, 'choices' | 'attention'>> {
  const T = row.length;
  const { heads, layers } = model.config;
  const look = step(() =>
    noGrad(() => {
      const capture = new Map<string, Tensor>();
      const logits = model.forward(tensor(row, [1, T], 'i32'), { capture });
      return { p: ops.softmax(logits), weights: capture.get(`layers.${layers - 1}.attention`)! };
    }),
  );
  const found = await look();
  const [p, weights] = [await found.p.read(), await found.weights.read()];
  look.free();
  const V = p.length / T;
  const choices = Array.from({ length: T - PROMPT }, (_, i) => {
    const place = PROMPT + i;
    const likely = Array.from({ length: vocabulary }, (_, id) => ({ text: decode([id]), p: p[(place - 1) * V + id]! }))
      .sort((a, b) => b.p - a.p)
      .slice(0, SHOWN);
    const taken = { text: decode([row[place]!]), p: p[(place - 1) * V + row[place]!]! };
    return [taken, ...likely.filter(({ text }) => text !== taken.text)];
  });
  const attention = Array.from({ length: T }, (_, t) =>
    Array.from({ length: T }, (_, s) => {
      let sum = 0;
      for (let head = 0; head < heads; head++) sum += weights[(head * T + t) * T + s]!;
      return sum / heads;
    }),
  );
  return { choices, attention };
}

const QUESTIONS = ['^X1&0|1#1#1?', '^G6<9>0>7>6?', '^D5(3)1)3)3?', '^M3*2+4*0+1?', '^Nba1b2c1b1?', '^S1+1-1-4-4?'];

/** What a model says to the same six questions, each time: a look at how it learns. */
export async function samples(model: Transformer): Promise<readonly Sample[]> {
  const prompts = encode(QUESTIONS.join(''));
  const rows = await generate(model, prompts, {
    batch: QUESTIONS.length,
    maxNew: RESPONSE,
    temperature: 1,
    seed: rng(1).fold('samples'),
    stop: STOP,
    vocabulary,
  });
  return QUESTIONS.map((prompt, i) => {
    const row = rows.subarray(i * ROW, (i + 1) * ROW);
    const said = decode(row.subarray(PROMPT));
    const { answer } = world.solve(prompt.slice(1, PROMPT - 1));
    return {
      prompt,
      answer: said.slice(0, said.indexOf('.') + 1 || undefined),
      correct: world.verdict(row, answer).correct,
    };
  });
}
