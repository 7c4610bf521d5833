// Text without problems in it: made-up words that follow each other by habit. It stands for all that a corpus holds
// besides what we test, and it is partly predictable: words repeat, some pairs are frequent, and some characters are
// simply noise. The language itself (words and habits) is fixed for all runs; only what is said in it depends on the
// seed. Used by: documents.ts.

import { rng, type Stream } from '../../../engine/rng.ts';

const LETTERS = 'ghijklmnopqrstuvwxyz';
const WORDS = 48;

/** Share of words that are one of the four usual successors of the word before; the others are drawn by frequency. */
const HABIT = 0.7;

const maker = rng(20260203).fold('lexicon').stream();
const lexicon = Array.from({ length: WORDS }, () =>
  Array.from({ length: 2 + maker.int(4) }, () => maker.choice(LETTERS)).join(''),
);
const successors = lexicon.map(() => maker.sample(Array.from(lexicon.keys()), 4));

/** Zipf's law: the word of rank r has weight 1/r. Running totals, for Stream.weighted. */
const frequency: number[] = [];
for (let rank = 1; rank <= WORDS; rank++) frequency.push((frequency.at(-1) ?? 0) + 1 / rank);

/**
 * `length` characters cut from a random place; each is replaced with probability `noise` by a random letter or space.
 */
export function chatter(stream: Stream, length: number, noise: number): string {
  if (length <= 0) return '';
  let said = '';
  let word = stream.weighted(frequency);
  while (said.length < length) {
    said += `${lexicon[word]!} `;
    word = stream.uniform() < HABIT ? stream.choice(successors[word]!) : stream.weighted(frequency);
  }
  const start = stream.int(said.length - length + 1);
  let cut = '';
  for (let i = start; i < start + length; i++) {
    cut += stream.uniform() < noise ? stream.choice(`${LETTERS} `) : said[i]!;
  }
  return cut;
}
