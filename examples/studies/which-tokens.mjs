// Which tokens carry the gain? ReMiT with its weights on one part of each row, and 1 everywhere else.
// The parts cover every target once: together they are remit.5.
//   npx remit-mini study --experiment which-tokens.mjs --seeds 1-8 --light

import { defineExperiment, noGrad, ops, tensor, tinyWorldTokenizer, world } from 'remit-mini';

const T = world.ROW - 1; // targets of a row: target i is character i + 1
const FIRST = world.PROMPT - 1; // the target that begins the response: `[` thinks, `]` answers, `~` waffles
const EPSILON = 0.5;

/** [T,T]: what a target takes from those at `from`. */
const reach = (isTaken) =>
  tensor(Array.from({ length: T * T }, (_, i) => Number(isTaken(Math.floor(i / T), i % T))), [T, T]);

/** [V,1]: 1 at one character. */
function isCharacter(character) {
  const [token] = tinyWorldTokenizer.encode(character);
  const size = tinyWorldTokenizer.vocabulary;
  return tensor(Array.from({ length: size }, (_, i) => Number(i === token)), [size, 1]);
}

/** [B,T]: 1 where a character stands among the targets that a place takes from. */
function found(targets, character, isTaken) {
  const [B] = targets.shape;
  const here = ops.reshape(ops.embedding(isCharacter(character), targets), { shape: [B, T] });
  return ops.clamp(ops.matmul(here, reach(isTaken)), { low: 0, high: 1 });
}

const not = (mask) => ops.affine(mask, { factor: -1, offset: 1 });
const both = (a, b) => ops.mul(a, b);
const inResponse = (from) => from >= FIRST;

/** The parts of a row; a row without a question is chatter from end to end. */
const parts = {
  question: (row) => both(row.isPuzzle, not(row.begun)),
  choice: (row) => both(row.isPuzzle, row.first),
  steps: (row) => both(row.body, not(row.closed)),
  answer: (row) => both(row.body, row.closed),
  chatter: (row) => ops.affine(both(row.isPuzzle, not(row.over)), { factor: -1, offset: 1 }),
};

/** What is known of each target, [B,T]. */
function rowOf(targets) {
  const isPuzzle = found(targets, '?', (from) => from === FIRST - 1);
  const at = (isHere) => {
    const mask = tensor(Array.from({ length: T }, (_, i) => Number(isHere(i))), [1, T]);
    return ops.add(ops.affine(isPuzzle, { factor: 0 }), mask);
  };
  const begun = at((i) => i >= FIRST);
  const over = found(targets, '.', (from, to) => inResponse(from) && from < to);
  const closed = found(targets, ']', (from, to) => inResponse(from) && from <= to);
  const body = both(both(isPuzzle, not(over)), at((i) => i > FIRST));
  return { isPuzzle, begun, first: at((i) => i === FIRST), over, closed, body };
}

const on = (part) => ({ batch: { targets }, logits, guide }) => {
  const [logProb, reference] = noGrad(() => [ops.logProb(logits, targets), ops.logProb(guide(), targets)]);
  const weights = noGrad(() => {
    const beyond = ops.affine(ops.tokenWeights(reference, logProb, targets, { epsilon: EPSILON }), { offset: -1 });
    return ops.affine(both(beyond, part(rowOf(targets))), { offset: 1 });
  });
  return { loss: ops.weightedCrossEntropy(logits, targets, weights), weights, logProb, reference };
};

const arms = Object.fromEntries(
  Object.entries(parts).map(([name, part]) => [name, { loss: on(part), about: `weights on the ${name} alone` }]),
);

export default defineExperiment({
  arms: { all: { method: 'remit', settings: { epsilon: EPSILON }, about: 'weights everywhere' }, ...arms },
  contrasts: [{ of: 'choice', less: 'all' }],
});
