// A printable character for each byte, as GPT-2 writes tokens in its vocabulary: the space is Ġ, the newline Ċ.
// Source: openai/gpt-2, encoder.py. Used by: tokenizer-json.ts, bpe.ts, bpe-train.ts.

/** The byte itself where it is printable Latin-1, else the next unused code point from U+0100. By byte. */
export const byteCharacters: readonly string[] = characters();

function characters(): string[] {
  let spare = 0x100;
  const printable = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : spare++));
}

const bytes = new Map(byteCharacters.map((character, byte) => [character, byte]));

/** What such a token stands for; undefined when it holds another character. */
export function bytesOf(token: string): Uint8Array | undefined {
  const found = Array.from(token, (character) => bytes.get(character));
  return found.includes(undefined) ? undefined : Uint8Array.from(found as number[]);
}

/** The token that stands for such bytes. */
export function inCharacters(given: Uint8Array): string {
  return Array.from(given, (byte) => byteCharacters[byte]).join('');
}
