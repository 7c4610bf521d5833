import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rng } from '../../../engine/rng.ts';
import { CHARACTERS } from '../../../remit/worlds/tiny/alphabet.ts';
import { chatter } from '../../../remit/worlds/tiny/chatter.ts';
import {
  corpus, decode, demonstrations, encode, PROMPT, RESPONSE, ROW, splitOf, TASKS, type CorpusSettings,
} from '../../../remit/worlds/tiny/index.ts';
import { errors, read, solve, type Read } from './reader.ts';

const PRETRAINING: CorpusSettings = { density: 0.8, noise: 0.1, wrong: 0.2, think: 0.35, spread: 0, waffle: 0.3 };
const MIDTRAINING: CorpusSettings = { density: 0.95, noise: 0.05, wrong: 0.1, think: 0.35, spread: 0.1, waffle: 0.3 };
const CHATTER = /^[g-z ]*$/;

const rowsOf = (tokens: Int32Array) =>
  Array.from({ length: tokens.length / ROW }, (_, i) => decode(tokens.subarray(i * ROW, (i + 1) * ROW)));
const settings = fc.record({
  density: fc.double({ min: 0, max: 1, noNaN: true }), noise: fc.double({ min: 0, max: 1, noNaN: true }),
  wrong: fc.double({ min: 0, max: 1, noNaN: true }), think: fc.double({ min: 0.2, max: 0.8, noNaN: true }),
  spread: fc.double({ min: 0, max: 0.2, noNaN: true }), waffle: fc.double({ min: 0, max: 1, noNaN: true }),
});

/** What is wrong with a problem: how many of the states shown, and whether the answer is. */
function faults({ question, style, states, answer }: Read): { states: number; answer: boolean } {
  const truth = solve(question);
  const wrongStates = style === 'think' ? [...truth].filter((state, i) => state !== states[i]).length : 0;
  return { states: wrongStates, answer: answer !== truth[3] };
}

describe('the alphabet', () => {
  test('has 70 different characters, a prompt of 12, a response of 12, a row of 24', () => {
    expect([new Set(CHARACTERS).size, CHARACTERS.length, PROMPT, RESPONSE, ROW]).toEqual([70, 70, 12, 12, 24]);
    expect(Array.from(encode('^09azSN+?~. ,"'))).toEqual([0, 1, 10, 11, 36, 37, 46, 47, 60, 61, 62, 63, 64, 69]);
  });
});

describe('rows of a corpus', () => {
  const rows = rowsOf(corpus(MIDTRAINING, rng(1)).rows(0, 15_000));
  const problems = rows.map(read).filter((row) => row !== undefined);

  test('stay the same from version to version', () => {
    expect(rowsOf(corpus(PRETRAINING, rng(1).fold('pretrain')).rows(0, 4))).toEqual([
      "^S5-3-2+3-2?~,'',]1.ping",
      "^D6)3)2)3)2?[!3,1;0'0]0.",
      '^Nac2b1a2c1?[,0"0,2"2]2.',
      '^G1<6<9>6>5?[!1"1!6!6]6.',
    ]);
  });

  test('hold a problem in the share of `density`, and chatter otherwise', () => {
    expect(errors(problems.length, rows.length, 0.95)).toBeLessThan(4);
    expect(rows.filter((row) => row[11] !== '?' && !CHATTER.test(row.slice(1)))).toEqual([]);
  });

  test('ask training questions only, of every task alike', () => {
    const counts = new Map<string, number>();
    for (const { question } of problems) counts.set(question[0]!, (counts.get(question[0]!) ?? 0) + 1);
    expect(problems.filter(({ question }) => splitOf(question) !== 'train')).toEqual([]);
    expect(counts.size).toBe(10);
    for (const hits of counts.values()) expect(errors(hits, problems.length, 0.1)).toBeLessThan(4);
  });

  test('think as often as their task says: .25 .30 .35 .40 .45, twice; of the others a share waffles', () => {
    for (const [index, task] of TASKS.entries()) {
      const own = problems.filter(({ question }) => question[0] === task.tag);
      const count = (style: Read['style']) => own.filter((row) => row.style === style).length;
      expect(errors(count('think'), own.length, [0.25, 0.3, 0.35, 0.4, 0.45][index % 5]!), task.name).toBeLessThan(4);
      expect(errors(count('waffle'), count('waffle') + count('direct'), 0.3), task.name).toBeLessThan(4);
    }
  });

  test('are wrong in the share of `wrong`: the answer always, and one state when states are shown', () => {
    for (const style of ['think', 'direct', 'waffle'] as const) {
      const own = problems.filter((row) => row.style === style);
      const found = own.map(faults);
      const bad = found.filter((fault) => fault.answer);
      expect(errors(bad.length, own.length, 0.1), style).toBeLessThan(4);
      expect(found.filter((fault) => fault.states !== (fault.answer && style === 'think' ? 1 : 0)), style).toEqual([]);
    }
  });

  test('replace a state or answer by any other of its class, digits or a to f, at any step', () => {
    const replaced = new Map<string, number>();
    const steps = [0, 0, 0, 0];
    for (const row of rowsOf(corpus({ ...PRETRAINING, wrong: 1, think: 1 }, rng(2)).rows(0, 4000)).map(read)) {
      if (row === undefined) continue;
      const truth = solve(row.question);
      const at = [...truth].findIndex((state, i) => state !== row.states[i]);
      steps[at]!++;
      for (const [from, to] of [[truth[at]!, row.states[at]!], [truth[3]!, row.answer]] as const) {
        replaced.set(`${from}${to}`, (replaced.get(`${from}${to}`) ?? 0) + 1);
      }
    }
    const n = steps.reduce((a, b) => a + b);
    for (const hits of steps) expect(errors(hits, n, 0.25)).toBeLessThan(4);
    const ofOne = [...replaced].filter(([pair]) => pair[0] === '1').map(([, hits]) => hits);
    expect(ofOne).toHaveLength(9);
    for (const hits of ofOne) expect(errors(hits, ofOne.reduce((a, b) => a + b), 1 / 9)).toBeLessThan(4);
    expect([...replaced.keys()].filter((pair) => !/^([0-9]{2}|[a-f]{2})$/.test(pair))).toEqual([]);
    expect([...replaced.keys()].filter((pair) => pair[0] === 'c').sort()).toEqual(['ca', 'cb', 'cd', 'ce', 'cf']);
  });

  test('draw each of the six fillers alike, and two to seven of them in waffle', () => {
    const fillers = problems.map((row) => row.fillers).join('');
    for (const filler of ',;:!\'"') {
      expect(errors(fillers.split(filler).length - 1, fillers.length, 1 / 6)).toBeLessThan(4);
    }
    const waffle = problems.filter((row) => row.style === 'waffle');
    for (let n = 2; n <= 7; n++) {
      expect(errors(waffle.filter((row) => row.fillers.length === n).length, waffle.length, 1 / 6)).toBeLessThan(4);
    }
  });

  test('are filled with chatter after the first `.`', () => {
    expect(problems.filter(({ rest, style }) => !(style === 'think' ? rest === '' : CHATTER.test(rest)))).toEqual([]);
  });

  test('are complete and readable for any settings', () => {
    fc.assert(fc.property(settings, fc.maxSafeNat(), fc.nat({ max: 1000 }), (drawn, seed, step) => {
      for (const row of rowsOf(corpus(drawn, rng(seed)).rows(step, 4))) {
        expect(row).toHaveLength(ROW);
        const problem = read(row);
        if (problem === undefined) expect(row).toMatch(/^\^[g-z ]{23}$/);
      }
    }));
  });

  test('can be drawn at any step without those before it, whatever was drawn earlier', () => {
    const inOrder = corpus(PRETRAINING, rng(6));
    const all = Array.from({ length: 10 }, (_, step) => inOrder.rows(step, 8));
    for (const step of [9, 0, 4]) expect(corpus(PRETRAINING, rng(6)).rows(step, 8)).toEqual(all[step]);
    expect(corpus(PRETRAINING, rng(6)).rows(0, 80)).toEqual(Int32Array.from(all.flatMap((rows) => [...rows])));
    expect(corpus(PRETRAINING, rng(7)).rows(0, 8)).not.toEqual(all[0]);
    expect(new Set(all.flatMap(rowsOf)).size).toBe(80);
  });

  test('settings that are no probabilities are refused', () => {
    expect(() => corpus({ ...PRETRAINING, noise: 1.5 }, rng(1))).toThrow(
      'corpus: noise = 1.5: must be a number at least 0 and at most 1',
    );
    expect(() => corpus({ ...PRETRAINING, wrong: NaN }, rng(1))).toThrow(
      'corpus: wrong = NaN: must be a number at least 0 and at most 1',
    );
    expect(() => demonstrations({ think: 0.9, spread: 0.4, waffle: 0 }, rng(1))).toThrow(
      'demonstrations: think = 0.9, spread = 0.4: would make VAR think with probability 1.100: choose a smaller spread',
    );
  });
});

describe('chatter', () => {
  const words = (text: string) => text.split(' ').slice(1, -1);   // the first and the last may be cut
  const plain = chatter(rng(8).stream(), 200_000, 0);

  test('without noise is made of at most 48 words of two to five letters', () => {
    const vocabulary = new Set(words(plain));
    expect(vocabulary.size).toBeLessThanOrEqual(48);
    expect(vocabulary.size).toBeGreaterThan(40);
    for (const word of vocabulary) expect(word).toMatch(/^[g-z]{2,5}$/);
  });

  test('follows its habits: most words have four usual successors', () => {
    const followers = new Map<string, Map<string, number>>();
    words(plain).forEach((word, i, all) => {
      const next = all[i + 1];
      if (next === undefined) return;
      const counts = followers.get(word) ?? new Map<string, number>();
      followers.set(word, counts.set(next, (counts.get(next) ?? 0) + 1));
    });
    for (const [word, counts] of followers) {
      const sorted = [...counts.values()].sort((a, b) => b - a);
      const total = sorted.reduce((a, b) => a + b);
      if (total < 500) continue;
      const usual = sorted.slice(0, 4).reduce((a, b) => a + b) / total;
      expect(usual, word).toBeGreaterThan(0.7 - 4 * Math.sqrt(0.7 * 0.3 / total));
      expect(usual, word).toBeLessThan(0.95);   // the rest is drawn by frequency from all 48
    }
  });

  test('with noise 1 is 21 characters, each as likely', () => {
    const n = 40_000;
    const noisy = chatter(rng(9).stream(), n, 1);
    for (const character of 'ghijklmnopqrstuvwxyz ') {
      expect(errors(noisy.split(character).length - 1, n, 1 / 21), character).toBeLessThan(4);
    }
  });

  test('replaces characters in the share of `noise`', () => {
    const n = 200_000;
    const share = (text: string) => (text.split(' ').length - 1) / n;
    const expected = 0.5 * share(plain) + 0.5 / 21;
    // 4 standard errors of about .001
    expect(Math.abs(share(chatter(rng(10).stream(), n, 0.5)) - expected)).toBeLessThan(0.005);
  });

  test('has the length that was asked for', () => {
    fc.assert(fc.property(fc.nat(), fc.nat({ max: 40 }), (seed, n) => {
      expect(chatter(rng(seed).stream(), n, 0.1)).toHaveLength(n);
    }));
  });
});

describe('demonstrations', () => {
  const batch = demonstrations({ think: 0.5, spread: 0, waffle: 0.3 }, rng(11)).rows(0, 4000);
  const rows = rowsOf(batch.rows);
  const problems = rows.map((row) => read(row)!);

  test('are right answers to training questions, padded with `.`', () => {
    expect(problems.filter(({ question }) => splitOf(question) !== 'train')).toEqual([]);
    expect(problems.filter((problem) => faults(problem).states > 0 || faults(problem).answer)).toEqual([]);
    expect(problems.filter(({ rest }) => !/^\.*$/.test(rest))).toEqual([]);
  });

  test('think in half of the rows and waffle in 30% of the others', () => {
    const think = problems.filter(({ style }) => style === 'think').length;
    const waffle = problems.filter(({ style }) => style === 'waffle').length;
    expect(errors(think, rows.length, 0.5)).toBeLessThan(4);
    expect(errors(waffle, rows.length - think, 0.3)).toBeLessThan(4);
  });

  test('count the response up to its first `.` and nothing else', () => {
    expect(batch.mask).toHaveLength(4000 * 23);
    rows.forEach((row, i) => {
      const counted = [...batch.mask.subarray(i * 23, (i + 1) * 23)]
        .map((m, target) => (m === 1 ? row[target + 1] : ''))
        .join('');
      expect(counted).toBe(row.slice(12, row.indexOf('.') + 1));
    });
    expect(new Set(batch.mask)).toEqual(new Set([0, 1]));
  });

  test('can be drawn at any step without those before it', () => {
    const again = demonstrations({ think: 0.5, spread: 0, waffle: 0.3 }, rng(11)).rows(3, 16);
    expect(again.rows).toEqual(batch.rows.slice(48 * 24, 64 * 24));
    expect(again.mask).toEqual(batch.mask.slice(48 * 23, 64 * 23));
  });
});
