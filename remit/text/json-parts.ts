// Looking into a tokenizer.json, and refusing what is in it in one line. Used by: tokenizer-json.ts, bpe-json.ts.

import { FormatError } from '../../engine/errors.ts';

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function record(value: unknown, where: string): Record<string, unknown> {
  return isRecord(value) ? value : refuse(where, value, 'must be a JSON object');
}

/** {"a":1,"b":0} -> ['b','a']. Throws FormatError unless the ids are 0 to n-1, each once. */
export function inOrder(vocab: Record<string, unknown>, where = 'model.vocab'): string[] {
  const entries = Object.entries(vocab);
  const tokens = new Array<string>(entries.length);
  for (const [token, id] of entries) {
    const free =
      typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < entries.length && tokens[id] === undefined;
    if (!free) refuse(`${where}[${JSON.stringify(token)}]`, id, `ids must be 0 to ${entries.length - 1}, each once`);
    tokens[id as number] = token;
  }
  if (tokens.length === 0) refuse(where, vocab, 'is empty');
  return tokens;
}

/** Throws FormatError. One line, however long the value is. */
export function refuse(where: string, value: unknown, problem: string): never {
  const shown = JSON.stringify(value) ?? 'nothing';
  throw new FormatError(
    `tokenizer.json: ${where}: ${shown.length > 60 ? `${shown.slice(0, 60)}...` : shown}: ${problem}`,
  );
}
