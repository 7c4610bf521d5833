// How a text is cut into words before byte pairs are merged, so that no token crosses from one word to the next: the
// pre-tokenizers of tokenizer.json as functions. Their patterns are Oniguruma's; what JavaScript spells otherwise is
// translated, so that it runs in every browser. Source: openai/gpt-2, encoder.py; huggingface/tokenizers,
// pre_tokenizers. Read next: bpe.ts.

/** A text -> the same text in pieces. */
export type Split = (text: string) => readonly string[];

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** Words as GPT-2 cuts them: letters, digits or signs, with the space before them. */
export const splitLikeGPT2: Split = splitBy(translate(GPT2));

/** Each digit is a piece, or each run of them. */
export const splitDigits = (each: boolean): Split => splitBy(each ? '\\p{N}' : '\\p{N}+');

/**
 * Matches are pieces, and so is what lies between them. `pattern`: of tokenizer.json. Throws SyntaxError for one that
 * cannot be said in JavaScript.
 */
export const splitByPattern = (pattern: string): Split => splitBy(translate(pattern));

function splitBy(source: string): Split {
  const expression = new RegExp(source, 'gu');
  return (text) => {
    const pieces: string[] = [];
    let end = 0;
    for (const { 0: match, index } of text.matchAll(expression)) {
      if (match === '') continue;
      if (index > end) pieces.push(text.slice(end, index));
      pieces.push(match);
      end = index + match.length;
    }
    if (end < text.length) pieces.push(text.slice(end));
    return pieces;
  };
}

/**
 * White space is Unicode's there (U+0085 is, U+FEFF is not), and `(?i:...)` is new in JavaScript: its letters are
 * written out in both cases.
 */
function translate(pattern: string): string {
  return pattern
    .replaceAll(/\(\?i:([^()[\]\\]*)\)/g, (_, inside: string) => `(?:${inside.replaceAll(/[a-z]/gi, bothCases)})`)
    .replaceAll('\\s', '\\p{White_Space}')
    .replaceAll('\\S', '\\P{White_Space}');
}

/** With the long s and the Kelvin sign, which are an s and a k to whoever ignores case. */
function bothCases(letter: string): string {
  const lower = letter.toLowerCase();
  const third = { s: '\u017f', k: '\u212a' }[lower] ?? '';
  return `[${lower}${lower.toUpperCase()}${third}]`;
}
