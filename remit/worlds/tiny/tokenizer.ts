// The tiny world's text as token ids and back. Read after: alphabet.ts, ../../text/tokenizer.ts.

import { characterTokenizer, type Tokenizer } from '../../text/tokenizer.ts';
import { CHARACTERS } from './alphabet.ts';

/** The 70 characters of the tiny world. */
export const tinyWorldTokenizer: Tokenizer = characterTokenizer(CHARACTERS);

/** Text of the tiny world -> token ids. Throws ConfigError for a character that is not in it. */
export const encode = (text: string): Int32Array => tinyWorldTokenizer.encode(text);

/** Token ids -> text. */
export const decode = (tokens: ArrayLike<number>): string => tinyWorldTokenizer.decode(tokens);
