// ReMiT in one file: a tape of numbers, a transformer of one layer, pre-training, reinforcement learning, and mid-training
// with token weights (arXiv 2602.03075). It imports nothing. Run it: npx tsx examples/microremit.ts.
//
// The world: two digits, a style, an answer. After "?" (thought) the answer is the larger one; after "!" (a guess) it is any
// digit, and most of what there is to read are guesses. RL finds out that "?" is rewarded; ReMiT teaches that to the base.

const ALPHABET = ['0', '1', '2', '?', '!'];
const [THINK, GUESS] = [3, 4];
const [WIDTH, HIDDEN, LENGTH] = [8, 16, 3]; // a row has four tokens: three to read, three to foretell

// --- The tape: every number that is made goes onto it, with what it was made of and how fast it changes with each.

export interface Value { data: number; grad: number; readonly from: readonly Value[]; readonly slopes: readonly number[] }

export function put(data: number, from: readonly Value[] = [], slopes: readonly number[] = []): Value {
  const value = { data, grad: 0, from, slopes };
  tape.push(value);
  return value;
}

let tape: Value[] = [];

/** Adds to the grad of all that `loss` was made of: from the end of the tape to its start, each passes its own on. */
export function backward(loss: Value): void {
  loss.grad = 1;
  for (const { grad, from, slopes } of tape.reverse()) {
    for (let i = 0; i < from.length && grad !== 0; i++) from[i]!.grad += grad * slopes[i]!;
  }
  tape = [];
}

const numbers = (values: readonly Value[]): number[] => values.map(({ data }) => data);
const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const add = (...values: Value[]): Value => put(total(numbers(values)), values, values.map(() => 1));
const scaled = (x: Value, factor: number): Value => put(factor * x.data, [x], [factor]);
const ratio = (a: Value, b: Value): Value => put(a.data / b.data, [a, b], [1 / b.data, -a.data / b.data ** 2]);
const tanh = (x: Value): Value => put(Math.tanh(x.data), [x], [1 - Math.tanh(x.data) ** 2]);
const exp = (x: Value): Value => put(Math.exp(x.data), [x], [Math.exp(x.data)]);
const log = (x: Value): Value => put(Math.log(x.data), [x], [1 / x.data]);
const dot = (a: readonly Value[], b: readonly Value[]): Value =>
  put(a.reduce((sum, { data }, i) => sum + data * b[i]!.data, 0), a.concat(b), numbers(b).concat(numbers(a)));

// --- Chance, from a seed: the same numbers at every run.

let state = 1;
function random(): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}
const pick = (count: number): number => Math.floor(random() * count);

/** An index, as often as its probability says. */
function draw(probabilities: readonly number[]): number {
  let left = random();
  return Math.max(0, probabilities.findIndex((p) => (left -= p) < 0));
}

// --- The model.

type Matrix = Value[][];
export type Model = Record<'embed' | 'place' | 'query' | 'key' | 'value' | 'out' | 'up' | 'down' | 'head', Matrix>;

const matrix = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, () => Array.from({ length: columns }, () => put(random() - 0.5)));
const apply = (weights: Matrix, x: readonly Value[]): Value[] => weights.map((row) => dot(row, x));
const plus = (x: readonly Value[], y: readonly Value[]): Value[] => x.map((value, i) => add(value, y[i]!));

export function newModel(): Model {
  const square = (): Matrix => matrix(WIDTH, WIDTH);
  return {
    embed: matrix(ALPHABET.length, WIDTH), place: matrix(LENGTH, WIDTH), query: square(), key: square(), value: square(),
    out: square(), up: matrix(HIDDEN, WIDTH), down: matrix(WIDTH, HIDDEN), head: matrix(ALPHABET.length, WIDTH),
  };
}

const parameters = (model: Model): Value[] => Object.values(model).flat(2);

function copyOf(model: Model): Model {
  const copy = newModel();
  parameters(copy).forEach((parameter, i) => (parameter.data = parameters(model)[i]!.data));
  return copy;
}

/** Tokens -> logits of the next one, after each. A token sees those before it and itself. */
export function forward(model: Model, tokens: readonly number[]): Value[][] {
  const x = tokens.map((token, t) => plus(model.embed[token]!, model.place[t]!));
  const [queries, keys, values] = [model.query, model.key, model.value].map((weights) => x.map((at) => apply(weights, at)));
  return x.map((at, t) => {
    const seen = keys!.slice(0, t + 1).map((key) => exp(scaled(dot(queries![t]!, key), 1 / Math.sqrt(WIDTH))));
    const shares = seen.map((weight) => ratio(weight, add(...seen)));
    const mixed = values![0]!.map((_, c) => dot(shares, values!.slice(0, t + 1).map((value) => value[c]!)));
    const attended = plus(at, apply(model.out, mixed));
    return apply(model.head, plus(attended, apply(model.down, apply(model.up, attended).map(tanh))));
  });
}

export const logProb = (logits: readonly Value[], token: number): Value =>
  add(logits[token]!, scaled(log(add(...logits.map(exp))), -1));

/** log p of each token of a row but the first. */
const logProbs = (model: Model, row: readonly number[]): Value[] =>
  forward(model, row.slice(0, -1)).map((logits, t) => logProb(logits, row[t + 1]!));

function probabilities(model: Model, tokens: readonly number[]): number[] {
  const weights = numbers(forward(model, tokens).at(-1)!).map(Math.exp);
  tape = [];
  return weights.map((weight) => weight / total(weights));
}

// --- ReMiT: what the reference expects more than the model does, compared with the row, is learned from more.

export function tokenWeights(model: readonly number[], reference: readonly number[], epsilon = 0.2): number[] {
  const gaps = reference.map((value, t) => value - model[t]!);
  const mean = total(gaps) / gaps.length;
  return gaps.map((gap) => Math.min(1 + epsilon, Math.max(1 - epsilon, 2 / (1 + Math.exp(mean - gap)))));
}

/** -(1 / tokens) sum of w log p. The weights are numbers: no gradient flows through them. */
export const weightedLoss = (own: readonly Value[], weights: readonly number[]): Value =>
  scaled(add(...own.map((value, t) => scaled(value, weights[t]!))), -1 / own.length);

// --- Training.

/** Adam (arXiv 1412.6980) on the mean loss of a batch, its rate falling to 0. */
function train(model: Model, steps: number, rate: number, losses: () => Value[]): void {
  const all = parameters(model);
  const [m, v] = [all.map(() => 0), all.map(() => 0)];
  for (let step = 1; step <= steps; step++) {
    tape = [];
    const batch = losses();
    all.forEach((parameter) => (parameter.grad = 0));
    backward(scaled(add(...batch), 1 / batch.length));
    all.forEach((parameter, i) => {
      m[i] = 0.9 * m[i]! + 0.1 * parameter.grad;
      v[i] = 0.99 * v[i]! + 0.01 * parameter.grad ** 2;
      const [mean, square] = [m[i]! / (1 - 0.9 ** step), v[i]! / (1 - 0.99 ** step)];
      parameter.data -= (rate * (1 - step / steps) * mean) / (Math.sqrt(square) + 1e-8);
    });
  }
}

/** Something to read: three in ten think. */
function document(): number[] {
  const [a, b] = [pick(3), pick(3)];
  return random() < 0.3 ? [a, b, THINK, Math.max(a, b)] : [a, b, GUESS, pick(3)];
}

const batchOf = <T>(make: () => T, count = 16): T[] => Array.from({ length: count }, make);

/** Next-token prediction, or with a reference ReMiT; the same seed, the same rows. */
function read(model: Model, steps: number, seed: number, reference?: Model): void {
  state = seed;
  train(model, steps, 0.02, () => batchOf(() => {
    const row = document();
    const own = logProbs(model, row);
    const expected = reference && numbers(logProbs(reference, row));
    return weightedLoss(own, expected ? tokenWeights(numbers(own), expected) : own.map(() => 1));
  }));
}

/** Four answers to a question; each is praised for what it has over the mean of the others (RLOO, arXiv 2402.14740). */
function reinforce(model: Model, steps: number): void {
  train(model, steps, 0.01, () => batchOf(() => {
    const question = [pick(3), pick(3)];
    const rows = batchOf(() => {
      const style = draw(probabilities(model, question));
      return [...question, style, draw(probabilities(model, [...question, style]))];
    }, 4);
    const rewards = rows.map(([a, b, , answer]) => (answer === Math.max(a!, b!) ? 1 : 0));
    const advantages = rewards.map((reward) => reward - (total(rewards) - reward) / 3);
    return rows.map((row, i) => () => scaled(add(...logProbs(model, row).slice(1)), -advantages[i]!));
  }, 4).flat().map((loss) => loss()));
}

/** How often it thinks, and is right, over all questions: exact. */
function score(model: Model): { thinks: number; right: number } {
  let [thinks, right] = [0, 0];
  for (const [a, b] of [0, 1, 2].flatMap((first) => [0, 1, 2].map((second) => [first, second] as const))) {
    const styles = probabilities(model, [a, b]);
    thinks += styles[THINK]! / 9;
    right += total(styles.map((p, style) => p * probabilities(model, [a, b, style])[Math.max(a, b)]!)) / 9;
  }
  return { thinks, right };
}

if (process.argv[1]?.endsWith('microremit.ts')) {
  const base = newModel();
  read(base, 300, 2);
  const [rl, vanilla, remit] = [copyOf(base), copyOf(base), copyOf(base)];
  reinforce(rl, 60);
  read(vanilla, 150, 3);
  read(remit, 150, 3, rl);
  for (const [name, model] of Object.entries({ base, rl, vanilla, remit })) {
    const { thinks, right } = score(model);
    console.log(`${name.padEnd(8)} thinks ${(100 * thinks).toFixed(0)}%, is right ${(100 * right).toFixed(0)}%`);
  }
}
