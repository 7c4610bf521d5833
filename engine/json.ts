// JSON that came from a file: what JSON.parse lets pass in silence is refused here.
// A key used twice in one object has two values, of which JSON.parse takes the last; other programs take the first. And
// a value that is nested some thousand levels deep ends whoever looks at it by recursion, such as JSON.stringify.
// Used by: safetensors.ts, remit/text/decode.ts.

const DEEPEST = 100; // files of ours nest 4 levels, config.json of others perhaps 6

/** Told what is wrong with the text, as in `is not JSON: ...`; never returns. */
type Fail = (why: string) => never;

/**
 * Parses a text. Calls `fail` unless it is JSON without a repeated key, at most 100 levels deep; `whole` allows whole
 * numbers from 0 only.
 */
export function parseJson(text: string, fail: Fail, { whole = false }: { readonly whole?: boolean } = {}): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return fail(`is not JSON: ${(error as Error).message.replaceAll(/\s+/g, ' ').slice(0, 100)}`);
  }
  scan(text, fail, whole);
  return value;
}

/** `text` is JSON that has been parsed without error, so every bracket and quote has its partner. */
function scan(text: string, fail: Fail, whole: boolean): void {
  const open: (Set<string> | null)[] = []; // for each open bracket: the keys seen so far, or null in a list
  const number = /[-+.\deE]+/y;
  const colon = /[ \t\n\r]*:/y;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : null);
      if (open.length > DEEPEST) fail(`is nested deeper than ${DEEPEST} levels`);
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === '"') {
      const begin = i;
      i = endOfString(text, begin);
      colon.lastIndex = i + 1;
      if (!colon.test(text)) continue; // a value, not a key
      const key = JSON.parse(text.slice(begin, i + 1)) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) fail(`has "${key}" twice`);
      keys.add(key);
    } else if (whole && (character === '-' || (character >= '0' && character <= '9'))) {
      number.lastIndex = i;
      const digits = number.exec(text)![0];
      if (!/^\d+$/.test(digits)) fail(`has the number ${digits}: whole numbers from 0 are allowed`);
      i += digits.length - 1;
    }
  }
}

/**
 * Where the string that begins at `begin` has its closing quote: the first with an even number of backslashes before
 * it.
 */
function endOfString(text: string, begin: number): number {
  for (let end = text.indexOf('"', begin + 1); ; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text[end - 1 - slashes] === '\\') slashes++;
    if (slashes % 2 === 0) return end;
  }
}
