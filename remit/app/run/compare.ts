// Two run folders, compared bit by bit: the first place where they differ, with both values. Used by:
// remit/app/cli/verify.ts.

import { readFileSync } from 'node:fs';
import { readSafetensors, type SafetensorsFile, type StoredTensor } from '../../../engine/safetensors.ts';

/** A place that means something to people, and what stands there. */
export interface Difference {
  /** `metrics.jsonl:61: midtrain, step 1: loss`. */
  readonly place: string;
  readonly stored: string;
  readonly now: string;
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The first place where two values differ, named from `place` on; numbers by their bits as JSON writes them. */
export function compareJson(stored: Json | undefined, now: Json | undefined, place: string): Difference | undefined {
  if (isTree(stored) && isTree(now) && Array.isArray(stored) === Array.isArray(now)) {
    const keys = new Set([...Object.keys(stored), ...Object.keys(now)]);
    for (const key of keys) {
      const found = compareJson(stored[key], now[key], Array.isArray(stored) ? `${place}[${key}]` : `${place}: ${key}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  const [there, here] = [text(stored), text(now)];
  return there === here ? undefined : { place, stored: there, now: here };
}

function isTree(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null;
}

function text(value: Json | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

/** A line of metrics against the step that was trained again. `line`: undefined when the file ends before it. */
export function compareLine(
  line: string | undefined,
  record: Readonly<Record<string, number | string>>,
  number: number,
): Difference | undefined {
  const now = JSON.stringify(record);
  const place = `metrics.jsonl:${number}: ${record.phase}, step ${record.step}`;
  if (line === now) return undefined;
  // the same values, other text
  return compareJson(parsed(line), JSON.parse(now) as Json, place) ?? { place, stored: `${line}`, now };
}

function parsed(line: string | undefined): Json | undefined {
  try {
    return line === undefined ? undefined : (JSON.parse(line) as Json);
  } catch {
    return line;
  }
}

/** A stored checkpoint against one that was trained again, without the checksum: tensor by tensor, number by number. */
export function compareCheckpoints(storedPath: string, nowPath: string, name: string): Difference | undefined {
  const bytes = readFileSync(storedPath);
  const fresh = readFileSync(nowPath);
  if (bytes.equals(fresh)) return undefined;
  let stored: SafetensorsFile;
  try {
    stored = readSafetensors(bytes, storedPath);
  } catch (error) {
    return { place: name, stored: (error as Error).message, now: 'a checkpoint that can be read' };
  }
  const now = readSafetensors(fresh, nowPath);
  for (const tensor of new Set([...now.tensors.keys(), ...stored.tensors.keys()])) {
    const found = compareTensors(stored.tensors.get(tensor), now.tensors.get(tensor), `${name}: ${tensor}`);
    if (found !== undefined) return found;
  }
  const notes = (file: SafetensorsFile): Json =>
    Object.fromEntries([...file.metadata].filter(([key]) => key !== 'sha256'));
  return (
    compareJson(notes(stored), notes(now), name) ??
    compareJson(stored.metadata.get('sha256'), now.metadata.get('sha256'), `${name}: checksum`) ?? {
      place: name,
      stored: 'the same values in other bytes',
      now: 'those of this program',
    }
  );
}

function compareTensors(
  stored: StoredTensor | undefined,
  now: StoredTensor | undefined,
  place: string,
): Difference | undefined {
  const shape = (tensor: StoredTensor | undefined): Json =>
    tensor === undefined ? 'no such tensor' : `${tensor.dtype} [${tensor.shape.join(',')}]`;
  const form = compareJson(shape(stored), shape(now), place);
  if (form !== undefined || stored === undefined || now === undefined) return form;
  const [a, b] = [stored, now].map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) as [
    Uint8Array,
    Uint8Array,
  ];
  if (Buffer.compare(a, b) === 0) return undefined;
  const at = Math.floor(a.findIndex((byte, i) => byte !== b[i]) / stored.data.BYTES_PER_ELEMENT);
  return {
    place: `${place}[${indices(at, stored.shape).join(',')}]`,
    stored: number(stored.data[at]!),
    now: number(now.data[at]!),
  };
}

/** 5 in [2,3] -> 1,2. */
function indices(at: number, shape: readonly number[]): number[] {
  const found: number[] = [];
  let left = at;
  for (const size of [...shape].reverse()) {
    found.unshift(left % size);
    left = Math.floor(left / size);
  }
  return found;
}

function number(value: number | bigint): string {
  return Object.is(value, -0) ? '-0' : String(value);
}
