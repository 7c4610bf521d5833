// The tiny world's alphabet and the shape of its rows. Every row of 24 characters is a prompt of 12 and a response of
// up to 12:
//   ^S1+1-1-4-4?['2!1;7:3]3.      think: a filler and a state for each of four steps, then the answer
//   ^G6<9>0>7>6?]7.tpqq lvl       direct: the answer alone, then chatter to the end of the row
//   ^Ccaccbdcba?~::;:]b.uxxu      waffle: fillers that hold nothing, then the answer
// One character is one token, and its id is its place in CHARACTERS. Read next: tasks.ts, then documents.ts.

export const CHARACTERS = '^0123456789abcdefghijklmnopqrstuvwxyzSMKVDPXCGN+-*=&|#()<>[]?~. ,;:!\'"';

/**
 * The characters with a part to play. Fillers carry nothing: each is as likely, ln 6 = 1.79 nats that no model can
 * save.
 */
export const BEGIN = '^';
export const QUESTION_END = '?';
export const THINK = '[';
export const WAFFLE = '~';
export const ANSWER = ']';
export const STOP = '.';
export const FILLERS = ',;:!\'"';

/** States are digits or ring letters; `DIGITS` and `RING` are also what a corrupted state is replaced from. */
export const DIGITS = '0123456789';
export const RING = 'abcdef';

/** Steps of a problem. */
export const STEPS = 4;

/** Tokens of a prompt: `^`, tag, start, four pairs, `?`. */
export const PROMPT = 3 + 2 * STEPS + 1;

/** Tokens of the longest response: `[`, four pairs, `]`, answer, `.`. */
export const RESPONSE = 1 + 2 * STEPS + 3;

/** Tokens of a row. */
export const ROW = PROMPT + RESPONSE;
