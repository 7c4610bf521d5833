// Curves as TensorBoard reads them: an event file is a row of frames (TFRecord: length and data, each with a masked
// CRC-32C), each an Event message of Protocol Buffers. Sources: tensorflow/core/util/event.proto, lib/io/record_writer.
// Read after: records.ts. Read next: event-log.ts. Used by: remit/app/cli/export-curves.ts.

import type { StepRecord } from '../../phases/run.ts';

const encode = new TextEncoder();

/**
 * The bytes of an event file: a scalar for every number of every step, `rl/reward`, and a text. Times are of steps, a
 * second each: a run keeps no clock with its numbers.
 */
export function eventFile(phases: ReadonlyMap<string, readonly StepRecord[]>, text: Text): Uint8Array {
  const records = [...phases.values()].flat();
  return concat(
    frame(concat(double(1, 0), bytes(3, encode.encode('brain.Event:2')))),
    frame(textEvent(text)),
    ...records.map(stepEvent),
  );
}

/** One step, to be appended to an event file; `time` is how many came before it. */
export function stepEvent({ phase, step, steps: _, ...numbers }: StepRecord, time: number): Uint8Array {
  const values = Object.entries(numbers).flatMap(([name, value]) =>
    typeof value === 'number' ? [bytes(1, concat(bytes(1, encode.encode(`${phase}/${name}`)), float(2, value)))] : [],
  );
  return frame(concat(double(1, time), whole(2, step), bytes(5, concat(...values))));
}

interface Text {
  readonly tag: string;
  readonly said: string;
}

/** A run's configuration, config.json as it is, as the text that stands beside its curves. */
export function configText(config: string): Text {
  return { tag: 'config/text_summary', said: `\`\`\`json\n${config}\`\`\`` };
}

/** A text shown under its tag: a string tensor of one element, marked for the plugin that shows texts. */
function textEvent({ tag, said }: Text): Uint8Array {
  const plugin = bytes(9, bytes(1, bytes(1, encode.encode('text'))));
  const shape = bytes(2, bytes(2, whole(1, 1)));
  const tensor = bytes(8, concat(whole(1, 7), shape, bytes(8, encode.encode(said))));
  return concat(double(1, 0), whole(2, 0), bytes(5, bytes(1, concat(bytes(1, encode.encode(tag)), plugin, tensor))));
}

function frame(data: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(data.length), true);
  return concat(length, masked(length), data, masked(data));
}

function masked(data: Uint8Array): Uint8Array {
  const sum = crc32c(data);
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0, true);
  return out;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0x82f63b78 : rest >>> 1;
  return rest;
});

/** Castagnoli's: of "123456789" it is e3069283. */
export function crc32c(data: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of data) sum = TABLE[(sum ^ byte) & 255]! ^ (sum >>> 8);
  return ~sum >>> 0;
}

// fields of a message: number and kind, then what they hold

function bytes(field: number, data: Uint8Array): Uint8Array {
  return concat(varint((field << 3) | 2), varint(data.length), data);
}

function whole(field: number, value: number): Uint8Array {
  return concat(varint(field << 3), varint(value));
}

function double(field: number, value: number): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setFloat64(0, value, true);
  return concat(varint((field << 3) | 1), out);
}

function float(field: number, value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setFloat32(0, value, true);
  return concat(varint((field << 3) | 5), out);
}

/** Seven bits a byte, least significant first. */
function varint(value: number): Uint8Array {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...out, rest]);
    out.push((rest % 128) + 128);
  }
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
