// Bytes of a file to text, and to JSON: what counts as text, decided once for every file that a command reads.
// UTF-8, with or without a byte order mark; UTF-16, NUL bytes and anything else are refused with the place where it
// goes wrong. The whole policy stands in docs/files.md. Used by: read.ts (files on disk), remit/app/interop/.

import { FormatError } from '../../engine/errors.ts';
import { parseJson } from '../../engine/json.ts';

/**
 * A text as it stands, without the byte order mark. Throws FormatError, beginning with `where`, when the bytes are not
 * UTF-8 text.
 */
export function decodeText(bytes: Uint8Array, where: string): string {
  const archive = archiveOf(bytes);
  if (archive !== undefined) throw new FormatError(`${where}: is a ${archive} archive: unpack it first`);
  const encoding = marked(bytes);
  if (encoding !== undefined) {
    throw new FormatError(`${where}: is ${encoding}: convert it first: iconv -f ${encoding} -t utf-8`);
  }
  const nul = bytes.indexOf(0);
  if (nul >= 0) {
    throw new FormatError(
      `${where}: byte ${nul} is NUL: is no text: a binary file, or UTF-16 without a mark, which iconv -f utf-16le -t ` +
      'utf-8 converts',
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const at = firstInvalid(bytes);
    const line = bytes.subarray(0, at).reduce((lines, byte) => lines + (byte === NEWLINE ? 1 : 0), 1);
    const what =
      at < bytes.length
        ? `byte ${at} (line ${line}) is 0x${bytes[at]!.toString(16).padStart(2, '0')}`
        : `ends at byte ${at} within a character`;
    throw new FormatError(`${where}: ${what}: is not UTF-8 text: convert it first, for example with iconv -t utf-8`);
  }
}

/** Such text as JSON. Throws FormatError unless it is JSON in which no key is repeated. */
export function decodeJson(bytes: Uint8Array, where: string): unknown {
  return parseJson(decodeText(bytes, where), (why) => {
    throw new FormatError(`${where}: ${why}`);
  });
}

const NEWLINE = 10;

/**
 * What a byte order mark says, if it says anything but UTF-8. Four bytes are looked at first: UTF-32 begins as UTF-16
 * does.
 */
function marked(bytes: Uint8Array): string | undefined {
  const [a, b, c, d] = bytes;
  if ((a === 0xff && b === 0xfe && c === 0 && d === 0) || (a === 0 && b === 0 && c === 0xfe && d === 0xff)) {
    return 'UTF-32';
  }
  return (a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff) ? 'UTF-16' : undefined;
}

/** What packed files begin with. */
function archiveOf([a, b, c, d]: Uint8Array): string | undefined {
  if (a === 0x1f && b === 0x8b) return 'gzip';
  if (a === 0x50 && b === 0x4b && c === 3 && d === 4) return 'zip';
  return a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd ? 'zstd' : undefined;
}

/**
 * The first byte that cannot follow those before it; the length if the text merely ends too early. By halves: a start
 * decodes or it does not.
 */
function firstInvalid(bytes: Uint8Array): number {
  const decodes = (length: number): boolean => {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let good = 0;
  let bad = bytes.length + 1;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (middle <= bytes.length && decodes(middle)) good = middle;
    else bad = middle;
  }
  return good;
}
