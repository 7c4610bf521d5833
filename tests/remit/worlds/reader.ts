// A second opinion on rows of the tiny world for the tests here: takes a row apart by its punctuation and works
// problems out by itself, from the question's ten characters alone. It shares no code with the generators.

export interface Read {
  readonly question: string;
  readonly style: 'think' | 'direct' | 'waffle';
  /** The states that thinking shows, else ''. */
  readonly states: string;
  readonly answer: string;
  readonly fillers: string;
  /** What follows the `.`. */
  readonly rest: string;
}

const RESPONSE = /^(?:\[((?:[,;:!'"][0-9a-f]){4})|~([,;:!'"]{2,7}))?\]([0-9a-f])\.(.*)$/;

/**
 * undefined when the row holds no problem. Throws when what follows a question is not a response of one of the three
 * styles.
 */
export function read(row: string): Read | undefined {
  if (row[11] !== '?') return undefined;
  const parts = RESPONSE.exec(row.slice(12));
  if (row[0] !== '^' || parts === null) throw new Error(`not a row: ${row}`);
  const [, thought, waffle, answer, rest] = parts;
  return {
    question: row.slice(1, 11),
    style: thought !== undefined ? 'think' : waffle !== undefined ? 'waffle' : 'direct',
    states: (thought ?? '').replaceAll(/[^0-9a-f]/g, ''),
    fillers: waffle ?? (thought ?? '').replaceAll(/[0-9a-f]/g, ''),
    answer: answer!,
    rest: rest!,
  };
}

/** What a question of each tag looks like. */
export const QUESTIONS: Record<string, RegExp> = {
  S: /^S[0-9]([+-][1-4]){4}$/,
  M: /^M[0-4]([+*][0-4]){4}$/,
  K: /^K[0-6]([<>][1-3]){4}$/,
  V: /^V[0-5]([=+-][0-4]){4}$/,
  D: /^D[0-6]([()][1-3]){4}$/,
  P: /^P[a-f]([<>][1-3]){4}$/,
  X: /^X[01]([&|#][01]){4}$/,
  C: /^C[a-d]([a-d][a-d]){4}$/,
  G: /^G[0-9]([<>][0-9]){4}$/,
  N: /^N[abc]([abc][12]){4}$/,
};

/** The four states of a question, worked out anew. */
export function solve(question: string): string {
  const tag = question[0]!;
  const start = question[1]!;
  const pairs = [2, 4, 6, 8].map((i) => [question[i]!, question[i + 1]!] as const);
  if (tag === 'N') {
    const heaps = pairs.map(([letter, n]) => (letter === start ? Number(n) : 0));
    return heaps.map((_, i) => heaps.slice(0, i + 1).reduce((sum, n) => sum + n)).join('');
  }
  if (tag === 'C') {
    const table = Object.fromEntries(pairs);
    const walk = (state: string, left: number): string =>
      left === 0 ? '' : table[state]! + walk(table[state]!, left - 1);
    return walk(start, 4);
  }
  const ring = { S: '0123456789', M: '01234', K: '0123456', V: '012345', P: 'abcdef' }[tag];
  let s = ring === undefined ? Number(start) : ring.indexOf(start);
  let states = '';
  for (const [op, operand] of pairs) {
    const n = Number(operand);
    if (op === '+') s += n;
    else if (op === '-') s -= n;
    else if (op === '*') s *= n;
    else if (op === '=') s = n;
    else if (op === '(') s = [s, s + 1, s + 2, s + 3][n]!;
    else if (op === ')') s -= n;
    else if (op === '&') s = s === 1 && n === 1 ? 1 : 0;
    else if (op === '|') s = s === 1 || n === 1 ? 1 : 0;
    else if (op === '#') s = s === n ? 0 : 1;
    else if (tag === 'G') s = (op === '<') === (n < s) ? n : s;
    else s += op === '>' ? n : -n;
    if (tag === 'D') s = s > 6 ? 6 : s < 0 ? 0 : s;
    if (ring !== undefined) s = (s + 10 * ring.length) % ring.length;
    states += ring === undefined ? s : ring[s]!;
  }
  return states;
}

/** How many standard errors the share of `hits` in n trials is away from p. */
export const errors = (hits: number, n: number, p: number): number =>
  Math.abs(hits - n * p) / Math.sqrt(n * p * (1 - p));
